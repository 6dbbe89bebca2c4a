#!/usr/bin/env bash
# Functions that overflow, hide errors, are not re-entrant, or block the loop.
set -u
. tests/lint/files.sh
files 'common/*.[ch]' 'daemon/*.[ch]' 'ctl/*.[ch]'
pattern='\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|atof|system|popen|sleep|usleep|nanosleep|alloca|rand|srand|localtime|gmtime|ctime|asctime|tmpnam|mktemp|PQcancel|PQgetCancel|PQexec|PQexecParams|PQreset) *\('
if grep -nHE "$pattern" "${found[@]}"; then
	echo 'use the bounded, re-entrant or asynchronous one instead'
	exit 1
fi
