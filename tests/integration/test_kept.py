"""rollback.keep_old_values: exactly the rows that a batch changed, with what they were and what they became."""

import os
import random
import threading

import pytest

from jobs import Job, increment
from server import execute
from waiting import wait_for

KEPT = """
    SELECT k.keys[i], k.keys[k.rows + i], CASE WHEN i <= k.existing THEN k.old_values[i] END, k.new_values[i], i <= k.existing
      FROM backfill.kept k, generate_series(1, k.rows) i ORDER BY 1, 2"""


def kept(pg, db):
    return pg.sql(db, KEPT)


def test_an_update_keeps_key_old_and_new(pg, db, daemon):
    pg.sql(db, "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT i, i * 10 FROM generate_series(1, 2500) i;"
               "UPDATE t SET n = NULL WHERE id = 7; GRANT SELECT, UPDATE ON t TO backfill")
    daemon.run_job(increment(where="id % 2 = 1"))
    rows = kept(pg, db)
    assert sorted(rows, key=lambda row: int(row[0])) == [
        (str(i), None, None if i == 7 else str(i * 10), None if i == 7 else str(i * 10 + 1), True) for i in range(1, 2500, 2)]
    assert pg.sql(db, "SELECT count(*)::int FROM backfill.kept") == [(25,)]  # one row a batch


def test_composite_keys_odd_names_and_values(pg, db, daemon):
    pg.sql(db, """CREATE TABLE "o1" ("k1" text, "c1" int, "n1" text, "met" text, PRIMARY KEY (c1, k1));
        INSERT INTO o1 VALUES ('it''s {"a,b"}', -5, NULL, E'\\\\x\\n'), ('NULL', 3, 'NULL', ''), ('😀', 3, '{}', '"');
        GRANT SELECT, UPDATE ON o1 TO backfill""")
    daemon.run_job(Job(table="public.o1", kind="update", set={"n1": "coalesce(n1, '') || 'é\"'", "met": "upper(met)"}))
    (flat,) = pg.sql(db, "SELECT keys, old_values, new_values FROM backfill.kept")
    assert sorted(tuple(values[i::3] for values in flat) for i in range(3)) == [
        (["-5", "it's {\"a,b\"}"], [None, "\\x\n"], ['é"', "\\X\n"]),
        (["3", "NULL"], ["NULL", ""], ['NULLé"', ""]),
        (["3", "😀"], ["{}", '"'], ['{}é"', '"'])]


def test_only_null_needs_no_look_before(pg, db, daemon):
    """The predicate says what the old values were."""
    pg.sql(db, "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT i, CASE WHEN i % 3 = 0 THEN 1 END"
               " FROM generate_series(1, 900) i; GRANT SELECT, UPDATE ON t TO backfill")
    daemon.run_job(Job(table="public.t", kind="update", set={"n": "id * 2"}, where="n IS NULL AND id > 5"))
    assert pg.sql(db, "SELECT sum(rows)::int, count(old_values)::int FROM backfill.kept") == [(596, 0)]
    assert all(int(new) == 2 * int(key) and old is None for key, _, old, new, _ in kept(pg, db))


@pytest.mark.parametrize("how", ["error", "skip", "update"])
def test_an_insert_keeps_what_it_inserted_and_what_it_overwrote(pg, db, daemon, how):
    pg.sql(db, "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT i, i FROM generate_series(1, 1500) i;"
               "CREATE TABLE u (a int, b int, n int, untouched int DEFAULT 5, PRIMARY KEY (b, a));"
               "GRANT SELECT ON t TO backfill; GRANT SELECT, INSERT, UPDATE ON u TO backfill")
    if how != "error":
        pg.sql(db, "INSERT INTO u SELECT i, -i, 1000000 + i FROM generate_series(1, 1500, 5) i")
    job = Job(table="public.t", kind="insert", into="public.u", columns={"a": "id", "b": "-id", "n": "n * 2"}, on_conflict=how)
    shown = daemon.run_job(job)
    met = {} if how == "error" else {i: 1000000 + i for i in range(1, 1501, 5)}
    assert shown["rows"]["conflicted"] == len(met)
    rows = pg.sql(db, """SELECT k.keys[k.rows + i]::int, k.keys[i]::int, i <= k.existing,
        k.new_values[2 * k.rows + i]::int, CASE WHEN i <= k.existing THEN k.old_values[2 * k.existing + i]::int END
        FROM backfill.kept k, generate_series(1, k.rows) i ORDER BY 1""")
    written = [i for i in range(1, 1501) if how != "skip" or i not in met]
    assert rows == [(i, -i, how == "update" and i in met, i * 2, met.get(i) if how == "update" else None) for i in written]
    assert pg.value(db, "SELECT count(*)::int FROM u WHERE n = a * 2") == len(written)


