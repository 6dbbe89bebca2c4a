"""A job's life: submit, run, look at it, change it, end it."""

import json
import subprocess

import pytest

from daemon import program
from jobs import increment
from server import OWNER, WORKER
from waiting import holds_for, wait_for

JOB_KEYS = {
    "id", "target", "table", "kind", "state", "phase", "round", "reason", "rows", "batches", "progress", "rate_rows_s", "eta_s", "batch",
    "throttle", "segments", "workers", "windows", "timezone", "owner", "epoch", "submitted_by", "submitted_at", "started_at", "finished_at", "seconds",
}
INNER_KEYS = {
    "rows": {"estimated", "scanned", "changed", "conflicted", "quarantined"},
    "batches": {"committed", "failed", "retried", "split", "last_id"},
    "batch": {"rows", "ms", "delay_ms"},
    "throttle": {"held", "reason", "probe", "pressure"},
    "seconds": {"running", "held", "paused"},
}
SEGMENT_KEYS = {"number", "after", "through", "position", "rows_scanned", "rows_changed", "done"}
SLOW = {"delay": "200ms"}


@pytest.fixture
def table(server, db):
    server.sql(db, f"""CREATE TABLE t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0, flag boolean);
        INSERT INTO t SELECT i, 0, i % 3 = 0 FROM {server.dialect.series(1, 1000)};
        GRANT SELECT, INSERT, UPDATE, DELETE ON t TO backfill""")
    return "public.t"


def values(server, db):
    return dict(server.sql(db, "SELECT n, count(*) FROM t GROUP BY n"))


def slow_job(**keys):
    return increment(batch=SLOW, **keys)


def test_init_print_is_runnable_sql_and_changes_nothing(server, db, make_daemon):
    daemon = make_daemon().start()
    script = daemon.ctl("init", "main", "--print", check=0).stdout
    assert server.value(db, "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'backfill'") == 0
    if server.engine == "postgresql":
        assert "BEGIN;" in script and "COMMIT;" in script
    server.run_script(db, script, OWNER)
    assert daemon.ctl_json("list") == []


def test_without_control_tables(server, db, table, make_daemon):
    daemon = make_daemon().start()
    listed = daemon.ctl("-o", "json", "list", check=0)
    assert json.loads(listed.stdout) == [] and "init" in listed.stderr
    error = daemon.ctl_error("submit", increment().write(daemon.directory), check=78)
    assert "backfillctl init main" in error["hint"] + error["message"]


def test_init_twice_and_the_worker_needs_no_ddl(server, db, daemon, table):
    daemon.ctl("init", "main", check=0)
    with pytest.raises(server.Error):
        server.sql(db, "CREATE TABLE backfill.theirs (id int)", role=WORKER)
    server.sql(db, "CREATE TABLE backfill.ours (id int)", role=OWNER)
    daemon.run_job(increment())


def test_every_row_once(server, db, daemon, table):
    shown = daemon.run_job(increment())
    assert values(server, db) == {1: 1000}
    assert shown["state"] == "completed" and shown["progress"] == 1.0
    assert shown["rows"]["scanned"] == shown["rows"]["changed"] == 1000
    assert shown["batches"]["committed"] in (10, 11) and shown["batches"]["failed"] == 0
    assert shown["started_at"] and shown["finished_at"] and shown["owner"] is None
    assert all(segment["done"] for segment in shown["segments"])


def test_where_filters_within_the_range(server, db, daemon, table):
    shown = daemon.run_job(increment(where="flag"))
    assert dict(server.sql(db, "SELECT n, count(*) FROM t WHERE flag GROUP BY n")) == {1: 333}
    assert dict(server.sql(db, "SELECT n, count(*) FROM t WHERE NOT flag GROUP BY n")) == {0: 667}
    assert shown["rows"]["scanned"] == 1000 and shown["rows"]["changed"] == 333


