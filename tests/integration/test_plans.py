"""The server changes its mind under a running job: a pause that says what it would read, not a scan of the table for each batch."""

import pytest

from jobs import increment
from waiting import wait_for

ROWS = 20000
COMPOSITE = ["a", "b"]


def create(server, db, rows=ROWS):
    server.sql(db, f"""CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL, b int NOT NULL, n int NOT NULL DEFAULT 0);
        INSERT INTO t SELECT i, i % 3, i, 0 FROM {server.dialect.series(1, rows)}; CREATE UNIQUE INDEX u ON t (a, b);
        GRANT SELECT, UPDATE ON t TO backfill""")


def counts(server, db):
    return {n: count for n, count in server.sql(db, "SELECT n, count(*) FROM t GROUP BY n")}


def assert_paused_for_its_plan(daemon, job):
    shown = daemon.wait_state(job, "paused", 20)
    assert "the plan has changed since the job was submitted: the " in shown["reason"] and "beyond its range each time" in shown["reason"]
    assert "give the key its index back, and resume" in shown["reason"] and shown["batches"]["failed"] == 0


def resume_in_vain(server, db, daemon, job):
    done = counts(server, db)
    daemon.ctl("resume", job.id, check=0)
    assert_paused_for_its_plan(daemon, job)
    assert counts(server, db) == done


def repair_and_finish(server, db, daemon, job):
    server.sql(db, server.dialect.replace_index("t", "u", "a, b"))
    server.analyze(db, "t")
    daemon.ctl("resume", job.id, check=0)
    daemon.ctl("set", job.id, "batch.delay=0ms", "batch.rows=2000", check=0)
    daemon.wait_done(job)
    assert counts(server, db) == {1: ROWS}


def reconnect(server, db, daemon):
    claims = daemon.log().count("claimed, epoch")
    server.terminate_backends_of(db)
    wait_for(lambda: daemon.log().count("claimed, epoch") > claims or "pauses:" in daemon.log(), 15, lambda: daemon.log())
    daemon.wait_up()


def scan_takes(pg, db, seconds):
    """Whoever reads the row of id 1, which is done with by then, waits; the planner puts this before all other conditions."""
    pg.sql(db, f"""CREATE FUNCTION slow(id int) RETURNS boolean LANGUAGE sql VOLATILE COST 0.000001 AS
        $$ SELECT CASE WHEN id = 1 AND (SELECT n FROM t WHERE t.id = 1) = 1 THEN pg_sleep({seconds}) IS NOT NULL ELSE true END $$""")


@pytest.mark.engine("postgresql")
@pytest.mark.parametrize("seconds", [0.3, 60], ids=["slow", "time-out"])
def test_an_index_that_is_dropped_pauses_when_the_batches_get_slow(server, db, daemon, seconds):
    """Within two slow batches, or at the first that runs into its time-out."""
    create(server, db)
    scan_takes(server, db, seconds)
    job = increment(key=COMPOSITE, where="public.slow(id)", batch={"delay": "20ms"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 80)
    server.sql(db, server.dialect.spoil_index("t", "u", "b, a"))
    done = daemon.batches(job)
    assert_paused_for_its_plan(daemon, job)
    assert daemon.batches(job) <= done + 3
    resume_in_vain(server, db, daemon, job)
    repair_and_finish(server, db, daemon, job)


def test_another_index_of_the_key_s_name_pauses_when_the_job_claims_again(server, db, daemon):
    create(server, db)
    job = increment(key=COMPOSITE, batch={"delay": "50ms"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 2)
    server.sql(db, server.dialect.spoil_index("t", "u", "b, a"))
    reconnect(server, db, daemon)
    assert_paused_for_its_plan(daemon, job)
    resume_in_vain(server, db, daemon, job)
    repair_and_finish(server, db, daemon, job)


def test_an_index_that_is_worse_at_the_start_than_it_was_at_submit(server, db, daemon):
    create(server, db)
    job = increment(key=COMPOSITE)
    daemon.submit(job)
    server.sql(db, server.dialect.spoil_index("t", "u", "b, a"))
    daemon.ctl("start", job.id, check=0)
    assert_paused_for_its_plan(daemon, job)
    assert counts(server, db) == {0: ROWS}
    repair_and_finish(server, db, daemon, job)


def test_batches_that_get_slow_with_a_good_plan_go_on(server, db, daemon):
    """One look, and no other for a minute."""
    create(server, db, 3000)
    server.sql(db, server.dialect.dawdle("t", "NEW.b > 1500 AND NEW.b % 50 = 0", 0.2))
    job = increment(key=COMPOSITE, allow_triggers=True)
    daemon.submit(job, "--start")
    daemon.wait_done(job)
    assert counts(server, db) == {1: 3000}
    assert daemon.log().count("batches take much longer than they did; their plan is fine") == 1


def test_what_was_consented_to_is_no_reason_to_pause(server, db, daemon):
    create(server, db)
    job = increment(key=COMPOSITE, allow_no_index=True, batch={"delay": "20ms"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 2)
    server.sql(db, server.dialect.spoil_index("t", "u", "b, a"))
    reconnect(server, db, daemon)
    daemon.ctl("set", job.id, "batch.delay=0ms", "batch.rows=2000", check=0)
    daemon.wait_done(job)
    assert counts(server, db) == {1: ROWS}
