#!/bin/bash
# demo.sh: backfilld at work, from nothing to the proof, in two minutes: a primary with a replica, a site that reads and
# writes, a million rows, a pause, a kill -9, and a count by plain SQL of what was done. Everything is private and
# temporary. ENGINE is postgresql, mariadb or mysql; KEEP=1 leaves it all running for you to play with; ROWS=… takes another size.
# shellcheck disable=SC2154 # what the engine's site_….sh sets
set -u -o pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/demo/servers.sh
. "$root/tests/demo/servers.sh"

ENGINE=${ENGINE:-postgresql}
ROWS=${ROWS:-1000000}
job=20261121_points
daemon_pid='' primary_port='' replica_port=''
started=$SECONDS

# ---- talking --------------------------------------------------------------------------------------------------------

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'; else
	bold='' dim='' green='' red='' plain=''
fi

say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
note() { printf '%s  %s%s\n' "$dim" "$*" "$plain"; }

# The command as one would type it, then what it prints.
typed() {
	local word line=
	for word in "$@"; do
		case $word in *[\ \*]*) word="\"$word\"" ;; esac
		line+=" $word"
	done
	printf '%s$%s%s\n' "$green" "$line" "$plain"
	servers_run "$@"
}

must() {
	typed "$@" || fail "$1 ended with exit code $?"
}

fail() {
	printf '%sdemo: %s%s\n' "$red" "$*" "$plain" >&2
	if [ -s backfilld.log ]; then
		printf 'The end of the daemon'\''s log:\n' >&2
		tail -n 8 backfilld.log >&2
	fi
	exit 1
}

sql() { servers_sql "$primary_port" site "$@"; }
thousands() { sed -E ':a; s/^([0-9]+)([0-9]{3})/\1,\2/; ta' <<<"$1"; }

# ---- conditions to wait for -----------------------------------------------------------------------------------------

rows_done() { sql "SELECT coalesce(sum(rows_scanned), 0) FROM backfill.segment WHERE job_id = '$job'"; }
batches_done() { sql "SELECT coalesce(sum(batch_id), 0) FROM backfill.segment WHERE job_id = '$job'"; }
rows_reached() { [ "$(rows_done || echo 0)" -ge "$1" ]; }
batches_passed() { [ "$(batches_done || echo 0)" -gt "$1" ]; }
daemon_answers() { backfillctl targets; }

# The bar on a terminal, a line every few seconds in a pipe, until so many rows are done; 0: until the job ends.
watch_until() { # ROWS
	local watcher deadline=$((SECONDS + 120)) next=$SECONDS status=0
	printf '%s$ backfillctl wait %s%s\n' "$green" "$job" "$plain"
	backfillctl wait "$job" --timeout 2m &
	watcher=$!
	SERVERS_RUNNING=$watcher
	while servers_alive "$watcher" && [ "$SECONDS" -lt "$deadline" ]; do
		if [ "$1" -gt 0 ] && rows_reached "$1"; then break; fi
		if [ ! -t 2 ] && [ "$SECONDS" -ge "$next" ]; then
			note "$(thousands "$(rows_done)") of $(thousands "$ROWS") rows"
			next=$((SECONDS + 5))
		fi
		servers_nap
	done
	if [ "$1" -gt 0 ]; then kill "$watcher" 2>/dev/null; fi
	wait "$watcher" 2>/dev/null || status=$?
	SERVERS_RUNNING=
	if [ "$1" -gt 0 ]; then
		rows_reached "$1" || fail "the job got no further than $(rows_done) rows"
	else
		return "$status"
	fi
}

start_daemon() {
	printf '%s$ backfilld -c backfilld.conf &%s\n' "$green" "$plain"
	servers_spawn daemon_pid backfilld.log backfilld -c backfilld.conf
	servers_until 10 "start of backfilld" daemon_answers
}

# ---- the stage ------------------------------------------------------------------------------------------------------

build() {
	say "Building backfilld"
	servers_run make -s -C "$root" -j "$(nproc)" >"$SERVERS_DIR/build.log" 2>&1 || {
		cat "$SERVERS_DIR/build.log" >&2
		die "make failed"
	}
	PATH=$root/build:$PATH
	backfilld --version
}

start_primary() {
	say "A $SERVERS_NAME primary, a replica that follows it, a table of $(thousands "$ROWS") rows"
	servers_free_port primary_port
	servers_free_port replica_port
	servers_init primary
	servers_start primary_pid primary "$primary_port" "${server_options[@]}"
	servers_run create_table || fail "no table"
	servers_replica replica_pid replica "$replica_port" "$primary_port" "${server_options[@]}"
	note "primary on port $primary_port, replica on port $replica_port"
}

start_site() {
	say "The site: 400 requests a second, reads and writes, from now on and all the time"
	write_traffic || fail "no traffic"
	local i
	for ((i = 0; i < traffic_clients; i++)); do
		printf '%s$ %s &%s\n' "$green" "$traffic_shown" "$plain"
		servers_spawn traffic_pid traffic.log "${traffic[@]}"
	done
}

write_files() {
	cat >backfilld.conf <<-CONF
		control = { socket = "$SERVERS_DIR/backfilld.sock"; };
		state_dir = "$SERVERS_DIR/state";
		emergency_stop = { files = [ "$SERVERS_DIR/state/EMERGENCY_STOP" ]; };
		targets = (
		  { name = "site";
		    url = "$SERVERS_SCHEME://backfill@127.0.0.1:$primary_port/site";
		    admin_url = "$(admin_url)";
		    replicas = ( { name = "r1"; url = "$SERVERS_SCHEME://backfill@127.0.0.1:$replica_port/site"; } );
		    environment = "demo";
		    # Servers, site and work share one small machine here: more room than a site would be asked for.
		    throttle = { max_lag = "2s"; max_p95_increase = 1.0; initial_rate = 8000; latency = { learn = "5s"; }; };
		    guards = { p95_increase = 10.0; }; }
		);
	CONF
	mkdir state
	write_job "$job" 16000 >points.job
	write_job 20261122_more_points 5000 >more.job
	export BACKFILLD_SOCKET=$SERVERS_DIR/backfilld.sock
}

