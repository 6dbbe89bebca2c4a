"""Traps of docs/traps.md that no other file is about."""

import pytest

from jobs import Job, increment
from server import execute
from waiting import holds_for, wait_for

TABLE = """CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, note text);
    INSERT INTO t SELECT generate_series(1, {rows}); ANALYZE t; GRANT SELECT, UPDATE ON t TO backfill"""


def make_table(pg, db, rows=1000):
    pg.sql(db, TABLE.format(rows=rows))


def make_failing_trigger(pg, db, sqlstate, at=500):
    """A sequence counts the tries: a roll-back does not take them back."""
    pg.sql(db, f"""CREATE SEQUENCE tries; GRANT USAGE ON SEQUENCE tries TO backfill;
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF new.id = {at} THEN
                PERFORM nextval('public.tries');
                RAISE EXCEPTION 'made to fail' USING ERRCODE = '{sqlstate}';
            END IF;
            RETURN new;
        END $$;
        CREATE TRIGGER fail BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION fail()""")


def assert_paused_after_one_try(pg, db, daemon, job, word):
    daemon.wait_state(job, "paused", 15)
    shown = daemon.show(job)
    assert word in shown["reason"] and shown["batches"]["failed"] == 1 and shown["batches"]["retried"] == 0
    return shown


# --- what pauses at once ---

def test_a_full_disk_pauses_at_once(pg, db, daemon):
    make_table(pg, db)
    make_failing_trigger(pg, db, "53100")
    job = increment(allow_triggers=True)
    daemon.submit(job, "--start")
    assert_paused_after_one_try(pg, db, daemon, job, "made to fail")
    assert pg.value(db, "SELECT last_value FROM tries") == 1
    assert pg.value(db, "SELECT max(id) FROM t WHERE n = 1") == 400
    pg.sql(db, "DROP TRIGGER fail ON t")
    daemon.ctl("resume", job.id, check=0)
    daemon.wait_done(job)
    assert pg.sql(db, "SELECT n, count(*)::int FROM t GROUP BY n") == [(1, 1000)]


@pytest.mark.parametrize("keep", [True, False])
def test_two_rows_with_one_conflict_key_in_a_batch_pause_at_once(pg, db, daemon, keep):
    """A smaller batch would give another result: the later row would win."""
    make_table(pg, db)
    pg.sql(db, "UPDATE t SET note = 'x' || id; UPDATE t SET note = 'x449' WHERE id = 450;"
               "CREATE TABLE copy (note text PRIMARY KEY, id int); GRANT SELECT, INSERT, UPDATE ON copy TO backfill")
    job = Job(table="public.t", kind="insert", into="public.copy", columns={"note": "note", "id": "id"}, on_conflict="update",
              rollback={"keep_old_values": keep})
    daemon.submit(job, "--start")
    assert_paused_after_one_try(pg, db, daemon, job, "second time")
    assert pg.value(db, "SELECT count(*)::int FROM copy") == 400


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

