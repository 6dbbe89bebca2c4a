# servers_mysql.sh: what servers.sh asks of MariaDB and of MySQL. Sourced by it.
# shellcheck shell=bash disable=SC2034,SC2153

servers_find() { # ENGINE
	local program=mariadbd
	SERVERS_NAME=MariaDB SERVERS_SCHEME=mysql
	if [ "$1" = mysql ]; then SERVERS_NAME=MySQL program=mysqld; fi
	SERVERS_BIN=${BACKFILLD_MYSQL_BIN:-/usr/sbin}
	SERVERS_PROGRAM=$SERVERS_BIN/$program
	[ -x "$SERVERS_PROGRAM" ] || die "no $SERVERS_NAME server in $SERVERS_BIN: run packaging/deps.sh, or tests/servers/fetch.sh"
	case $1,$("$SERVERS_PROGRAM" --no-defaults --version) in
	mysql,*MariaDB*) die "$SERVERS_PROGRAM is MariaDB: set BACKFILLD_MYSQL_BIN to a folder with MySQL's" ;;
	esac
	unset "${!MYSQL@}" "${!MARIADB@}"
}

is_mariadb() { [ "$SERVERS_NAME" = MariaDB ]; }

# What initialising and running have in common, one a line. DIR
mysql_options() {
	local prefix=${SERVERS_BIN%/*} shared name
	for name in mariadb mysql; do
		shared=$prefix/share/$name
		if [ -d "$shared/charsets" ]; then break; fi
	done
	printf '%s\n' --no-defaults "--basedir=$prefix" "--lc-messages-dir=$shared" "--character-sets-dir=$shared/charsets" \
		"--datadir=$SERVERS_DATA/$1" "--tmpdir=$SERVERS_DATA"
}

# What mariadb-install-db feeds to the server, which has to be installed where that looks.
mysql_system_tables() { # FOLDER
	local name file
	printf 'CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n'
	for name in system_tables performance_tables system_tables_data maria_add_gis_sp_bootstrap sys_schema; do
		for file in "$1"/{mysql_,mariadb_,}"$name.sql"; do
			if [ -e "$file" ]; then cat "$file"; fi
		done
	done
}

servers_init() { # DIR
	local options log=$SERVERS_DIR/init.log
	mapfile -t options < <(mysql_options "$1")
	as_postgres mkdir "$SERVERS_DATA/$1"
	if is_mariadb; then
		mysql_system_tables "${options[2]#*=}" |
			as_postgres "$SERVERS_PROGRAM" "${options[@]}" --bootstrap --skip-grant-tables --silent-startup >"$log" 2>&1
	else
		as_postgres "$SERVERS_PROGRAM" "${options[@]}" --initialize-insecure --skip-log-bin >"$log" 2>&1
	fi || die "no new server: $(tail -n 3 "$log")"
}

servers_start() { # VARIABLE DIR PORT [OPTION…]
	local name=$1 dir=$2 port=$3 options
	shift 3
	mapfile -t options < <(mysql_options "$dir")
	if is_mariadb; then
		options+=(--binlog-format=ROW --log-slave-updates=ON --gtid-strict-mode=ON)
	else
		options+=(--gtid-mode=ON --enforce-gtid-consistency=ON --secure-file-priv=NULL --mysqlx=OFF)
	fi
	servers_spawn "$name" "$SERVERS_DIR/$dir.log" --server TERM KILL "$SERVERS_PROGRAM" "${options[@]}" --port="$port" \
		--socket="$SERVERS_DATA/$port.sock" --pid-file="$SERVERS_DATA/$dir.pid" --bind-address=127.0.0.1 --skip-name-resolve \
		--server-id="$port" --log-bin=binlog --relay-log=relay --character-set-server=utf8mb4 "${@/#/--}"
	servers_until 60 "start of the server $dir" servers_sql "$port" mysql 'SELECT 1'
}

# By its socket: on a new MySQL root is known there alone.
servers_sql() { # PORT DATABASE [SQL]
	mariadb --no-defaults -S "$SERVERS_DATA/$1.sock" -u root -B -N "$2" ${3:+-e "$3"} | tr '\t' ' '
}

servers_streams() { # REPLICA-PORT
	[ "$(mariadb --no-defaults -S "$SERVERS_DATA/$1.sock" -u root -E -e 'SHOW REPLICA STATUS' | grep -cE '_(IO|SQL)_Running: Yes$')" = 2 ]
}

# By GTID, from the primary's first day.
servers_replica() { # VARIABLE DIR PORT PRIMARY-PORT [OPTION…]
	local way
	servers_init "$2"
	servers_start "$1" "$2" "$3" read-only "${@:5}"
	servers_sql "$4" mysql "CREATE USER repl@'127.0.0.1'; GRANT REPLICATION SLAVE ON *.* TO repl@'127.0.0.1'" || die "no user for replication"
	way="x_HOST = '127.0.0.1', x_PORT = $4, x_USER = 'repl', x_CONNECT_RETRY = 1, x_SSL = 0"
	if is_mariadb; then
		way="CHANGE MASTER TO ${way//x_/MASTER_}, MASTER_USE_GTID = slave_pos"
	else
		way="CHANGE REPLICATION SOURCE TO ${way//x_/SOURCE_}, SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1"
	fi
	servers_sql "$3" mysql "$way; START REPLICA" || die "replication does not start"
	servers_until 30 "replication" servers_streams "$3"
}

servers_is_current() { # PORT PRIMARY-PORT
	if is_mariadb; then
		[ "$(servers_sql "$1" mysql "SELECT master_gtid_wait('$(servers_sql "$2" mysql "SELECT @@gtid_binlog_pos")', 0)")" = 0 ]
	else
		[ "$(servers_sql "$1" mysql "SELECT gtid_subset('$(servers_sql "$2" mysql "SELECT @@gtid_executed")', @@gtid_executed)")" = 1 ]
	fi
}