def test_where_that_set_makes_false(server, db, daemon, table):
    daemon.run_job(increment(where="n = 0"))
    assert values(server, db) == {1: 1000}


def test_empty_table_completes(server, db, daemon):
    server.sql(db, "CREATE TABLE t (id int PRIMARY KEY, n int); GRANT ALL ON t TO backfill")
    shown = daemon.run_job(increment())
    assert shown["state"] == "completed" and shown["rows"]["scanned"] == 0


def test_adaptive_batches_do_all_rows_once(server, db, daemon, table):
    server.sql(db, f"INSERT INTO t SELECT i, 0, false FROM {server.dialect.series(1001, 30000)}")
    daemon.run_job(increment(batch={"adaptive": True, "max_duty": 1.0}))
    assert values(server, db) == {1: 30000}


def test_rows_inserted_above_the_frozen_key_are_left_alone(server, db, daemon, table):
    job = slow_job()
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 1)
    server.sql(db, f"INSERT INTO t SELECT i, 0, false FROM {server.dialect.series(5001, 5300)}")  # some batches' worth
    daemon.wait_done(job)
    assert server.sql(db, "SELECT n, count(*) FROM t WHERE id > 5000 GROUP BY n") == [(0, 300)]


def test_same_id_same_content_is_the_same_job(server, db, daemon, table):
    job = increment()
    daemon.submit(job)
    again = daemon.ctl_json("submit", job.write(daemon.directory))
    assert again["created"] is False and len(daemon.ctl_json("list")) == 1
    daemon.run_job(job)
    daemon.submit(job)
    assert daemon.state(job) == "completed" and values(server, db) == {1: 1000}


def test_same_id_with_other_content_is_refused(daemon, table):
    job = increment()
    daemon.submit(job)
    other = increment(id=job.id, where="flag")
    error = daemon.ctl_error("submit", other.write(daemon.directory), check=65)
    assert job.id in error["message"] and error["hint"]


def test_show_and_list_have_the_contract_s_keys(daemon, table):
    job = slow_job()
    daemon.submit(job)

    def check(shown):
        assert JOB_KEYS <= set(shown), JOB_KEYS - set(shown)
        for key, inner in INNER_KEYS.items():
            assert inner == set(shown[key]), key
        assert all(SEGMENT_KEYS == set(segment) for segment in shown["segments"])
    check(daemon.show(job))
    daemon.ctl("start", job.id, check=0)
    daemon.wait_batches(job, 1)
    check(daemon.show(job))
    running = daemon.ctl_json("list")
    assert len(running) == 1
    check(running[0])
    assert running[0]["state"] == "running" and running[0]["batch"]["rows"] == 100
    assert isinstance(running[0]["owner"], str)
    daemon.wait_done(job)
    check(daemon.show(job))


def test_times_are_rfc_3339_utc(daemon, table):
    shown = daemon.run_job(increment())
    for key in ("submitted_at", "started_at", "finished_at"):
        assert shown[key].endswith("Z") and shown[key][10] == "T"


def test_batch_rows_change_live(server, db, daemon, table):
    job = slow_job()
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 1)
    daemon.ctl("set", job.id, "batch.rows=300", "batch.delay=0ms", check=0)
    daemon.wait_done(job)
    shown = daemon.show(job)
    assert shown["batches"]["committed"] < 10 and values(server, db) == {1: 1000}
    changed = [e for e in daemon.ctl_json("events", job.id) if e["event"] == "setting.changed"]
    assert len(changed) == 1 and "batch.rows=300" in json.dumps(changed[0]["data"])


@pytest.mark.parametrize("setting", ["batch.rows=7", "batch.nonsense=1", "table=x", "batch.rows", "batch.rows=many"])
def test_bad_settings_are_refused_and_change_nothing(daemon, table, setting):
    job = slow_job()
    daemon.submit(job)
    result = daemon.ctl("set", job.id, setting)
    assert result.code in (64, 65), result
    assert daemon.show(job)["settings"] == {}


