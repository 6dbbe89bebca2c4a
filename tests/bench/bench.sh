#!/bin/bash
# bench.sh: how fast backfilld is when nothing holds it back, against what one would write by hand: a PL/pgSQL procedure
# that does the same batches with the same checkpoints, and one single UPDATE. Same server, same run, interleaved, the
# table built anew before each; medians of $RUNS. Then: how long after a kill -9 and a restart the next batch commits.
# ROWS, RUNS, KILLS take other sizes.
set -u -o pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/demo/servers.sh
. "$root/tests/demo/servers.sh"

ROWS=${ROWS:-1000000}
RUNS=${RUNS:-3}
KILLS=${KILLS:-5}
BATCH=5000
daemon_pid='' port=''
ticks=$(getconf CLK_TCK)

fail() {
	printf 'bench: %s\n' "$*" >&2
	if [ -s backfilld.log ]; then tail -n 8 backfilld.log >&2; fi
	exit 1
}
sql() { psql -X -q -A -t -v ON_ERROR_STOP=1 "$@" || fail "SQL failed: ${*: -1}"; }
now_ms() { date +%s%3N; }
median() { sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
daemon_answers() { backfillctl targets; }

# ---- the stage ------------------------------------------------------------------------------------------------------

start_server() {
	servers_free_port port
	servers_initdb primary
	servers_postgres primary_pid primary "$port" -c fsync=on -c shared_buffers=512MB -c max_wal_size=8GB -c autovacuum=off
	export PGHOST=127.0.0.1 PGPORT=$port PGUSER=postgres PGDATABASE=bench
	sql -d postgres -c "CREATE DATABASE bench"
	sql -c "CREATE ROLE backfill LOGIN" -c "GRANT pg_monitor TO backfill" -c "GRANT CREATE ON SCHEMA public TO backfill"
	# What the procedure needs that backfilld's control tables are to backfilld.
	sql <<-'SQL'
		CREATE TABLE checkpoint (name text PRIMARY KEY, position bigint, batch_id bigint NOT NULL, rows bigint NOT NULL)
		    WITH (fillfactor = 50);
		CREATE PROCEDURE backfill_by_hand(batch_rows integer) LANGUAGE plpgsql AS $$
		DECLARE
		    after bigint := 0;
		    through bigint;
		    changed bigint;
		BEGIN
		    DELETE FROM checkpoint;
		    INSERT INTO checkpoint VALUES ('hand', NULL, 0, 0);
		    COMMIT;
		    LOOP
		        SELECT id INTO through FROM worked WHERE id > after ORDER BY id OFFSET batch_rows - 1 LIMIT 1;
		        IF through IS NULL THEN
		            SELECT max(id) INTO through FROM worked WHERE id > after;
		            EXIT WHEN through IS NULL;
		        END IF;
		        UPDATE worked SET n = n + 1 WHERE id > after AND id <= through;
		        GET DIAGNOSTICS changed = ROW_COUNT;
		        UPDATE checkpoint SET position = through, batch_id = batch_id + 1, rows = rows + changed WHERE name = 'hand';
		        COMMIT;
		        after := through;
		    END LOOP;
		END $$;
	SQL
}

# The same table, byte for byte, before each run.
rebuild() {
	sql <<-SQL
		SET client_min_messages = warning;
		DROP TABLE IF EXISTS worked;
		CREATE TABLE worked AS
		    SELECT i::bigint AS id, 'owner ' || i AS owner, i % 1000 AS amount, 0 AS n FROM generate_series(1, $ROWS) i;
		ALTER TABLE worked ADD PRIMARY KEY (id);
		GRANT SELECT, UPDATE ON worked TO backfill;
		VACUUM (FREEZE, ANALYZE) worked;
		CHECKPOINT;
	SQL
}

check_exact() { # WHO
	[ "$(sql -c "SELECT count(*) = $ROWS AND bool_and(n = 1) FROM worked")" = t ] || fail "$1: not every row was done once"
}

write_config() {
	cat >backfilld.conf <<-CONF
		control = { socket = "$SERVERS_DIR/backfilld.sock"; };
		state_dir = "$SERVERS_DIR/state";
		emergency_stop = { files = [ "$SERVERS_DIR/state/EMERGENCY_STOP" ]; };
		targets = (
		  { name = "bench";
		    url = "postgresql://backfill@127.0.0.1:$port/bench";
		    admin_url = "postgresql://postgres@127.0.0.1:$port/bench";
		    environment = "bench"; }
		);
	CONF
	mkdir -p state
	export BACKFILLD_SOCKET=$SERVERS_DIR/backfilld.sock
}

write_job() { # ID DURABILITY KEEP [RATE]
	cat <<-JOB
		id         = "$1";
		target     = "bench";
		table      = "public.worked";
		kind       = "update";
		set        = { n = "n + 1"; };
		durability = "$2";
		batch      = { rows = $BATCH; adaptive = false; delay = "0ms"; max_duty = 1.0;${4:+ max_rate = $4;} };
		rollback   = { keep_old_values = $3; };
	JOB
}

start_daemon() {
	servers_spawn daemon_pid backfilld.log backfilld -c backfilld.conf
	servers_until 10 "start of backfilld" daemon_answers
}

# ---- the three ways -------------------------------------------------------------------------------------------------

cpu_ticks() { sed 's/^.*) //' "/proc/$daemon_pid/stat" | awk '{ print $12 + $13 }'; }

# Each prints: milliseconds as the server saw them, as the wall clock saw them, daemon's CPU %.
run_backfilld() { # RUN DURABILITY KEEP
	local id begun ended cpu wall server
	id=20261121_bench_$2_$3_$1
	write_job "$id" "$2" "$3" >run.job
	backfillctl submit run.job >/dev/null || fail "submit refused"
	cpu=$(cpu_ticks)
	begun=$(now_ms)
	backfillctl start "$id" >/dev/null || fail "start refused"
	backfillctl wait "$id" --timeout 10m || fail "job $id did not complete"
	ended=$(now_ms)
	cpu=$((($(cpu_ticks) - cpu) * 1000 / ticks))
	wall=$((ended - begun))
	server=$(sql -c "SELECT round(extract(epoch FROM finished_at - started_at) * 1000) FROM backfill.job WHERE id = '$id'")
	check_exact backfilld
	echo "$server $wall $(awk -v c="$cpu" -v w="$wall" 'BEGIN { printf "%.1f", c * 100 / w }')"
}

run_sql() { # WHO COMMIT SQL
	local begun ended server
	begun=$(now_ms)
	# \timing's clock is the client's, on the same host; the connection's own time is in the wall's.
	server=$(PGOPTIONS="-c synchronous_commit=$2" psql -X -q -A -t -v ON_ERROR_STOP=1 -c '\timing on' -c "$3" |
		sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p') || fail "$1 failed"
	ended=$(now_ms)
	check_exact "$1"
	echo "${server%.*} $((ended - begun)) -"
}

run_one() { # WAY COMMIT RUN
	rebuild
	case $1 in
	backfilld) run_backfilld "$3" "$([ "$2" = on ] && echo batch || echo job)" false ;;
	kept) run_backfilld "$3" "$([ "$2" = on ] && echo batch || echo job)" true ;;
	procedure) run_sql procedure "$2" "CALL backfill_by_hand($BATCH)" ;;
	single) run_sql single "$2" "UPDATE worked SET n = n + 1" ;;
	esac
}

