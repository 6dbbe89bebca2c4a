"""Replica lag: held when it is high or not known, and going on by itself."""

import pytest

from jobs import increment
from waiting import holds_for, wait_for

ROWS = 20000
READING_KEYS = {"probe", "value", "unit", "limit", "baseline", "age_ms", "samples", "pressure", "state", "source"}


@pytest.fixture
def job(pg, db, daemon):
    """Running; limit 500 ms."""
    pg.sql(db, f"""CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0);
        INSERT INTO t SELECT i, 0 FROM generate_series(1, {ROWS}) i; ANALYZE t; GRANT SELECT, UPDATE ON t TO backfill""")
    job = increment(batch={"delay": "20ms"}, throttle={"max_lag": "500ms"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 2)
    return job


def hold_reason(daemon, job):
    throttle = daemon.show(job)["throttle"]
    return throttle["reason"] if throttle["held"] else None


def wait_held(daemon, job, word):
    def held():
        reason = hold_reason(daemon, job)
        return reason if reason is not None and word in reason else None
    return wait_for(held, 10, lambda: f"a hold with {word!r}; {daemon.show(job)['throttle']}\n{daemon.log()}")


def assert_stands_still(daemon, job):
    before = daemon.batches(job)
    wait_for(lambda: daemon.show(job)["throttle"]["held"], 1, "a hold")
    holds_for(lambda: daemon.batches(job) <= before + 1, 0.5, "no batch while held")
    assert daemon.state(job) == "running"


def finish(pg, db, daemon, job):
    daemon.ctl("set", job.id, "batch.delay=0ms", "batch.rows=5000", check=0)
    daemon.wait_done(job)
    assert pg.sql(db, "SELECT n, count(*)::int FROM t GROUP BY n") == [(1, ROWS)]


def test_paused_replay_holds_and_its_end_releases(pg, db, daemon, job):
    pg.pause_replay()
    reason = wait_held(daemon, job, "replica lag")
    assert "r1" in reason
    assert_stands_still(daemon, job)
    pg.resume_replay()
    wait_for(lambda: hold_reason(daemon, job) is None, 10, lambda: f"the release; {daemon.show(job)['throttle']}")
    finish(pg, db, daemon, job)
    names = [e["event"] for e in daemon.ctl_json("events", job.id)]
    assert "job.held" in names and names.index("job.held") < names.index("job.released")
    assert daemon.show(job)["seconds"]["held"] > 0.4


def test_a_stopped_replica_holds_until_it_is_back(pg, db, daemon, job):
    pg.replica.stop("fast")
    wait_held(daemon, job, "r1")
    assert_stands_still(daemon, job)
    pg.replica.start()
    finish(pg, db, daemon, job)


def test_a_silent_replica_holds(pg, db, daemon, job):
    pg.replica.freeze()
    wait_held(daemon, job, "r1")
    assert_stands_still(daemon, job)
    pg.replica.unfreeze()
    finish(pg, db, daemon, job)


def test_readings(pg, daemon, job):
    def good():
        readings = daemon.ctl_json("throttle", job.id)
        return readings if readings and all(one["state"] == "ok" for one in readings) else None
    readings = wait_for(good, 5, lambda: f"good readings: {daemon.ctl_json('throttle', job.id)}")
    lag = {one["probe"]: one for one in readings}["lag:r1"]
    assert READING_KEYS <= set(lag)
    assert lag["unit"] == "s" and lag["limit"] == 0.5 and lag["source"] == "heartbeat"
    assert 0 <= lag["value"] < 0.5 and lag["pressure"] < 1
    pg.pause_replay()
    wait_held(daemon, job, "replica lag")
    lag = {one["probe"]: one for one in daemon.ctl_json("throttle", job.id)}["lag:r1"]
    assert lag["state"] == "high" and lag["value"] >= 0.5 and lag["pressure"] >= 1
    pg.replica.stop("immediate")
    wait_for(lambda: {one["probe"]: one for one in daemon.ctl_json("throttle", job.id)}["lag:r1"]["state"] == "unknown", 10,
             lambda: f"unknown: {daemon.ctl_json('throttle', job.id)}")


def test_a_hold_is_no_pause_for_wait(pg, daemon, job):
    pg.pause_replay()
    wait_held(daemon, job, "replica lag")
    assert daemon.ctl("wait", job.id, "--timeout", "300ms").code == 124


def test_pause_while_held(pg, db, daemon, job):
    pg.pause_replay()
    wait_held(daemon, job, "replica lag")
    daemon.ctl("pause", job.id, check=0)
    assert daemon.state(job) == "paused"
    pg.resume_replay()
    daemon.ctl("resume", job.id, check=0)
    finish(pg, db, daemon, job)


def test_a_kill_while_held_stays_held(pg, db, daemon, job):
    pg.pause_replay()
    wait_held(daemon, job, "replica lag")
    done = daemon.batches(job)
    daemon.kill9()
    daemon.start()
    wait_for(lambda: hold_reason(daemon, job), 5, "held again")
    holds_for(lambda: daemon.batches(job) == done, 1, "no batch in the dark")
    pg.resume_replay()
    finish(pg, db, daemon, job)


@pytest.fixture
def found_job(pg, db, make_daemon):
    """(daemon, job): no replica is configured, the primary tells of its standbys. Limit 500 ms."""
    pg.sql(db, "GRANT pg_monitor TO backfill")
    pg.sql(db, f"""CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0);
        INSERT INTO t SELECT i, 0 FROM generate_series(1, {ROWS}) i; GRANT SELECT, UPDATE ON t TO backfill""")
    daemon = make_daemon()
    del daemon.settings["targets"][0]["replicas"]
    daemon.start().init()
    job = increment(batch={"delay": "20ms"}, throttle={"max_lag": "500ms"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 2)
    yield daemon, job
    pg.heal()
    pg.sql(db, "REVOKE pg_monitor FROM backfill")


def test_without_configured_replicas_those_of_the_primary_count(pg, found_job):
    daemon, job = found_job
    pg.pause_replay()
    wait_held(daemon, job, "replica lag")
    pg.resume_replay()
    wait_for(lambda: hold_reason(daemon, job) is None, 10, lambda: f"the release; {daemon.show(job)['throttle']}")


def test_a_replica_that_vanishes_holds_until_it_is_left_out_by_name(pg, db, found_job):
    daemon, job = found_job
    pg.replica.stop("fast")
    wait_held(daemon, job, "vanished")
    assert_stands_still(daemon, job)
    daemon.ctl("set", job.id, 'throttle.replicas=["!walreceiver"]', check=0)
    finish(pg, db, daemon, job)
    assert "!walreceiver" in str([e for e in daemon.ctl_json("events", job.id) if e["event"] == "setting.changed"])


def test_a_replica_that_vanishes_while_the_daemon_is_dead_holds_too(pg, db, found_job):
    daemon, job = found_job
    daemon.kill9()
    pg.replica.stop("fast")
    done = daemon.batches(job)
    daemon.start()
    wait_held(daemon, job, "vanished")
    holds_for(lambda: daemon.batches(job) == done, 1, "no batch in the dark")
    pg.replica.start()
    finish(pg, db, daemon, job)


def test_a_delay_on_purpose_is_no_lag(pg, db, daemon, job):
    """recovery_min_apply_delay is what its administrator wants; beyond it counts."""
    try:
        with open(f"{pg.replica.data}/postgresql.auto.conf", "a") as f:
            f.write("recovery_min_apply_delay = '1500ms'\n")
        pg.sql("postgres", "SELECT pg_reload_conf()", replica=True)
        pg.wait_replayed("postgres", "SELECT 1 WHERE current_setting('recovery_min_apply_delay') = '1500ms'")
        pg.sql(db, "CREATE TABLE marker ()")
        assert pg.value(db, "SELECT to_regclass('marker') IS NULL", replica=True), "the replica is late"
        pg.wait_replayed(db, "SELECT 1 WHERE to_regclass('marker') IS NOT NULL")
        done = daemon.batches(job)
        daemon.wait_batches(job, done + 20, 10)
        pg.pause_replay()
        wait_held(daemon, job, "replica lag")
        pg.resume_replay()
    finally:
        with open(f"{pg.replica.data}/postgresql.auto.conf", "a") as f:
            f.write("recovery_min_apply_delay = 0\n")
        pg.sql("postgres", "SELECT pg_reload_conf()", replica=True)
    finish(pg, db, daemon, job)


def test_a_replica_that_is_none_is_blind(pg, db, make_daemon):
    """A logical subscriber, or one that was promoted, shows a heartbeat perhaps, and no lag of the primary's replicas."""
    pg.sql(db, "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t VALUES (1); GRANT ALL ON t TO backfill")
    daemon = make_daemon()
    daemon.settings["targets"][0]["replicas"][0]["url"] = pg.url(db)
    daemon.start().init()
    job = increment()
    daemon.submit(job, "--start")
    wait_held(daemon, job, "not a replica")
    assert_stands_still(daemon, job)
    assert daemon.batches(job) == 0


def test_somebody_else_s_load_pauses_and_throws_nothing_away(pg, db, daemon, job):
    daemon.ctl("set", job.id, "guards.lag=1s", check=0)
    pg.pause_replay()
    daemon.wait_state(job, "paused", 15)
    done = daemon.batches(job)
    assert "guard: replica lag" in daemon.show(job)["reason"]
    names = [e["event"] for e in daemon.ctl_json("events", job.id)]
    assert names.index("guard.tripped") < names.index("job.paused")
    pg.resume_replay()
    daemon.ctl("resume", job.id, check=0)
    daemon.wait_batches(job, done + 1)
    finish(pg, db, daemon, job)


def test_heartbeats_take_turns_among_a_few_rows(pg, db, daemon, job):
    """A single row would rot under an old snapshot."""
    def versions_of_a_row():
        return pg.sql(db, "SELECT count(*)::int, max(seq) - min(seq) FROM backfill.heartbeat")[0]
    wait_for(lambda: pg.value(db, "SELECT max(seq) FROM backfill.heartbeat") >= 8, 10, "some heartbeats")
    assert versions_of_a_row() == (4, 3)


def test_a_held_job_shows_no_eta(pg, daemon, job):
    wait_for(lambda: (daemon.show(job)["eta_s"] or -1) > 0, 5, "an ETA")
    pg.pause_replay()
    wait_held(daemon, job, "replica lag")
    shown = daemon.show(job)
    assert shown["eta_s"] is None and shown["rate_rows_s"] == 0 and 0 < shown["progress"] < 1
    assert "held" in daemon.ctl("show", job.id, check=0).stdout


def test_a_looser_limit_than_the_target_s_is_refused(pg, db, make_daemon):
    pg.sql(db, "CREATE TABLE t (id int PRIMARY KEY, n int); GRANT ALL ON t TO backfill")
    daemon = make_daemon(target={"throttle": {"max_lag": "1s"}}).start().init()
    assert "max_lag" in daemon.submit(increment(throttle={"max_lag": "3s"}), check=65).stderr
    job = increment(throttle={"max_lag": "900ms"})
    daemon.submit(job)
    assert daemon.ctl("set", job.id, "throttle.max_lag=2s").code == 65


def test_an_idle_daemon_writes_no_heartbeats(pg, db, daemon):
    daemon.ctl("list", check=0)
    assert pg.value(db, "SELECT count(*)::int FROM backfill.heartbeat") == 0