LOGGED = """
    CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL, on_ boolean NOT NULL);
    INSERT INTO t SELECT i, i, i % 2 = 0 FROM generate_series(1, {rows}) i;
    CREATE TABLE log (id int, was int, is_ int);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
        $$ BEGIN IF OLD.n <> NEW.n THEN INSERT INTO log VALUES (OLD.id, OLD.n, NEW.n); END IF; RETURN NULL; END $$;
    CREATE TRIGGER note AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION note(); GRANT SELECT, UPDATE ON t TO backfill"""


def assert_kept_is_done(pg, db):
    """Returns the keys."""
    log = pg.sql(db, "SELECT id, was, is_ FROM log ORDER BY id")
    assert log == pg.sql(db, """SELECT k.keys[i]::int, k.old_values[i]::int, k.new_values[i]::int
        FROM backfill.kept k, generate_series(1, k.rows) i ORDER BY 1""")
    return [row[0] for row in log]


def looks_before(pg):
    """Since 18.6 the statement that changes a row says, and truly, what it was."""
    return pg.version() < 180006


def test_a_row_that_begins_to_match_after_the_look_at_the_old_values(pg, db, make_daemon):
    """It would be changed and not kept: the batch is done again. Where there is no such look, there is nothing to do again."""
    pg.sql(db, LOGGED.format(rows=40))
    step = "capture" if looks_before(pg) else "boundary"
    daemon = make_daemon().start(failpoints=f"batch.{step}.done=stop").init()
    job = increment(where="on_", allow_triggers=True)
    daemon.submit(job, "--start")
    wait_for(lambda: daemon.process_state() == "T", 10, f"the daemon to stop behind the {step}")
    pg.sql(db, "UPDATE t SET on_ = true WHERE id = 5")
    daemon.sigcont()
    daemon.wait_done(job)
    assert assert_kept_is_done(pg, db) == sorted([5, *range(2, 41, 2)])
    assert (daemon.show(job)["batches"]["retried"] > 0) == looks_before(pg)


# With it the server looks for a row's newest version earlier, on another path.
BEFORE = """
    CREATE FUNCTION agree() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
    CREATE TRIGGER agree BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION agree()"""


@pytest.mark.parametrize("before", ["", BEFORE], ids=["", "before_trigger"])
def test_rows_that_the_site_changes_while_the_batch_waits_for_them(pg, db, make_daemon, before):
    """What is kept is what the batch found when it got them, not what it had seen at first."""
    pg.sql(db, LOGGED.format(rows=40) + ";" + before)
    daemon = make_daemon().start(failpoints="batch.boundary.done=stop").init()
    job = increment(where="on_", allow_triggers=True)
    daemon.submit(job, "--start")
    daemon.wait_stopped()
    with pg.connect(db, autocommit=False) as site:
        execute(site, "SET session_replication_role = replica")  # only the job's changes are logged
        execute(site, "UPDATE t SET n = 1000 WHERE id = 4")
        execute(site, "UPDATE t SET on_ = false WHERE id = 6")
        execute(site, "UPDATE t SET on_ = true WHERE id = 7")
        daemon.sigcont()
        wait_for(lambda: pg.sql(db, "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND usename = 'backfill'"
                                " AND wait_event_type = 'Lock'"), 10, "the batch to wait")
        site.commit()
    daemon.wait_done(job)
    keys = assert_kept_is_done(pg, db)
    assert set(range(2, 41, 2)) - {6} <= set(keys) <= set(range(2, 41, 2)) - {6} | {7}
    assert pg.value(db, "SELECT n FROM t WHERE id = 4") == 1001


