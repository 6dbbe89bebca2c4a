"""Replica lag: held when it is high or not known, and going on by itself."""

import pytest

from jobs import increment
from server import WORKER, free_port
from waiting import holds_for, wait_for

ROWS = 20000
READING_KEYS = {"probe", "value", "unit", "limit", "baseline", "age_ms", "samples", "pressure", "state", "source"}
BOTH_THREADS = pytest.mark.parametrize("thread", ["IO", "SQL"])
mysql_only = pytest.mark.engine("mariadb", "mysql")


def create_table(server, db):
    server.sql(db, f"""CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0);
        INSERT INTO t SELECT i, 0 FROM {server.dialect.series(1, ROWS)}""")
    server.grant_on_all_tables(db, "SELECT, UPDATE")


def start_job(daemon, **throttle):
    job = increment(batch={"delay": "20ms"}, throttle={"max_lag": "500ms", **throttle})
    daemon.submit(job, "--start")
    return job


@pytest.fixture
def job(server, db, daemon):
    """Running; limit 500 ms."""
    create_table(server, db)
    job = start_job(daemon)
    daemon.wait_batches(job, 2)
    return job


def hold_reason(daemon, job):
    throttle = daemon.show(job)["throttle"]
    return throttle["reason"] if throttle["held"] else None


def wait_held(daemon, job, word, deadline=10):
    def held():
        reason = hold_reason(daemon, job)
        return reason if reason is not None and word in reason else None
    return wait_for(held, deadline, lambda: f"a hold with {word!r}; {daemon.show(job)['throttle']}\n{daemon.log()}")


def wait_released(daemon, job):
    wait_for(lambda: hold_reason(daemon, job) is None, 10, lambda: f"the release; {daemon.show(job)['throttle']}")


def assert_stands_still(daemon, job):
    before = daemon.batches(job)
    wait_for(lambda: daemon.show(job)["throttle"]["held"], 1, "a hold")
    holds_for(lambda: daemon.batches(job) <= before + 1, 0.5, "no batch while held")
    assert daemon.state(job) == "running"


def finish(server, db, daemon, job):
    daemon.ctl("set", job.id, "batch.delay=0ms", "batch.rows=5000", check=0)
    daemon.wait_done(job)
    assert server.sql(db, "SELECT n, count(*) FROM t GROUP BY n") == [(1, ROWS)]


def lag_reading(daemon, job):
    return {one["probe"]: one for one in daemon.ctl_json("throttle", job.id)}["lag:r1"]


def test_paused_replay_holds_and_its_end_releases(server, db, daemon, job):
    server.pause_replay()
    reason = wait_held(daemon, job, "replica lag")
    assert "r1" in reason
    assert_stands_still(daemon, job)
    server.resume_replay()
    wait_released(daemon, job)
    finish(server, db, daemon, job)
    names = [e["event"] for e in daemon.ctl_json("events", job.id)]
    assert "job.held" in names and names.index("job.held") < names.index("job.released")
    assert daemon.show(job)["seconds"]["held"] > 0.4


def test_a_stopped_replica_holds_until_it_is_back(server, db, daemon, job):
    server.replica.stop("fast")
    wait_held(daemon, job, "r1")
    assert_stands_still(daemon, job)
    server.replica.start()
    finish(server, db, daemon, job)


def test_a_silent_replica_holds(server, db, daemon, job):
    server.replica.freeze()
    wait_held(daemon, job, "r1")
    assert_stands_still(daemon, job)
    server.replica.unfreeze()
    finish(server, db, daemon, job)


def test_readings(server, daemon, job):
    def good():
        readings = daemon.ctl_json("throttle", job.id)
        return readings if readings and all(one["state"] == "ok" for one in readings) else None
    readings = wait_for(good, 5, lambda: f"good readings: {daemon.ctl_json('throttle', job.id)}")
    lag = {one["probe"]: one for one in readings}["lag:r1"]
    assert READING_KEYS <= set(lag)
    assert lag["unit"] == "s" and lag["limit"] == 0.5 and lag["source"] == "heartbeat"
    assert 0 <= lag["value"] < 0.5 and lag["pressure"] < 1
    server.pause_replay()
    wait_held(daemon, job, "replica lag")
    lag = lag_reading(daemon, job)
    assert lag["state"] == "high" and lag["value"] >= 0.5 and lag["pressure"] >= 1
    server.replica.stop("immediate")
    wait_for(lambda: lag_reading(daemon, job)["state"] == "unknown", 10, lambda: f"unknown: {daemon.ctl_json('throttle', job.id)}")


