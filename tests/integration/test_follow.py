"""follow, and sweep: rounds behind the first one."""

import threading

import pytest

from jobs import Job, increment
from kept import kept_batches
from server import execute
from waiting import holds_for, wait_for
from writers import assert_exactly_once, create_counted_table

ROWS = 3000
SLOW = {"delay": "20ms"}


@pytest.fixture
def table(server, db):
    create_counted_table(server, db, ROWS)


def followed(batch=None, **keys):
    return increment(**{"follow": True, "allow_triggers": True, "batch": batch or SLOW, **keys})


def insert(server, db, first, last):
    server.sql(db, f"INSERT INTO t (id) SELECT i FROM {server.dialect.series(first, last)}")


def rounds(daemon, job):
    """The phases of its rounds, as the audit trail has them."""
    return [event["data"]["phase"] for event in daemon.ctl_json("events", job.id) if event["event"] == "job.round"]


def segments(server, db):
    """(number, round, after, through)"""
    return server.sql(db, f"SELECT number, round, {server.dialect.first_of('after_key')}, {server.dialect.first_of('through_key')}"
                      " FROM backfill.segment ORDER BY number")


@pytest.mark.parametrize("follow", [True, False])
def test_rows_that_come_while_it_runs(server, db, daemon, table, follow):
    job = followed(follow=follow)
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 1)
    insert(server, db, ROWS + 1, ROWS + 250)
    daemon.wait_done(job)
    assert_exactly_once(server, db, ROWS + 250 if follow else ROWS)
    if not follow:
        assert server.value(db, "SELECT count(*) FROM t WHERE n > 0") == ROWS
        assert (rounds(daemon, job), segments(server, db)) == (["full"], [(1, 1, None, ROWS)])
        return
    assert rounds(daemon, job) == ["full", "follow", "follow"]  # 250 rows are three batches, so it looks once more
    assert segments(server, db) == [(1, 1, None, ROWS), (2, 2, ROWS, ROWS + 250)]
    shown = daemon.show(job)
    assert (shown["phase"], shown["round"], shown["progress"]) == ("follow", 3, 1.0)
    assert shown["rows"]["scanned"] == shown["rows"]["changed"] == shown["rows"]["estimated"] == ROWS + 250
    assert "phase follow, round 3" in daemon.ctl("show", job.id, check=0).stdout


def test_a_writer_with_an_older_id_is_waited_for_while_others_go_on(server, db, daemon, table):
    job = followed()
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 1)
    insert(server, db, ROWS + 1, ROWS + 1)  # who reads for update on MySQL waits for the row behind its range, too
    with server.connect(db, autocommit=False) as older:
        execute(older, "INSERT INTO t (id) VALUES (%s)", (ROWS + 2,))
        insert(server, db, ROWS + 3, ROWS + 10)
        pid = f"pid {server.backend_pid(older)}"
        wait_for(lambda: pid in (daemon.show(job)["throttle"]["reason"] or ""), 20, lambda: f"a hold that names {pid}; {daemon.show(job)}")
        shown = daemon.show(job)
        assert (shown["phase"], shown["round"], shown["rows"]["estimated"]) == ("follow", 2, ROWS + 9)
        insert(server, db, ROWS + 11, ROWS + 20)
        holds_for(lambda: daemon.show(job)["rows"]["scanned"] == ROWS, 0.5, "nothing is done ahead of the writer")
        older.commit()
    daemon.wait_done(job)
    assert_exactly_once(server, db, ROWS + 10)
    assert rounds(daemon, job) == ["full", "follow"]


