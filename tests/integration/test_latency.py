"""Latency as the site feels it: a baseline is learned, the rate gives way, and who can't see it stands still."""

import json

import pytest

from jobs import increment
from waiting import holds_for, wait_for

ROWS = 200000
LEARN = 2  # seconds; with 50 queries a second enough for a first baseline


@pytest.fixture
def site(server, db):
    """How long a canary query takes is what stands in `slowness`."""
    server.sql(db, f"""CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0);
        INSERT INTO t SELECT i, 0 FROM {server.dialect.series(1, ROWS)};
        CREATE TABLE slowness (seconds float NOT NULL);
        INSERT INTO slowness VALUES (0.001)""")
    server.grant_on_all_tables(db, "SELECT, UPDATE")

    def set_slowness(seconds):
        server.sql(db, f"UPDATE slowness SET seconds = {seconds}")
    return set_slowness


@pytest.fixture
def daemon(server, make_daemon):
    def start(**latency):
        query = server.dialect.sleeping("SELECT seconds FROM slowness")
        throttle = {"initial_rate": 1000, "max_p95_increase": 0.5, "replicas": ["!r1"],
                    "latency": {"source": "canary", "queries": [query], "learn": f"{LEARN}s", **latency}}
        return make_daemon(target={"throttle": throttle}).start().init()
    return start


def start_job(daemon, **keys):
    job = increment(batch={"adaptive": True, "rows": 100}, **keys)
    daemon.submit(job, "--start")
    return job


def readings(daemon, job):
    return {one["probe"]: one for one in daemon.ctl_json("throttle", job.id)}


def hold_reason(daemon, job):
    throttle = daemon.show(job)["throttle"]
    return (throttle["reason"] if throttle["held"] else None) or ""


def wait_held(daemon, job, *words):
    return wait_for(lambda: (lambda reason: reason if all(word in reason for word in words) else None)(hold_reason(daemon, job)), 15,
                    lambda: f"a hold with {words}; {daemon.show(job)['throttle']}\n{readings(daemon, job)}\n{daemon.log()}")


def wait_at_work(daemon, job):
    before = daemon.batches(job)
    wait_for(lambda: daemon.batches(job) > before, 30, lambda: f"a batch; {daemon.show(job)['throttle']}\n{readings(daemon, job)}")


def test_the_first_batch_waits_for_a_baseline(server, db, site, daemon):
    daemon = daemon()
    job = start_job(daemon)
    reason = wait_held(daemon, job, "latency", "learning what it is without us")
    assert daemon.batches(job) == 0 and "to go" in reason
    wait_at_work(daemon, job)
    latency = wait_for(lambda: (lambda one: one if one["samples"] >= 50 else None)(readings(daemon, job)["latency"]), 10,
                       lambda: f"samples at work: {readings(daemon, job)}")
    assert latency["unit"] == "ms" and 1 <= latency["baseline"] < 100
    assert latency["limit"] == pytest.approx(latency["baseline"] * 1.5, rel=0.01)
    assert latency["source"] == "canary 1 query"
    rate = readings(daemon, job)["rate"]
    assert rate["unit"] == "rows/s" and rate["value"] >= 900
    text = daemon.ctl("throttle", job.id, check=0).stdout
    assert "rows/s are allowed" in text.splitlines()[0] and "latency" in text


def test_the_rate_gives_way_to_a_slow_site(server, db, site, daemon):
    daemon = daemon()
    job = start_job(daemon, guards={"p95_increase": 99.0})
    wait_at_work(daemon, job)
    before = readings(daemon, job)["rate"]["value"]
    site(0.05)
    slowed = wait_for(lambda: (lambda rate: rate if rate["value"] is not None and rate["value"] <= before / 2 else None)(
        readings(daemon, job)["rate"]), 40, lambda: f"a lower rate than {before}: {readings(daemon, job)}")
    assert "latency" in slowed["reason"], slowed
    assert readings(daemon, job)["latency"]["state"] == "high"
    assert daemon.state(job) == "running"


@pytest.mark.engine("postgresql")  # its kind has no part in this, which takes three windows
def test_latency_that_stays_high_pauses(server, db, site, daemon):
    daemon = daemon(learn="8s")  # so long that commits have a baseline, too: they are no guard's
    job = start_job(daemon, guards={"p95_increase": 0.6})
    wait_at_work(daemon, job)
    site(0.05)
    daemon.wait_state(job, "paused", 120)
    reason = daemon.show(job)["reason"]
    assert reason.startswith("guard: latency P95") and "though we went slower" in reason, reason
    assert [one["reason"] for one in daemon.ctl_json("events", job.id) if one["event"] == "guard.tripped"] == [reason]


