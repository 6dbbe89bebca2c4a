#!/usr/bin/env bash
# Functions that overflow, hide errors, are not re-entrant, or block the loop.
set -u
pattern='\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|atof|system|popen|sleep|usleep|nanosleep|alloca|rand|srand|localtime|gmtime|ctime|asctime|tmpnam|mktemp)\('
# shellcheck disable=SC2046  # a list of files
if grep -nE "$pattern" $(git ls-files -co --exclude-standard 'common/*.[ch]' 'daemon/*.[ch]' 'ctl/*.[ch]'); then
	echo 'use the bounded, re-entrant or asynchronous one instead'
	exit 1
fi