def test_no_transaction_is_open_while_a_job_is_held_paused_or_resting(pg, db, daemon):
    make_table(pg, db)
    job = increment(throttle={"max_lag": "500ms"}, batch={"delay": "300ms"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 2)
    opened = lambda: pg.sql(db, "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND usename = 'backfill'"
                                " AND clock_timestamp() - xact_start > interval '200 ms'")
    holds_for(lambda: not opened(), 0.7, "no transaction while resting")
    pg.pause_replay()
    wait_for(lambda: daemon.show(job)["throttle"]["held"], 10, "the hold")
    holds_for(lambda: not opened(), 0.7, "no transaction while held")
    pg.resume_replay()
    make_failing_trigger(pg, db, "22000", 900)
    daemon.wait_state(job, "paused")
    holds_for(lambda: not opened(), 0.7, "no transaction while paused")


def test_idle_connections_that_are_ended_while_held_are_made_again(pg, db, daemon):
    """As a firewall or the server does with what is idle for long; a job never fails because it was throttled."""
    make_table(pg, db, 3000)
    pg.sql(db, f"ALTER ROLE backfill IN DATABASE {db} SET idle_session_timeout = '200ms'")
    pg.terminate_backends_of(db)
    daemon.wait_up()
    job = increment(throttle={"max_lag": "500ms"}, batch={"delay": "20ms"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 2)
    pg.pause_replay()
    wait_for(lambda: "held: " in daemon.log(), 10, "the hold")
    claims = daemon.log().count("claimed, epoch")
    wait_for(lambda: daemon.log().count("claimed, epoch") >= claims + 3, 15, lambda: f"new connections\n{daemon.log()}")
    assert daemon.progress(job)[0] == "running"
    pg.sql(db, f"ALTER ROLE backfill IN DATABASE {db} RESET idle_session_timeout")
    pg.terminate_backends_of(db)
    pg.resume_replay()
    daemon.wait_up()
    daemon.wait_done(job)
    shown = daemon.show(job)
    assert shown["state"] == "completed" and shown["batches"]["failed"] == 0
    assert pg.sql(db, "SELECT n, count(*)::int FROM t GROUP BY n") == [(1, 3000)]


def test_a_statement_that_hangs_is_ended_by_the_server_and_tried_again_smaller(pg, db, daemon):
    make_table(pg, db)
    pg.sql(db, """CREATE TABLE gate (closed boolean); INSERT INTO gate VALUES (true); GRANT SELECT ON gate TO backfill;
        CREATE FUNCTION slow(id int) RETURNS boolean LANGUAGE sql VOLATILE AS
        $$ SELECT CASE WHEN id = 700 AND (SELECT closed FROM public.gate) THEN pg_sleep(60) IS NOT NULL ELSE true END $$""")
    job = increment(where="public.slow(id)", batch={"adaptive": True})
    daemon.submit(job, "--start")
    wait_for(lambda: daemon.show(job)["batches"]["retried"] > 0, 20, lambda: f"another try\n{daemon.log()}")
    assert daemon.log().count("claimed, epoch") == 1, "the connection was not lost"
    pg.sql(db, "UPDATE gate SET closed = false")
    daemon.wait_done(job)
    assert pg.sql(db, "SELECT n, count(*)::int FROM t GROUP BY n") == [(1, 1000)]


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


# --- what it costs ---

def rows_read(pg, db, table="t"):
    pg.sql(db, "SELECT pg_stat_force_next_flush()")
    return pg.sql(db, "SELECT seq_tup_read::int, coalesce(idx_tup_fetch, 0)::int + (SELECT sum(idx_tup_read)::int FROM pg_stat_user_indexes"
                      f" WHERE relname = '{table}') FROM pg_stat_user_tables WHERE relname = '{table}'")[0]


@pytest.mark.parametrize("key", ["id", "a, b, c"])
def test_a_sparse_predicate_and_the_last_row_cost_no_more_than_the_first(pg, db, daemon, key):
    """Nothing matches, and each window still moves the checkpoint; the rows read don't grow along the table."""
    rows = 10000
    pg.sql(db, f"""CREATE TABLE t (id int, a int, b text COLLATE "C", c int, n int NOT NULL DEFAULT 0, PRIMARY KEY ({key}));
        INSERT INTO t SELECT i, i / 1000, 'b' || i / 100 % 10, i % 100 FROM generate_series(1, {rows}) i;
        GRANT SELECT, UPDATE ON t TO backfill""")
    pg.sql(db, "VACUUM ANALYZE t")
    job = increment(where="n = 7", batch={"rows": 200})
    daemon.submit(job)
    wait_for(lambda: not pg.sql(db, "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'backfilld preflight%%'"), 5, "its end")
    pg.sql(db, "SELECT pg_stat_reset()")
    daemon.ctl("start", job.id, check=0)
    daemon.wait_done(job)
    shown = daemon.show(job)
    assert (shown["rows"]["scanned"], shown["rows"]["changed"], shown["batches"]["committed"]) == (rows, 0, rows // 200)
    daemon.terminate()  # its backends tell their numbers when they end
    wait_for(lambda: not pg.sql(db, "SELECT 1 FROM pg_stat_activity WHERE usename = 'backfill' AND datname = current_database()"), 5, "the end")
    sequential, by_index = wait_for(lambda: (lambda n: n if n[1] >= rows else None)(rows_read(pg, db)), 5, lambda: rows_read(pg, db))
    assert sequential == 0 and by_index < 6 * rows, (sequential, by_index)
