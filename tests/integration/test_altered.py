"""The table changes under a running job: a pause that says so, never work on something else."""

import pytest

from jobs import increment
from waiting import wait_for

ROWS = 20000
CREATE = f"""CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0);
    INSERT INTO t SELECT i, 0 FROM generate_series(1, {ROWS}) i; GRANT SELECT, UPDATE ON t TO backfill;"""


@pytest.fixture
def job(pg, db, daemon):
    pg.sql(db, CREATE)
    job = increment(batch={"delay": "20ms"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 2)
    return job


def test_another_table_of_the_same_name_is_not_touched(pg, db, daemon, job):
    pg.sql(db, f"BEGIN; ALTER TABLE t RENAME TO t_old; {CREATE.replace('PRIMARY KEY', 'CONSTRAINT t_new PRIMARY KEY')} COMMIT")
    reason = daemon.wait_state(job, "paused", 10)["reason"]
    assert "public.t" in reason
    assert pg.value(db, "SELECT count(*)::int FROM t WHERE n > 0") == 0


def test_a_dropped_table_pauses(pg, db, daemon, job):
    pg.sql(db, "DROP TABLE t")
    assert "does not exist" in daemon.wait_state(job, "paused", 10)["reason"]


def test_a_renamed_column_pauses_and_the_work_goes_on_after_repair(pg, db, daemon, job):
    pg.sql(db, "ALTER TABLE t RENAME n TO m")
    assert "does not exist" in daemon.wait_state(job, "paused", 10)["reason"]
    pg.sql(db, "ALTER TABLE t RENAME m TO n")
    daemon.ctl("resume", job.id, check=0)
    daemon.ctl("set", job.id, "batch.delay=0ms", "batch.rows=5000", check=0)
    daemon.wait_done(job)
    assert pg.sql(db, "SELECT n, count(*)::int FROM t GROUP BY n") == [(1, ROWS)]


def test_a_revoked_privilege_pauses(pg, db, daemon, job):
    pg.sql(db, "REVOKE UPDATE ON t FROM backfill")
    assert "permission denied" in daemon.wait_state(job, "paused", 10)["reason"]


def test_truncate_leaves_nothing_to_do(pg, db, daemon, job):
    pg.sql(db, "TRUNCATE t")
    wait_for(lambda: daemon.progress(job)[0] == "completed", 10, lambda: f"the end; {daemon.show(job)}")


PARTITIONED = """CREATE TABLE p (id int PRIMARY KEY, n int NOT NULL DEFAULT 0) PARTITION BY RANGE (id);
    CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (300); CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (300) TO (600);
    INSERT INTO p SELECT i, 0 FROM generate_series(1, 599) i; GRANT ALL ON p, p1, p2 TO backfill"""


@pytest.mark.parametrize("table, create, alter, leaf", [
    ("t", CREATE, "ALTER TABLE t RENAME TO t_old; CREATE TABLE t (id int PRIMARY KEY, n int); GRANT ALL ON t TO backfill", "public.t "),
    ("t", CREATE, "DROP TABLE t", "public.t is gone"),
    ("p", PARTITIONED, "CREATE TABLE p3 PARTITION OF p DEFAULT; INSERT INTO p VALUES (900, 0); GRANT ALL ON p3 TO backfill", "public.p3 "),
    ("p", PARTITIONED, "ALTER TABLE p DETACH PARTITION p1", "public.p1 is gone"),
])
def test_what_has_changed_between_submit_and_start_pauses(pg, db, daemon, table, create, alter, leaf):
    pg.sql(db, create)
    job = increment(f"public.{table}")
    daemon.submit(job)
    pg.sql(db, alter)
    daemon.ctl("start", job.id, check=0)
    assert leaf in daemon.wait_state(job, "paused", 10)["reason"]
    daemon.ctl("resume", job.id, check=0)
    assert leaf in daemon.wait_state(job, "paused", 10)["reason"]
    daemon.ctl("cancel", job.id, check=0)


@pytest.mark.parametrize("shift", range(4))
def test_a_long_error_in_any_script_pauses_and_is_shown(pg, db, daemon, shift):
    """Wherever the message and the keys are cut, what is stored and shown stays UTF-8."""
    pg.sql(db, f"""CREATE TABLE t (id text PRIMARY KEY, n int NOT NULL DEFAULT 0); GRANT SELECT, UPDATE ON t TO backfill;
        INSERT INTO t SELECT repeat('€', 100 + i), 0 FROM generate_series(1, 50) i;
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION '{"x" * shift}%', repeat('ä€😀', 500); END $$;
        CREATE TRIGGER refuse BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION refuse()""")
    job = increment(allow_triggers=True)
    daemon.submit(job, "--start")
    assert "ä€😀ä€😀" in daemon.wait_state(job, "paused", 10)["reason"]
    assert any("ä€😀" in (event["reason"] or "") for event in daemon.ctl_json("events", job.id) if event["event"] == "batch.failed")
