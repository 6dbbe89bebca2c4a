#!/bin/sh
# deps.sh: installs what building, checking, testing and demonstrating backfilld needs on Debian 12. Does nothing when all
# of it is there. Creates no database cluster of the system's and starts no server. The only place that uses sudo.
set -eu

packages='
gcc clang libclang-rt-14-dev libc6-dev make pkg-config binutils git
libpq-dev libmariadb-dev libev-dev libconfig-dev libsystemd-dev libjansson-dev libpg-query-dev libprotobuf-c-dev libssl-dev
libglib2.0-dev tzdata libcurl4-openssl-dev
uthash-dev libcmocka-dev
postgresql-15 postgresql-client-15 pgbouncer
mariadb-server-core mariadb-client-core
python3 python3-pytest python3-pytest-xdist python3-psycopg2 python3-pymysql
openssl clang-format clang-tidy cppcheck shellcheck gcovr scdoc socat procps util-linux patchelf
'

missing=
for package in $packages; do
	status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || status=
	[ "$status" = installed ] || missing="$missing $package"
done
if [ -z "$missing" ]; then
	echo "deps: nothing to install"
	exit 0
fi

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

# The first installation of a server package makes and starts a cluster "main" unless postgresql-common's configuration
# says no. The file it ships reads createcluster.d; one that an administrator wrote may not, so it gets the line itself.
# https://manpages.debian.org/bookworm/postgresql-common/pg_createcluster.1.en.html
forbid_main_cluster() {
	conf=/etc/postgresql-common/createcluster.conf
	line='create_main_cluster = false'
	if [ -e "$conf" ] && ! grep -q "^[[:space:]]*include_dir.*createcluster\.d" "$conf"; then
		grep -q "^[[:space:]]*$line" "$conf" || echo "$line" | as_root tee -a "$conf" >/dev/null
	else
		conf=/etc/postgresql-common/createcluster.d/backfilld.conf
		as_root mkdir -p "${conf%/*}"
		echo "$line" | as_root tee "$conf" >/dev/null
	fi
	echo "deps: $conf says that no main cluster is made; take the line out if you want one"
}

# The package starts a pooler of the system's; the tests start their own.
forbid_pooler() {
	unit=/etc/systemd/system/pgbouncer.service
	[ -d /run/systemd/system ] && [ ! -e "$unit" ] || return 0
	as_root ln -s /dev/null "$unit"
	echo "deps: $unit says that no pgbouncer is started; remove it if you want one"
}

case "$missing " in
*' postgresql-15 '*) forbid_main_cluster ;;
esac
case "$missing " in
*' pgbouncer '*) forbid_pooler ;;
esac

echo "deps: installing$missing"
as_root apt-get -q update </dev/null
# shellcheck disable=SC2086  # a list of words
as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends \
	-o Dpkg::Options::=--force-confold install $missing </dev/null
