"""A synchronous standby: batches wait for it with durability = "batch", and its silence makes nothing wrong."""

import pytest

from jobs import increment
from waiting import wait_for
from writers import assert_exactly_once, create_counted_table

ROWS = 30000


def set_standbys(pg, names):
    """"" or "*". The setting itself must not wait for the standby that it names."""
    pg.sql("postgres", "SET synchronous_commit = local")
    pg.sql("postgres", f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
    pg.sql("postgres", "SELECT pg_reload_conf()")
    wait_for(lambda: pg.value("postgres", "SELECT current_setting('synchronous_standby_names')") == names, 10, "the setting")
    pg.sql("postgres", "RESET synchronous_commit")


@pytest.fixture
def synchronous(pg, db):
    set_standbys(pg, "*")
    wait_for(lambda: pg.value("postgres", "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == 1, 10,
             "the standby to be synchronous")
    yield
    pg.replica.unfreeze()
    set_standbys(pg, "")


def counted_job(pg, db, daemon, durability):
    create_counted_table(pg, db, ROWS)
    job = increment(allow_triggers=True, durability=durability, batch={"delay": "20ms"},
                    throttle={"max_lag": "500ms"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 3)
    return job


def finish(pg, db, daemon, job):
    daemon.ctl("set", job.id, "batch.delay=0ms", "batch.rows=5000", check=0)
    daemon.wait_done(job)
    assert_exactly_once(pg, db, ROWS)


@pytest.mark.parametrize("durability", ["job", "batch"])
def test_a_silent_standby_holds_the_job_and_doubles_nothing(pg, db, daemon, synchronous, durability):
    job = counted_job(pg, db, daemon, durability)
    for _ in range(3):
        before = daemon.batches(job)
        pg.replica.freeze()
        # The heartbeats are seen no more; with "batch" a commit may be waiting for the standby at this moment.
        wait_for(lambda: any(one["state"] != "ok" for one in daemon.ctl_json("throttle")), 15,
                 lambda: f"a reading that is not ok: {daemon.ctl_json('throttle')}\n{daemon.log()}")
        pg.replica.unfreeze()
        daemon.wait_batches(job, before + 1)
    finish(pg, db, daemon, job)


def test_a_batch_that_waits_for_the_standby_is_not_done_twice_after_a_kill(pg, db, daemon, synchronous):
    job = counted_job(pg, db, daemon, "batch")
    pg.replica.freeze()
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'SyncRep'"
    wait_for(lambda: pg.sql(db, waiting), 10, "a commit that waits for the standby")
    daemon.kill9()
    daemon.start()
    pg.replica.unfreeze()
    daemon.wait_batches(job, daemon.batches(job) + 1)
    finish(pg, db, daemon, job)
