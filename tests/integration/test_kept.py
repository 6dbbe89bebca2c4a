"""rollback.keep_old_values: exactly the rows that a batch changed, with what they were and what they became."""

import os
import random
import threading

import pytest

from jobs import Job, increment
from kept import kept_batches
from server import execute
from waiting import wait_for

def kept(server, db):
    """(key, old, new, was there before) of each row, for one column of each."""
    return [(batch.keys[i], batch.old_values[i] if batch.old_values and i < batch.existing else None, batch.new_values[i], i < batch.existing)
            for batch in kept_batches(server, db) for i in range(batch.rows)]


def test_an_update_keeps_key_old_and_new(server, db, daemon):
    server.sql(db, f"CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT i, i * 10 FROM {server.dialect.series(1, 2500)};"
               "UPDATE t SET n = NULL WHERE id = 7; GRANT SELECT, UPDATE ON t TO backfill")
    daemon.run_job(increment(where="id % 2 = 1"))
    rows = kept(server, db)
    assert sorted(rows, key=lambda row: int(row[0])) == [
        (str(i), None if i == 7 else str(i * 10), None if i == 7 else str(i * 10 + 1), True) for i in range(1, 2500, 2)]
    assert len(kept_batches(server, db)) == 25  # one row a batch


def test_composite_keys_odd_names_and_values(server, db, daemon):
    server.sql(db, "CREATE TABLE o1 (k1 varchar(40), c1 int, n1 varchar(40), met varchar(40), PRIMARY KEY (c1, k1));"
               "GRANT SELECT, UPDATE ON o1 TO backfill")
    for row in (("it's {\"a,b\"}", -5, None, "\\x\n"), ("NULL", 3, "NULL", ""), ("😀", 3, "{}", '"')):
        server.sql(db, "INSERT INTO o1 VALUES (%s, %s, %s, %s)", row)
    daemon.run_job(Job(table="public.o1", kind="update", set={"n1": "concat(coalesce(n1, ''), 'é\"')", "met": "upper(met)"}))
    (batch,) = kept_batches(server, db)
    rows = zip(*(zip(*batch.columns(values)) for values in (batch.keys, batch.old_values, batch.new_values)))
    assert sorted(rows) == [
        (("-5", "it's {\"a,b\"}"), (None, "\\x\n"), ('é"', "\\X\n")),
        (("3", "NULL"), ("NULL", ""), ('NULLé"', "")),
        (("3", "😀"), ("{}", '"'), ('{}é"', '"'))]


def test_only_null_needs_no_look_before(server, db, daemon):
    """The predicate says what the old values were."""
    server.sql(db, "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT i, CASE WHEN i % 3 = 0 THEN 1 END"
               f" FROM {server.dialect.series(1, 900)}; GRANT SELECT, UPDATE ON t TO backfill")
    daemon.run_job(Job(table="public.t", kind="update", set={"n": "id * 2"}, where="n IS NULL AND id > 5"))
    assert {batch.old_values is None for batch in kept_batches(server, db)} == {True}
    rows = kept(server, db)
    assert len(rows) == 596 and all(int(new) == 2 * int(key) and old is None for key, old, new, _ in rows)


