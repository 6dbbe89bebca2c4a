#!/usr/bin/env bash
# run.sh: `make lint`. Runs every check, shows what each found, and fails at the end if any found something.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

bad=0
check() { # NAME COMMAND…
	local name=$1 log
	shift
	log=$(mktemp)
	if "$@" >"$log" 2>&1; then
		printf 'ok      %s\n' "$name"
	else
		printf 'FAILED  %s\n' "$name"
		cat "$log"
		bad=$((bad + 1))
	fi
	rm -f "$log"
}

. tests/lint/files.sh
files '*.c' '*.h' && c_files=("${found[@]}")
files 'common/*.c' 'daemon/*.c' 'ctl/*.c' && sources=("${found[@]}")
files '*.sh' .ci/run && shell_files=("${found[@]}")

read -ra glib < <(pkg-config --cflags-only-I glib-2.0)

# shellcheck disable=SC2317  # called through check
tidy_all() {
	printf '%s\n' "${sources[@]}" | xargs -P 2 -I{} clang-tidy --quiet --warnings-as-errors='*' {} -- -std=c17 -D_GNU_SOURCE -I. \
		-I/usr/include/postgresql -I/usr/include/mariadb "${glib[@]}"
}

check 'format (clang-format)' clang-format --dry-run -Werror "${c_files[@]}"
check 'include direction' /usr/bin/python3 tests/lint/includes.py
check 'banned functions' tests/lint/banned.sh
check 'SQL only in sql/ and the dialect' tests/lint/sql.sh
check 'symbols that libpg_query or libmariadb exports' tests/lint/symbols.sh
check 'file length' tests/lint/length.sh
check 'shellcheck' shellcheck "${shell_files[@]}"
check 'generated documentation is fresh' tests/lint/docs.sh
check 'known traps: their tests and mutants exist' /usr/bin/python3 tests/lint/traps.py
check 'cppcheck' cppcheck --quiet --std=c11 --enable=warning,portability,performance --inline-suppr --error-exitcode=1 -j 2 -I. \
	-D_GNU_SOURCE --suppress=missingIncludeSystem --suppress=unknownMacro "${sources[@]}"
check 'clang-tidy' tidy_all

[ "$bad" -eq 0 ] || { printf '%d check(s) failed\n' "$bad"; exit 1; }
