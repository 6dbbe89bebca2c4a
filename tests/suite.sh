#!/usr/bin/env bash
# suite.sh SERVER [PYTEST-ARGUMENT…]: the integration tests on one server, with the programs of BACKFILLD_BUILD. SERVER is an engine,
# postgresql or mariadb, for what is installed, or an engine and a version of it, as postgresql-18 or mysql-9; what Debian 12
# does not have is fetched. TESTS chooses files. Leaves SERVER.xml and SERVER.version in build/test.
set -euo pipefail
cd "$(dirname "$0")/.."

server=$1
shift
engine=${server%%-*} out=build/test
case $server in
postgresql | mariadb | postgresql-15 | mariadb-10.11) bin= ;; # Debian 12's
mysql) bin=$(tests/servers/fetch.sh mysql-9) ;;
*) bin=$(tests/servers/fetch.sh "$server") ;;
esac
case $engine in
postgresql) export BACKFILLD_PG_BIN=${bin:-$(pg_config --bindir)} && program=$BACKFILLD_PG_BIN/postgres ;;
mariadb) export BACKFILLD_MYSQL_BIN=${bin:-/usr/sbin} && program=$BACKFILLD_MYSQL_BIN/mariadbd ;;
mysql) export BACKFILLD_MYSQL_BIN=$bin && program=$bin/mysqld ;;
*) echo "$0: $server: no such server" >&2 && exit 2 ;;
esac
mkdir -p "$out"
rm -f "$out/$server".{xml,version}
"$program" --version | sed -nE 's/^.*(Ver|PostgreSQL\)) ([0-9]+\.[0-9.]+).*$/\2/p' >"$out/$server.version" # behind its path
read -ra tests <<<"${TESTS:-tests/integration}"
exec /usr/bin/python3 -m pytest "${tests[@]}" -q --engine "$engine" -n "${JOBS:-2}" --dist loadfile -p no:cacheprovider \
	--junitxml="$out/$server.xml" "$@" </dev/null
