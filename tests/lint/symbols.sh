#!/usr/bin/env bash
# No global symbol of ours may be one that libpg_query or libmariadb exports: the linker would take one for the other without a
# word.
set -euo pipefail
ours=$(mktemp)
theirs=$(mktemp)
trap 'rm -f "$ours" "$theirs"' EXIT
nm -g --defined-only build/libcommon.a build/libdaemon.a build/libctl.a | awk 'NF == 3 {print $3}' | sort -u >"$ours"
for name in libpg_query libmariadb; do
	library=$(find /usr/lib /usr/lib64 -name "$name.so" 2>/dev/null | head -n 1) || true
	nm -D --defined-only "${library:?$name.so is not installed}" | awk '{sub(/@.*/, "", $3); print $3}' | sort -u >"$theirs"
	if [ ! -s "$ours" ] || [ ! -s "$theirs" ]; then
		echo 'no symbols to compare'
		exit 1
	fi
	clash=$(comm -12 "$ours" "$theirs")
	[ -z "$clash" ] || {
		printf '%s exports these, too:\n%s\n' "$name" "$clash"
		exit 1
	}
done