# ---- the tables -----------------------------------------------------------------------------------------------------

measure() {
	local run commit way
	for ((run = 1; run <= RUNS; run++)); do
		for commit in off on; do
			for way in backfilld kept procedure single; do
				run_one "$way" "$commit" "$run" >result.tmp || exit 1
				cat result.tmp >>"result.$way.$commit"
				printf 'run %d, synchronous_commit %-3s  %-9s  %s ms\n' "$run" "$commit" "$way" "$(cut -d' ' -f1 result.tmp)" >&2
			done
		done
	done
}

column() { cut -d' ' -f"$2" "$1" | median; }

report() {
	local commit way server wall cpu name reference
	printf '\n%s rows, batches of %s, medians of %s; the ratio is to the procedure (more is faster)\n\n' "$ROWS" "$BATCH" "$RUNS"
	printf '%-18s  %-27s  %9s  %9s  %9s  %6s  %5s  %s\n' synchronous_commit way 'server ms' 'wall ms' rows/s ratio CPU 'min…max ms'
	for commit in off on; do
		reference=$(column "result.procedure.$commit" 1)
		for way in backfilld kept procedure single; do
			server=$(column "result.$way.$commit" 1)
			wall=$(column "result.$way.$commit" 2)
			cpu=-
			name='one single UPDATE'
			if [ "$way" = procedure ]; then name='PL/pgSQL procedure'; fi
			if [ "$way" = backfilld ] || [ "$way" = kept ]; then
				name="backfilld$([ "$way" = kept ] && echo ', values kept')"
				cpu=$(column "result.$way.$commit" 3)%
			fi
			awk -v c="$commit" -v n="$name" -v s="$server" -v w="$wall" -v r="$ROWS" -v f="$reference" -v u="$cpu" \
				-v m="$(cut -d' ' -f1 "result.$way.$commit" | sort -n | sed -n '1p;$p' | paste -sd- | sed 's/-/…/')" 'BEGIN {
				printf "%-18s  %-27s  %9d  %9d  %9d  %6.2f  %5s  %s\n", c, n, s, w, r * 1000 / s, f / s, u, m }'
		done
	done
	printf '\nload average of the last 5 minutes on %s processors: %s (a busy machine spoils the comparison)\n' \
		"$(nproc)" "$(cut -d' ' -f2 /proc/loadavg)"
	printf 'daemon: peak RSS %s kB\n' "$(awk '/^VmHWM/ { print $2 }' "/proc/$daemon_pid/status")"
}