def test_pause_resume_twice(server, db, daemon, table):
    job = slow_job()
    daemon.submit(job)
    assert daemon.ctl("resume", job.id).code == 64
    for _ in range(2):
        daemon.ctl("start", job.id, check=0)
    daemon.wait_batches(job, 1)
    daemon.ctl("pause", job.id, check=0)
    done = daemon.batches(job)
    second = daemon.ctl("pause", job.id, check=0)
    assert "already" in second.stdout
    assert daemon.state(job) == "paused"
    assert daemon.ctl("wait", job.id).code == 5
    holds_for(lambda: daemon.batches(job) == done, 0.6, "no batch while paused")
    for _ in range(2):
        daemon.ctl("resume", job.id, check=0)
    daemon.wait_done(job)
    assert values(server, db) == {1: 1000}
    assert daemon.show(job)["seconds"]["paused"] >= 0.5


def test_retry_of_a_paused_job(server, db, daemon, table):
    job = slow_job()
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 1)
    daemon.ctl("pause", job.id, check=0)
    daemon.ctl("retry", job.id, check=0)
    daemon.ctl("retry", job.id, check=0)
    daemon.wait_done(job)
    assert values(server, db) == {1: 1000}


def test_cancel_twice_keeps_what_is_committed(server, db, daemon, table):
    job = slow_job()
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 2)
    daemon.ctl("cancel", job.id, check=0)
    counts = values(server, db)
    assert counts[1] >= 200 and counts[0] > 0
    assert "already" in daemon.ctl("cancel", job.id, check=0).stdout
    assert daemon.ctl("wait", job.id).code == 4
    assert daemon.ctl("pause", job.id).code == 64
    assert daemon.ctl("resume", job.id).code == 64 and daemon.ctl("start", job.id).code == 64
    holds_for(lambda: values(server, db) == counts, 0.5, "nothing is written after cancel")


def test_pause_all(server, db, daemon, table):
    server.sql(db, "CREATE TABLE u AS SELECT * FROM t; ALTER TABLE u ADD PRIMARY KEY (id); GRANT ALL ON u TO backfill")
    jobs = [slow_job(), increment("public.u", batch=SLOW)]
    for job in jobs:
        daemon.submit(job, "--start")
    daemon.ctl("pause", "--all", check=0)
    assert {daemon.state(job) for job in jobs} == {"paused"}


def test_a_failing_statement_pauses_with_the_reason_and_goes_on_after_repair(server, db, daemon, table):
    server.sql(db, "ALTER TABLE t ADD CONSTRAINT small CHECK (NOT (id = 550 AND n > 0))")
    job = increment()
    daemon.submit(job, "--start")
    daemon.wait_state(job, "paused")
    shown = daemon.show(job)
    assert "small" in shown["reason"] and shown["rows"]["changed"] == 500
    failures = [event for event in daemon.ctl_json("events", job.id) if event["event"] == "batch.failed"]
    assert len(failures) == 1 and daemon.log().count("pauses: ") == 1
    server.sql(db, "ALTER TABLE t DROP CONSTRAINT small")
    daemon.ctl("resume", job.id, check=0)
    daemon.wait_done(job)
    assert values(server, db) == {1: 1000}


def test_list_filters(daemon, table):
    finished, waiting = increment(), increment(where="flag")
    daemon.run_job(finished)
    daemon.submit(waiting)
    ids = lambda *args: [job["id"] for job in daemon.ctl_json("list", *args)]
    assert ids() == [finished.id, waiting.id]
    assert ids("--state", "completed") == [finished.id]
    assert ids("--state", "pending") == [waiting.id]
    assert ids("--state", "failed") == []
    assert ids("--target", "main") == [finished.id, waiting.id]
    assert daemon.ctl("list", "--target", "nowhere").code == 64


