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


def reconnect(pg, db, daemon):
    """The job claims again, and so looks again at its table."""
    claims = daemon.log().count("claimed, epoch")
    pg.terminate_backends_of(db)
    wait_for(lambda: daemon.log().count("claimed, epoch") > claims or "pauses:" in daemon.log(), 15, lambda: daemon.log())


def hurry_to_the_end(daemon, job):
    daemon.ctl("set", job.id, "batch.delay=0ms", "batch.rows=5000", check=0)
    daemon.wait_done(job)


def test_another_type_of_the_key_pauses_at_once_and_the_work_goes_on_when_it_is_back(pg, db, daemon, job):
    pg.sql(db, "ALTER TABLE t ALTER id TYPE bigint")
    reason = daemon.wait_state(job, "paused", 10)["reason"]
    assert "column id has the type bigint now, integer when" in reason and "put it back and resume" in reason
    done = pg.value(db, "SELECT count(*)::int FROM t WHERE n > 0")
    daemon.ctl("resume", job.id, check=0)
    assert "bigint" in daemon.wait_state(job, "paused", 10)["reason"]
    assert pg.value(db, "SELECT count(*)::int FROM t WHERE n > 0") == done
    pg.sql(db, "ALTER TABLE t ALTER id TYPE int")
    daemon.ctl("resume", job.id, check=0)
    hurry_to_the_end(daemon, job)
    assert pg.sql(db, "SELECT n, count(*)::int FROM t GROUP BY n") == [(1, ROWS)]


def test_what_does_not_touch_the_key_is_no_matter(pg, db, daemon, job):
    pg.sql(db, "ALTER TABLE t ADD note text; ALTER TABLE t ALTER n TYPE bigint; CREATE INDEX ON t (n); ALTER TABLE t ALTER n SET DEFAULT 7")
    reconnect(pg, db, daemon)
    hurry_to_the_end(daemon, job)
    assert "the table has changed" not in daemon.log()


TEXT_KEY = """CREATE TABLE t (id text COLLATE "en-x-icu" PRIMARY KEY, n int NOT NULL DEFAULT 0); GRANT SELECT, UPDATE ON t TO backfill;
    INSERT INTO t SELECT CASE i % 2 WHEN 0 THEN 'a' ELSE 'B' END || i, 0 FROM generate_series(1, 5000) i"""


@pytest.fixture
def text_job(pg, db, daemon):
    pg.sql(db, TEXT_KEY)
    job = increment(batch={"delay": "20ms"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 2)
    return job


def test_another_collation_of_the_key_pauses_before_anything_is_done_in_its_order(pg, db, daemon, text_job):
    pg.sql(db, 'ALTER TABLE t ALTER id TYPE text COLLATE "C"')
    done = pg.value(db, "SELECT count(*)::int FROM t WHERE n > 0")
    reason = daemon.wait_state(text_job, "paused", 10)["reason"]
    assert "column id has the collation pg_catalog.C now, pg_catalog.en-x-icu when" in reason
    assert pg.value(db, "SELECT count(*)::int FROM t WHERE n > 0") == done
    pg.sql(db, 'ALTER TABLE t ALTER id TYPE text COLLATE "en-x-icu"')
    daemon.ctl("resume", text_job.id, check=0)
    hurry_to_the_end(daemon, text_job)
    assert pg.sql(db, "SELECT n, count(*)::int FROM t GROUP BY n") == [(1, 5000)]


def test_another_version_of_the_collation_pauses(pg, db, daemon, text_job):
    pg.sql(db, """UPDATE backfill.job SET shape = jsonb_set(shape, '{key,0,collation_version}', '"1.0"')""")
    reconnect(pg, db, daemon)
    reason = daemon.wait_state(text_job, "paused", 10)["reason"]
    assert "of the collation pg_catalog.en-x-icu now, 1.0 when" in reason


def test_what_an_older_version_stored_is_not_known_and_no_reason_to_pause(pg, db, daemon, text_job):
    pg.sql(db, "UPDATE backfill.job SET shape = shape #- '{key,0,collation}' #- '{key,0,collation_version}'")
    reconnect(pg, db, daemon)
    hurry_to_the_end(daemon, text_job)
    assert pg.sql(db, "SELECT n, count(*)::int FROM t GROUP BY n") == [(1, 5000)]


def test_the_database_s_own_collation(pg, db, make_daemon):
    name = f"{db}_icu"
    pg.sql("postgres", f"CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en'")
    pg.sql("postgres", f"GRANT CREATE ON DATABASE {name} TO backfill_owner")
    pg.sql(name, TEXT_KEY.replace(' COLLATE "en-x-icu"', ""))
    daemon = make_daemon(db=name).start().init()
    job = increment(batch={"delay": "20ms"})
    pg.sql(name, "UPDATE pg_database SET datcollversion = '1.0' WHERE datname = current_database()")
    assert "REFRESH COLLATION VERSION" in daemon.submit(job, check=65).stderr
    pg.sql(name, f"ALTER DATABASE {name} REFRESH COLLATION VERSION")
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 2)
    key = pg.value(name, "SELECT shape -> 'key' -> 0 FROM backfill.job")
    assert key["collation"] == "default (en)" and key["collation_version"]
    pg.sql(name, """UPDATE backfill.job SET shape = jsonb_set(shape, '{key,0,collation_version}', '"1.0"')""")
    reconnect(pg, name, daemon)
    assert "of the collation default (en) now, 1.0 when" in daemon.wait_state(job, "paused", 10)["reason"]
    daemon.terminate()
    pg.drop_database(name)


