"""The server changes its mind under a running job: a pause that says what it would read, not a scan of the table for each batch."""

import pytest

from jobs import increment
from server import execute
from waiting import wait_for

ROWS = 120000  # a table that is too large to be read in full
COMPOSITE = ["a", "b"]


def create(server, db, rows=ROWS):
    server.sql(db, f"""CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL, b int NOT NULL, n int NOT NULL DEFAULT 0);
        INSERT INTO t SELECT i, i % 3, i, 0 FROM {server.dialect.series(1, rows)}; CREATE UNIQUE INDEX u ON t (a, b);
        GRANT SELECT, UPDATE ON t TO backfill""")


def counts(server, db, table="t"):
    return {n: count for n, count in server.sql(db, f"SELECT n, count(*) FROM {table} GROUP BY n")}


def assert_paused_for_its_plan(daemon, job):
    shown = daemon.wait_state(job, "paused", 20)
    assert "the plan has changed since the job was submitted: the " in shown["reason"] and "beyond its range each time" in shown["reason"]
    assert "give the key its index back, or set a smaller batch.max_rows, and resume" in shown["reason"] and shown["batches"]["failed"] == 0


def resume_in_vain(server, db, daemon, job):
    done = counts(server, db)
    daemon.ctl("resume", job.id, check=0)
    assert_paused_for_its_plan(daemon, job)
    assert counts(server, db) == done


def repair_and_finish(server, db, daemon, job):
    server.sql(db, server.dialect.replace_index("t", "u", "a, b"))
    server.analyze(db, "t")
    daemon.ctl("resume", job.id, check=0)
    daemon.hurry_to_the_end(job)
    assert counts(server, db) == {1: ROWS}


def scan_takes(pg, db, seconds):
    """Whoever reads the row of id 3, the first by the key, when it is done with, waits; the planner puts this before all other conditions."""
    pg.sql(db, f"""CREATE FUNCTION slow(id int) RETURNS boolean LANGUAGE sql VOLATILE COST 0.000001 AS
        $$ SELECT CASE WHEN id = 3 AND (SELECT n FROM t WHERE t.id = 3) = 1 THEN pg_sleep({seconds}) IS NOT NULL ELSE true END $$""")


@pytest.mark.engine("postgresql")
@pytest.mark.parametrize("seconds", [0.3, 60], ids=["slow", "time-out"])
def test_an_index_that_is_dropped_pauses_when_the_batches_get_slow(server, db, daemon, seconds):
    """Within two slow batches, or at the first that runs into its time-out."""
    create(server, db)
    scan_takes(server, db, seconds)
    job = increment(key=COMPOSITE, where="public.slow(id)", batch={"delay": "20ms"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 20)
    server.sql(db, server.dialect.spoil_index("t", "u", "b, a"))
    done = daemon.batches(job)
    assert_paused_for_its_plan(daemon, job)
    assert daemon.batches(job) <= done + 3
    resume_in_vain(server, db, daemon, job)
    repair_and_finish(server, db, daemon, job)


@pytest.mark.engine("mariadb", "mysql")
def test_another_index_of_the_key_s_name_pauses(server, db, daemon):
    """The statements name it, and need no longer than they did while what is read needlessly is not much."""
    create(server, db)
    job = increment(key=COMPOSITE, batch={"delay": "50ms"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 2)
    wait_for(lambda: server.value(db, server.dialect.is_of_the_past("t")), 5, "the next second: of it the table's mark is made")
    server.sql(db, server.dialect.spoil_index("t", "u", "b, a"))
    done = daemon.batches(job)
    assert_paused_for_its_plan(daemon, job)
    assert daemon.batches(job) == done
    resume_in_vain(server, db, daemon, job)
    repair_and_finish(server, db, daemon, job)


@pytest.mark.parametrize("again", ["resumed", "restarted"])
def test_an_index_that_is_dropped_pauses_a_job_that_begins_again(server, db, daemon, again):
    create(server, db)
    job = increment(key=COMPOSITE, batch={"delay": "50ms"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 2)
    if again == "resumed":
        daemon.ctl("pause", job.id, check=0)
        daemon.wait_state(job, "paused")
    else:
        daemon.kill9()
    server.sql(db, server.dialect.spoil_index("t", "u", "b, a"))
    if again == "resumed":
        daemon.ctl("resume", job.id, check=0)
    else:
        daemon.start()
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


def test_a_bad_plan_is_not_forgotten_when_the_pause_fails(server, db, make_daemon):
    create(server, db)
    daemon = make_daemon().start(failpoints="plan_check.settings.before=stop").init()
    job = increment(key=COMPOSITE)
    daemon.submit(job)
    server.sql(db, server.dialect.spoil_index("t", "u", "b, a"))
    daemon.ctl("start", job.id, check=0)
    wait_for(lambda: daemon.process_state() == "T", 10, "the daemon to stop before it asks for the plan")
    with server.connect(db, autocommit=False) as other:
        execute(other, "SELECT 1 FROM backfill.job FOR UPDATE")
        daemon.sigcont()
        wait_for(lambda: "held: " in daemon.log(), 30, lambda: f"the claim behind the pause, which waits, too\n{daemon.log()}")
    assert_paused_for_its_plan(daemon, job)
    assert counts(server, db) == {0: ROWS}


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
    daemon.submit(job)
    server.sql(db, server.dialect.spoil_index("t", "u", "b, a"))
    daemon.ctl("start", job.id, check=0)
    daemon.hurry_to_the_end(job)
    assert counts(server, db) == {1: ROWS}


@pytest.mark.engine("postgresql")
def test_a_small_table_that_has_lost_its_statistics_is_worked_on(server, db, daemon):
    """Behind an ALTER the server would rather sort it than go by the index, until it is analysed."""
    server.sql(db, f"""CREATE TABLE s (id int PRIMARY KEY, n int NOT NULL DEFAULT 0) WITH (autovacuum_enabled = off);
        INSERT INTO s SELECT i, 0 FROM {server.dialect.series(1, 20000)}; ANALYZE s; GRANT SELECT, UPDATE ON s TO backfill""")
    job = increment("public.s", batch={"delay": "20ms"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 2)
    daemon.ctl("pause", job.id, check=0)
    daemon.wait_state(job, "paused")
    server.sql(db, "ALTER TABLE s ALTER id TYPE bigint; ALTER TABLE s ALTER id TYPE int")
    look_up = "EXPLAIN SELECT id FROM s WHERE id > 300 AND id <= 20000 ORDER BY id LIMIT 2 OFFSET 99"
    assert "Sort" in str(server.sql(db, look_up))
    done = daemon.batches(job)
    daemon.ctl("resume", job.id, check=0)
    daemon.wait_batches(job, done + 1)
    daemon.hurry_to_the_end(job)
    assert counts(server, db, "s") == {1: 20000}