def test_events_in_order(daemon, table):
    job = increment()
    daemon.run_job(job)
    events = daemon.ctl_json("events", job.id)
    names = [event["event"] for event in events]
    assert [name for name in names if name in ("job.submitted", "job.started", "job.completed")] == \
        ["job.submitted", "job.started", "job.completed"]
    assert all({"seq", "at", "event", "job", "target", "actor", "reason", "data"} == set(event) for event in events)
    assert [event["seq"] for event in events] == sorted(event["seq"] for event in events)
    assert len(daemon.ctl_json("events", "--limit", "1")) == 1


def test_events_follow_shows_what_happens(daemon, table):
    job = increment()
    daemon.submit(job)
    lines_path = daemon.directory + "/followed"
    with open(lines_path, "w") as out:
        follower = subprocess.Popen([program("backfillctl"), "-s", daemon.socket, "-o", "json", "events", "-f", job.id], stdout=out)
    try:
        def seen():
            with open(lines_path) as f:
                return [json.loads(line)["event"] for line in f if line.endswith("\n")]
        wait_for(lambda: "job.submitted" in seen(), 10, lambda: f"the past; {seen()}")
        assert "job.started" not in seen()
        daemon.ctl("start", job.id, check=0)
        wait_for(lambda: "job.completed" in seen(), 20, lambda: f"the end; {seen()}")
        assert len(seen()) == len(set(seen())), seen()
    finally:
        follower.kill()
        follower.wait()


def test_tables_for_people(daemon, table):
    job = increment()
    daemon.run_job(job)
    for command in (["list"], ["show", job.id], ["events"], ["throttle"], ["targets"]):
        for output in ("table", "wide"):
            result = daemon.ctl("-o", output, *command, check=0)
            assert result.stdout.strip() and "\x1b" not in result.stdout, command
    assert job.id in daemon.ctl("list").stdout


@pytest.mark.parametrize("rows", [10, 1000, 20000])
def test_a_table_without_statistics(pg, db, daemon, rows):
    """Just created and filled; autovacuum has not been there."""
    pg.sql(db, "CREATE TABLE t (id int PRIMARY KEY, n int) WITH (autovacuum_enabled = off);"
           f"INSERT INTO t SELECT i, 0 FROM generate_series(1, {rows}) i; GRANT SELECT, UPDATE ON t TO backfill")
    job = increment()
    daemon.ctl("submit", job.write(daemon.directory), "--start", check=0)
    daemon.ctl("set", job.id, "batch.rows=5000", check=0)
    daemon.wait_done(job)
    assert values(pg, db) == {1: rows}


def test_two_jobs_on_one_daemon(server, db, daemon, table):
    server.sql(db, f"CREATE TABLE u (id int PRIMARY KEY, n int); INSERT INTO u SELECT i, 0 FROM {server.dialect.series(1, 1000)};"
               "GRANT ALL ON u TO backfill")
    jobs = [increment(), increment("public.u")]
    for job in jobs:
        daemon.submit(job, "--start")
    daemon.ctl("wait", *[job.id for job in jobs], "--timeout", "60s", check=0)
    assert values(server, db) == {1: 1000}
    assert server.sql(db, "SELECT n, count(*) FROM u GROUP BY n") == [(1, 1000)]


def test_production_asks_for_the_database_s_name(server, db, make_daemon, table):
    daemon = make_daemon(target={"environment": "production"}).start().init()
    job = increment()
    result = daemon.submit(job, check=65)
    assert "production" in result.stderr and "--confirm" in result.stderr
    result = daemon.submit(job, "--confirm", "elsewhere", check=65)
    assert db in result.stderr and "elsewhere" in result.stderr
    assert daemon.ctl_json("list") == []
    daemon.submit(job, "--confirm", db, "--start")
    daemon.wait_done(job)
    assert values(server, db) == {1: 1000}


def test_list_refuses_a_state_that_does_not_exist(daemon):
    result = daemon.ctl("list", "--state", "bogus", check=64)
    assert "bogus" in result.stderr and "paused" in result.stderr
