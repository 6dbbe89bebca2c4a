#!/bin/bash
# bench.sh: what backfilld costs, on a private server, with nothing that holds it back. Four parts:
#
#   speed     rows/s, CPU and memory beside what one would write by hand: a procedure and one UPDATE (speed.sh)
#   kill      from a restart after kill -9 to the next batch (kill.sh)
#   lookups   what finding a batch's end reads, at the first and at the ten-millionth row (lookups.sh)
#   snapshot  what a checkpoint takes while an old snapshot keeps every version of it (snapshot.sh)
#
# ENGINE is postgresql, mariadb or mysql; PARTS chooses; ROWS, BATCH, RUNS, WAYS, KILLS, LOOKUP_ROWS and BATCHES take other sizes.
set -u -o pipefail

here=$(cd "$(dirname "$0")" && pwd)
for file in stage speed kill lookups snapshot; do
	# shellcheck source=/dev/null
	. "$here/$file.sh"
done

ENGINE=${ENGINE:-postgresql}
PARTS=${PARTS:-speed kill lookups snapshot}
ROWS=${ROWS:-2000000}
BATCH=${BATCH:-5000}
RUNS=${RUNS:-3}
WAYS=${WAYS:-backfilld kept procedure single}
KILLS=${KILLS:-5}
LOOKUP_ROWS=${LOOKUP_ROWS:-10000000}
BATCHES=${BATCHES:-40000}

for part in $PARTS; do
	[[ $part =~ ^(speed|kill|lookups|snapshot)$ ]] || die "PARTS: there is no $part"
done
for way in $WAYS; do
	[[ $way =~ ^(backfilld|kept|procedure|single)$ ]] || die "WAYS: there is no $way"
done

raise_stage
bad=0
for part in $PARTS; do
	start_daemon
	"part_$part" || bad=1
	stop_daemon
done
printf '\nload average of the last 5 minutes on %s processors: %s (a busy machine spoils the times)\n' \
	"$(nproc)" "$(cut -d' ' -f2 /proc/loadavg)"
exit "$bad"
