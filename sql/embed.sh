#!/bin/sh
# embed.sh FILE…: prints a C table of the SQL files, { "postgres/claim", "text" }. Comment lines (-- …) are left out: what has
# nothing else is an empty text.
set -eu
printf '#include "daemon/engine/sql_embedded.h"\n\nconst struct sql_embedded sql_embedded[] = {\n'
for file; do
	name=${file#sql/}
	printf '\t{"%s", ""\n' "${name%.sql}"
	sed -e '/^[[:space:]]*--/d' -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/\t "/' -e '$!s/$/\\n"/' -e '$s/$/"/' "$file"
	printf '\t},\n'
done
printf '\t{0, 0},\n};\n'
