# files.sh: the files that a check reads. Sourced by the checks.
# shellcheck shell=bash

# Sets `found` to what git has or would have of these patterns, as far as it exists. A check that would read nothing fails: it
# would pass, whatever is wrong.
files() { # PATTERN…
	local file
	found=()
	while IFS= read -r file; do
		if [ -e "$file" ]; then found+=("$file"); fi
	done < <(git ls-files -co --exclude-standard -- "$@")
	if [ "${#found[@]}" -eq 0 ]; then
		echo "git ls-files names no file of: $*"
		exit 1
	fi
}
