"""The table changes under a running job: a pause that says so, never work on something else."""

import pytest

from jobs import increment
from waiting import wait_for

ROWS = 20000


def create(server, db, table="t"):
    server.sql(db, f"""CREATE TABLE {table} (id int PRIMARY KEY, n int NOT NULL DEFAULT 0);
        INSERT INTO {table} SELECT i, 0 FROM {server.dialect.series(1, ROWS)}; GRANT SELECT, UPDATE ON {table} TO backfill""")


def counts(server, db, table="t"):
    return {n: count for n, count in server.sql(db, f"SELECT n, count(*) FROM {table} GROUP BY n")}


@pytest.fixture
def job(server, db, daemon):
    create(server, db)
    job = increment(batch={"delay": "20ms"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 2)
    return job


def tells_apart(server, db):
    """InnoDB writes down in which second a table was made."""
    wait_for(lambda: server.value(db, server.dialect.is_of_the_past("t")), 5, "the next second")


def test_another_table_of_the_same_name_is_not_touched(server, db, daemon, job):
    tells_apart(server, db)
    create(server, db, "t_new")
    server.sql(db, server.dialect.swap("t", "t_new", "t_old"))
    reason = daemon.wait_state(job, "paused", 10)["reason"]
    assert "public.t" in reason
    assert counts(server, db) == {0: ROWS}


def test_a_dropped_table_pauses(server, db, daemon, job):
    server.sql(db, "DROP TABLE t")
    assert server.dialect.does_not_exist in daemon.wait_state(job, "paused", 10)["reason"]


def test_a_renamed_column_pauses_and_the_work_goes_on_after_repair(server, db, daemon, job):
    server.sql(db, "ALTER TABLE t RENAME COLUMN n TO m")
    assert server.dialect.no_such_column in daemon.wait_state(job, "paused", 10)["reason"]
    server.sql(db, "ALTER TABLE t RENAME COLUMN m TO n")
    daemon.ctl("resume", job.id, check=0)
    daemon.hurry_to_the_end(job)
    assert counts(server, db) == {1: ROWS}


def test_a_revoked_privilege_pauses(server, db, daemon, job):
    server.sql(db, "REVOKE UPDATE ON t FROM backfill")
    assert server.dialect.denied in daemon.wait_state(job, "paused", 10)["reason"]


def test_truncate_leaves_nothing_to_do(server, db, daemon, job):
    """Where a table is another one behind it, and the server tells of that in time, a person says that it is the same."""
    server.sql(db, "TRUNCATE TABLE t")
    ended = wait_for(lambda: (lambda state: state if state != "running" else None)(daemon.progress(job)[0]), 10, lambda: f"the end; {daemon.show(job)}")
    if server.dialect.built_anew_is_another and ended == "paused":
        assert "was built anew, or replaced" in daemon.show(job)["reason"]
        daemon.ctl("resume", job.id, check=0)
    wait_for(lambda: daemon.progress(job)[0] == "completed", 10, lambda: f"the end; {daemon.show(job)}")


def test_a_table_that_is_built_anew_needs_no_more_than_a_resume(server, db, daemon, job):
    tells_apart(server, db)
    server.sql(db, server.dialect.rebuild("t"))
    if server.dialect.built_anew_is_another:
        reason = daemon.wait_state(job, "paused", 10)["reason"]
        assert "public.t: the table was built anew, or replaced" in reason and "ALTER or OPTIMIZE, resume" in reason
        server.sql(db, server.dialect.rebuild("t"))  # not the one that was told of
        daemon.ctl("resume", job.id, check=0)
        assert "was built anew" in wait_for(lambda: (lambda r: r if r and r != reason else None)(daemon.show(job)["reason"]), 10, "another reason")
        daemon.ctl("resume", job.id, check=0)
    daemon.hurry_to_the_end(job)
    assert counts(server, db) == {1: ROWS}


def create_partitioned(server, db):
    ranges = server.dialect.ranges("p", "id", {"p1": (1, 300), "p2": (300, 600)})
    server.sql(db, f"""CREATE TABLE p (id int PRIMARY KEY, n int NOT NULL DEFAULT 0) {ranges};
        INSERT INTO p SELECT i, 0 FROM {server.dialect.series(1, 599)}""")
    server.grant_on_all_tables(db, "ALL")


BETWEEN = {  # submit and start: engines: (table, change, what is said of it)
    ("postgresql",): [
        ("t", "ALTER TABLE t RENAME TO t_old; CREATE TABLE t (id int PRIMARY KEY, n int); GRANT ALL ON t TO backfill", "public.t "),
        ("t", "DROP TABLE t", "public.t is gone"),
        ("p", "CREATE TABLE p3 PARTITION OF p DEFAULT; INSERT INTO p VALUES (900, 0); GRANT ALL ON p3 TO backfill", "public.p3 "),
        ("p", "ALTER TABLE p DETACH PARTITION p1", "public.p1 is gone"),
    ],
    ("mariadb", "mysql"): [
        ("t", "DROP TABLE t", "public.t: the table is gone"),
        ("t", "ALTER TABLE t ENGINE = MyISAM", "engine is MyISAM now"),
        ("t", "ALTER TABLE t DROP COLUMN id", "column id is gone"),
        ("t", "ALTER TABLE t MODIFY id bigint", "column id has the type bigint"),
        ("p", "ALTER TABLE p ADD PARTITION (PARTITION p3 VALUES LESS THAN (1000)); INSERT INTO p VALUES (900, 0)", "partition p3 came after"),
        ("p", "ALTER TABLE p DROP PARTITION p1", "partition p1 is gone"),
    ],
}


@pytest.mark.parametrize("table, alter, told", [pytest.param(*case, marks=pytest.mark.engine(*engines)) for engines, cases in BETWEEN.items() for case in cases])
def test_what_has_changed_between_submit_and_start_pauses(server, db, daemon, table, alter, told):
    (create if table == "t" else create_partitioned)(server, db)
    job = increment(f"public.{table}")
    daemon.submit(job)
    server.sql(db, alter)
    daemon.ctl("start", job.id, check=0)
    assert told in daemon.wait_state(job, "paused", 10)["reason"]
    daemon.ctl("resume", job.id, check=0)
    assert told in daemon.wait_state(job, "paused", 10)["reason"]
    daemon.ctl("cancel", job.id, check=0)


def create_partitioned(server, db):
    ranges = server.dialect.ranges("p", "id", {"p1": (1, 300), "p2": (300, 600)})
    server.sql(db, f"""CREATE TABLE p (id int PRIMARY KEY, n int NOT NULL DEFAULT 0) {ranges};
        INSERT INTO p SELECT i, 0 FROM {server.dialect.series(1, 599)}""")
    server.grant_on_all_tables(db, "ALL")


def reconnect(server, db, daemon):
    """The job claims again, and so looks again at its table."""
    claims = daemon.log().count("claimed, epoch")
    server.terminate_backends_of(db)
    wait_for(lambda: daemon.log().count("claimed, epoch") > claims or "pauses:" in daemon.log(), 15, lambda: daemon.log())


def resume(server, daemon, job):
    """The person who altered the table knows that it is the same."""
    daemon.ctl("resume", job.id, check=0)
    if server.dialect.built_anew_is_another:
        assert "was built anew, or replaced" in daemon.wait_state(job, "paused", 10)["reason"]
        daemon.ctl("resume", job.id, check=0)


def test_another_type_of_the_key_pauses_at_once_and_the_work_goes_on_when_it_is_back(server, db, daemon, job):
    server.sql(db, server.dialect.change_type("t", "id", "bigint"))
    reason = daemon.wait_state(job, "paused", 10)["reason"]
    assert "column id has the type bigint" in reason and "now, int" in reason and "put it back and resume" in reason
    done = counts(server, db)
    daemon.ctl("resume", job.id, check=0)
    assert "bigint" in daemon.wait_state(job, "paused", 10)["reason"]
    assert counts(server, db) == done
    server.sql(db, server.dialect.change_type("t", "id", "int"))
    resume(server, daemon, job)
    daemon.hurry_to_the_end(job)
    assert counts(server, db) == {1: ROWS}


def test_what_does_not_touch_the_key_is_no_matter(server, db, daemon, job):
    """Nor builds the table anew."""
    server.sql(db, f"ALTER TABLE t ADD note varchar(10); {server.dialect.harmless}; CREATE INDEX by_n ON t (n); ALTER TABLE t ALTER n SET DEFAULT 7")
    reconnect(server, db, daemon)
    daemon.hurry_to_the_end(job)
    assert counts(server, db) == {1: ROWS}
    assert "the table has changed" not in daemon.log() and "pauses:" not in daemon.log()


@pytest.mark.engine("mariadb", "mysql")
@pytest.mark.parametrize("alter, told", [
    ("MODIFY id varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "has the collation utf8mb4_bin now, utf8mb4_general_ci when"),
    ("DROP PRIMARY KEY, DROP COLUMN id", "column id is gone"),
    ("ENGINE = MyISAM", "engine is MyISAM now"),
])
def test_a_key_of_texts_that_is_altered_pauses(server, db, daemon, alter, told):
    server.sql(db, f"""CREATE TABLE t (id varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY, n int NOT NULL DEFAULT 0);
        INSERT INTO t SELECT concat(IF(i % 2, 'a', 'B'), i), 0 FROM {server.dialect.series(1, ROWS)}; GRANT SELECT, UPDATE ON t TO backfill""")
    job = increment(batch={"delay": "20ms"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 2)
    server.sql(db, f"ALTER TABLE t {alter}")
    # By what the server or we say of it, whichever comes first; without its index a batch first runs into its time-out, five times.
    daemon.wait_state(job, "paused", 60)
    done = counts(server, db)
    daemon.ctl("resume", job.id, check=0)
    assert told in daemon.wait_state(job, "paused", 10)["reason"]
    assert counts(server, db) == done


@pytest.mark.engine("mariadb", "mysql")
def test_another_engine_in_the_second_in_which_the_table_was_made(server, db, daemon):
    """The time of its making is the same. A server that enforces GTID consistency refuses the batch before we do."""
    wait_for(lambda: server.value(db, "SELECT MICROSECOND(NOW(6)) < 100000"), 5, "the next second")
    server.sql(db, f"""CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0);
        INSERT INTO t SELECT i, 0 FROM {server.dialect.series(1, 200)}; GRANT SELECT, UPDATE ON t TO backfill""")
    job = increment(batch={"rows": 100, "delay": "2s"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 1)
    server.sql(db, "ALTER TABLE t ENGINE = MyISAM")
    reason = daemon.wait_state(job, "paused", 10)["reason"]
    if "GTID consistency" in reason:
        daemon.ctl("resume", job.id, check=0)
        reason = daemon.wait_state(job, "paused", 10)["reason"]
    assert "engine is MyISAM now" in reason


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
    daemon.hurry_to_the_end(text_job)
    assert pg.sql(db, "SELECT n, count(*)::int FROM t GROUP BY n") == [(1, 5000)]


def test_another_version_of_the_collation_pauses(pg, db, daemon, text_job):
    pg.sql(db, """UPDATE backfill.job SET shape = jsonb_set(shape, '{key,0,collation_version}', '"1.0"')""")
    reconnect(pg, db, daemon)
    reason = daemon.wait_state(text_job, "paused", 10)["reason"]
    assert "of the collation pg_catalog.en-x-icu now, 1.0 when" in reason


def test_what_an_older_version_stored_is_not_known_and_no_reason_to_pause(pg, db, daemon, text_job):
    pg.sql(db, "UPDATE backfill.job SET shape = shape #- '{key,0,collation}' #- '{key,0,collation_version}'")
    reconnect(pg, db, daemon)
    daemon.hurry_to_the_end(text_job)
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
def partitioned_job(server, db, daemon):
    """In the middle of its second leaf."""
    create_partitioned(server, db)
    job = increment("public.p", batch={"delay": "300ms"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 4)
    return job


def test_partitions_that_come_or_are_done_with_after_the_start_don_t_matter(server, db, daemon, partitioned_job):
    server.sql(db, server.dialect.add_range("p", "p3", 600, 1000) + "; INSERT INTO p VALUES (900, 0)")
    server.grant_on_all_tables(db, "ALL")
    server.sql(db, server.dialect.drop_partition("p", "p1"))
    reconnect(server, db, daemon)
    daemon.hurry_to_the_end(partitioned_job)
    assert [tuple(row) for row in server.sql(db, "SELECT id >= 600, n, count(*) FROM p GROUP BY 1, 2 ORDER BY 1")] == [(0, 1, 300), (1, 0, 1)]
    assert "p3 came after its start" in daemon.log()


def test_a_leaf_that_is_detached_before_it_is_done_pauses_until_it_is_back(pg, db, daemon, partitioned_job):
    pg.sql(db, "ALTER TABLE p DETACH PARTITION p2")
    reconnect(pg, db, daemon)
    assert "public.p2 is gone" in daemon.wait_state(partitioned_job, "paused", 10)["reason"]
    pg.sql(db, "ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (300) TO (600)")
    daemon.ctl("resume", partitioned_job.id, check=0)
    daemon.hurry_to_the_end(partitioned_job)
    assert counts(pg, db, "p") == {1: 599}


@pytest.mark.engine("mariadb", "mysql")
def test_a_partition_whose_rows_are_exchanged_pauses(server, db, daemon, partitioned_job):
    """At the next claim, where the server tells of it no earlier; and as rows that come and go until then."""
    server.sql(db, "CREATE TABLE other (id int PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO other VALUES (590, 0)")
    exchange = "ALTER TABLE p EXCHANGE PARTITION p2 WITH TABLE other"
    server.sql(db, exchange)
    reconnect(server, db, daemon)
    assert "partition p2 was built anew, or replaced" in daemon.wait_state(partitioned_job, "paused", 10)["reason"]
    server.sql(db, exchange)
    daemon.ctl("resume", partitioned_job.id, check=0)
    daemon.hurry_to_the_end(partitioned_job)
    assert counts(server, db, "p") == {1: 599}


@pytest.mark.engine("mariadb", "mysql")
@pytest.mark.parametrize("alter", ["REBUILD PARTITION p2", "FORCE"])
def test_a_partition_that_is_built_anew_needs_no_more_than_a_resume(server, db, daemon, partitioned_job, alter):
    server.sql(db, f"ALTER TABLE p {alter}")
    reconnect(server, db, daemon)
    assert "partition p2 was built anew, or replaced" in daemon.wait_state(partitioned_job, "paused", 10)["reason"]
    daemon.ctl("resume", partitioned_job.id, check=0)
    daemon.hurry_to_the_end(partitioned_job)
    assert counts(server, db, "p") == {1: 599}


@pytest.mark.engine("mariadb", "mysql")
@pytest.mark.parametrize("alter", ["DROP PARTITION p2", "REMOVE PARTITIONING"])
def test_a_partition_that_is_gone_pauses(server, db, daemon, partitioned_job, alter):
    server.sql(db, f"ALTER TABLE p {alter}")
    daemon.wait_state(partitioned_job, "paused", 10)
    daemon.ctl("resume", partitioned_job.id, check=0)
    assert "partition p2 is gone" in daemon.wait_state(partitioned_job, "paused", 10)["reason"]


def test_a_partition_that_comes_while_the_start_waits_for_a_writer_pauses(server, db, daemon):
    """The claim has looked before it came; the freeze looks again."""
    create_partitioned(server, db)
    server.sql(db, "CREATE TABLE other (id int)")
    job = increment("public.p")
    daemon.submit(job)
    with server.connect(db, autocommit=False) as writer:
        writer.cursor().execute("INSERT INTO other VALUES (1)")
        daemon.ctl("start", job.id, check=0)
        wait_for(lambda: daemon.show(job)["throttle"]["probe"] == "writers", 10, lambda: daemon.show(job))
        server.sql(db, server.dialect.add_range("p", "p3", 600, 1000))
    assert "p3 came after the job was submitted" in daemon.wait_state(job, "paused", 10)["reason"]
    assert server.value(db, "SELECT count(*) FROM backfill.segment") == 0


@pytest.mark.parametrize("shift", range(4))
def test_a_long_error_in_any_script_pauses_and_is_shown(server, db, daemon, shift):
    """Wherever the message and the keys are cut, what is stored and shown stays UTF-8."""
    server.sql(db, f"""CREATE TABLE t (id varchar(200) PRIMARY KEY, n int NOT NULL DEFAULT 0); GRANT SELECT, UPDATE ON t TO backfill;
        INSERT INTO t SELECT repeat('€', 100 + i), 0 FROM {server.dialect.series(1, 50)};
        {server.dialect.refusing("t", "x" * shift, 500)}""")
    job = increment(allow_triggers=True)
    daemon.submit(job, "--start")
    letters = server.dialect.letters
    assert letters * 2 in daemon.wait_state(job, "paused", 10)["reason"]
    assert any(letters in (event["reason"] or "") for event in daemon.ctl_json("events", job.id) if event["event"] == "batch.failed")
