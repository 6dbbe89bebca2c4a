#!/usr/bin/env bash
# SQL texts belong into sql/ and the dialect; sqlcheck's wrappers are parsed, never sent.
set -u
pattern='"(SELECT|INSERT INTO|UPDATE|DELETE FROM|SET LOCAL|BEGIN|WITH) '
# shellcheck disable=SC2046  # a list of files
if grep -nE "$pattern" $(git ls-files -co --exclude-standard 'common/*.c' 'daemon/*.c' 'ctl/*.c' | grep -vE '^(daemon/engine/dialect_[a-z]*|common/sqlcheck[a-z_]*|common/catalogue)\.c$'); then
	exit 1
fi
