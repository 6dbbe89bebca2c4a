# snapshot.sh: what a checkpoint takes while a snapshot from before the job keeps every version of its row, against the same
# without. Sourced by bench.sh.
# shellcheck shell=bash disable=SC2153,SC2154

ENDS=200        # checkpoints at either end of which the median is taken
NARROW_ROWS=100 # in a batch: the least there is

# It must have been there to the end: otherwise nothing was measured.
close_snapshot() {
	snapshot_is_open || fail "the old snapshot did not last"
	end_snapshot
	servers_kill "$snapshot_pid" TERM 10
	servers_forget "$snapshot_pid"
}

# To result.snapshot: the first and the last checkpoints' µs.
measure_checkpoints() { # NAME
	local id=20261121_bench_$1
	write_job "$id" narrow "$NARROW_ROWS" 'where = "n < 0";' 'rollback = { keep_old_values = false; };' >run.job
	forget_statements
	run_job "$id" run.job
	checkpoints >result.checkpoints
	[ "$(wc -l <result.checkpoints)" = "$BATCHES" ] || fail "$(wc -l <result.checkpoints) checkpoints are in the log, not $BATCHES"
	echo "$1 $(head -n "$ENDS" result.checkpoints | median) $(tail -n "$ENDS" result.checkpoints | median)" >>result.snapshot
}

# Of rows that are all changed; the speed part's, if it ran.
batch_us() {
	[ -s result.backfilld.off ] || run_one backfilld off 0 >result.backfilld.off || exit 1
	awk -v ms="$(column result.backfilld.off 1)" -v batches="$((ROWS / BATCH))" 'BEGIN { printf "%d", ms * 1000 / batches }'
}

part_snapshot() {
	local batch
	build_narrow
	note_statements times
	measure_checkpoints none
	open_snapshot
	measure_checkpoints open
	close_snapshot
	note_no_more
	stop_daemon
	start_daemon
	sql "DROP TABLE narrow"
	batch=$(batch_us) || exit 1
	printf '\ncheckpoint of %s batches in a row: µs, medians of %s; a batch of %s changed rows takes %s µs\n\n' \
		"$BATCHES" "$ENDS" "$BATCH" "$batch"
	printf '%-14s  %7s  %7s  %s\n' 'old snapshot' first last 'share of a batch'
	awk -v batch="$batch" '{ printf "%-14s  %7d  %7d  %.1f … %.1f %%\n", $1, $2, $3, $2 * 100 / batch, $3 * 100 / batch }' result.snapshot
}
