"""soak_table.py RESULTS DOCUMENT: writes the last result of each campaign on each kind of server into the document. A campaign's kinds of
work are one row. Rows of campaigns that the results don't have stay as they are."""

import json
import sys

from document import Part, head, row

PRODUCTS = ("PostgreSQL", "MariaDB", "MySQL", "simulated")
HEAD = ("server", "campaign", "kinds", "faults", "rows due", "lost", "doubled", "seconds", "seed", "commit", "date")


def last_results(path):
    """[{kind: result}], one for each campaign on each product."""
    found = {}
    with open(path) as f:
        for line in f:
            result = json.loads(line)
            found.setdefault((result["server"].split()[0], result["campaign"]), {})[result["kind"]] = result
    return found.values()


def cells(results):
    def total(key):
        return f"{sum(r[key] for r in results):,}" if results[0][key] is not None else "–"

    def each(key):
        return ", ".join(sorted({str(r[key]) for r in results}))
    blows = f"{results[0]['worlds']:,} worlds" if "worlds" in results[0] else total("kills")
    if "possible" in results[0]:
        blows += " of " + total("possible")
    return (each("server"), each("campaign"), len(results), blows, total("rows"), total("lost"), total("doubled"), total("seconds"), each("seed"),
            each("commit"), each("date"))


def key(line):
    """Which campaign's row it is, on which product."""
    server, campaign = line.removeprefix("| ").split(" | ")[:2]
    return PRODUCTS.index(server.split()[0]), campaign


def main(results, document):
    part = Part(document, "soak")
    rows = {key(line): line for line in part.text.splitlines(keepends=True)[2:]}
    rows.update((key(line), line) for line in (row(cells(list(kinds.values()))) for kinds in last_results(results)))
    part.write(head(HEAD) + "".join(rows[one] for one in sorted(rows)))


if __name__ == "__main__":
    main(*sys.argv[1:])
