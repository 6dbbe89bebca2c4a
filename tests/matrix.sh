#!/usr/bin/env bash
# matrix.sh: `make matrix`. The integration tests, not sanitised, on each server that we say we support; MATRIX="mysql-9 mariadb-11.8"
# chooses. Its counts become the server's row in docs/reliability.md. With ONLY=EXPRESSION (of pytest -k) nothing is written.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
exec </dev/null

out=build/test failed=0 variant=build/failpoint
commit=$(git describe --always --dirty)
export BACKFILLD_BUILD=$PWD/$variant
make -s -j "${JOBS:-2}" VARIANT=failpoint FAILPOINTS=1 starve || exit 1

for server in ${MATRIX:-postgresql-15 postgresql-17 postgresql-18 mariadb-10.11 mariadb-11.8 mysql-9}; do
	printf '\n== %s\n' "$server"
	begin=$SECONDS
	tests/suite.sh "$server" ${ONLY:+-k "$ONLY"} || failed=1
	read -r good bad < <(/usr/bin/python3 tests/junit_counts.py "$out/$server.xml")
	printf '%s: %d passed, %d failed\n' "$server" "$good" "$bad"
	[ "$bad" -eq 0 ] || failed=1
	if [ -z "${ONLY:-}" ] && [ -e "$out/$server.xml" ]; then
		/usr/bin/python3 tests/matrix_table.py docs/reliability.md "$server" "$(cat "$out/$server.version")" "$good" "$bad" \
			$((SECONDS - begin)) "$commit" "$(date +%F)" || failed=1
	fi
done
exit "$failed"