def test_a_row_that_the_site_changes_while_the_insert_waits_for_it(pg, db, make_daemon):
    pg.sql(db, LOGGED.format(rows=40) + "; GRANT SELECT, INSERT, UPDATE ON t TO backfill;" + BEFORE + ";"
               "CREATE TABLE s (id int PRIMARY KEY); INSERT INTO s SELECT i FROM generate_series(1, 60) i; GRANT SELECT ON s TO backfill")
    daemon = make_daemon().start(failpoints="batch.boundary.done=stop").init()
    job = Job(table="public.s", kind="insert", into="public.t", columns={"id": "id", "n": "-id", "on_": "false"}, on_conflict="update",
              allow_triggers=True)
    daemon.submit(job, "--start")
    daemon.wait_stopped()
    with pg.connect(db, autocommit=False) as site:
        execute(site, "SET session_replication_role = replica")
        execute(site, "UPDATE t SET n = 1000 WHERE id = 4")
        daemon.sigcont()
        wait_for(lambda: pg.sql(db, "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND usename = 'backfill'"
                                " AND wait_event_type = 'Lock'"), 10, "the batch to wait")
        site.commit()
    daemon.wait_done(job)
    assert pg.sql(db, "SELECT id, was, is_ FROM log ORDER BY id") == pg.sql(db, """
        SELECT k.keys[i]::int, k.old_values[k.existing + i]::int, k.new_values[k.rows + i]::int
          FROM backfill.kept k, generate_series(1, k.existing) i ORDER BY 1""")
    assert pg.sql(db, "SELECT rows::int, existing::int FROM backfill.kept") == [(60, 40)]
    assert pg.value(db, "SELECT was FROM log WHERE id = 4") == 1000


def test_the_kept_rows_are_the_changed_ones_whatever_the_site_does(pg, db, daemon):
    seed = int(os.environ.get("SEED", random.randrange(1_000_000)))
    print(f"SEED={seed}")
    rng, stop, errors = random.Random(seed), threading.Event(), []
    pg.sql(db, LOGGED.format(rows=3000))

    def toggle():
        try:
            with pg.connect(db) as connection:
                while not stop.is_set():
                    first = rng.randrange(3000)
                    execute(connection, "UPDATE t SET on_ = NOT on_ WHERE id BETWEEN %s AND %s", (first, first + 20))
        except Exception as error:
            errors.append(error)

    site = threading.Thread(target=toggle, daemon=True)
    site.start()
    try:
        daemon.run_job(increment(where="on_", allow_triggers=True, batch={"delay": "2ms"}))
    finally:
        stop.set()
        site.join(10)
    assert not site.is_alive() and not errors, errors
    keys = assert_kept_is_done(pg, db)
    assert len(set(keys)) == len(keys) > 500


def test_rows_that_a_trigger_leaves_out_are_not_kept(pg, db, daemon):
    """Where they had to be kept before, the job pauses."""
    pg.sql(db, """CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT i FROM generate_series(1, 40) i;
        CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN CASE WHEN OLD.id = 3 THEN NULL ELSE NEW END; END $$;
        CREATE TRIGGER skip BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION skip(); GRANT SELECT, UPDATE ON t TO backfill""")
    job = increment(allow_triggers=True)
    daemon.submit(job, "--start")
    if looks_before(pg):
        assert "keep_old_values" in daemon.wait_state(job, "paused", 30)["reason"]
    else:
        daemon.wait_done(job)
    changed = 0 if looks_before(pg) else 39
    assert pg.value(db, "SELECT count(*)::int FROM t WHERE n > 0") == changed == len(kept(pg, db))


def test_nothing_is_kept_if_that_is_said(pg, db, daemon):
    pg.sql(db, "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT i FROM generate_series(1, 40) i;"
               "GRANT SELECT, UPDATE ON t TO backfill")
    daemon.run_job(increment(rollback={"keep_old_values": False}))
    assert pg.sql(db, "SELECT n, count(*)::int FROM t GROUP BY n") == [(1, 40)]
    assert pg.sql(db, "SELECT count(*)::int FROM backfill.kept") == [(0,)]


def test_control_tables_of_the_former_version_are_upgraded(pg, db, daemon):
    pg.sql(db, "DROP TABLE backfill.kept; UPDATE backfill.meta SET value = '1' WHERE name = 'schema_version'")
    daemon.terminate()
    daemon.start()
    wait_for(lambda: daemon.ctl_json("targets")[0]["control_tables"] == "old", 10, "the daemon to look")
    assert daemon.ctl("list").code in (0, 78)
    daemon.init()
    test_nothing_is_kept_if_that_is_said(pg, db, daemon)
