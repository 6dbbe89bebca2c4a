# lookups.sh: finding where a batch ends costs the same at the first row and at the last, as the server counts it. Both the batch's
# own look-up and the one ahead of it count. Sourced by bench.sh.
# shellcheck shell=bash disable=SC2154

WINDOWS=20 # full ones, at either end

measure_look_ups() { # TABLE WHAT
	local id=20261121_bench_$1 first last rows
	write_job "$id" "$1" "$BATCH" 'where = "id % 100000 = 1";' 'rollback = { keep_old_values = false; };' >run.job
	forget_statements
	run_job "$id" run.job
	look_ups >result.look_ups
	rows=$(sql "SELECT sum(CASE WHEN (n = 1) = (id % 100000 = 1) AND n IN (0, 1) THEN 0 ELSE 1 END), count(*) FROM $1")
	[ "${rows% *}" = 0 ] || fail "$1: ${rows% *} rows were not done as they should be"
	[ "$(wc -l <result.look_ups)" -ge $((${rows#* } / BATCH - 1)) ] || fail "$1: the log lacks look-ups"
	first=$(head -n "$WINDOWS" result.look_ups | median)
	last=$(tail -n "$WINDOWS" result.look_ups | median)
	awk -v what="$2" -v rows="${rows#* }" -v n="$(wc -l <result.look_ups)" -v first="$first" -v last="$last" 'BEGIN {
		printf "%-36s  %9d  %9d  %7s  %7s  %5.2f\n", what, rows, n, first, last, last / first
		exit last < 0.8 * first || last > 1.25 * first }'
}

part_lookups() {
	local bad=0
	build_dense
	build_gaps
	note_statements reads
	printf '\nfinding the end of a batch of %s rows, one row in 100,000 matches: %s, medians of %s windows\n\n' "$BATCH" "$read_unit" "$WINDOWS"
	printf '%-36s  %9s  %9s  %7s  %7s  %5s\n' key rows look-ups first last ratio
	measure_look_ups dense 'bigint, dense' || bad=1
	measure_look_ups gaps 'integer, text, bigint; with gaps' || bad=1
	note_no_more
	sql "DROP TABLE dense, gaps"
	[ "$bad" = 0 ] || printf 'bench: a look-up does not cost the same at both ends (0.80 … 1.25)\n' >&2
	return "$bad"
}
