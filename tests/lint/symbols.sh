#!/usr/bin/env bash
# No global symbol of ours may be one that libpg_query exports: the linker would take one for the other without a word.
set -eu
library=$(find /usr/lib /usr/lib64 -name 'libpg_query.so' 2>/dev/null | head -n 1)
clash=$(comm -12 <(nm -g --defined-only build/*.a 2>/dev/null | awk 'NF == 3 {print $3}' | sort -u) \
	<(nm -D --defined-only "$library" | awk '{print $3}' | sort -u))
[ -z "$clash" ] || {
	printf 'libpg_query exports these, too:\n%s\n' "$clash"
	exit 1
}
