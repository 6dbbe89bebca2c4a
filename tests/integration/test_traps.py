"""Traps of docs/traps.md that no other file is about."""

import pytest

from jobs import Job, increment
from server import execute
from waiting import holds_for, wait_for


def make_table(server, db, rows=1000):
    server.sql(db, f"""CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, note varchar(40));
        INSERT INTO t (id) SELECT i FROM {server.dialect.series(1, rows)}; GRANT SELECT, UPDATE ON t TO backfill""")
    server.analyze(db, "t")


def values(server, db):
    return {n: count for n, count in server.sql(db, "SELECT n, count(*) FROM t GROUP BY n")}


def assert_paused_after_one_try(server, db, daemon, job, word):
    daemon.wait_state(job, "paused", 15)
    shown = daemon.show(job)
    assert word in shown["reason"] and shown["batches"]["failed"] == 1 and shown["batches"]["retried"] == 0
    return shown


# --- what pauses at once ---

def test_a_full_disk_pauses_at_once(server, db, daemon):
    make_table(server, db)
    server.sql(db, server.dialect.failing("t", "disk full", 500))
    job = increment(allow_triggers=True)
    daemon.submit(job, "--start")
    assert_paused_after_one_try(server, db, daemon, job, "made to fail")
    assert server.value(db, server.dialect.tries) == 1
    assert server.value(db, "SELECT max(id) FROM t WHERE n = 1") == 400
    server.sql(db, server.dialect.drop_failing("t"))
    daemon.ctl("resume", job.id, check=0)
    daemon.wait_done(job)
    assert values(server, db) == {1: 1000}


@pytest.mark.engine("postgresql")
@pytest.mark.parametrize("keep", [True, False])
def test_two_rows_with_one_conflict_key_in_a_batch_pause_at_once(server, db, daemon, keep):
    """A smaller batch would give another result: the later row would win."""
    make_table(server, db)
    server.sql(db, "UPDATE t SET note = concat('x', id); UPDATE t SET note = 'x449' WHERE id = 450;"
               "CREATE TABLE copy (note varchar(40) PRIMARY KEY, id int); GRANT SELECT, INSERT, UPDATE ON copy TO backfill")
    job = Job(table="public.t", kind="insert", into="public.copy", columns={"note": "note", "id": "id"}, on_conflict="update",
              rollback={"keep_old_values": keep})
    daemon.submit(job, "--start")
    assert_paused_after_one_try(server, db, daemon, job, server.dialect.two_rows_with_one_key)
    assert server.value(db, "SELECT count(*) FROM copy") == 400


def test_a_deferred_constraint_fails_in_the_batch_s_own_statement(pg, db, daemon):
    """Not at its COMMIT, when nobody could say which statement it was."""
    make_table(pg, db)
    pg.sql(db, "CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (0);"
               "ALTER TABLE t ADD FOREIGN KEY (n) REFERENCES parent DEFERRABLE INITIALLY DEFERRED")
    job = increment()
    daemon.submit(job, "--start")
    shown = assert_paused_after_one_try(pg, db, daemon, job, "foreign key")
    assert "failed at its work" in shown["reason"]
    pg.sql(db, "INSERT INTO parent VALUES (1)")
    daemon.ctl("resume", job.id, check=0)
    daemon.wait_done(job)