@pytest.mark.parametrize("how", ["error", "skip", "update"])
def test_an_insert_keeps_what_it_inserted_and_what_it_overwrote(server, db, daemon, how):
    server.sql(db, f"CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT i, i FROM {server.dialect.series(1, 1500)};"
               "CREATE TABLE u (a int, b int, n int, untouched int DEFAULT 5, PRIMARY KEY (b, a));"
               "GRANT SELECT ON t TO backfill; GRANT SELECT, INSERT, UPDATE ON u TO backfill")
    if how != "error":
        server.sql(db, f"INSERT INTO u (a, b, n) SELECT i, -i, 1000000 + i FROM {server.dialect.series(1, 1500)} WHERE i % 5 = 1")
    job = Job(table="public.t", kind="insert", into="public.u", columns={"a": "id", "b": "-id", "n": "n * 2"}, on_conflict=how)
    shown = daemon.run_job(job)
    met = {} if how == "error" else {i: 1000000 + i for i in range(1, 1501, 5)}
    assert shown["rows"]["conflicted"] == len(met)
    rows = []
    for batch in kept_batches(server, db):
        b, a = batch.columns(batch.keys)
        new, old = batch.columns(batch.new_values)[2], batch.columns(batch.old_values, batch.existing)[2:] if batch.existing else [[]]
        rows += [(int(a[i]), int(b[i]), i < batch.existing, int(new[i]), int(old[0][i]) if i < batch.existing else None)
                 for i in range(batch.rows)]
    written = [i for i in range(1, 1501) if how != "skip" or i not in met]
    assert sorted(rows) == [(i, -i, how == "update" and i in met, i * 2, met.get(i) if how == "update" else None) for i in written]
    assert server.value(db, "SELECT count(*) FROM u WHERE n = a * 2") == len(written)


def create_logged(server, db, rows):
    """t (id, n, on_), whose changes of n are in log."""
    server.sql(db, f"""CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL, on_ boolean NOT NULL);
        INSERT INTO t SELECT i, i, i % 2 = 0 FROM {server.dialect.series(1, rows)};
        CREATE TABLE log (id int, was int, is_ int);
        {server.dialect.after("UPDATE", "t", "old.n <> new.n", "INSERT INTO public.log VALUES (old.id, old.n, new.n)")};
        GRANT SELECT, UPDATE ON t TO backfill""")


def logged(server, db):
    return server.sql(db, "SELECT id, was, is_ FROM log ORDER BY id")


def assert_kept_is_done(server, db):
    """Returns the keys."""
    log = logged(server, db)
    assert log == sorted((int(key), int(old), int(new)) for key, old, new, _ in kept(server, db))
    return [row[0] for row in log]


def test_a_row_that_begins_to_match_after_the_look_at_the_old_values(server, db, make_daemon):
    """It would be changed and not kept: the batch is done again. Where there is no such look, there is nothing to do again."""
    create_logged(server, db, 40)
    step = "boundary" if server.returns_old() else "capture"
    daemon = make_daemon().start(failpoints=f"batch.{step}.done=stop").init()
    job = increment(where="on_", allow_triggers=True)
    daemon.submit(job, "--start")
    wait_for(lambda: daemon.process_state() == "T", 10, f"the daemon to stop behind the {step}")
    server.sql(db, "UPDATE t SET on_ = true WHERE id = 5")
    daemon.sigcont()
    daemon.wait_done(job)
    assert assert_kept_is_done(server, db) == sorted([5, *range(2, 41, 2)])
    assert (daemon.show(job)["batches"]["retried"] > 0) != server.returns_old()


# With the trigger, PostgreSQL looks for a row's newest version earlier, on another path.
@pytest.mark.parametrize("before_trigger", [False, True], ids=["", "before_trigger"])
def test_rows_that_the_site_changes_while_the_batch_waits_for_them(server, db, make_daemon, before_trigger):
    """What is kept is what the batch found when it got them, not what it had seen at first."""
    create_logged(server, db, 40)
    if before_trigger:
        server.sql(db, server.dialect.agree("t"))
    daemon = make_daemon().start(failpoints="batch.boundary.done=stop").init()
    job = increment(where="on_", allow_triggers=True)
    daemon.submit(job, "--start")
    daemon.wait_stopped()
    with server.connect(db, autocommit=False) as site:
        execute(site, server.dialect.quiet)  # only the job's changes are logged
        execute(site, "UPDATE t SET n = 1000 WHERE id = 4")
        execute(site, "UPDATE t SET on_ = false WHERE id = 6")
        execute(site, "UPDATE t SET on_ = true WHERE id = 7")
        daemon.sigcont()
        wait_for(lambda: server.waits_for_lock(db), 10, "the batch to wait")
        site.commit()
    daemon.wait_done(job)
    keys = assert_kept_is_done(server, db)
    assert set(range(2, 41, 2)) - {6} <= set(keys) <= set(range(2, 41, 2)) - {6} | {7}
    assert server.value(db, "SELECT n FROM t WHERE id = 4") == 1001


