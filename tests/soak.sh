#!/usr/bin/env bash
# soak.sh: `make soak`. The crash campaigns whole, whatever other test knows BACKFILLD_SOAK, and the simulations with many more
# worlds; not sanitised, as time counts. Each result is a line of build/soak/results.jsonl, and the last of each campaign a row
# of docs/reliability.md. ENGINE is the server, as suite.sh has it; SEED=n replays; ONLY=EXPRESSION (of pytest -k) runs a piece;
# JOBS servers work at a time.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
exec </dev/null

out=build/soak variant=build/failpoint failed=0
export SEED=${SEED:-$RANDOM} BACKFILLD_SOAK=1 BACKFILLD_SOAK_RESULTS=$PWD/$out/results.jsonl BACKFILLD_BUILD=$PWD/$variant
mkdir -p "$out"
make -s -j "${JOBS:-2}" VARIANT=failpoint FAILPOINTS=1 all unit-programs || exit 1
echo "SEED=$SEED"

simulate() { # NAME WORLDS LOST: 0, or null where no rows are counted
	local begin=$SECONDS
	RUNS=$2 "$variant/tests/sim/$1" >"$out/$1.log" 2>&1 || { cat "$out/$1.log"; failed=1; return; }
	printf '{"campaign": "simulation: %s", "kind": "all", "kills": null, "worlds": %d, "rows": null, "lost": %s, "doubled": %s, ' \
		"$1" "$2" "$3" "$3" >>"$BACKFILLD_SOAK_RESULTS"
	printf '"seconds": %d, "seed": %d, "server": "simulated", "commit": "%s", "date": "%s"}\n' "$((SECONDS - begin))" "$SEED" \
		"$(git rev-parse --short HEAD)" "$(date +%F)" >>"$BACKFILLD_SOAK_RESULTS"
}

if [ -z "${ONLY:-}" ]; then
	simulate sim_job 10000 0
	simulate sim_pace 50000 null
fi
make -s VARIANT=failpoint FAILPOINTS=1 starve || exit 1
export TESTS && TESTS=$(grep -lE 'BACKFILLD_SOAK|^from starve import' tests/integration/test_*.py | tr '\n' ' ')
tests/suite.sh "${ENGINE:-postgresql}" --dist load ${ONLY:+-k "$ONLY"} || failed=1
/usr/bin/python3 tests/soak_table.py "$BACKFILLD_SOAK_RESULTS" docs/reliability.md || failed=1
exit "$failed"
