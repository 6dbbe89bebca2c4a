"""The campaigns' oracle sees what it is there to see: it would be easy to pass by being blind."""

import contextlib
import json

import pytest

from kinds import THEIRS_EVERY, Verdict, Work
from server import execute
from waiting import wait_for
from writers import Writers, assert_exactly_once, create_counted_table

ROWS = 250
COUNTS = ("UPDATE backfill.segment SET rows_changed = rows_changed + 1",
          "UPDATE backfill.segment SET rows_conflicted = rows_conflicted + 1")
KEPT = ("DELETE FROM backfill.kept WHERE batch_id = 2",
        "UPDATE backfill.kept SET {keys} = new_values WHERE batch_id = 1")  # as long, with one value again and again
STATES = ("DELETE FROM backfill.event WHERE event = 'job.completed'",
          "INSERT INTO backfill.event (at, event, job_id, target, actor, data) SELECT CURRENT_TIMESTAMP, 'job.completed', id, 'main', 'x', '{}'"
          " FROM backfill.job",
          "UPDATE backfill.job SET state = 'running'")


@contextlib.contextmanager
def spoilt(where, sql):
    where.server.sql(where.db, "BEGIN")
    where.server.sql(where.db, sql)
    yield
    where.server.sql(where.db, "ROLLBACK")


def due(kind, rows):
    return rows - rows // THEIRS_EVERY if kind == "insert-skip" else rows


def assert_sees(work):
    """That all is well, and whatever is spoilt."""
    kind, all_due = work.kind, due(work.kind, ROWS)
    assert work.verdict() == Verdict(all_due, 0, 0)
    work.check_rows()
    work.check_states()
    with spoilt(work, "DELETE FROM audit WHERE id IN (100, 101, 103)"):
        assert work.verdict() == Verdict(all_due, 3, 0)
    with spoilt(work, "INSERT INTO audit SELECT job, id FROM audit WHERE id IN (20, 22)"):
        assert work.verdict() == Verdict(all_due, 0, 2)
    with spoilt(work, """UPDATE backfill.segment SET position_key = '["200"]'"""):
        assert work.verdict() == Verdict(due(kind, 200), 0, all_due - due(kind, 200))
    with spoilt(work, "UPDATE audit SET job = 'nobody' WHERE id = 1"):
        assert work.verdict() == Verdict(all_due, 1, 1)
    row_done_twice = "UPDATE t SET n = n + 1 WHERE id = 7"
    if not work.meets:  # without a key
        row_done_twice += "; INSERT INTO copy SELECT job, 7, 0 FROM audit WHERE id = 7"
    for sql in (row_done_twice + "; UPDATE backfill.segment SET rows_changed = 0", *COUNTS, *(KEPT if work.keeps else ())):
        with spoilt(work, sql.format(keys=work.server.dialect.quote("keys"))), pytest.raises(AssertionError):
            work.check_rows()
    for sql in STATES:
        with spoilt(work, sql), pytest.raises(AssertionError):
            work.check_states()


EACH_KIND = pytest.mark.parametrize("kind", ["update", "insert-error", "insert-skip"])


@EACH_KIND
def test_it_sees_what_is_lost_doubled_or_miscounted(server, db, daemon, kind):
    work = Work(server, db, kind, ROWS)
    daemon.run_job(work.job())
    assert_sees(work)


# --- without a daemon: what it would have left is written by hand ---

CONTROL_TABLES = """
    CREATE SCHEMA backfill;
    CREATE TABLE backfill.job (id varchar(50) PRIMARY KEY, state varchar(20) NOT NULL);
    CREATE TABLE backfill.segment (job_id varchar(50) PRIMARY KEY, position_key varchar(40), rows_changed int, rows_conflicted int);
    CREATE TABLE backfill.kept (job_id varchar(50), segment int, batch_id int, {rows} int, existing int,
        {keys} {array}, old_values {array}, new_values {array});
    CREATE TABLE backfill.event (seq int, at timestamp NULL, event varchar(40), job_id varchar(50), target varchar(40), actor varchar(40),
        data varchar(40))"""


