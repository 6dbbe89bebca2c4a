# buffers.sh: finding where a batch ends costs the same at the first row and at the last, counted in buffers. Both the batch's
# own look-up and the one ahead of it count. Sourced by bench.sh.
# shellcheck shell=bash

WINDOWS=20 # full ones, at either end

# Dense, and one row in 100,000 matches. UNLOGGED: how a table is written is no matter here.
build_dense() {
	sql <<-SQL
		CREATE UNLOGGED TABLE dense AS SELECT i::bigint AS id, 0 AS n FROM generate_series(1, $BUFFER_ROWS) i;
		ALTER TABLE dense ADD PRIMARY KEY (id);
		GRANT SELECT, UPDATE ON dense TO backfill;
		VACUUM (ANALYZE) dense;
	SQL
}

# One row in five is gone, and each fourth run of 50,000: thin leaves of the index, and empty ones that VACUUM unlinks.
build_gaps() {
	sql <<-SQL
		CREATE UNLOGGED TABLE gaps AS
		    SELECT (i / 100000)::integer AS region, 'owner ' || i / 100 % 1000 AS owner, i AS id, 0 AS n
		      FROM generate_series(1, $BUFFER_ROWS::bigint * 5 / 3) i;
		ALTER TABLE gaps ADD PRIMARY KEY (region, owner, id);
		DELETE FROM gaps WHERE id % 5 = 0 OR id / 50000 % 4 = 3;
		GRANT SELECT, UPDATE ON gaps TO backfill;
		VACUUM (ANALYZE) gaps;
	SQL
}

# Of each look-up that found a whole window, in the log's order: the buffers it read or found. The first Buffers line of a
# plan is its top node's and holds all below it.
look_ups() {
	awk '
		/\|LOG:  duration/ { looking = 0 }
		/Query Text: SELECT .* OFFSET \$[0-9]+::bigint LIMIT 2$/ { looking = 1 }
		looking && /Limit .*actual rows=/ { full = /actual rows=2 / }
		looking && /Buffers: / {
			looking = 0
			hit = read = 0
			for (i = 1; i <= NF; i++) {
				if ($i ~ /^hit=/) hit = substr($i, 5)
				if ($i ~ /^read=/) read = substr($i, 6)
			}
			if (full) print hit + read
		}' primary.log
}

measure_buffers() { # TABLE WHAT
	local id=20261121_bench_$1 first last rows
	write_job "$id" "$1" "$BATCH" 'where = "id % 100000 = 1";' 'rollback = { keep_old_values = false; };' >run.job
	: >primary.log
	run_job "$id" run.job
	look_ups >result.look_ups
	rows=$(sql -c "SELECT count(*) FILTER (WHERE n <> (id % 100000 = 1)::integer) || ' ' || count(*) FROM $1")
	[ "${rows% *}" = 0 ] || fail "$1: ${rows% *} rows were not done as they should be"
	[ "$(wc -l <result.look_ups)" -ge $((${rows#* } / BATCH - 1)) ] || fail "$1: the log lacks look-ups"
	first=$(head -n "$WINDOWS" result.look_ups | median)
	last=$(tail -n "$WINDOWS" result.look_ups | median)
	awk -v what="$2" -v rows="${rows#* }" -v n="$(wc -l <result.look_ups)" -v first="$first" -v last="$last" 'BEGIN {
		printf "%-36s  %9d  %9d  %7s  %7s  %5.2f\n", what, rows, n, first, last, last / first
		exit last < 0.8 * first || last > 1.25 * first }'
}

part_buffers() {
	local bad=0
	build_dense
	build_gaps
	explain_statements auto_explain.log_analyze=on auto_explain.log_buffers=on auto_explain.log_timing=off
	printf '\nfinding the end of a batch of %s rows, one row in 100,000 matches: buffers, medians of %s windows\n\n' "$BATCH" "$WINDOWS"
	printf '%-36s  %9s  %9s  %7s  %7s  %5s\n' key rows look-ups first last ratio
	measure_buffers dense 'bigint, dense' || bad=1
	measure_buffers gaps 'integer, text, bigint; with gaps' || bad=1
	explain_no_more
	sql -c "DROP TABLE dense, gaps"
	[ "$bad" = 0 ] || printf 'bench: a look-up does not cost the same at both ends (0.80 … 1.25)\n' >&2
	return "$bad"
}
