# servers.sh: private database servers of one script, which sources this. They live in one temporary folder, listen on free ports
# of 127.0.0.1 and end with the script, whatever ends it. BACKFILLD_PG_BIN and BACKFILLD_MYSQL_BIN name folders with other
# programs than the installed ones.
#
#   servers_begin NAME ENGINE     makes $SERVERS_DIR and sees to the clean-up (EXIT, INT, TERM, HUP); postgresql, mariadb or mysql
#   servers_spawn VARIABLE LOG COMMAND…   starts a program; its pid goes to the variable, its output to the log
#   servers_until SECONDS WHAT COMMAND…   polls until the command succeeds; otherwise ends the script
#
# and in servers_postgresql.sh or servers_mysql.sh, for either engine:
#
#   servers_init DIR                          a new, empty server in $SERVERS_DATA/DIR; no passwords
#   servers_start VARIABLE DIR PORT [OPTION…] starts it, and waits until it answers
#   servers_replica VARIABLE DIR PORT PRIMARY-PORT [OPTION…]   makes and starts one that follows the primary
#   servers_sql PORT DATABASE [SQL]           as superuser; or what comes from stdin. Values are parted by a blank
#   servers_is_current PORT PRIMARY-PORT      whether the replica has all that the primary has now
# shellcheck shell=bash

SERVERS_DIR=
SERVERS_DATA= # the servers' own part of it
SERVERS_PIDS=() # PID:SIGNAL, in the order of their start; ended in reverse
SERVERS_RUNNING=
SERVERS_KEEP= # set: what was started outlives the script

die() {
	printf '%s\n' "$0: $*" >&2
	exit 1
}

# The servers refuse to run as root.
as_postgres() {
	if [ "$(id -u)" = 0 ]; then
		setpriv --reuid=postgres --regid=postgres --clear-groups "$@"
	else
		"$@"
	fi
}

servers_begin() {
	# shellcheck source=/dev/null
	case $2 in
	postgresql) . "$(dirname "${BASH_SOURCE[0]}")/servers_postgresql.sh" ;;
	mariadb | mysql) . "$(dirname "${BASH_SOURCE[0]}")/servers_mysql.sh" ;;
	*) die "ENGINE: postgresql, mariadb or mysql, not $2" ;;
	esac
	servers_find "$2"
	# Traps first: an interrupt between the two lines must not leave the folder.
	trap servers_end EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	SERVERS_DIR=$(mktemp -d "${TMPDIR:-/tmp}/$1-XXXXXX")
	# The servers' sockets and logs are in it; postgres must be able to pass.
	chmod 755 "$SERVERS_DIR"
	SERVERS_DATA=$SERVERS_DIR/data
	mkdir "$SERVERS_DATA"
	if [ "$(id -u)" = 0 ]; then chown postgres: "$SERVERS_DATA"; fi
}

servers_alive() {
	[ -n "$1" ] && kill -0 "$1" 2>/dev/null
}

# Ends one program of ours: asks with the signal, insists after the seconds.
servers_kill() { # PID SIGNAL SECONDS
	local pid=$1 deadline=$((SECONDS + $3))
	# Not one of its messages about children that were killed.
	disown "$pid" 2>/dev/null
	kill -s "$2" "$pid" 2>/dev/null
	while servers_alive "$pid"; do
		if [ "$SECONDS" -ge "$deadline" ]; then kill -s KILL "$pid" 2>/dev/null; fi
		servers_nap
	done
	wait "$pid" 2>/dev/null
	return 0
}

servers_end() {
	local status=$? i
	trap '' INT TERM HUP # once begun, the clean-up is not cut short
	trap - EXIT
	if [ -n "$SERVERS_KEEP" ]; then exit "$status"; fi
	# Not SIGINT: bash has its children in the background ignore it.
	if [ -n "$SERVERS_RUNNING" ]; then servers_kill "$SERVERS_RUNNING" TERM 5; fi
	for ((i = ${#SERVERS_PIDS[@]} - 1; i >= 0; i--)); do
		servers_kill "${SERVERS_PIDS[$i]%:*}" "${SERVERS_PIDS[$i]#*:}" 10
	done
	if [ -n "$SERVERS_DIR" ]; then rm -rf "$SERVERS_DIR"; fi
	exit "$status"
}

# One step of a polling loop.
servers_nap() {
	sleep 0.1
}

servers_until() { # SECONDS WHAT COMMAND…
	local deadline=$((SECONDS + $1)) what=$2
	shift 2
	until "$@" >/dev/null 2>&1; do
		if [ "$SECONDS" -ge "$deadline" ]; then die "$what: not within the time (logs: $SERVERS_DIR)"; fi
		servers_nap
	done
}

# A command that may take long, in such a way that a signal to this script alone ends it at once: bash would run its traps
# only after a command in the foreground.
servers_run() { # COMMAND…
	local status=0
	"$@" <&0 & # bash would give it /dev/null
	SERVERS_RUNNING=$!
	wait "$SERVERS_RUNNING" || status=$?
	SERVERS_RUNNING=
	return "$status"
}

# The program has a session of its own, so that Ctrl-C reaches this script alone, which ends things in order; and it dies
# with this script, even by SIGKILL, unless it is to be kept.
servers_spawn() { # VARIABLE LOG COMMAND…
	local -n pid_of=$1
	local log=$2 signal=TERM death=KILL user=()
	shift 2
	if [ "$1" = --server ]; then # the signal that ends it in order, and the one that it gets when this script is no more
		signal=$2 death=$3
		shift 3
		if [ "$(id -u)" = 0 ]; then user=(--reuid=postgres --regid=postgres --clear-groups); fi
	fi
	if [ -n "$SERVERS_KEEP" ] || [ -n "${KEEP:-}" ]; then death=clear; fi
	setsid setpriv --pdeathsig="$death" "${user[@]}" "$@" </dev/null >>"$log" 2>&1 &
	# shellcheck disable=SC2034 # the caller's variable, by reference
	pid_of=$!
	SERVERS_PIDS+=("$!:$signal")
}

# A process that was ended on purpose is nobody's to end any more: its number may become another's.
servers_forget() { # PID
	local kept=() entry
	for entry in "${SERVERS_PIDS[@]}"; do
		if [ "${entry%:*}" != "$1" ]; then kept+=("$entry"); fi
	done
	SERVERS_PIDS=("${kept[@]}")
}

# For a farewell: the commands that end what runs, in order, and remove the folder.
servers_end_commands() {
	local i pid
	for ((i = ${#SERVERS_PIDS[@]} - 1; i >= 0; i--)); do
		pid=${SERVERS_PIDS[$i]%:*}
		printf 'kill -%s %s; tail -f --pid=%s /dev/null\n' "${SERVERS_PIDS[$i]#*:}" "$pid" "$pid"
	done
	printf 'rm -rf %s\n' "$SERVERS_DIR"
}

servers_port_is_free() {
	! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

servers_free_port() { # VARIABLE
	local -n port_of=$1
	local i
	for ((i = 0; i < 200; i++)); do
		# Below the range that the kernel gives to clients, where another's connection could sit on it.
		port_of=$((20000 + RANDOM % 12000))
		if servers_port_is_free "$port_of"; then return; fi
	done
	die "no free port found"
}