# ---- kill -9 --------------------------------------------------------------------------------------------------------

batches_done() { sql -c "SELECT coalesce(sum(batch_id), 0)::bigint FROM backfill.segment WHERE job_id = '$1'"; }
batches_passed() { [ "$(batches_done "$1")" -gt "$2" ]; }

# From the restart to the first batch's commit, by the clock of the one host: the commit's time is the checkpoint's.
measure_kills() {
	local id=20261121_bench_kill kill_number begun before
	rebuild
	# One batch a second: the checkpoint read after a restart is the first one.
	write_job "$id" job false "$BATCH" >kill.job
	backfillctl submit --start kill.job >/dev/null || fail "submit refused"
	for ((kill_number = 1; kill_number <= KILLS; kill_number++)); do
		servers_until 30 "a batch" batches_passed "$id" "$(batches_done "$id")"
		kill -9 "$daemon_pid"
		wait "$daemon_pid" 2>/dev/null
		servers_forget "$daemon_pid"
		before=$(batches_done "$id")
		begun=$(now_ms)
		servers_spawn daemon_pid backfilld.log backfilld -c backfilld.conf
		servers_until 30 "the first batch after kill -9" batches_passed "$id" "$before"
		sql -c "SELECT round(extract(epoch FROM min(updated_at)) * 1000) - $begun FROM backfill.segment WHERE job_id = '$id'" >>result.kills
	done
	servers_until 10 "an answer" daemon_answers
	backfillctl set "$id" batch.max_rate=10000000 >/dev/null || fail "set refused"
	backfillctl wait "$id" --timeout 5m || fail "the killed job did not complete"
	check_exact "backfilld after $KILLS kills"
	printf 'kill -9, restart, first batch committed: %s ms (median of %s; slowest %s ms); every row once\n' \
		"$(median <result.kills)" "$KILLS" "$(sort -n result.kills | tail -n 1)"
}

main() {
	unset "${!PG@}"
	export PSQL_PAGER=cat # nobody is there to leave a pager
	servers_begin backfilld-bench
	servers_run make -s -C "$root" -j "$(nproc)" >"$SERVERS_DIR/build.log" 2>&1 || {
		cat "$SERVERS_DIR/build.log" >&2
		die "make failed"
	}
	PATH=$root/build:$PATH
	cd "$SERVERS_DIR" || die "no $SERVERS_DIR"
	start_server
	write_config
	start_daemon
	backfillctl init bench >/dev/null || fail "init failed"
	measure
	report
	measure_kills
}

main "$@"