write_job() { # ID RATE
	cat <<-JOB
		id     = "$1";
		target = "site";
		table  = "$table";
		kind   = "update";
		set    = { points = "points + 1"; };
		batch  = { rows = 2000; max_rate = $2; };
	JOB
}

# ---- the play -------------------------------------------------------------------------------------------------------

submit_job() {
	say "A job: points = points + 1, on every row. Done twice, or not at all, it would be wrong for ever"
	must cat points.job
	must backfillctl validate points.job
	must backfillctl init site
	must backfillctl submit points.job
	must backfillctl start "$job"
}

pause_and_resume() {
	say "Pause: the job waits for a person"
	must backfillctl pause "$job"
	must backfillctl list
	local before
	before=$(rows_done)
	say "Faster from here, and on"
	must backfillctl set "$job" batch.max_rate=25000
	[ "$(rows_done)" = "$before" ] || fail "rows were done while the job was paused"
	must backfillctl resume "$job"
}

kill_and_restart() {
	say "kill -9, in the middle of it"
	local batches both
	printf '%s$ kill -9 %s%s\n' "$green" "$daemon_pid" "$plain"
	kill -9 "$daemon_pid"
	wait "$daemon_pid" 2>/dev/null
	servers_forget "$daemon_pid"
	both=$(sql "SELECT (SELECT sum(rows_scanned) FROM backfill.segment WHERE job_id = '$job'),
		(SELECT count(*) FROM accounts WHERE points = 1)")
	note "one snapshot of both: $(thousands "${both% *}") rows by the checkpoint, $(thousands "${both#* }") rows in the table"
	[ "${both% *}" = "${both#* }" ] || fail "they differ"
	batches=$(batches_done)
	start_daemon
	servers_until 15 "the first batch after kill -9" batches_passed "$batches"
	note "it goes on by itself from batch $batches; nobody had to repair anything"
}

check() {
	say "The proof, by plain SQL"
	local sums wrong query
	sums="count(*), sum(points), sum(CASE WHEN points <> 1 THEN 1 ELSE 0 END)"
	servers_until 30 "replay on the replica" servers_is_current "$replica_port" "$primary_port"
	query="SELECT count(*) AS accounts, sum(points) AS points,
       sum(CASE WHEN points <> 1 THEN 1 ELSE 0 END) AS wrong,
       sum(CASE WHEN visits > 0 THEN 1 ELSE 0 END) AS touched_by_site,
       sum(CASE WHEN visits > 0 AND points <> 1 THEN 1 ELSE 0 END) AS touched_and_wrong
  FROM accounts"
	must "${client[@]}" "$query"
	wrong=$(sql "SELECT $sums FROM accounts")
	[ "$wrong" = "$ROWS $ROWS 0" ] || fail "NOT exact: rows, sum of points, wrong rows: $wrong"
	note "every one of $(thousands "$ROWS") rows exactly once"
	[ "$(servers_sql "$replica_port" site "SELECT $sums FROM accounts")" = "$ROWS $ROWS 0" ] || fail "the replica says something else"
	note "the replica says the same"
	[ "$(sql "SELECT sum(rows_changed) FROM backfill.segment WHERE job_id = '$job'")" = "$ROWS" ] ||
		fail "the checkpoint's count is another"
	note "the checkpoint has counted the same"
	[ "$(sql "SELECT (SELECT sum(visits) FROM accounts) - (SELECT count(*) FROM visit)")" = 0 ] || fail "the site has lost writes"
	note "no write of the site was lost: $(thousands "$(sql "SELECT count(*) FROM visit")") of its own log are in the table"
}

farewell() {
	SERVERS_KEEP=1
	say "It all goes on running (the traffic for an hour). To play:"
	cat <<-TEXT
		export PATH=$root/build:\$PATH BACKFILLD_SOCKET=$BACKFILLD_SOCKET
		backfillctl list
		backfillctl show $job
		backfillctl events $job
		backfillctl submit --start $SERVERS_DIR/more.job
		backfillctl wait 20261122_more_points --timeout 10s
		backfillctl throttle
		backfillctl stop                          # emergency stop: no batch on any target
		backfillctl list                          # paused, and why
		backfillctl unstop
		backfillctl resume 20261122_more_points
		${interactive[*]}

		To end it all:
		$(servers_end_commands)
	TEXT
}

main() {
	"$root/packaging/deps.sh" || exit 1 # in the foreground: it may ask for a password
	servers_begin backfilld-demo "$ENGINE"
	# shellcheck source=/dev/null
	. "$root/tests/demo/site_$SERVERS_SCHEME.sh"
	build
	cd "$SERVERS_DIR" || die "no $SERVERS_DIR"
	start_primary
	start_site
	write_files
	say "The daemon"
	start_daemon
	submit_job
	watch_until $((ROWS / 5))
	must backfillctl throttle
	pause_and_resume
	watch_until $((ROWS / 2))
	kill_and_restart
	watch_until 0 || fail "the job did not complete: $(backfillctl list)"
	must backfillctl show "$job"
	check
	say "Done in $((SECONDS - started)) s."
	if [ -n "${KEEP:-}" ]; then farewell; else note "KEEP=1 make demo leaves it running for you to play with"; fi
}

main "$@"
