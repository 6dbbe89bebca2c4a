"""Emergency stop: by file and by command."""

import os
import time

import pytest

from jobs import increment
from waiting import holds_for, wait_for

SEEN_WITHIN_S = 0.1


@pytest.fixture
def job(server, db, daemon):
    """Running, with a batch about every 10 ms."""
    server.sql(db, "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0);"
               f"INSERT INTO t SELECT i, 0 FROM {server.dialect.series(1, 60000)}; GRANT SELECT, UPDATE ON t TO backfill")
    job = increment(batch={"delay": "10ms"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 3)
    return job


def touch(path):
    with open(path, "w"):
        pass


def flags(server, db):
    return server.sql(db, "SELECT name FROM backfill.meta WHERE name LIKE 'stop:%'")


def finish(server, db, daemon, job):
    daemon.ctl("resume", job.id, check=0)
    daemon.ctl("set", job.id, "batch.delay=0ms", "batch.rows=20000", check=0)
    daemon.wait_done(job)
    assert server.sql(db, "SELECT n, count(*) FROM t GROUP BY n") == [(1, 60000)]


def test_no_batch_starts_100_ms_after_the_file(daemon, job):
    touch(daemon.stop_file)
    time.sleep(SEEN_WITHIN_S)  # the promise itself
    last = daemon.batches(job)
    # one batch may have been in flight at that moment
    wait_for(lambda: daemon.progress(job)[0] == "paused", 5, "the job to be paused")
    ended = daemon.batches(job)
    assert ended <= last + 1
    holds_for(lambda: daemon.batches(job) == ended, 0.5, "no batch after the stop")


def test_the_job_says_why_and_where_it_stopped(server, db, daemon, job):
    touch(daemon.stop_file)
    shown = daemon.wait_state(job, "paused", 5)
    assert shown["reason"] == "emergency stop"
    assert len(flags(server, db)) == 1
    paused = [e for e in daemon.ctl_json("events", job.id) if e["event"] == "job.paused"]
    assert paused[-1]["data"]["last_batch_id"] == shown["batches"]["last_id"] == daemon.batches(job)
    assert "stop.on" in [e["event"] for e in daemon.ctl_json("events")]
    assert f"last committed batch {daemon.batches(job)}" in daemon.log()


def test_nothing_is_allowed_while_the_file_exists(daemon, job):
    touch(daemon.stop_file)
    daemon.wait_state(job, "paused", 5)
    for command in ("resume", "retry", "start"):
        error = daemon.ctl_error(command, job.id, check=75)
        assert daemon.stop_file in error["message"] and "emergency stop" in error["message"]
    assert daemon.state(job) == "paused"
    other = increment(where="n = 0")
    assert daemon.submit(other, "--start", check=75).stdout == ""


def test_removing_the_file_changes_nothing_by_itself(server, db, daemon, job):
    touch(daemon.stop_file)
    daemon.wait_state(job, "paused", 5)
    last = daemon.batches(job)
    os.unlink(daemon.stop_file)
    wait_for(lambda: flags(server, db) == [], 5, "the flag to be cleared")
    holds_for(lambda: daemon.progress(job) == ("paused", last), 0.5, "still paused")
    finish(server, db, daemon, job)
    assert "stop.off" in [e["event"] for e in daemon.ctl_json("events")]


def test_stop_and_unstop_commands(server, db, daemon, job):
    for _ in range(2):
        daemon.ctl("stop", check=0)
    assert os.path.exists(daemon.stop_file)
    assert daemon.wait_state(job, "paused", 5)["reason"] == "emergency stop"
    assert daemon.ctl("resume", job.id).code == 75
    wait_for(lambda: len(flags(server, db)) == 1, 5, "the flag to be set")
    for _ in range(2):
        daemon.ctl("unstop", check=0)
    assert not os.path.exists(daemon.stop_file)
    assert flags(server, db) == []
    assert daemon.state(job) == "paused"
    finish(server, db, daemon, job)


def test_the_flag_outlives_a_daemon_that_is_killed(server, db, daemon, job):
    touch(daemon.stop_file)
    daemon.wait_state(job, "paused", 5)
    daemon.kill9()
    assert len(flags(server, db)) == 1
    daemon.start()
    assert daemon.ctl("resume", job.id).code == 75
    os.unlink(daemon.stop_file)
    wait_for(lambda: flags(server, db) == [], 5, "the flag to be cleared")
    finish(server, db, daemon, job)


def test_a_file_that_is_there_at_the_start_stops(server, db, daemon, job):
    daemon.kill9()
    touch(daemon.stop_file)
    last = daemon.batches(job)
    daemon.start()
    daemon.wait_state(job, "paused", 5)
    assert daemon.batches(job) == last


def test_an_unreadable_directory_counts_as_stop(daemon, job):
    os.rename(daemon.state_dir, daemon.state_dir + "_gone")
    daemon.wait_state(job, "paused", 5)
    assert daemon.ctl("resume", job.id).code == 75


def test_another_daemon_does_not_go_on(server, db, daemon, job, make_daemon):
    """The flag in the control tables reaches a daemon that does not see the file."""
    other = make_daemon("other").start()
    touch(daemon.stop_file)
    daemon.wait_state(job, "paused", 5)
    assert other.ctl("resume", job.id).code == 75
    os.unlink(daemon.stop_file)
    wait_for(lambda: flags(server, db) == [], 5, "the flag to be cleared")
    other.ctl("resume", job.id, check=0)
    finish(server, db, other, job)


def test_the_flag_is_set_again_on_a_server_that_has_lost_it(server, db, daemon, job):
    """As after a fail-over to a replica that had not heard of it."""
    daemon.ctl("stop", check=0)
    wait_for(lambda: len(flags(server, db)) == 1, 5, "the flag")
    server.sql(db, "DELETE FROM backfill.meta WHERE name LIKE 'stop:%'")
    server.terminate_backends_of(db)
    wait_for(lambda: len(flags(server, db)) == 1, 5, "the flag once more")


@pytest.fixture
def cancelling(server, db, make_daemon):
    daemon = make_daemon()
    daemon.settings["emergency_stop"]["cancel_in_flight"] = True
    return daemon.start().init()


def start_sleeping(server, db, daemon, seconds):
    """A batch that is amidst its statement."""
    server.sql(db, "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t VALUES (1, 0);"
               "GRANT SELECT, UPDATE ON t TO backfill")
    server.sql(db, server.dialect.dawdle("t", "true", seconds))
    job = increment(allow_triggers=True, rollback={"keep_old_values": False})
    daemon.submit(job, "--start")
    wait_for(lambda: server.sleeps(db), 5, "the batch to be in its statement")
    return job


def test_the_batch_in_flight_is_cancelled_if_asked(server, db, cancelling):
    daemon = cancelling
    job = start_sleeping(server, db, daemon, 4)
    touch(daemon.stop_file)
    begin = time.monotonic()
    daemon.wait_state(job, "paused", 5)
    assert time.monotonic() - begin < 2
    assert daemon.show(job)["reason"] == "emergency stop"
    assert server.value(db, "SELECT n FROM t") == 0


@pytest.mark.engine("mariadb", "mysql")
def test_a_batch_in_somebody_else_s_trigger_is_cancelled_behind_it(server, db, cancelling):
    """Until then the server refuses to: the session is the definer's."""
    server.sql(db, """CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t VALUES (1, 0), (2, 0);
        GRANT SELECT, UPDATE ON t TO backfill;
        CREATE TRIGGER theirs BEFORE UPDATE ON t FOR EACH ROW IF old.id = 1 THEN DO sleep(1); END IF;
        CREATE DEFINER = backfill TRIGGER ours AFTER UPDATE ON t FOR EACH ROW IF old.id = 2 THEN DO sleep(4); END IF""")
    job = increment(allow_triggers=True, rollback={"keep_old_values": False})
    cancelling.submit(job, "--start")
    wait_for(lambda: server.sleeps(db, server.superuser), 10, "the batch to be in their trigger")
    touch(cancelling.stop_file)
    begin = time.monotonic()
    cancelling.wait_state(job, "paused", 5)
    assert time.monotonic() - begin < 3
    assert server.sql(db, "SELECT n FROM t") == [(0,), (0,)]


def test_a_session_that_only_has_the_same_pid_is_not_cancelled(pg, db, cancelling):
    """A pid is used again, on this server or on the one that the control connection has moved to."""
    job = start_sleeping(pg, db, cancelling, 2)
    pg.sql(db, "UPDATE backfill.job SET backend_start = backend_start - interval '1 second'")
    touch(cancelling.stop_file)
    cancelling.wait_state(job, "paused", 10)
    assert pg.value(db, "SELECT n FROM t") == 1