def test_a_writer_that_has_an_id_but_has_written_nothing_yet(pg, db, daemon):
    """A trigger keeps it between the two: no transaction id tells of it."""
    pg.sql(db, f"""CREATE TABLE t (id bigserial PRIMARY KEY, n int NOT NULL DEFAULT 0, slow boolean NOT NULL DEFAULT false);
        INSERT INTO t SELECT i FROM generate_series(1, {ROWS}) i; SELECT setval('t_id_seq', {ROWS});
        CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN IF new.slow THEN PERFORM pg_advisory_xact_lock(4711); END IF; RETURN new; END $$;
        CREATE TRIGGER keep BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION keep();
        GRANT SELECT, UPDATE ON t TO backfill; INSERT INTO t DEFAULT VALUES""")  # which logs 32 numbers of the sequence
    job = increment(batch={"rows": 1000})
    daemon.submit(job)
    with pg.connect(db) as writer, pg.connect(db) as keeper:
        execute(keeper, "SELECT pg_advisory_lock(4711)")
        insert = threading.Thread(target=execute, args=(writer, "INSERT INTO t (slow) VALUES (true)"), daemon=True)
        insert.start()
        pid = writer.info.backend_pid
        wait_for(lambda: pg.sql(db, "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
                                " AND backend_xid IS NULL", (pid,)), 10, "the writer to stand still")
        pg.sql(db, "INSERT INTO t DEFAULT VALUES")
        daemon.ctl("start", job.id, check=0)
        wait_for(lambda: f"pid {pid}" in (daemon.show(job)["throttle"]["reason"] or ""), 10, lambda: f"a hold that names {pid}; {daemon.show(job)}")
        execute(keeper, "SELECT pg_advisory_unlock(4711)")
        insert.join(10)
    daemon.wait_done(job)
    assert pg.sql(db, "SELECT n, count(*), max(id) FROM t GROUP BY n") == [(1, ROWS + 3, ROWS + 3)]


def test_a_writer_of_another_table_does_not_hold_the_end_when_nothing_is_new(server, db, daemon, table):
    server.sql(db, "CREATE TABLE other (id int)")
    job = followed()
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 1)
    with server.connect(db, autocommit=False) as writer:
        execute(writer, "INSERT INTO other VALUES (1)")
        daemon.wait_done(job)
    assert rounds(daemon, job) == ["full", "follow"]


POINTS = [f"{point}.{at}" for point in ("round.take", "round.segment", "round.event", "round.commit", "open.open", "open.commit")
          for at in ("before", "sent", "done")]


@pytest.mark.parametrize("nth", [2, 3])  # the follow round, and the sweep
@pytest.mark.parametrize("point", POINTS)
def test_killed_between_rounds(server, db, daemon, table, point, nth):
    daemon.terminate()
    daemon.start(f"{point}=kill@{nth}")
    job = followed({"delay": "0ms", "rows": 1000}, where="n = 0", sweep=True)
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 1)
    insert(server, db, ROWS + 1, ROWS + 5)
    daemon.wait_killed()
    daemon.start()
    daemon.wait_done(job)
    assert_exactly_once(server, db, ROWS + 5)
    phases = rounds(daemon, job)
    assert phases[0] == "full" and phases[-1] == "sweep" and set(phases[1:-1]) == {"follow"}
    assert server.value(db, "SELECT round FROM backfill.job") == len(phases)


def test_a_round_locks_nothing_of_the_job_before_it_takes_it(server, db, daemon, table):
    """A sign of life would wait for it, and then each for the other."""
    daemon.terminate()
    daemon.start("round.take.before=stop")
    job = followed()
    daemon.submit(job, "--start")
    daemon.wait_stopped()
    with server.connect(db) as other:
        execute(other, server.dialect.waits_at_most(1))
        execute(other, "UPDATE backfill.job SET running_ms = running_ms + 1")
    daemon.sigcont()
    daemon.wait_done(job)
    assert_exactly_once(server, db, ROWS)


def test_endless_growth_ends(server, db, daemon, table):
    over = threading.Event()

    def grow():
        with server.connect(db) as connection:
            next_id = ROWS
            while not over.wait(0.005):
                next_id += 1
                execute(connection, "INSERT INTO t (id) VALUES (%s)", (next_id,))
    site = threading.Thread(target=grow, daemon=True)
    site.start()
    try:
        job = followed()
        daemon.submit(job, "--start")
        daemon.wait_done(job)
    finally:
        over.set()
        site.join(10)
    through = segments(server, db)[-1][3]
    assert through > ROWS
    assert_exactly_once(server, db, through)
    assert server.value(db, "SELECT count(*) FROM t WHERE id > %s AND n > 0", (through,)) == 0


def test_follow_can_be_ended(server, db, daemon, table):
    """While it runs: the present round is the last."""
    job = followed()
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 1)
    insert(server, db, ROWS + 1, ROWS + 250)
    daemon.ctl("set", job.id, "follow=false", check=0)
    daemon.wait_done(job)
    assert rounds(daemon, job) == ["full"]
    assert server.value(db, "SELECT count(*) FROM t WHERE n > 0") == ROWS


