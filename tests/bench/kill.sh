# kill.sh: how long after a kill -9 and a restart the next batch commits. Sourced by bench.sh.
# shellcheck shell=bash disable=SC2154

batches_done() { sql "SELECT coalesce(sum(batch_id), 0) FROM backfill.segment WHERE job_id = '$1'"; }
batches_passed() { [ "$(batches_done "$1")" -gt "$2" ]; }

# From the restart to the first batch's commit, by the clock of the one host: the commit's time is the checkpoint's.
part_kill() {
	local id=20261121_bench_kill kill_number begun before
	rebuild
	# One batch a second: the checkpoint read after a restart is the first one.
	write_job "$id" worked "$BATCH" "rollback = { keep_old_values = false; };" | sed "s/max_duty/max_rate = $BATCH; &/" >run.job
	backfillctl submit --start run.job >/dev/null || fail "submit refused"
	for ((kill_number = 1; kill_number <= KILLS; kill_number++)); do
		servers_until 30 "a batch" batches_passed "$id" "$(batches_done "$id")"
		kill -9 "$daemon_pid"
		wait "$daemon_pid" 2>/dev/null
		servers_forget "$daemon_pid"
		before=$(batches_done "$id")
		begun=$(now_ms)
		servers_spawn daemon_pid backfilld.log backfilld -c backfilld.conf
		servers_until 30 "the first batch after kill -9" batches_passed "$id" "$before"
		sql "SELECT $(epoch_ms 'min(updated_at)') - $begun FROM backfill.segment WHERE job_id = '$id'" >>result.kills
	done
	servers_until 10 "an answer" daemon_answers
	backfillctl set "$id" batch.max_rate=10000000 >/dev/null || fail "set refused"
	backfillctl wait "$id" --timeout 5m || fail "the killed job did not complete"
	check_exact "backfilld after $KILLS kills"
	printf '\nkill -9, restart, first batch committed: %s ms (median of %s; slowest %s ms); every row once\n' \
		"$(median <result.kills)" "$KILLS" "$(sort -n result.kills | tail -n 1)"
}
