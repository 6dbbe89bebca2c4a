#!/bin/sh
# deps.sh: installs what building, checking, testing and demonstrating backfilld needs on Debian 12. Does nothing when all
# of it is there. Creates no database cluster of the system's and starts no server. The only place that uses sudo.
set -eu

packages='
build-essential gcc clang libclang-rt-14-dev make pkg-config binutils git
libpq-dev libev-dev libconfig-dev libsystemd-dev libjansson-dev libpg-query-dev libprotobuf-c-dev libssl-dev libcmocka-dev
postgresql-15 postgresql-client-15
python3 python3-pytest python3-pytest-xdist python3-psycopg2
clang-format clang-tidy cppcheck shellcheck gcovr scdoc socat procps util-linux
'

missing=
for package in $packages; do
	case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true) in
	installed) ;;
	*) missing="$missing $package" ;;
	esac
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

# postgresql-common makes and starts a cluster when a server is first installed, unless this file says no.
# https://manpages.debian.org/bookworm/postgresql-common/pg_createcluster.1.en.html
created=
conf=/etc/postgresql-common/createcluster.conf
case "$missing" in
*postgresql-15*)
	if [ ! -e "$conf" ]; then
		as_root mkdir -p /etc/postgresql-common
		echo 'create_main_cluster = false' | as_root tee "$conf" >/dev/null
		created=$conf
	fi
	;;
esac

echo "deps: installing$missing"
as_root apt-get -q update </dev/null
# shellcheck disable=SC2086  # a list of words
as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends \
	-o Dpkg::Options::=--force-confold install $missing </dev/null
if [ -n "$created" ]; then
	echo "deps: $created says that no main cluster is made; remove it if you want one"
fi