def test_control_tables_of_version_2_are_upgraded_under_a_running_job(pg, db, daemon, table):
    job = increment(allow_triggers=True, batch=SLOW)
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 3)
    daemon.kill9()
    pg.sql(db, """ALTER TABLE backfill.segment DROP COLUMN round; ALTER TABLE backfill.job DROP COLUMN round;
        ALTER TABLE backfill.job DROP CONSTRAINT job_phase_check;
        ALTER TABLE backfill.job ADD CHECK (phase IN ('canary', 'full', 'verify', 'rollback'));
        UPDATE backfill.meta SET value = '2' WHERE name = 'schema_version'""")
    daemon.start()
    wait_for(lambda: daemon.ctl_json("targets")[0]["control_tables"] == "old", 10, "the daemon to look")
    daemon.init().init()
    daemon.wait_done(job)
    assert_exactly_once(pg, db, ROWS)
    assert segments(pg, db) == [(1, 1, None, ROWS)]
    daemon.run_job(increment(follow=True, allow_triggers=True, where="n = 1", set={"n": "n + 0"}))


def test_a_daemon_of_version_2_that_froze_after_the_upgrade(pg, db, daemon, table):
    """It knows of no rounds: its segments are the first."""
    job = followed()
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 3)
    daemon.kill9()
    pg.sql(db, "UPDATE backfill.job SET round = 0")
    daemon.start()
    daemon.wait_done(job)
    assert_exactly_once(pg, db, ROWS)
    assert segments(pg, db) == [(1, 1, None, ROWS)]


# --- partitions ---

@pytest.fixture
def partitioned(server, db):
    server.sql(db, f"""CREATE TABLE p (id int PRIMARY KEY, n int NOT NULL DEFAULT 0)
        {server.dialect.ranges('p', 'id', {'p1': (1, 10000), 'p2': (10000, 20000), 'p3': (20000, 30000)})};
        INSERT INTO p (id) SELECT i FROM {server.dialect.series(1, ROWS)}; INSERT INTO p (id) VALUES (10000)""")
    server.grant_on_all_tables(db, "SELECT, UPDATE")


def test_a_leaf_that_was_empty(server, db, daemon, partitioned):
    job = increment("public.p", follow=True, sweep=True, where="n = 0", batch=SLOW)
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 1)
    server.sql(db, f"INSERT INTO p (id) SELECT i FROM {server.dialect.series(10001, 10200)}; INSERT INTO p (id) VALUES (20000), (20001)")
    daemon.wait_done(job)
    assert server.sql(db, "SELECT n, count(*) FROM p GROUP BY n") == [(1, ROWS + 203)]
    assert [segment[1:] for segment in segments(server, db)] == [
        (1, None, ROWS), (1, None, 10000), (2, 10000, 10200), (2, None, 20001),
        (4, None, ROWS), (4, None, 10200), (4, None, 20001)]  # round 3 found nothing


def test_partitions_that_come_later_are_the_site_s(server, db, daemon, partitioned):
    job = increment("public.p", follow=True, batch=SLOW)
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 1)
    server.sql(db, f"{server.dialect.add_range('p', 'p4', 30000, 40000)}; INSERT INTO p (id) VALUES (10001), (30000)")
    daemon.wait_done(job)
    assert server.sql(db, "SELECT id FROM p WHERE n = 0") == [(30000,)]
    assert "p4 came after its start" in daemon.log()


def test_partitions_that_are_done_may_go(server, db, daemon, partitioned):
    job = increment("public.p", follow=True, sweep=True, where="n = 0", batch=SLOW)
    server.sql(db, f"INSERT INTO p (id) SELECT i FROM {server.dialect.series(10001, 11000)}")
    daemon.submit(job, "--start")
    wait_for(lambda: server.value(db, "SELECT count(*) FROM p WHERE n = 1") > ROWS, 20, lambda: f"the second leaf; {daemon.show(job)}")
    server.sql(db, server.dialect.drop_partition("p", "p1"))
    daemon.wait_done(job)
    assert server.sql(db, "SELECT n, count(*) FROM p GROUP BY n") == [(1, 1001)]


# --- sweep ---

