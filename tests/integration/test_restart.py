"""The server goes away in mid-job: a hold, and then the work goes on, exact."""

import pytest

from jobs import increment
from server import execute
from waiting import wait_for
from writers import assert_exactly_once, create_counted_table

ROWS = 12000


@pytest.fixture
def job(pg, db, daemon):
    create_counted_table(pg, db, ROWS)
    job = increment(allow_triggers=True, batch={"delay": "10ms"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 3)
    return job


def finish(pg, db, daemon, job):
    wait_for(lambda: daemon.ctl("set", job.id, "batch.delay=0ms", "batch.rows=2000").code == 0, 10, "the target to be up again")
    daemon.wait_done(job)
    assert_exactly_once(pg, db, ROWS)
    assert daemon.show(job)["batches"]["failed"] == 0


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_server_restart(pg, db, daemon, job, mode):
    for _ in range(2):
        pg.primary.restart(mode)
        daemon.wait_batches(job, daemon.batches(job) + 1)
    finish(pg, db, daemon, job)


def test_while_the_server_is_down(pg, db, daemon, job):
    pg.primary.stop("immediate")
    wait_for(lambda: daemon.ctl("show", job.id).code == 75, 10, "the daemon to notice")
    error = daemon.ctl_error("pause", job.id, check=75)
    assert "main" in error["message"]
    listed = daemon.ctl("-o", "json", "list", check=0)
    assert listed.stdout.strip() == "[]" and "main" in listed.stderr
    assert [target["state"] for target in daemon.ctl_json("targets")] == ["down"]
    pg.primary.start()
    daemon.wait_batches(job, daemon.batches(job) + 1)
    daemon.wait_up()
    names = [e["event"] for e in daemon.ctl_json("events")]
    assert "target.up" in names
    finish(pg, db, daemon, job)


def test_a_daemon_that_starts_before_the_server(pg, db, daemon, job):
    daemon.kill9()
    pg.primary.stop("fast")
    daemon.start()
    pg.primary.start()
    daemon.wait_batches(job, daemon.batches(job) + 1)
    finish(pg, db, daemon, job)


def test_a_command_waits_while_a_lost_connection_is_made_again(pg, db, daemon, job):
    for times in range(1, 6):
        wait_for(lambda: daemon.log().count("target main: connected") == times, 10, "the target")
        pg.terminate_backends_of(db)
        wait_for(lambda: daemon.log().count("target main: no connection") == times, 10, "the loss to be seen")
        daemon.show(job)


def test_backends_terminated_again_and_again(pg, db, daemon, job):
    for _ in range(15):
        before = daemon.batches(job)
        wait_for(lambda: pg.terminate_backends_of(db) > 0, 10, "connections to end")  # the last ones may not be back yet
        daemon.wait_batches(job, before + 1)
    finish(pg, db, daemon, job)


def test_sigterm_while_a_batch_waits_for_a_lock(pg, db, daemon, job):
    """The batch in flight ends or is cancelled; nothing of it is left half done."""
    with pg.connect(db, autocommit=False) as site:
        execute(site, "SELECT 1 FROM t FOR UPDATE")
        wait_for(lambda: pg.sql(db, "SELECT 1 FROM pg_stat_activity WHERE usename = 'backfill' AND datname = current_database()"
                                " AND wait_event_type = 'Lock'"), 10, "a batch that waits")
        assert daemon.terminate() == 0
        wait_for(lambda: not pg.sql(db, "SELECT 1 FROM pg_stat_activity WHERE usename = 'backfill' AND datname ="
                                    " current_database()"), 10, "its backends to be gone")
    daemon.start()
    finish(pg, db, daemon, job)


def test_sigterm_while_the_server_is_down(pg, db, daemon, job):
    pg.primary.stop("immediate")
    assert daemon.terminate() == 0
    pg.primary.start()
    daemon.start()
    finish(pg, db, daemon, job)


def test_a_frozen_server_is_noticed_and_its_return_too(pg, db, daemon, job):
    pg.primary.freeze()
    # the daemon itself must go on answering
    assert daemon.ctl("version").code == 0
    assert daemon.ctl("list").code in (0, 75)
    pg.primary.unfreeze()
    daemon.wait_batches(job, daemon.batches(job) + 1)
    finish(pg, db, daemon, job)
