"""matrix_table.py DOCUMENT SERVER VERSION PASSED FAILED SECONDS COMMIT DATE: writes the server's row of the table of `make matrix`.
The rows of the others stay as they are."""

import sys

from document import Part, head, row

NAMES = {"postgresql": "PostgreSQL", "mariadb": "MariaDB", "mysql": "MySQL"}
HEAD = ("server", "version", "passed", "failed", "seconds", "commit", "date")


def order(line):
    """PostgreSQL first, then MariaDB; of each the oldest version."""
    engine, version = line.split(" | ")[0].removeprefix("| ").split(" ")
    return list(NAMES.values()).index(engine), [int(part) for part in version.split(".")]


def main(document, server, *cells):
    engine, version = server.split("-")
    name = f"{NAMES[engine]} {version}"
    part = Part(document, "matrix")
    others = [line for line in part.text.splitlines(keepends=True)[2:] if not line.startswith(f"| {name} |")]
    part.write(head(HEAD) + "".join(sorted([*others, row([name, *cells])], key=order)))


if __name__ == "__main__":
    main(*sys.argv[1:])
