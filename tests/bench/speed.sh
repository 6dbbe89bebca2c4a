# speed.sh: backfilld, with and without old values, against a procedure that does the same batches with the same
# checkpoints, and against one single UPDATE. Interleaved, the table built anew before each. Sourced by bench.sh.
# shellcheck shell=bash disable=SC2154

ticks=$(getconf CLK_TCK)

cpu_ticks() { sed 's/^.*) //' "/proc/$daemon_pid/stat" | awk '{ print $12 + $13 }'; }

# Each prints: milliseconds as the server saw them, as the wall clock saw them, daemon's CPU %.
run_backfilld() { # RUN DURABILITY KEEP
	local id=20261121_bench_$2_$3_$1 begun ended cpu wall server
	write_job "$id" worked "$BATCH" "durability = \"$2\";" "rollback = { keep_old_values = $3; };" >run.job
	backfillctl submit run.job >/dev/null || fail "submit refused"
	cpu=$(cpu_ticks)
	begun=$(now_ms)
	backfillctl start "$id" >/dev/null || fail "start refused"
	backfillctl wait "$id" --timeout 10m || fail "job $id did not complete"
	ended=$(now_ms)
	cpu=$((($(cpu_ticks) - cpu) * 1000 / ticks))
	wall=$((ended - begun))
	server=$(sql "SELECT $(epoch_ms finished_at) - $(epoch_ms started_at) FROM backfill.job WHERE id = '$id'")
	check_exact backfilld
	echo "$server $wall $(awk -v c="$cpu" -v w="$wall" 'BEGIN { printf "%.1f", c * 100 / w }')"
}

run_sql() { # WHO COMMIT SQL
	local begun ended server
	begun=$(now_ms)
	server=$(timed_sql "$2" "$3") || fail "$1 failed"
	ended=$(now_ms)
	check_exact "$1"
	echo "${server%.*} $((ended - begun)) -"
}

run_one() { # WAY COMMIT RUN
	rebuild
	set_commit "$2"
	case $1 in
	backfilld) run_backfilld "$3" "$([ "$2" = on ] && echo batch || echo job)" false ;;
	kept) run_backfilld "$3" "$([ "$2" = on ] && echo batch || echo job)" true ;;
	procedure) run_sql procedure "$2" "CALL backfill_by_hand($BATCH)" ;;
	single) run_sql single "$2" "UPDATE worked SET n = n + 1" ;;
	esac
}

column() { cut -d' ' -f"$2" "$1" | median; }

# To the procedure, if it ran.
ratio() { # COMMIT MS
	if [ -s "result.procedure.$1" ]; then
		awk -v f="$(column "result.procedure.$1" 1)" -v s="$2" 'BEGIN { printf "%.2f", f / s }'
	else
		echo -
	fi
}

report_speed() {
	local commit way server wall cpu name
	printf '\n%s rows, batches of %s, medians of %s; the ratio is to the procedure (more is faster)\n\n' "$ROWS" "$BATCH" "$RUNS"
	printf '%-8s  %-27s  %9s  %9s  %9s  %6s  %5s  %s\n' durable way 'server ms' 'wall ms' rows/s ratio CPU 'min…max ms'
	for commit in off on; do
		for way in $WAYS; do
			server=$(column "result.$way.$commit" 1)
			wall=$(column "result.$way.$commit" 2)
			cpu=-
			case $way in
			backfilld) name=backfilld ;;
			kept) name='backfilld, values kept' ;;
			procedure) name='procedure, COMMIT per batch' ;;
			single) name='one single UPDATE' ;;
			esac
			if [[ $way =~ ^(backfilld|kept)$ ]]; then cpu=$(column "result.$way.$commit" 3)%; fi
			awk -v c="$commit" -v n="$name" -v s="$server" -v w="$wall" -v r="$ROWS" -v f="$(ratio "$commit" "$server")" -v u="$cpu" \
				-v m="$(cut -d' ' -f1 "result.$way.$commit" | sort -n | sed -n '1p;$p' | paste -sd- | sed 's/-/…/')" 'BEGIN {
				printf "%-8s  %-27s  %9d  %9d  %9d  %6s  %5s  %s\n", c, n, s, w, r * 1000 / s, f, u, m }'
		done
	done
	printf '\ndaemon: peak RSS %s kB\n' "$(awk '/^VmHWM/ { print $2 }' "/proc/$daemon_pid/status")"
}

part_speed() {
	local run commit way
	create_procedure
	for ((run = 1; run <= RUNS; run++)); do
		for commit in off on; do
			for way in $WAYS; do
				run_one "$way" "$commit" "$run" >result.tmp || exit 1
				cat result.tmp >>"result.$way.$commit"
				printf 'run %d, durable %-3s  %-9s  %s ms\n' "$run" "$commit" "$way" "$(cut -d' ' -f1 result.tmp)" >&2
			done
		done
	done
	report_speed
}