def test_a_hold_is_no_pause_for_wait(server, daemon, job):
    server.pause_replay()
    wait_held(daemon, job, "replica lag")
    assert daemon.ctl("wait", job.id, "--timeout", "300ms").code == 124


def test_pause_while_held(server, db, daemon, job):
    server.pause_replay()
    wait_held(daemon, job, "replica lag")
    daemon.ctl("pause", job.id, check=0)
    assert daemon.state(job) == "paused"
    server.resume_replay()
    daemon.ctl("resume", job.id, check=0)
    finish(server, db, daemon, job)


def test_a_kill_while_held_stays_held(server, db, daemon, job):
    server.pause_replay()
    wait_held(daemon, job, "replica lag")
    done = daemon.batches(job)
    daemon.kill9()
    daemon.start()
    wait_for(lambda: hold_reason(daemon, job), 5, "held again")
    holds_for(lambda: daemon.batches(job) == done, 1, "no batch in the dark")
    server.resume_replay()
    finish(server, db, daemon, job)


# --- a replica's threads ---

@mysql_only
@BOTH_THREADS
def test_a_stopped_thread_holds(server, db, daemon, job, thread):
    """At once, whatever the heartbeat says."""
    server.stop_replica_thread(thread)
    reason = wait_held(daemon, job, f"its {thread} thread is stopped")
    assert reason == f"replica lag unknown (r1): its {thread} thread is stopped"
    assert reason in daemon.ctl("show", job.id, check=0).stdout
    assert f"its {thread} thread is stopped" in daemon.ctl("throttle", job.id, check=0).stdout
    assert lag_reading(daemon, job)["reason"] == f"its {thread} thread is stopped"
    assert_stands_still(daemon, job)
    server.resume_replay()
    finish(server, db, daemon, job)


@mysql_only
def test_on_a_late_replica_a_stopped_thread_holds_before_its_delay_is_over(server, db, daemon, job):
    """Heartbeats go on to appear there, out of what it has fetched before."""
    with server.delayed_replay(20):
        server.stop_replica_thread("IO")
        wait_held(daemon, job, "its IO thread is stopped")
        assert_stands_still(daemon, job)
    server.resume_replay()
    finish(server, db, daemon, job)


@mysql_only
def test_a_replica_that_is_not_let_in_holds_and_says_why(server, db, daemon, job):
    server.change_replication({"USER": "'nobody'"})
    server.resume_replay()
    reason = wait_held(daemon, job, "its IO thread is not connected")
    assert "nobody@127.0.0.1" in reason
    assert_stands_still(daemon, job)
    server.follow_primary()
    finish(server, db, daemon, job)


@mysql_only
def test_a_replica_that_met_an_error_holds_and_says_which(server, db, daemon, job):
    server.sql(db, "CREATE TABLE wreck (id int PRIMARY KEY)")
    server.wait_replayed(db, "SELECT count(*) FROM wreck")
    with server.writable_replica():
        server.sql(db, "SET sql_log_bin = 0; INSERT INTO wreck VALUES (1); SET sql_log_bin = 1", replica=True)
    server.sql(db, "INSERT INTO wreck VALUES (1)")
    assert "wreck" in wait_held(daemon, job, "its SQL thread is stopped: ")
    assert_stands_still(daemon, job)
    with server.writable_replica():
        server.sql(db, "SET sql_log_bin = 0; DELETE FROM wreck; SET sql_log_bin = 1", replica=True)
    server.resume_replay()
    finish(server, db, daemon, job)


@mysql_only
def test_another_source_of_the_replica_is_none_of_ours(server, db, daemon, job):
    """Its channel is stopped, and late on purpose: neither holds the job, nor excuses any lag."""
    server.change_replication({"HOST": "'127.0.0.1'", "PORT": free_port(), "USER": "'nobody'", "DELAY": 3600}, channel="other")
    try:
        done = daemon.batches(job)
        daemon.wait_batches(job, done + 20, 10)
        server.pause_replay()
        wait_held(daemon, job, "replica lag 0.")
        server.resume_replay()
        wait_released(daemon, job)
    finally:
        server.heal()
        server.forget_channel("other")
    finish(server, db, daemon, job)