def test_row_level_security_that_comes_while_a_job_runs_is_no_silence(pg, db, daemon):
    make_table(pg, db)
    job = increment(batch={"delay": "100ms"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 1)
    pg.sql(db, "CREATE POLICY half ON t USING (id % 2 = 0); ALTER TABLE t ENABLE ROW LEVEL SECURITY")
    daemon.wait_state(job, "paused", 15)
    assert "row-level security" in daemon.show(job)["reason"]
    pg.sql(db, "ALTER TABLE t DISABLE ROW LEVEL SECURITY")
    daemon.ctl("resume", job.id, check=0)
    daemon.wait_done(job)
    assert pg.sql(db, "SELECT n, count(*)::int FROM t GROUP BY n") == [(1, 1000)]


# --- what waits, and leaves nothing open meanwhile ---

def test_no_transaction_is_open_while_a_job_is_held_paused_or_resting(server, db, daemon):
    make_table(server, db)
    job = increment(throttle={"max_lag": "500ms"}, batch={"delay": "300ms"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 2)
    none_open = lambda: not server.idles_in_transaction(db)
    holds_for(none_open, 0.7, "no transaction while resting", 0.12)
    server.pause_replay()
    wait_for(lambda: daemon.show(job)["throttle"]["held"], 10, "the hold")
    holds_for(none_open, 0.7, "no transaction while held", 0.12)
    server.resume_replay()
    server.sql(db, server.dialect.failing("t", "data", 900))
    daemon.wait_state(job, "paused")
    holds_for(none_open, 0.7, "no transaction while paused", 0.12)


def test_idle_connections_that_are_ended_while_held_are_made_again(server, db, daemon):
    """As a firewall or the server does with what is idle for long; a job never fails because it was throttled."""
    make_table(server, db, 3000)
    job = increment(throttle={"max_lag": "500ms"}, batch={"delay": "20ms"})
    with server.ends_idle_sessions(db):
        server.terminate_backends_of(db)
        daemon.wait_up()
        daemon.submit(job, "--start")
        daemon.wait_batches(job, 2)
        server.pause_replay()
        wait_for(lambda: "held: " in daemon.log(), 10, "the hold")
        claims = daemon.log().count("claimed, epoch")
        wait_for(lambda: daemon.log().count("claimed, epoch") >= claims + 3, 15, lambda: f"new connections\n{daemon.log()}")
        assert daemon.progress(job)[0] == "running"
    server.terminate_backends_of(db)
    server.resume_replay()
    daemon.wait_up()
    daemon.wait_done(job)
    shown = daemon.show(job)
    assert shown["state"] == "completed" and shown["batches"]["failed"] == 0
    assert values(server, db) == {1: 3000}


def test_a_statement_that_hangs_is_ended_and_tried_again_smaller(server, db, daemon):
    """By the server itself; where it does not, by the claim, when the daemon has given up the connection."""
    make_table(server, db)
    server.sql(db, "CREATE TABLE gate (closed boolean); INSERT INTO gate VALUES (true); GRANT SELECT ON gate TO backfill;"
               + server.dialect.slow_at("public.slow", 700))
    job = increment(where="public.slow(id)", batch={"adaptive": True})
    daemon.submit(job, "--start")
    if server.ends_statements:
        wait_for(lambda: daemon.show(job)["batches"]["retried"] > 0, 20, lambda: f"another try\n{daemon.log()}")
        assert daemon.log().count("claimed, epoch") == 1, "the connection was not lost"
    else:
        wait_for(lambda: daemon.log().count("claimed, epoch") > 1, 20, lambda: f"another claim\n{daemon.log()}")
    server.sql(db, "UPDATE gate SET closed = false")
    daemon.wait_done(job)
    assert values(server, db) == {1: 1000}


def test_a_deadlock_with_the_application_costs_the_application_nothing(pg, db, daemon):
    """We wait for locks for less than deadlock_timeout: it is always our batch that gives way."""
    make_table(pg, db, 100)
    job = increment(batch={"time": "5s", "rows": 100})
    daemon.submit(job)
    with pg.connect(db, autocommit=False) as site:
        execute(site, "UPDATE t SET note = 'mine' WHERE id = 100")
        daemon.ctl("set", job.id, "wait_for_writers=false", check=0)
        daemon.ctl("start", job.id, check=0)
        wait_for(lambda: pg.sql(db, "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND usename = 'backfill'"
                                    " AND wait_event_type = 'Lock'"), 10, lambda: f"the batch to wait\n{daemon.log()}")
        execute(site, "UPDATE t SET note = 'mine' WHERE id = 1")
        site.commit()
    daemon.wait_done(job)
    daemon.terminate()  # its backends tell their numbers when they end
    wait_for(lambda: not pg.sql(db, "SELECT 1 FROM pg_stat_activity WHERE usename = 'backfill' AND datname = current_database()"), 5, "the end")
    assert pg.value(db, "SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()") == 0
    assert pg.sql(db, "SELECT n, count(*)::int FROM t GROUP BY n") == [(1, 100)]


@pytest.mark.engine("mariadb", "mysql")
def test_a_deadlock_that_the_batch_loses_is_tried_again(server, db, daemon):
    """InnoDB sees it at once and ends whoever has written less. Nothing of the batch is left behind, nor done twice."""
    make_table(server, db, 100)
    server.sql(db, f"CREATE TABLE much (id int PRIMARY KEY); INSERT INTO much SELECT i FROM {server.dialect.series(1, 1000)}")
    job = increment(batch={"time": "5s", "rows": 100})
    daemon.submit(job)
    with server.connect(db, autocommit=False) as site:
        execute(site, "UPDATE much SET id = -id")
        execute(site, "UPDATE t SET note = 'mine' WHERE id = 100")
        daemon.ctl("set", job.id, "wait_for_writers=false", check=0)
        daemon.ctl("start", job.id, check=0)
        wait_for(lambda: server.waits_for_lock(db), 10, lambda: f"the batch to wait\n{daemon.log()}")
        execute(site, "UPDATE t SET note = 'mine' WHERE id = 1")
        site.commit()
    daemon.wait_done(job)
    assert daemon.show(job)["batches"]["retried"] > 0
    assert values(server, db) == {1: 100}
    assert server.value(db, "SELECT count(*) FROM t WHERE note = 'mine'") == 2


# --- what it costs ---

@pytest.mark.parametrize("key", ["id", "a, b, c"])
def test_a_sparse_predicate_and_the_last_row_cost_no_more_than_the_first(server, db, daemon, key):
    """Nothing matches, and each window still moves the checkpoint; the rows read don't grow along the table."""
    rows = 10000
    server.sql(db, f"""CREATE TABLE t (id int, a int, b {server.dialect.binary_text(10)}, c int, n int NOT NULL DEFAULT 0, PRIMARY KEY ({key}));
        INSERT INTO t SELECT i, (i - i % 1000) / 1000, concat('b', i % 1000 - i % 100), i % 100, 0 FROM {server.dialect.series(1, rows)};
        GRANT SELECT, UPDATE ON t TO backfill""")
    server.analyze(db, "t")
    job = increment(where="n = 7", batch={"rows": 200})
    daemon.submit(job)
    daemon.terminate()
    before = server.rows_read(db, "t")
    daemon.start()
    daemon.ctl("start", job.id, check=0)
    daemon.wait_done(job)
    shown = daemon.show(job)
    assert (shown["rows"]["scanned"], shown["rows"]["changed"], shown["batches"]["committed"]) == (rows, 0, rows // 200)
    daemon.terminate()  # its backends tell their numbers when they end

    def read():
        return tuple(now - then for now, then in zip(server.rows_read(db, "t"), before))
    sequential, by_index = wait_for(lambda: (lambda n: n if n[1] >= rows else None)(read()), 5, read)
    assert sequential <= server.dialect.rows_scanned_meanwhile and by_index < 6 * rows, (sequential, by_index)
