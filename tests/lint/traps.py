"""Every test and every mutant that docs/traps.md names exists, every mutant stands for a trap and finds what it takes out, and only what is
for later has no test."""

import os
import re
import sys

sys.path.insert(0, "tests")
sys.dont_write_bytecode = True

import mutants

bad = []


def check_test(row, name):
    if not name.startswith("test_"):
        path = "tests/" + name
        if not os.path.exists(path) and not os.path.exists(path + ".c"):
            bad.append(f"{row}: no test {path}")
        return
    file, _, function = name.partition("::")
    with open("tests/integration/" + file) as f:
        if not re.search(rf"^def {function.partition('[')[0]}\(", f.read(), re.M):
            bad.append(f"{row}: {file} has no {function}")


rows, named = 0, set()
with open("docs/traps.md") as f:
    for line in f:
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")] if line.startswith("| ") else []
        if len(cells) < 2 or cells[0] == "trap":
            continue
        rows += 1
        if cells[1].startswith("later: needs "):
            continue
        trap, _, where, tests, mutant = cells
        for path in re.findall("`([^`]*)`", where):
            if not os.path.exists(path):
                bad.append(f"{trap}: no file {path}")
        found = re.findall("`([^`]*)`", tests)
        for test in found:
            check_test(trap, test)
        if not found:
            bad.append(f"{trap}: no test")
        named.add(mutant.strip("`"))
        if mutant.strip("`") not in mutants.MUTANTS:
            bad.append(f"{trap}: no mutant {mutant}")
for name, (edits, tests) in mutants.MUTANTS.items():
    if name not in named:
        bad.append(f"no trap has the mutant {name!r}")
    for path, old, _ in edits:
        with open(path) as f:
            if old not in f.read():
                bad.append(f"mutant {name!r}: {path} has no {old!r} any more")
    for test in tests:
        if "::" in test:
            check_test(name, mutants.engine_and_name(test)[1])
if rows < 50:
    bad.append(f"docs/traps.md has {rows} rows only: is it read at all?")
print("\n".join(bad))
sys.exit(1 if bad else 0)
