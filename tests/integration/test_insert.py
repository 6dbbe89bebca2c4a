"""kind = insert: into another table, with each answer to a conflict."""

import pytest

from jobs import Job
from server import execute
from waiting import wait_for

ROWS = 450


@pytest.fixture
def tables(server, db):
    server.sql(db, f"""
        CREATE TABLE orders (id int PRIMARY KEY, amount int NOT NULL);
        INSERT INTO orders SELECT i, i * 10 FROM {server.dialect.series(1, ROWS)};
        CREATE TABLE totals (order_id int PRIMARY KEY, cents bigint, note varchar(20) DEFAULT 'made', seen int NOT NULL DEFAULT 0);
        GRANT SELECT ON orders TO backfill; GRANT SELECT, INSERT, UPDATE ON totals TO backfill""")


def insert(**keys):
    return Job(table="public.orders", kind="insert", into="public.totals", columns={"order_id": "id", "cents": "amount * 100"},
               **keys)


def totals(server, db):
    return server.sql(db, "SELECT count(*), sum(cents), count(CASE WHEN note = 'made' THEN 1 END) FROM totals")[0]


SUM = sum(i * 1000 for i in range(1, ROWS + 1))


def test_every_row_is_inserted_once(server, db, daemon, tables):
    shown = daemon.run_job(insert())
    assert totals(server, db) == (ROWS, SUM, ROWS)
    assert shown["rows"]["changed"] == ROWS and shown["rows"]["conflicted"] == 0


def test_without_a_key_in_the_target_nothing_is_doubled_by_a_kill(server, db, daemon, tables):
    server.sql(db, server.dialect.drop_primary_key("totals"))
    job = insert(batch={"delay": "50ms"}, rollback={"keep_old_values": False})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 2)
    daemon.kill9()
    daemon.start()
    daemon.wait_done(job)
    assert totals(server, db) == (ROWS, SUM, ROWS)


def test_where(server, db, daemon, tables):
    shown = daemon.run_job(insert(where="amount <= 1000"))
    assert totals(server, db)[0] == 100
    assert shown["rows"]["scanned"] == ROWS and shown["rows"]["changed"] == 100


@pytest.mark.parametrize("how", ["skip", "update"])
@pytest.mark.parametrize("keep", [False, True], ids=["", "kept"])
def test_a_row_that_the_site_inserts_while_the_batch_does(server, db, make_daemon, tables, how, keep):
    """It was not to be seen when the batch looked for the rows that it meets."""
    daemon = make_daemon().start(failpoints="batch.boundary.done=stop").init()
    job = insert(on_conflict=how, rollback={"keep_old_values": keep})
    daemon.submit(job, "--start")
    daemon.wait_stopped()
    with server.connect(db, autocommit=False) as site:
        execute(site, "INSERT INTO totals (order_id, cents, note) VALUES (50, 1, 'theirs')")
        daemon.sigcont()
        wait_for(lambda: server.waits_for_lock(db), 10, "the batch to wait")
        site.commit()
    daemon.wait_done(job)
    assert daemon.show(job)["rows"]["conflicted"] == 1
    assert server.sql(db, "SELECT cents, note FROM totals WHERE order_id = 50") == [(1 if how == "skip" else 50000, "theirs")]
    assert totals(server, db)[0] == ROWS


def test_error_pauses_at_the_conflict(server, db, daemon, tables):
    server.sql(db, "INSERT INTO totals (order_id, cents, note) VALUES (250, 1, 'theirs')")
    job = insert()
    daemon.submit(job, "--start")
    shown = daemon.wait_state(job, "paused")
    assert "duplicate" in shown["reason"].lower()
    assert shown["rows"]["changed"] == 200
    assert server.value(db, "SELECT note FROM totals WHERE order_id = 250") == "theirs"
    server.sql(db, "DELETE FROM totals WHERE order_id = 250")
    daemon.ctl("resume", job.id, check=0)
    daemon.wait_done(job)
    assert totals(server, db) == (ROWS, SUM, ROWS)


def test_skip_leaves_and_counts_the_conflicts(server, db, daemon, tables):
    server.sql(db, f"INSERT INTO totals (order_id, cents, note) SELECT i, 1, 'theirs' FROM {server.dialect.series(95, 105)}")
    shown = daemon.run_job(insert(on_conflict="skip"))
    assert server.value(db, "SELECT count(*) FROM totals WHERE note = 'theirs' AND cents = 1") == 11
    assert shown["rows"]["changed"] == ROWS - 11 and shown["rows"]["conflicted"] == 11
    assert shown["rows"]["scanned"] == ROWS


def test_update_writes_only_the_mapped_columns(server, db, daemon, tables):
    server.sql(db, f"INSERT INTO totals SELECT i, 1, 'theirs', 7 FROM {server.dialect.series(95, 105)}")
    shown = daemon.run_job(insert(on_conflict="update"))
    assert totals(server, db) == (ROWS, SUM, ROWS - 11)
    assert server.value(db, "SELECT count(*) FROM totals WHERE note = 'theirs' AND seen = 7") == 11
    assert shown["rows"]["conflicted"] == 11


def test_conflict_key(pg, db, daemon, tables):
    pg.sql(db, """ALTER TABLE totals DROP CONSTRAINT totals_pkey; ALTER TABLE totals ADD serial bigserial PRIMARY KEY;
        GRANT USAGE ON SEQUENCE totals_serial_seq TO backfill;
        CREATE UNIQUE INDEX by_order ON totals (order_id); INSERT INTO totals VALUES (5, 1, 'theirs')""")
    shown = daemon.run_job(insert(on_conflict="skip", conflict_key=["order_id"]))
    assert totals(pg, db)[0] == ROWS and shown["rows"]["conflicted"] == 1


def test_conflict_key_without_an_index_is_refused(daemon, tables):
    error = daemon.ctl_error("submit", insert(on_conflict="skip", conflict_key=["cents"]).write(daemon.directory), check=65)
    assert "conflict_key" in error["message"]


def test_into_itself_is_refused(daemon, tables):
    job = Job(table="public.orders", kind="insert", into="public.orders", columns={"id": "id + 1000", "amount": "1"})
    assert "into" in daemon.ctl_error("submit", job.write(daemon.directory), check=65)["message"]


def test_missing_privilege_on_the_target_is_refused(server, db, daemon, tables):
    server.sql(db, "REVOKE INSERT ON totals FROM backfill")
    error = daemon.ctl_error("submit", insert().write(daemon.directory), check=65)
    assert "INSERT" in error["message"] and "GRANT INSERT" in error["hint"]