@mysql_only
def test_control_tables_that_are_left_out_of_replication_hold_and_say_so(server, db, daemon):
    create_table(server, db)
    with server.left_out_of_replication("backfill"):
        job = start_job(daemon)
        wait_held(daemon, job, "leaves out", 20)
        assert_stands_still(daemon, job)
        assert daemon.batches(job) == 0
        daemon.ctl("set", job.id, 'throttle.replicas=["!r1"]', check=0)  # somebody takes it on himself
        finish(server, db, daemon, job)
        daemon.terminate()


@mysql_only
def test_a_replica_that_hides_its_state_holds_and_names_the_privilege(server, db, make_daemon):
    create_table(server, db)
    with server.hidden_replica_state() as privilege:
        daemon = make_daemon().start().init()
        job = start_job(daemon)
        wait_held(daemon, job, privilege)
        assert_stands_still(daemon, job)
        assert daemon.batches(job) == 0
    finish(server, db, daemon, job)


# --- replicas that are not there ---

@pytest.mark.parametrize("where", ["port", "role"])
def test_a_refused_connection_holds(server, db, make_daemon, where):
    create_table(server, db)
    daemon = make_daemon()
    url = server.url(db, replica=True, tcp=True)
    if where == "port":
        url, word = url.replace(str(server.replica.port), str(free_port())), "cannot connect"
    else:
        url, word = url.replace(f"{WORKER}@", "nobody@"), "nobody"
    daemon.settings["targets"][0]["replicas"][0]["url"] = url
    daemon.start().init()
    job = start_job(daemon)
    assert "r1" in wait_held(daemon, job, word)
    assert_stands_still(daemon, job)
    assert daemon.batches(job) == 0
    daemon.settings["targets"][0]["replicas"][0]["url"] = server.url(db, replica=True)
    daemon.write_conf()
    daemon.ctl("reload", check=0)
    finish(server, db, daemon, job)


def test_an_unknown_replica_holds(server, db, daemon):
    create_table(server, db)
    job = start_job(daemon, replicas=["r1", "r9"])
    wait_held(daemon, job, "(r9)")
    assert_stands_still(daemon, job)
    assert daemon.batches(job) == 0
    daemon.ctl("set", job.id, 'throttle.replicas=["r1"]', check=0)
    finish(server, db, daemon, job)


@pytest.fixture
def found_job(server, db, make_daemon):
    """(daemon, job): no replica is configured, the primary tells who follows it. Limit 500 ms."""
    create_table(server, db)
    with server.shown_followers():
        daemon = make_daemon()
        del daemon.settings["targets"][0]["replicas"]
        daemon.start().init()
        job = start_job(daemon)
        wait_for(lambda: f"lag:{server.follower}" in [one["probe"] for one in daemon.ctl_json("throttle", job.id)], 10,
                 lambda: f"the replica: {daemon.ctl_json('throttle', job.id)}")
        yield daemon, job
        server.heal()


@pytest.mark.engine("postgresql")
def test_without_configured_replicas_those_of_the_primary_count(server, found_job):
    daemon, job = found_job
    daemon.wait_batches(job, 2)
    server.pause_replay()
    wait_held(daemon, job, "replica lag")
    server.resume_replay()
    wait_released(daemon, job)


@mysql_only
def test_a_replica_that_nobody_configured_holds_until_somebody_does(server, db, found_job):
    """The primary does not know how far it is."""
    daemon, job = found_job
    reason = wait_held(daemon, job, server.follower)
    assert "replicas" in reason
    assert_stands_still(daemon, job)
    assert daemon.batches(job) == 0
    daemon.settings["targets"][0]["replicas"] = [{"name": "r1", "url": server.url(db, replica=True)}]
    daemon.write_conf()
    daemon.ctl("reload", check=0)
    finish(server, db, daemon, job)


def test_a_replica_that_vanishes_holds_until_it_is_left_out_by_name(server, db, found_job):
    daemon, job = found_job
    server.replica.stop("fast")
    wait_held(daemon, job, "vanished")
    assert_stands_still(daemon, job)
    daemon.ctl("set", job.id, f'throttle.replicas=["!{server.follower}"]', check=0)
    finish(server, db, daemon, job)
    assert f"!{server.follower}" in str([e for e in daemon.ctl_json("events", job.id) if e["event"] == "setting.changed"])


