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