def test_a_row_that_the_site_changes_while_the_insert_waits_for_it(server, db, make_daemon):
    create_logged(server, db, 40)
    server.sql(db, f"GRANT INSERT ON t TO backfill; {server.dialect.agree('t')};"
               f"CREATE TABLE s (id int PRIMARY KEY); INSERT INTO s SELECT i FROM {server.dialect.series(1, 60)}; GRANT SELECT ON s TO backfill")
    daemon = make_daemon().start(failpoints="batch.boundary.done=stop").init()
    job = Job(table="public.s", kind="insert", into="public.t", columns={"id": "id", "n": "-id", "on_": "false"}, on_conflict="update",
              allow_triggers=True)
    daemon.submit(job, "--start")
    daemon.wait_stopped()
    with server.connect(db, autocommit=False) as site:
        execute(site, server.dialect.quiet)
        execute(site, "UPDATE t SET n = 1000 WHERE id = 4")
        daemon.sigcont()
        wait_for(lambda: server.waits_for_lock(db), 10, "the batch to wait")
        site.commit()
    daemon.wait_done(job)
    (batch,) = kept_batches(server, db)
    assert (batch.rows, batch.existing) == (60, 40)
    ids, was, becomes = batch.columns(batch.keys)[0], batch.columns(batch.old_values, 40)[1], batch.columns(batch.new_values)[1]
    assert logged(server, db) == sorted((int(ids[i]), int(was[i]), int(becomes[i])) for i in range(40))
    assert server.value(db, "SELECT was FROM log WHERE id = 4") == 1000


def test_the_kept_rows_are_the_changed_ones_whatever_the_site_does(server, db, daemon):
    seed = int(os.environ.get("SEED", random.randrange(1_000_000)))
    print(f"SEED={seed}")
    rng, stop, errors = random.Random(seed), threading.Event(), []
    create_logged(server, db, 3000)

    def toggle():
        try:
            with server.connect(db) as connection:
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
    keys = assert_kept_is_done(server, db)
    assert len(set(keys)) == len(keys) > 500


def test_rows_that_a_trigger_leaves_out_are_not_kept(pg, db, daemon):
    """Where they had to be kept before, the job pauses."""
    pg.sql(db, """CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT i FROM generate_series(1, 40) i;
        CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN CASE WHEN OLD.id = 3 THEN NULL ELSE NEW END; END $$;
        CREATE TRIGGER skip BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION skip(); GRANT SELECT, UPDATE ON t TO backfill""")
    job = increment(allow_triggers=True)
    daemon.submit(job, "--start")
    if not pg.returns_old():
        assert "keep_old_values" in daemon.wait_state(job, "paused", 30)["reason"]
    else:
        daemon.wait_done(job)
    changed = 39 if pg.returns_old() else 0
    assert pg.value(db, "SELECT count(*) FROM t WHERE n > 0") == changed == len(kept(pg, db))


def test_nothing_is_kept_if_that_is_said(server, db, daemon):
    server.sql(db, "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0);"
               f"INSERT INTO t (id) SELECT i FROM {server.dialect.series(1, 40)};"
               "GRANT SELECT, UPDATE ON t TO backfill")
    daemon.run_job(increment(rollback={"keep_old_values": False}))
    assert server.sql(db, "SELECT n, count(*) FROM t GROUP BY n") == [(1, 40)]
    assert server.sql(db, "SELECT count(*) FROM backfill.kept") == [(0,)]


def test_control_tables_of_the_former_version_are_upgraded(pg, db, daemon):
    pg.sql(db, "DROP TABLE backfill.kept; UPDATE backfill.meta SET value = '1' WHERE name = 'schema_version'")
    daemon.terminate()
    daemon.start()
    wait_for(lambda: daemon.ctl_json("targets")[0]["control_tables"] == "old", 10, "the daemon to look")
    assert daemon.ctl("list").code in (0, 78)
    daemon.init()
    test_nothing_is_kept_if_that_is_said(pg, db, daemon)
