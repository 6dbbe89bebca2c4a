#!/usr/bin/env bash
# run.sh: `make test`. Builds with gcc and clang, plain, with failpoints, with ASan and UBSan, and for libFuzzer. The sanitised
# build runs the unit tests, the simulations and the integration tests, these on PostgreSQL and on MariaDB (ENGINE chooses); each
# fuzzing harness runs for some seconds. Everything runs, whatever failed before; what failed is shown.
# Prints "N passed, N failed" last, and keeps the two numbers in build/test/counts. A skipped test has failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
exec </dev/null

jobs=${JOBS:-2}
export out=build/test
passed=0 failed=0
rm -rf "$out" && mkdir -p "$out"

step() {
	printf '\n== %s\n' "$1"
}

count() { # PASSED FAILED
	passed=$((passed + $1)) failed=$((failed + $2))
}

build() { # NAME MAKE-ARGUMENT…
	local log="$out/build-$1.log"
	step "build: $1"
	shift
	if make -s -j "$jobs" "$@" >"$log" 2>&1; then
		count 1 0
	else
		cat "$log"
		count 0 1
	fi
}

# The sum of the numbers that the sed expression prints. A program may run several groups, each with its own summary.
sum_of() { # EXPRESSION FILE
	sed -nE "$1" "$2" | awk '{sum += $1} END {print sum + 0}'
}

# One unit test program; its verdict is one line in NAME.count: "passed failed".
run_unit() { # PROGRAM
	local program=$1 log="$out/${1##*/}.log" code=0 good bad
	timeout --kill-after=10 900 "$program" >"$log" 2>&1 || code=$?
	good=$(sum_of 's/^\[  PASSED  \] ([0-9]+) test\(s\)\.$/\1/p' "$log")
	bad=$(sum_of 's/^ *([0-9]+) (FAILED|SKIPPED) TEST\(S\)$/\1/p' "$log")
	# A simulation need not use cmocka: it is one test then, and its exit code says how it went.
	if [[ $program == */sim/* && $code -eq 0 ]] && ! grep -q '^\[==========\]' "$log"; then
		good=1
	fi
	# A crash, a leak, a time-out, or not a single test: that is a failure, too.
	if [ "$bad" -eq 0 ] && { [ "$code" -ne 0 ] || [ "$good" -eq 0 ]; }; then
		bad=1
	fi
	if [ "$bad" -gt 0 ]; then
		printf -- '-- %s: %s passed, %s FAILED (exit code %s)\n%s\n' "$program" "$good" "$bad" "$code" "$(cat "$log")"
	else
		printf -- '-- %s: %s passed\n' "$program" "$good"
	fi
	echo "$good $bad" >"$log.count"
}
export -f sum_of run_unit

build gcc CC=gcc all unit-programs
build failpoint CC=gcc VARIANT=failpoint FAILPOINTS=1 starve
build asan CC=clang VARIANT=asan SANITIZE=address,undefined FAILPOINTS=1 -k all unit-programs
build fuzz CC=clang VARIANT=fuzz SANITIZE=address,undefined,fuzzer-no-link -k fuzz-programs

export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1
if [ -e tests/lsan.supp ]; then
	export LSAN_OPTIONS=suppressions=$PWD/tests/lsan.supp:print_suppressions=0
fi

step 'unit tests and simulations (clang, ASan, UBSan)'
# By source, not by program: one that was built from a file since removed must not run, one that was not built must fail.
for source in tests/unit/test_*.c tests/sim/sim_*.c; do
	program=${source#tests/}
	echo "build/asan/tests/${program%.c}"
done | xargs -P "$jobs" -I{} bash -c 'run_unit {}'
for file in "$out"/*.count; do
	[ -e "$file" ] || continue
	read -r good bad <"$file"
	count "$good" "$bad"
done

step 'fuzzing: each corpus, and three seconds beyond it'
tests/fuzz/run.sh 3 | tee "$out/fuzz.log"
read -r good bad < <(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p' "$out/fuzz.log") || bad=1
count "${good:-0}" "$bad"

for engine in ${ENGINE:-postgresql mariadb}; do
	step "integration tests on $engine (clang, ASan, UBSan; primary and replica)"
	code=0
	BACKFILLD_BUILD=$PWD/build/asan JOBS=$jobs tests/suite.sh "$engine" || code=$?
	read -r good bad < <(/usr/bin/python3 tests/junit_counts.py "$out/$engine.xml")
	if [ "$code" -ne 0 ] && [ "$bad" -eq 0 ]; then
		bad=1
	fi
	printf -- '-- %s: %s passed, %s failed\n' "$engine" "$good" "$bad"
	count "$good" "$bad"
done

echo "$passed $failed" >"$out/counts"
printf '\n%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
