"""`make mutants`: takes each remedy out of a copy of the source, one at a time, builds that, and runs the tests that are there for
it: they must fail, and pass on the copy as it is. One that survives is a hole in the tests. Arguments choose mutants by a part of their
names."""

import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
POSTGRES, JOB, CHECKPOINT = "daemon/engine/dialect_postgres.c", "daemon/job/job.c", "sql/postgres/checkpoint.sql"
SIMULATION = "sim"

# name: (edits: file, what is there, what the mutant has instead; tests as pytest takes them, or the simulation)
MUTANTS = {
    "checkpoint outside the transaction": (
        [(POSTGRES, '"BEGIN ISOLATION LEVEL READ COMMITTED; "', '""')],
        ["test_campaign.py::test_killed_at_every_failpoint"]),
    "no test of the epoch": (
        [(CHECKPOINT, "epoch = $3::bigint", "$3::bigint IS NOT NULL"), (CHECKPOINT, "batch_id = $4::bigint", "$4::bigint IS NOT NULL")],
        [SIMULATION]),
    "no test of the batch number, and no claim after a COMMIT of unknown outcome": (
        [(CHECKPOINT, "batch_id = $4::bigint", "$4::bigint IS NOT NULL"),
         (JOB, "job->taken = false; /* the link reconnects, and the claim", "/* the link reconnects, and the claim"),
         (JOB, "\tif (!up) {\n\t\tjob->taken = false;", "\tif (!up) {")],
        ["test_fault.py::test_cuts"]),
    "no test of the stop flag": ([(CHECKPOINT, " AND NOT stopped", "")], [SIMULATION]),
    ">= for > behind the checkpoint": ([(POSTGRES, 'alias, ">", &', 'alias, ">=", &')], ["test_update.py"]),
    "no wait for older writers": ([("sql/postgres/freeze_wait.sql", "WHERE x < $1::xid8", "WHERE x < $1::xid8 AND false")],
                                  ["test_takeover.py", "-k", "older_writer"]),
    "nothing ends a stalled owner's transaction": (
        [("sql/postgres/claim_end_backend.sql", "WHERE j.id = $1", "WHERE false AND j.id = $1"),
         (POSTGRES, "IDLE_IN_TRANSACTION_MS = 2000", "IDLE_IN_TRANSACTION_MS = 0")],
        ["test_takeover.py", "-k", "stall"]),
    "other rows changed than kept": ([("daemon/job/batch.c", "return !batch->raced;", "return true;")], ["test_kept.py"]),
    "no hold when a replica is silent": ([("daemon/throttle/decide.c", "verdict->held = true", "verdict->held = false")],
                                         ["test_throttle.py"]),
}


def run(command, tree, **variables):
    return subprocess.run(command, cwd=tree, env={**os.environ, **variables}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)


def build(tree):
    made = run(["make", "-s", "-j2", "VARIANT=failpoint", "FAILPOINTS=1", "all", "build/failpoint/tests/sim/sim_job"], tree)
    assert made.returncode == 0, made.stdout[-3000:]


def tests_pass(tree, tests):
    variant = os.path.join(tree, "build/failpoint")
    if tests == [SIMULATION]:
        return run([os.path.join(variant, "tests/sim/sim_job")], tree).returncode == 0
    files = [test if test.startswith("-") or not test.startswith("test_") else f"tests/integration/{test}" for test in tests]
    return run(["/usr/bin/python3", "-m", "pytest", *files, "-q", "-x", "-p", "no:cacheprovider"], tree,
               BACKFILLD_BUILD=variant).returncode == 0


def mutated(tree, edits):
    """{path: text before}"""
    before = {}
    for name, old, new in edits:
        path = os.path.join(tree, name)
        with open(path) as f:
            text = f.read()
        before.setdefault(path, text)
        assert old in text, f"{name} has no {old!r} any more"
        with open(path, "w") as f:
            f.write(text.replace(old, new))
    return before


def main(chosen):
    survivors = caught = 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as tree:
        os.chmod(tree, 0o755)  # the servers are another user's
        archive = subprocess.run(["git", "-C", ROOT, "archive", "HEAD"], check=True, stdout=subprocess.PIPE).stdout
        subprocess.run(["tar", "-x", "-C", tree], input=archive, check=True)
        wanted = {name: it for name, it in MUTANTS.items() if not chosen or any(part in name for part in chosen)}
        build(tree)
        for tests in {tuple(tests): tests for _, tests in wanted.values()}.values():
            assert tests_pass(tree, tests), f"{tests} fail without any mutant"
        for name, (edits, tests) in wanted.items():
            before = mutated(tree, edits)
            build(tree)
            survived = tests_pass(tree, tests)
            survivors, caught = survivors + survived, caught + (not survived)
            print(f"{'SURVIVED' if survived else 'caught  '}  {name}  ({' '.join(tests)})", flush=True)
            for path, text in before.items():
                with open(path, "w") as f:
                    f.write(text)
    print(f"{caught} caught, {survivors} survived")
    return 1 if survivors or not caught else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
