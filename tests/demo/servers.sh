# servers.sh: private PostgreSQL or MariaDB servers of one script, which sources this. They live in one temporary folder, listen
# on free ports of 127.0.0.1 and end with the script, whatever ends it. BACKFILLD_PG_BIN and BACKFILLD_MYSQL_BIN name folders with
# other programs than the installed ones.
#
#   servers_begin NAME [ENGINE]   makes $SERVERS_DIR and sees to the clean-up (EXIT, INT, TERM, HUP); postgresql or mariadb
#   servers_initdb DIR     a new cluster in $SERVERS_DIR/DIR; superuser postgres, no passwords
#   servers_spawn VARIABLE LOG COMMAND…   starts a program; its pid goes to the variable, its output to the log
#   servers_postgres VARIABLE DIR PORT [OPTION…]   starts a server and waits until it answers
#   servers_mariadb_init DIR                       the same two for MariaDB; superuser root
#   servers_mariadb VARIABLE DIR PORT [OPTION…]
#   servers_mariadb_replicate PRIMARY-PORT REPLICA-PORT   by GTID, from the primary's first day
#   servers_until SECONDS WHAT COMMAND…   polls until the command succeeds; otherwise ends the script
# shellcheck shell=bash

SERVERS_DIR=
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
	if [ "${2:-postgresql}" = mariadb ]; then
		SERVERS_BIN=${BACKFILLD_MYSQL_BIN:-/usr/sbin}
		[ -x "$SERVERS_BIN/mariadbd" ] || die "no MariaDB server in $SERVERS_BIN: run packaging/deps.sh first"
	else
		SERVERS_BIN=${BACKFILLD_PG_BIN:-$(pg_config --bindir)} || die "no pg_config: run packaging/deps.sh first"
		[ -x "$SERVERS_BIN/initdb" ] || die "no PostgreSQL server in $SERVERS_BIN: run packaging/deps.sh first"
	fi
	# Traps first: an interrupt between the two lines must not leave the folder.
	trap servers_end EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	SERVERS_DIR=$(mktemp -d "${TMPDIR:-/tmp}/$1-XXXXXX")
	# The servers' sockets and logs are in it; postgres must be able to pass.
	chmod 755 "$SERVERS_DIR"
	mkdir "$SERVERS_DIR/pg" "$SERVERS_DIR/mariadb"
	if [ "$(id -u)" = 0 ]; then chown postgres: "$SERVERS_DIR/pg" "$SERVERS_DIR/mariadb"; fi
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
	local log=$2 signal=TERM death=(--pdeathsig=KILL) user=()
	shift 2
	if [ -n "$SERVERS_KEEP" ] || [ -n "${KEEP:-}" ]; then death=(); fi
	if [ "$1" = --as-postgres ]; then
		signal=INT # its fast shutdown; SIGTERM would wait for every client to go
		if [ ${#death[@]} -gt 0 ]; then death=(--pdeathsig=QUIT); fi
	fi
	if [ "$1" = --as-postgres ] || [ "$1" = --as-mariadb ]; then
		shift
		if [ "$(id -u)" = 0 ]; then user=(--reuid=postgres --regid=postgres --clear-groups); fi
	fi
	setsid setpriv "${death[@]}" "${user[@]}" "$@" </dev/null >>"$log" 2>&1 &
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

servers_initdb() { # DIR
	as_postgres "$SERVERS_BIN/initdb" -D "$SERVERS_DIR/pg/$1" -U postgres -A trust -E UTF8 --locale=C --no-sync \
		>"$SERVERS_DIR/initdb.log" 2>&1 || die "initdb failed: $(tail -n 3 "$SERVERS_DIR/initdb.log")"
}

servers_postgres() { # VARIABLE DIR PORT [OPTION…]
	local name=$1 dir=$2 port=$3
	shift 3
	servers_spawn "$name" "$SERVERS_DIR/$dir.log" --as-postgres "$SERVERS_BIN/postgres" -D "$SERVERS_DIR/pg/$dir" -p "$port" \
		-c listen_addresses=127.0.0.1 -c unix_socket_directories= "$@"
	servers_until 60 "start of the server $dir" pg_isready -q -h 127.0.0.1 -p "$port"
}

# As superuser on the server of this port: servers_psql PORT DATABASE [psql's arguments]
servers_psql() {
	local port=$1 database=$2
	shift 2
	psql -X -q -A -t -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$port" -U postgres -d "$database" "$@"
}

servers_mariadb_options() { # DIR: what initialising and running have in common, one a line
	local prefix=${SERVERS_BIN%/*} shared
	shared=$prefix/share/mariadb
	if [ ! -d "$shared/charsets" ]; then shared=$prefix/share/mysql; fi
	printf '%s\n' --no-defaults "--basedir=$prefix" "--lc-messages-dir=$shared" "--character-sets-dir=$shared/charsets" \
		"--datadir=$SERVERS_DIR/mariadb/$1" "--tmpdir=$SERVERS_DIR/mariadb"
}

# What mariadb-install-db feeds to the server, which has to be installed where that looks.
servers_mariadb_tables() { # FOLDER
	local name file
	printf 'CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n'
	for name in system_tables performance_tables system_tables_data maria_add_gis_sp_bootstrap sys_schema; do
		for file in "$1"/{mysql_,mariadb_,}"$name.sql"; do
			if [ -e "$file" ]; then cat "$file"; fi
		done
	done
}

servers_mariadb_init() { # DIR
	local options
	mapfile -t options < <(servers_mariadb_options "$1")
	as_postgres mkdir "$SERVERS_DIR/mariadb/$1"
	servers_mariadb_tables "${options[2]#*=}" | as_postgres "$SERVERS_BIN/mariadbd" "${options[@]}" --bootstrap --skip-grant-tables \
		--silent-startup >"$SERVERS_DIR/init.log" 2>&1 || die "mariadbd --bootstrap failed: $(tail -n 3 "$SERVERS_DIR/init.log")"
}

servers_mariadb() { # VARIABLE DIR PORT [OPTION…]
	local name=$1 dir=$2 port=$3 options
	shift 3
	mapfile -t options < <(servers_mariadb_options "$dir")
	servers_spawn "$name" "$SERVERS_DIR/$dir.log" --as-mariadb "$SERVERS_BIN/mariadbd" "${options[@]}" --port="$port" \
		--socket="$SERVERS_DIR/mariadb/$dir.sock" --pid-file="$SERVERS_DIR/mariadb/$dir.pid" --bind-address=127.0.0.1 \
		--skip-name-resolve --server-id="$port" --log-bin=binlog --relay-log=relay --binlog-format=ROW --log-slave-updates=ON \
		--gtid-strict-mode=ON --character-set-server=utf8mb4 "$@"
	servers_until 60 "start of the server $dir" servers_mariadb_sql "$port" mysql -e 'SELECT 1'
}

# As superuser on the server of this port: servers_mariadb_sql PORT DATABASE [mariadb's arguments]
servers_mariadb_sql() {
	local port=$1 database=$2
	shift 2
	mariadb --no-defaults -h 127.0.0.1 -P "$port" -u root -B -N "$database" "$@"
}

servers_mariadb_streams() { # REPLICA-PORT
	[ "$(servers_mariadb_sql "$1" mysql --column-names -E -e 'SHOW REPLICA STATUS' | grep -cE 'Slave_(IO|SQL)_Running: Yes$')" = 2 ]
}

servers_mariadb_replicate() { # PRIMARY-PORT REPLICA-PORT
	servers_mariadb_sql "$1" mysql -e "CREATE USER repl@'127.0.0.1'; GRANT REPLICATION SLAVE ON *.* TO repl@'127.0.0.1'" ||
		die "no user for replication"
	servers_mariadb_sql "$2" mysql -e "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = $1, MASTER_USER = 'repl',
		MASTER_CONNECT_RETRY = 1, MASTER_SSL = 0, MASTER_USE_GTID = slave_pos; START REPLICA; SET GLOBAL read_only = 1" ||
		die "replication does not start"
	servers_until 30 "replication" servers_mariadb_streams "$2"
}