def test_a_replica_that_vanishes_while_the_daemon_is_dead_holds_too(server, db, found_job):
    daemon, job = found_job
    daemon.kill9()
    server.replica.stop("fast")
    done = daemon.batches(job)
    daemon.start()
    wait_held(daemon, job, "vanished")
    holds_for(lambda: daemon.batches(job) == done, 1, "no batch in the dark")
    server.replica.start()
    if not server.tells_lag:
        wait_held(daemon, job, "its lag is told by itself")
        daemon.ctl("set", job.id, f'throttle.replicas=["!{server.follower}"]', check=0)
    finish(server, db, daemon, job)


def test_a_delay_on_purpose_is_no_lag(server, db, daemon, job):
    """What its administrator wants is not counted; beyond it everything is."""
    with server.delayed_replay(2):
        server.sql(db, "CREATE TABLE marker (id int)")
        with pytest.raises(server.Error):
            server.sql(db, "SELECT * FROM marker", replica=True)
        server.wait_replayed(db, "SELECT count(*) FROM marker")
        done = daemon.batches(job)
        daemon.wait_batches(job, done + 20, 10)
        server.pause_replay()
        wait_held(daemon, job, "replica lag")
        server.resume_replay()
    finish(server, db, daemon, job)


def test_a_replica_that_is_none_is_blind(server, db, make_daemon):
    """A logical subscriber, or one that was promoted, shows a heartbeat perhaps, and no lag of the primary's replicas."""
    create_table(server, db)
    daemon = make_daemon()
    daemon.settings["targets"][0]["replicas"][0]["url"] = server.url(db)
    daemon.start().init()
    job = increment()
    daemon.submit(job, "--start")
    wait_held(daemon, job, "not a replica")
    assert_stands_still(daemon, job)
    assert daemon.batches(job) == 0


def test_somebody_else_s_load_pauses_and_throws_nothing_away(server, db, daemon, job):
    daemon.ctl("set", job.id, "guards.lag=1s", check=0)
    server.pause_replay()
    daemon.wait_state(job, "paused", 15)
    done = daemon.batches(job)
    assert "guard: replica lag" in daemon.show(job)["reason"]
    names = [e["event"] for e in daemon.ctl_json("events", job.id)]
    assert names.index("guard.tripped") < names.index("job.paused")
    server.resume_replay()
    daemon.ctl("resume", job.id, check=0)
    daemon.wait_batches(job, done + 1)
    finish(server, db, daemon, job)


def test_a_guard_is_seen_while_the_job_rests(server, db, daemon, job):
    daemon.ctl("set", job.id, "batch.delay=1h", "guards.lag=1s", "throttle.max_lag=900ms", check=0)
    server.pause_replay()
    daemon.wait_state(job, "paused", 15)
    assert "guard: replica lag" in daemon.show(job)["reason"]
    server.resume_replay()
    daemon.ctl("resume", job.id, check=0)
    finish(server, db, daemon, job)


def test_heartbeats_take_turns_among_a_few_rows(server, db, daemon, job):
    """A single row would rot under an old snapshot."""
    def versions_of_a_row():
        return server.sql(db, "SELECT count(*), max(seq) - min(seq) FROM backfill.heartbeat")[0]
    wait_for(lambda: server.value(db, "SELECT max(seq) FROM backfill.heartbeat") >= 8, 10, "some heartbeats")
    assert versions_of_a_row() == (4, 3)


def test_a_held_job_shows_no_eta(server, daemon, job):
    wait_for(lambda: (daemon.show(job)["eta_s"] or -1) > 0, 5, "an ETA")
    server.pause_replay()
    wait_held(daemon, job, "replica lag")
    shown = daemon.show(job)
    assert shown["eta_s"] is None and shown["rate_rows_s"] == 0 and 0 < shown["progress"] < 1
    assert "held" in daemon.ctl("show", job.id, check=0).stdout


def test_a_looser_limit_than_the_target_s_is_refused(server, db, make_daemon):
    create_table(server, db)
    daemon = make_daemon(target={"throttle": {"max_lag": "1s"}}).start().init()
    assert "max_lag" in daemon.submit(increment(throttle={"max_lag": "3s"}), check=65).stderr
    job = increment(throttle={"max_lag": "900ms"})
    daemon.submit(job)
    assert daemon.ctl("set", job.id, "throttle.max_lag=2s").code == 65


def test_an_idle_daemon_writes_no_heartbeats(server, db, daemon):
    daemon.ctl("list", check=0)
    assert server.value(db, "SELECT count(*) FROM backfill.heartbeat") == 0
