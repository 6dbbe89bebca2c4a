#!/usr/bin/env bash
# run.sh SECONDS [NAME…]: replays the corpus of each harness (or of those named) in build/fuzz, then fuzzes it for so long.
# SEED=n does the same again. What it finds new is left in build/fuzz/found/NAME until the next run; a finding is shown whole.
# Last line: "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
exec </dev/null

export seconds=${1:?usage: run.sh SECONDS [NAME…]} build=build/fuzz seed=${SEED:-$((RANDOM + 1))}
shift
# Short stacks and a small quarantine: several times as many runs.
export ASAN_OPTIONS=malloc_context_size=6:quarantine_size_mb=8
export LSAN_OPTIONS=suppressions=$PWD/tests/lsan.supp:print_suppressions=0 UBSAN_OPTIONS=print_stacktrace=1

show_input() { # FILE
	printf -- '-- input %s:\n' "$1"
	cat -v "$1"
	printf '\n-- the same in base64:\n'
	base64 "$1"
}

# The verdict is the file NAME.ok: a harness that crashed, hung, leaked or ran less than its corpus has none.
run_one() { # NAME
	local name=$1 corpus=tests/fuzz/corpus/$1 log=$build/$1.log found=$build/found/$1 options=() code=0 runs files
	rm -rf "$build/$name.ok" "$build/$name"-* "$found"
	mkdir -p "$found"
	[ ! -e "tests/fuzz/dict/$name" ] || options+=("-dict=tests/fuzz/dict/$name")
	"$build/tests/fuzz/fuzz_$name" -seed="$seed" -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=1024 \
		-print_final_stats=1 -artifact_prefix="$build/$name-" "${options[@]}" "$found" "$corpus" >"$log" 2>&1 || code=$?
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
	files=$(find "$corpus" -type f | wc -l)
	if [ "$code" -eq 0 ] && [ "$files" -gt 0 ] && [ "${runs:-0}" -gt "$files" ]; then
		touch "$build/$name.ok"
		printf -- '-- %s: %s runs from %s inputs, %s, SEED=%s\n' "$name" "$runs" "$files" \
			"$(grep -oE 'cov: [0-9]+ ft: [0-9]+' "$log" | tail -n 1)" "$seed"
		return
	fi
	printf -- '-- %s: FAILED (exit code %s, %s runs from %s inputs), SEED=%s\n' "$name" "$code" "${runs:-0}" "$files" "$seed"
	tail -n 60 "$log"
	for file in "$build/$name"-*; do
		[ ! -e "$file" ] || show_input "$file"
	done
}
export -f run_one show_input

names=("$@")
if [ ${#names[@]} -eq 0 ]; then
	for source in tests/fuzz/fuzz_*.c; do
		name=${source##*/fuzz_}
		names+=("${name%.c}")
	done
fi
printf '%s\n' "${names[@]}" | xargs -P "${JOBS:-2}" -I{} bash -c 'run_one {}'

passed=0
for name in "${names[@]}"; do
	[ ! -e "$build/$name.ok" ] || passed=$((passed + 1))
done
printf '%d passed, %d failed\n' "$passed" $((${#names[@]} - passed))
[ "$passed" -eq "${#names[@]}" ]