def do_by_hand(work, job, rows=ROWS):
    server, db, into = work.server, work.db, "INSERT INTO public.copy (job, id, n) SELECT"
    mysql, quote = server.engine != "postgresql", server.dialect.quote
    theirs = rows // THEIRS_EVERY if work.meets else 0
    array = server.dialect.kept_array
    server.sql(db, CONTROL_TABLES.format(rows=quote("rows"), keys=quote("keys"), array="json" if mysql else "text[]"))
    server.sql(db, "INSERT INTO backfill.job VALUES (%s, 'completed')", (job.id,))
    server.sql(db, "INSERT INTO backfill.segment VALUES (%s, %s, %s, %s)", (job.id, json.dumps([str(rows)]), due(work.kind, rows), theirs))
    for seq, event in enumerate(("job.submitted", "job.started", "job.completed")):
        server.sql(db, "INSERT INTO backfill.event VALUES (%s, CURRENT_TIMESTAMP, %s, %s, 'main', 'x', '{}')", (seq, event, job.id))
    for batch, first in enumerate(range(1, rows + 1, 100), 1):
        last = min(first + 99, rows)
        if work.kind == "update":
            server.sql(db, "UPDATE public.t SET n = n + 1, job = %s WHERE id BETWEEN %s AND %s", (job.id, first, last))
        else:
            server.sql(db, f"{into} '{job.id}', id, 1 FROM public.t WHERE id BETWEEN {first} AND {last}"
                       + (f" AND id % {THEIRS_EVERY} <> 0" if work.meets else ""))
        if work.keeps:
            keys = [str(key) for key in range(first, last + 1) if not work.meets or key % THEIRS_EVERY]
            existing = 0 if work.meets else len(keys)
            server.sql(db, "INSERT INTO backfill.kept VALUES (%s, 1, %s, %s, %s, %s, %s, %s)",
                       (job.id, batch, len(keys), existing, array(keys), array(["0"] * len(keys)), array(["1"] * len(keys))))


@EACH_KIND
def test_it_sees_the_same_in_what_was_done_by_hand(server, db, kind):
    work = Work(server, db, kind, ROWS)
    do_by_hand(work, work.job())
    assert_sees(work)


def test_the_audit_of_one_job(server, db):
    """Rows done once beside a site that writes, one done twice, one not at all, one that no audit knows of."""
    create_counted_table(server, db, ROWS)
    with Writers(server, db, ROWS, pause=0) as writers:
        for first in range(1, ROWS + 1, 50):
            server.sql(db, "UPDATE t SET n = n + 1 WHERE id BETWEEN %s AND %s", (first, min(first + 49, ROWS)))
        wait_for(lambda: writers.statements > 200, 20, "the site's own writes")
    assert_exactly_once(server, db, ROWS)
    for sql, word in (("UPDATE t SET n = n + 1 WHERE id = 3", r"doubled \[\('3', 2\)\], lost \[\(3,\)\], without audit \[\]"),
                      ("UPDATE t SET n = 0 WHERE id = 4; DELETE FROM audit WHERE row_key = '4'", r"doubled \[\], lost \[\(4,\)\], without audit \[\(4,\)\]"),
                      ("DELETE FROM audit WHERE row_key = '5'", r"doubled \[\], lost \[\], without audit \[\(5,\)\]")):
        with spoilt(writers, sql), pytest.raises(AssertionError, match=word):
            assert_exactly_once(server, db, ROWS)


def test_a_writer_that_fails_is_reported(server, db):
    create_counted_table(server, db, ROWS)
    with pytest.raises(AssertionError, match="note"), Writers(server, db, ROWS) as writers:
        server.sql(db, "ALTER TABLE t DROP COLUMN note")
        wait_for(lambda: writers.errors, 20, "the error")


def test_patient_writers_outlive_the_server(server, db):
    create_counted_table(server, db, ROWS)
    with Writers(server, db, ROWS, patient=True) as writers:
        for _ in range(2):
            server.primary.restart("immediate")
            seen = writers.statements
            wait_for(lambda: writers.statements > seen + 20, 20, "the writers to go on")
    with server.connect(db) as connection:
        assert execute(connection, "SELECT count(*) FROM t WHERE note <> ''")[0][0] > 0
