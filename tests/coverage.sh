#!/usr/bin/env bash
# coverage.sh: `make coverage`: unit tests, simulations and integration tests (ENGINE chooses) of an instrumented build. What fails
# is said, and does not keep the numbers from being shown: `make test` is the judge.
set -euo pipefail
cd "$(dirname "$0")/.."
exec </dev/null

build=build/coverage
make -s -j 2 CC=gcc VARIANT=coverage COVERAGE=1 FAILPOINTS=1 all unit-programs
make -s -j 2 CC=gcc VARIANT=failpoint FAILPOINTS=1 starve
find "$build" -name '*.gcda' -delete
for source in tests/unit/test_*.c tests/sim/sim_*.c; do
	program=${source#tests/}
	"$build/tests/${program%.c}" >/dev/null 2>&1 || echo "failed: ${program%.c}"
done
for engine in ${ENGINE:-postgresql mariadb}; do
	BACKFILLD_BUILD=$PWD/$build tests/suite.sh "$engine" || true
done
gcovr --root . --filter 'common/' --filter 'daemon/' --filter 'ctl/' --object-directory "$build" --print-summary