def test_sweep_finds_a_row_that_was_set_back_behind_the_position(server, db, daemon):
    server.sql(db, f"""CREATE TABLE t (id int PRIMARY KEY, c int); INSERT INTO t (id) SELECT i FROM {server.dialect.series(1, ROWS)};
        GRANT SELECT, UPDATE ON t TO backfill""")
    job = Job(table="public.t", kind="update", set={"c": "id * 2"}, where="c IS NULL", sweep=True, batch=SLOW)
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 5)
    server.sql(db, "UPDATE t SET c = NULL WHERE id IN (3, 77)")
    wait_for(lambda: daemon.show(job)["phase"] == "sweep", 20, lambda: f"the sweep; {daemon.show(job)}")
    shown = daemon.show(job)
    assert (shown["round"], shown["rows"]["estimated"]) == (2, 2 * ROWS) and shown["progress"] < 1
    daemon.wait_done(job)
    assert server.value(db, "SELECT count(*) FROM t WHERE c IS NULL OR c <> id * 2") == 0
    shown = daemon.show(job)
    assert (shown["rows"]["scanned"], shown["rows"]["changed"]) == (2 * ROWS, ROWS + 2)
    kept = [key for batch in kept_batches(server, db) for key in batch.keys]
    assert len(kept) == ROWS + 2 and kept.count("77") == 2


def test_sweep_inserts_what_was_missed(server, db, daemon):
    """With old values kept: what was inserted is known."""
    server.sql(db, f"""CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT i * 10 FROM {server.dialect.series(1, ROWS)};
        CREATE TABLE copy (id int PRIMARY KEY); GRANT SELECT ON t TO backfill; GRANT SELECT, INSERT, UPDATE ON copy TO backfill""")
    job = Job(table="public.t", kind="insert", into="public.copy", columns={"id": "id"}, on_conflict="skip", sweep=True, batch=SLOW)
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 3)
    server.sql(db, "INSERT INTO t VALUES (11), (12)")
    daemon.wait_done(job)
    assert server.value(db, "SELECT count(*) FROM copy") == ROWS + 2
    assert sum(batch.rows for batch in kept_batches(server, db)) == ROWS + 2


@pytest.mark.parametrize("keys, hint", [
    ({"set": {"n": "n + 1"}}, "n IS NULL"),
    ({"set": {"n": "n + 1"}, "where": "id > 5"}, "n IS NULL"),
    ({"kind": "insert", "into": "public.copy", "columns": {"id": "id"}}, "on_conflict"),
    ({"kind": "insert", "into": "public.copy", "columns": {"id": "id"}, "on_conflict": "update"}, "on_conflict"),
])
def test_sweep_of_work_that_would_be_done_twice_is_refused(server, db, daemon, table, keys, hint):
    job = Job(**{"table": "public.t", "kind": "update", "sweep": True, **keys})
    for command in ("validate", "submit"):
        error = daemon.ctl_error(command, job.write(daemon.directory), check=65)
        assert "sweep: the second pass would do the work twice" in error["message"] and hint in error["hint"], error


@pytest.mark.engine("postgresql")
def test_sweep_of_a_statement_is_refused(daemon, table):
    job = Job(table="public.t", kind="statement", statement="UPDATE public.t SET n = 1 WHERE {range}", sweep=True,
              rollback={"keep_old_values": False})
    assert "sweep" in daemon.ctl_error("submit", job.write(daemon.directory), check=65)["message"]


@pytest.mark.engine("mariadb", "mysql")
def test_jobs_that_start_together_find_their_markers(server, db, daemon):
    """The list of transactions is only read anew when nobody has read it for 0.1 s: they must not keep it from each other."""
    jobs = [increment(f"public.t{number}") for number in range(6)]
    for number, job in enumerate(jobs):
        server.sql(db, f"""CREATE TABLE t{number} (id int PRIMARY KEY, n int NOT NULL DEFAULT 0);
            INSERT INTO t{number} (id) SELECT i FROM {server.dialect.series(1, 250)}; GRANT SELECT, UPDATE ON t{number} TO backfill""")
        daemon.submit(job)
    for job in jobs:
        daemon.ctl("start", job.id)
    for number, job in enumerate(jobs):
        daemon.wait_done(job, 20)
        assert server.sql(db, f"SELECT DISTINCT n FROM t{number}") == [(1,)]
        assert daemon.log().count(f"job {job.id}: claimed") <= 3