@pytest.fixture
def partitioned_job(pg, db, daemon):
    """In the middle of its second leaf."""
    pg.sql(db, PARTITIONED)
    job = increment("public.p", batch={"delay": "300ms"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 4)
    return job


def test_partitions_that_come_or_are_done_with_after_the_start_don_t_matter(pg, db, daemon, partitioned_job):
    pg.sql(db, "CREATE TABLE p3 PARTITION OF p DEFAULT; INSERT INTO p VALUES (900, 0); GRANT ALL ON p3 TO backfill; DROP TABLE p1")
    reconnect(pg, db, daemon)
    hurry_to_the_end(daemon, partitioned_job)
    assert pg.sql(db, "SELECT tableoid::regclass::text, n, count(*)::int FROM p GROUP BY 1, 2 ORDER BY 1") == [("p2", 1, 300), ("p3", 0, 1)]
    assert "public.p3 came after its start" in daemon.log()


def test_a_leaf_that_is_detached_before_it_is_done_pauses_until_it_is_back(pg, db, daemon, partitioned_job):
    pg.sql(db, "ALTER TABLE p DETACH PARTITION p2")
    reconnect(pg, db, daemon)
    assert "public.p2 is gone" in daemon.wait_state(partitioned_job, "paused", 10)["reason"]
    pg.sql(db, "ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (300) TO (600)")
    daemon.ctl("resume", partitioned_job.id, check=0)
    hurry_to_the_end(daemon, partitioned_job)
    assert pg.sql(db, "SELECT n, count(*)::int FROM p GROUP BY n") == [(1, 599)]


def test_a_partition_that_comes_while_the_start_waits_for_a_writer_pauses(pg, db, daemon):
    """The claim has looked before it came; the freeze looks again."""
    pg.sql(db, PARTITIONED + "; CREATE TABLE other (id int)")
    job = increment("public.p")
    daemon.submit(job)
    with pg.connect(db, autocommit=False) as writer:
        writer.cursor().execute("INSERT INTO other VALUES (1)")
        daemon.ctl("start", job.id, check=0)
        wait_for(lambda: daemon.show(job)["throttle"]["probe"] == "writers", 10, lambda: daemon.show(job))
        pg.sql(db, "CREATE TABLE p3 PARTITION OF p DEFAULT")
    assert "public.p3 came after the job was submitted" in daemon.wait_state(job, "paused", 10)["reason"]
    assert pg.value(db, "SELECT count(*)::int FROM backfill.segment") == 0


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
