# stage.sh: what the parts of the bench share: the server, the daemon, the tables, jobs, and the server's own account of
# statements. Sourced by bench.sh.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=tests/demo/servers.sh
. "$root/tests/demo/servers.sh"

daemon_pid='' port=''

fail() {
	printf 'bench: %s\n' "$*" >&2
	if [ -s backfilld.log ]; then tail -n 8 backfilld.log >&2; fi
	exit 1
}
sql() { psql -X -q -A -t -v ON_ERROR_STOP=1 "$@" || fail "SQL failed: ${*: -1}"; }
now_ms() { date +%s%3N; }
median() { sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

raise_stage() {
	servers_begin backfilld-bench
	servers_run make -s -C "$root" -j "$(nproc)" >"$SERVERS_DIR/build.log" 2>&1 || {
		cat "$SERVERS_DIR/build.log" >&2
		die "make failed"
	}
	PATH=$root/build:$PATH
	cd "$SERVERS_DIR" || die "no $SERVERS_DIR"
	servers_free_port port
	servers_initdb primary
	servers_postgres primary_pid primary "$port" -c fsync=on -c shared_buffers=512MB -c max_wal_size=8GB -c autovacuum=off \
		-c maintenance_work_mem=256MB -c log_line_prefix='%a|'
	export PGHOST=127.0.0.1 PGPORT=$port PGUSER=postgres PGDATABASE=bench
	sql -d postgres -c "CREATE DATABASE bench"
	sql -c "CREATE ROLE backfill LOGIN" -c "GRANT pg_monitor TO backfill" -c "GRANT CREATE ON SCHEMA public TO backfill"
	write_config
	start_daemon
	backfillctl init bench >/dev/null || fail "init failed"
	stop_daemon
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

daemon_answers() { backfillctl targets; }

start_daemon() {
	servers_spawn daemon_pid backfilld.log backfilld -c backfilld.conf
	servers_until 10 "start of backfilld" daemon_answers
}

stop_daemon() {
	servers_kill "$daemon_pid" TERM 10
	servers_forget "$daemon_pid"
}

# The same table, byte for byte, each time.
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

# Adds one to n, with nothing that holds it back but what the caller says: write_job ID TABLE BATCH_ROWS [LINE…]
write_job() {
	cat <<-JOB
		id     = "$1";
		target = "bench";
		table  = "public.$2";
		kind   = "update";
		set    = { n = "n + 1"; };
		batch  = { rows = $3; adaptive = false; delay = "0ms"; max_duty = 1.0; };
	JOB
	printf '%s\n' "${@:4}"
}

run_job() { # ID FILE
	backfillctl submit --start "$2" >submit.log 2>&1 || fail "submit refused: $(cat submit.log)"
	backfillctl wait "$1" --timeout 10m || fail "job $1 did not complete"
}

# The server writes down what each statement of the daemon's cost it, from the daemon's next start on; the executor's share.
explain_statements() { # [SETTING=VALUE…]
	local setting
	sql -c "ALTER ROLE backfill SET session_preload_libraries = auto_explain" \
		-c "ALTER ROLE backfill SET auto_explain.log_min_duration = 0"
	for setting; do
		sql -c "ALTER ROLE backfill SET $setting"
	done
	stop_daemon
	: >primary.log
	start_daemon
}

explain_no_more() {
	sql -c "ALTER ROLE backfill RESET ALL"
	: >primary.log
}
