#!/usr/bin/env bash
# coverage.sh: `make coverage`: unit tests, simulations and integration tests of an instrumented build.
set -euo pipefail
cd "$(dirname "$0")/.."
make -s -j 2 CC=gcc VARIANT=coverage COVERAGE=1 FAILPOINTS=1 all unit-programs
find build/coverage -name '*.gcda' -delete
find build/coverage/tests -type f -executable | sort | while read -r program; do "$program" >/dev/null 2>&1 || echo "failed: $program"; done
BACKFILLD_BUILD=$PWD/build/coverage /usr/bin/python3 -m pytest tests/integration -q -n 2 --dist loadfile -p no:cacheprovider || true
gcovr --root . --filter 'common/' --filter 'daemon/' --filter 'ctl/' --object-directory build/coverage --branches --exclude-unreachable-branches
gcovr --root . --filter 'common/' --filter 'daemon/' --filter 'ctl/' --object-directory build/coverage
