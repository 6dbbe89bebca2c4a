#!/usr/bin/env bash
# SQL texts belong into sql/ and the dialect; sqlcheck's wrappers are parsed, never sent.
set -u
. tests/lint/files.sh
files 'common/*.[ch]' 'daemon/*.[ch]' 'ctl/*.[ch]'
verbs='(SELECT|INSERT INTO|UPDATE|DELETE FROM|SET LOCAL|BEGIN|WITH|TRUNCATE)'
pattern="\"[ (;]*${verbs}[ ;]|\"BEGIN\"|; *${verbs} "
except='^(daemon/engine/dialect_[a-z_]*|common/sqlcheck[a-z_]*|common/catalogue)\.c:'
if grep -nHE "$pattern" "${found[@]}" | grep -vE "$except"; then
	echo 'write it in sql/ or the dialect'
	exit 1
fi
# Both folders answer to the same names; how a session begins, a table is described and a plan is asked for may differ, and only MySQL's
# servers count latencies.
missing=$(comm -3 <(cd sql/postgres && ls) <(cd sql/mysql && ls) | tr -d '\t' | grep -vE '^(connect|describe|resolve|explain|commit|histogram)')
if [ -n "$missing" ]; then
	printf 'not in both of sql/postgres and sql/mysql:\n%s\n' "$missing"
	exit 1
fi
# The engine looks into no comment: what only one server executes holds neither a parameter nor the end of a statement.
if grep -nHzoE '/\*[^*]*[$;][^*]*\*/' sql/mysql/*.sql | tr '\0' '\n' | grep .; then
	echo 'no parameter and no semicolon in a comment that a server executes'
	exit 1
fi
exit 0
