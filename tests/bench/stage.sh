# stage.sh: what the parts of the bench share: the server, the daemon, the tables, jobs, and how they end. Sourced by
# bench.sh.
# shellcheck shell=bash disable=SC2154

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=tests/demo/servers.sh
. "$root/tests/demo/servers.sh"

daemon_pid='' port=''

fail() {
	printf 'bench: %s\n' "$*" >&2
	if [ -s backfilld.log ]; then tail -n 8 backfilld.log >&2; fi
	exit 1
}
sql() { servers_sql "$port" bench "$@" || fail "SQL failed: ${*: -1}"; }
now_ms() { date +%s%3N; }
median() { sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

raise_stage() {
	servers_begin backfilld-bench "$ENGINE"
	# shellcheck source=/dev/null
	. "$root/tests/bench/$SERVERS_SCHEME.sh"
	servers_run make -s -C "$root" -j "$(nproc)" >"$SERVERS_DIR/build.log" 2>&1 || {
		cat "$SERVERS_DIR/build.log" >&2
		die "make failed"
	}
	PATH=$root/build:$PATH
	cd "$SERVERS_DIR" || die "no $SERVERS_DIR"
	servers_free_port port
	servers_init primary
	servers_start primary_pid primary "$port" "${server_options[@]}"
	create_database
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
		    url = "$SERVERS_SCHEME://backfill@127.0.0.1:$port/bench";
		    admin_url = "$(admin_url)";
		    environment = "bench";
		    throttle = { initial_rate = 1000000000.0; latency = { source = "none"; }; }; }
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

check_exact() { # WHO
	[ "$(sql "SELECT count(*), sum(CASE WHEN n = 1 THEN 1 ELSE 0 END) FROM worked")" = "$ROWS $ROWS" ] || fail "$1: not every row was done once"
}

# Adds one to n, with nothing that holds it back but what the caller says: write_job ID TABLE BATCH_ROWS [LINE…]
write_job() {
	cat <<-JOB
		id     = "$1";
		target = "bench";
		table  = "$2";
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
