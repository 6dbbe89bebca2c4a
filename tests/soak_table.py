"""Writes the last result of each campaign between the markers of docs/reliability.md. A campaign's kinds of work are one row."""

import json
import sys

BEGIN, END = "<!-- soak: begin -->\n", "<!-- soak: end -->\n"
HEAD = ("campaign", "kinds", "faults", "rows due", "lost", "doubled", "seconds", "seed", "server", "commit", "date")


def last_results(path):
    """{campaign: {kind: result}}, in the order of the campaigns' names."""
    found = {}
    with open(path) as f:
        for line in f:
            result = json.loads(line)
            found.setdefault(result["campaign"], {})[result["kind"]] = result
    return sorted(found.items())


def row(campaign, results):
    def total(key):
        return f"{sum(r[key] for r in results):,}" if results[0][key] is not None else "–"

    def each(key):
        return ", ".join(sorted({str(r[key]).split(" ")[0] for r in results}))
    blows = f"{results[0]['worlds']:,} worlds" if "worlds" in results[0] else total("kills")
    if "possible" in results[0]:
        blows += " of " + total("possible")
    return (campaign, str(len(results)), blows, total("rows"), total("lost"), total("doubled"), total("seconds"), each("seed"), each("server"),
            each("commit"), each("date"))


def table(path):
    lines = [HEAD, ["---"] * len(HEAD)] + [row(campaign, list(kinds.values())) for campaign, kinds in last_results(path)]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def main(results, document):
    with open(document) as f:
        text = f.read()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    with open(document, "w") as f:
        f.write(before + BEGIN + table(results) + END + after)


if __name__ == "__main__":
    main(*sys.argv[1:])
