"""Writes the last result of each campaign into docs/reliability.md. A campaign's kinds of work are one row."""

import json
import sys

from document import Part, head, row

HEAD = ("campaign", "kinds", "faults", "rows due", "lost", "doubled", "seconds", "seed", "server", "commit", "date")


def last_results(path):
    """{campaign: {kind: result}}, in the order of the campaigns' names."""
    found = {}
    with open(path) as f:
        for line in f:
            result = json.loads(line)
            found.setdefault(result["campaign"], {})[result["kind"]] = result
    return sorted(found.items())


def cells(campaign, results):
    def total(key):
        return f"{sum(r[key] for r in results):,}" if results[0][key] is not None else "–"

    def each(key):
        return ", ".join(sorted({str(r[key]).split(" ")[0] for r in results}))
    blows = f"{results[0]['worlds']:,} worlds" if "worlds" in results[0] else total("kills")
    if "possible" in results[0]:
        blows += " of " + total("possible")
    return (campaign, len(results), blows, total("rows"), total("lost"), total("doubled"), total("seconds"), each("seed"), each("server"),
            each("commit"), each("date"))


def main(results, document):
    Part(document, "soak").write(head(HEAD) + "".join(row(cells(campaign, list(kinds.values()))) for campaign, kinds in last_results(results)))


if __name__ == "__main__":
    main(*sys.argv[1:])
