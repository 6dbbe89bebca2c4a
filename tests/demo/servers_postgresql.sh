# servers_postgresql.sh: what servers.sh asks of PostgreSQL. Sourced by it.
# shellcheck shell=bash disable=SC2034,SC2153

servers_find() { # ENGINE
	SERVERS_BIN=${BACKFILLD_PG_BIN:-$(pg_config --bindir)} || die "no pg_config: run packaging/deps.sh first"
	[ -x "$SERVERS_BIN/initdb" ] || die "no PostgreSQL server in $SERVERS_BIN: run packaging/deps.sh first"
	SERVERS_NAME=PostgreSQL SERVERS_SCHEME=postgresql
	unset "${!PG@}"
	export PSQL_PAGER=cat # nobody is there to leave a pager
}

servers_init() { # DIR
	as_postgres "$SERVERS_BIN/initdb" -D "$SERVERS_DATA/$1" -U postgres -A trust -E UTF8 --locale=C --no-sync \
		>"$SERVERS_DIR/initdb.log" 2>&1 || die "initdb failed: $(tail -n 3 "$SERVERS_DIR/initdb.log")"
}

servers_start() { # VARIABLE DIR PORT [OPTION…]
	local name=$1 dir=$2 port=$3 option options=()
	shift 3
	for option; do options+=(-c "$option"); done
	# SIGINT is its fast shutdown; SIGTERM would wait for every client to go.
	servers_spawn "$name" "$SERVERS_DIR/$dir.log" --server INT QUIT "$SERVERS_BIN/postgres" -D "$SERVERS_DATA/$dir" -p "$port" \
		-c listen_addresses=127.0.0.1 -c unix_socket_directories= "${options[@]}"
	servers_until 60 "start of the server $dir" pg_isready -q -h 127.0.0.1 -p "$port"
}

servers_sql() { # PORT DATABASE [SQL]
	psql -X -q -A -t -F ' ' -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$1" -U postgres -d "$2" ${3:+-c "$3"}
}

servers_streams() { # PRIMARY-PORT
	[ "$(servers_sql "$1" postgres "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'")" = 1 ]
}

servers_replica() { # VARIABLE DIR PORT PRIMARY-PORT [OPTION…]
	servers_run as_postgres "$SERVERS_BIN/pg_basebackup" -h 127.0.0.1 -p "$4" -U postgres -c fast --no-sync -R -D "$SERVERS_DATA/$2" \
		>"$SERVERS_DIR/basebackup.log" 2>&1 || die "pg_basebackup failed: $(tail -n 2 "$SERVERS_DIR/basebackup.log")"
	servers_start "$1" "$2" "$3" "${@:5}"
	servers_until 30 "streaming replication" servers_streams "$4"
}

servers_is_current() { # PORT PRIMARY-PORT
	local lsn
	lsn=$(servers_sql "$2" postgres "SELECT pg_current_wal_lsn()")
	[ "$(servers_sql "$1" postgres "SELECT pg_last_wal_replay_lsn() >= '$lsn'")" = t ]
}
