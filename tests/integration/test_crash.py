"""kill -9 at random moments of one job, with foreground traffic: nothing lost, nothing twice, and soon at work again."""

import os
import random
import time

from jobs import increment
from waiting import wait_for
from writers import Writers, assert_exactly_once, create_counted_table

ROWS = 200_000  # more than the thirty lives can do, on a quiet machine too
KILLS = 30
FIRST_BATCH_WITHIN_S = 1.0


def kill_job(**keys):
    return increment(allow_triggers=True, batch={"rows": 100, "max_duty": 1.0, "delay": "2ms"}, **keys)


def first_batch_after_start(daemon, job):
    """Seconds from the start of the process to the first batch that it commits."""
    before = daemon.batches(job)
    begin = time.monotonic()
    daemon.launch()
    wait_for(lambda: daemon.batches(job) > before, 10, lambda: f"a batch after the restart; log:\n{daemon.log()}")
    return time.monotonic() - begin


def test_thirty_kills_lose_nothing_and_double_nothing(server, db, daemon):
    seed = int(os.environ.get("SEED", random.randrange(1_000_000)))
    print(f"SEED={seed}")
    rng = random.Random(seed)
    create_counted_table(server, db, ROWS)
    job = kill_job()
    delays = []
    with Writers(server, db, ROWS, seed):
        daemon.submit(job, "--start")
        daemon.wait_batches(job, 1)
        for _ in range(KILLS):
            time.sleep(rng.uniform(0, 0.25))  # not for synchronisation: the random moment itself
            assert daemon.progress(job)[0] == "running", "too few rows for this machine: the job ended before the last kill"
            daemon.kill9()
            delays.append(first_batch_after_start(daemon, job))
        daemon.wait_up()  # the last batch may have been its predecessor's
        daemon.ctl("set", job.id, "batch.rows=2000", "batch.delay=0ms", check=0)
        daemon.wait_done(job)
    assert_exactly_once(server, db, ROWS)
    late = [round(delay, 2) for delay in delays if delay > FIRST_BATCH_WITHIN_S]
    assert not late, f"first batches later than {FIRST_BATCH_WITHIN_S} s: {late} of {len(delays)}"


def test_killed_while_paused_stays_paused(server, db, daemon):
    create_counted_table(server, db, 3000)
    job = kill_job()
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 1)
    daemon.ctl("pause", job.id, check=0)
    daemon.kill9()
    daemon.start()
    assert daemon.state(job) == "paused"
    daemon.ctl("resume", job.id, check=0)
    daemon.wait_done(job)
    assert_exactly_once(server, db, 3000)


def test_sigterm_releases_and_the_next_one_goes_on(server, db, daemon):
    create_counted_table(server, db, 5000)
    job = increment(allow_triggers=True, batch={"delay": "20ms"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 2)
    assert daemon.terminate() == 0
    assert daemon.progress(job)[0] == "running"
    assert server.value(db, "SELECT owner IS NULL FROM backfill.job")
    assert first_batch_after_start(daemon, job) <= FIRST_BATCH_WITHIN_S
    daemon.wait_done(job)
    assert_exactly_once(server, db, 5000)


def test_killed_between_the_work_and_its_checkpoint(server, db, make_daemon):
    """The rows are written, the checkpoint is not: neither stays."""
    create_counted_table(server, db, 1000)
    daemon = make_daemon().start(failpoints="batch.work.done=kill@3").init()
    job = increment(allow_triggers=True)
    daemon.submit(job, "--start")
    daemon.wait_killed()
    daemon.start()
    daemon.wait_done(job)
    assert_exactly_once(server, db, 1000)