def test_a_canary_without_an_answer_holds(server, db, site, daemon):
    daemon = daemon()
    job = start_job(daemon)
    wait_at_work(daemon, job)
    with server.connect(db) as blocker:
        blocker.cursor().execute(server.dialect.lock_table.format("slowness"))
        wait_held(daemon, job, "latency P95 unknown", "canary query")
        before = daemon.batches(job)
        holds_for(lambda: daemon.batches(job) <= before + 1, 2, "no batch while nothing is seen")
        assert readings(daemon, job)["latency"]["state"] == "unknown"
        blocker.cursor().execute(server.dialect.unlock_table)
    wait_at_work(daemon, job)


def test_a_canary_that_fails_holds_and_says_why(server, db, site, daemon):
    daemon = daemon()
    job = start_job(daemon)
    wait_at_work(daemon, job)
    server.sql(db, "ALTER TABLE slowness RENAME TO gone")
    assert "slowness" in wait_held(daemon, job, "latency P95 unknown", "canary query")
    server.sql(db, "ALTER TABLE gone RENAME TO slowness")
    wait_at_work(daemon, job)
    names = [one["event"] for one in daemon.ctl_json("events", job.id) if one["event"] in ("job.held", "job.released")]
    assert names.count("job.held") <= 3, names  # learning, and this one


def test_a_restarted_daemon_goes_on_with_its_baseline(server, db, site, daemon):
    daemon = daemon(learn="8s")
    job = start_job(daemon)
    wait_at_work(daemon, job)
    baseline = readings(daemon, job)["latency"]["baseline"]
    kept = wait_for(lambda: server.sql(db, "SELECT value FROM backfill.meta WHERE name LIKE 'throttle:%'"), 15, "what is kept")
    assert json.loads(kept[0][0])["p95_ms"] == {"canary 1 query": pytest.approx(baseline, rel=0.3)}
    daemon.kill9()
    daemon.start()
    before = daemon.batches(job)
    wait_for(lambda: daemon.batches(job) > before, 6, lambda: f"a batch without learning: {daemon.show(job)['throttle']}")


def test_a_commit_is_measured_too(server, db, site, daemon):
    daemon = daemon(learn="8s")
    job = start_job(daemon)
    wait_at_work(daemon, job)
    commit = wait_for(lambda: (lambda one: one if one and one["limit"] is not None else None)(readings(daemon, job).get("commit")), 10,
                      lambda: f"a baseline of commits: {readings(daemon, job)}")
    assert commit["unit"] == "ms" and commit["source"] == "heartbeat" and 0 < commit["baseline"] < 1000
    assert commit["limit"] == pytest.approx(commit["baseline"] * 1.5, rel=0.01)
    daemon.ctl("set", job.id, "throttle.max_commit_increase=0.1", check=0)
    wait_for(lambda: (lambda one: one and one["limit"] == pytest.approx(one["baseline"] * 1.1, rel=0.01))(readings(daemon, job).get("commit")), 10,
             lambda: readings(daemon, job))


def test_without_queries_the_worked_table_is_read(server, db, site, daemon):
    daemon = daemon(queries=[])
    job = start_job(daemon)
    wait_at_work(daemon, job)
    latency = readings(daemon, job)["latency"]
    assert latency["source"].startswith("canary ") and latency["source"].endswith("t") and latency["state"] in ("ok", "high")


def test_a_site_that_nobody_wants_watched(server, db, site, daemon):
    daemon = daemon(source="none")
    job = start_job(daemon)
    wait_at_work(daemon, job)
    assert "latency" not in readings(daemon, job)



def test_canaries_end_with_the_last_job(server, db, site, daemon):
    daemon = daemon()
    job = start_job(daemon)
    wait_at_work(daemon, job)
    daemon.ctl("cancel", job.id, check=0)
    wait_for(lambda: "latency" not in [one["probe"] for one in daemon.ctl_json("throttle")], 10, "no canary")


def test_a_job_may_be_stricter_than_its_target(server, db, site, daemon):
    daemon = daemon()
    error = daemon.submit(increment(throttle={"max_p95_increase": 0.6}), check=65).stderr
    assert "throttle.max_p95_increase: 0.6 is looser than its target's 0.5" in error
    assert "latency.source: none is looser" in daemon.submit(increment(throttle={"latency": {"source": "none"}}), check=65).stderr
    job = start_job(daemon, throttle={"max_p95_increase": 0.3})
    wait_at_work(daemon, job)
    latency = readings(daemon, job)["latency"]
    assert latency["limit"] == pytest.approx(latency["baseline"] * 1.3, rel=0.01)
    daemon.ctl("set", job.id, "throttle.max_p95=1h", "throttle.max_p95_increase=0.2", check=0)
    wait_for(lambda: (lambda one: one["limit"] is not None and one["limit"] == pytest.approx(one["baseline"] * 1.2, rel=0.01))(
        readings(daemon, job)["latency"]), 10, lambda: readings(daemon, job))
