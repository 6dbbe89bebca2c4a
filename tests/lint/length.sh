#!/usr/bin/env bash
# A file that grows past about 600 lines is two ideas.
set -u
. tests/lint/files.sh
files '*.c' '*.h' '*.py' '*.sh'
wc -l "${found[@]}" | awk '$2 != "total" && $1 > 650 {print; bad = 1} END {exit bad}'
