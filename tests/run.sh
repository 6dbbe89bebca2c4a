#!/usr/bin/env bash
# run.sh: `make test`. Builds with gcc and clang, plain, with failpoints, and with ASan and UBSan; the sanitised build runs
# the unit tests, the simulations and the integration tests. Prints "N passed, N failed" last; a skipped test has failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

jobs=${JOBS:-2}
out=build/test
passed=0 failed=0
rm -rf "$out" && mkdir -p "$out"

step() { printf '\n== %s\n' "$1"; }

build() { # NAME MAKE-ARGUMENT…
	local name=$1
	shift
	step "build: $name"
	if make -s -j "$jobs" "$@" >"$out/build-$name.log" 2>&1; then
		passed=$((passed + 1))
	else
		cat "$out/build-$name.log"
		failed=$((failed + 1))
	fi
}

# One unit test program; its verdict is one line in FILE.count: "passed failed".
run_unit() {
	local program=$1 log="$out/${1##*/}.log" good bad
	timeout 600 "$program" >"$log" 2>&1
	local code=$?
	good=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test(s)\.$/\1/p' "$log" | tail -n 1)
	bad=$(sed -n 's/^\[  FAILED  \].*[ :]\([0-9][0-9]*\) test(s), .*/\1/p' "$log" | tail -n 1)
	good=${good:-0} bad=${bad:-0}
	if [ "$code" -ne 0 ] || grep -qE '^\[  SKIPPED \] [1-9]' "$log" || [ "$good" -eq 0 ]; then
		[ "$bad" -gt 0 ] || bad=1
		printf -- '-- %s failed (exit code %s)\n' "$program" "$code"
		cat "$log"
	else
		printf -- '-- %s: %s passed\n' "$program" "$good"
	fi
	echo "$good $bad" >"$log.count"
}
export -f run_unit
export out

build gcc CC=gcc all
build failpoint CC=gcc VARIANT=failpoint FAILPOINTS=1 all
build sanitised CC=clang VARIANT=asan SANITIZE=address,undefined FAILPOINTS=1 all unit-programs

export LSAN_OPTIONS=suppressions=$PWD/tests/lsan.supp:print_suppressions=0
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1

step 'unit tests and simulations (clang, ASan, UBSan)'
find build/asan/tests -type f -executable | sort | xargs -r -P "$jobs" -I{} bash -c 'run_unit {}'
for count in "$out"/*.count; do
	[ -e "$count" ] || continue
	read -r good bad <"$count"
	passed=$((passed + good)) failed=$((failed + bad))
done

step 'integration tests (clang, ASan, UBSan; PostgreSQL primary and replica)'
BACKFILLD_BUILD=$PWD/build/asan /usr/bin/python3 -m pytest tests/integration -q -n "$jobs" --dist loadfile -p no:cacheprovider \
	--junitxml="$out/pytest.xml"
read -r good bad < <(/usr/bin/python3 tests/junit_counts.py "$out/pytest.xml")
passed=$((passed + good)) failed=$((failed + bad))

printf '\n%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
