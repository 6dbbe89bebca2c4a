"""The campaigns' oracle sees what it is there to see: it would be easy to pass by being blind."""

import contextlib

import pytest

from kinds import THEIRS_EVERY, Verdict, Work

ROWS = 250
COUNTS = ("UPDATE t SET n = n + 1 WHERE id = 7; INSERT INTO copy SELECT job, 7, 0 FROM audit WHERE id = 7 AND NOT EXISTS"
          " (SELECT FROM pg_constraint WHERE conrelid = 'copy'::regclass); UPDATE backfill.segment SET rows_changed = 0",
          "UPDATE backfill.segment SET rows_changed = rows_changed + 1",
          "UPDATE backfill.segment SET rows_conflicted = rows_conflicted + 1")
STATES = ("DELETE FROM backfill.event WHERE event = 'job.completed'",
          "INSERT INTO backfill.event (event, job_id, target, actor) SELECT 'job.completed', id, 'main', 'x' FROM backfill.job",
          "UPDATE backfill.job SET state = 'running'")


@contextlib.contextmanager
def spoilt(work, sql):
    work.pg.sql(work.db, "BEGIN")
    work.pg.sql(work.db, sql)
    yield
    work.pg.sql(work.db, "ROLLBACK")


@pytest.mark.parametrize("kind", ["update", "insert-error", "insert-skip"])
def test_it_sees_what_is_lost_doubled_or_miscounted(pg, db, daemon, kind):
    def due(rows):
        return rows - rows // THEIRS_EVERY if kind == "insert-skip" else rows

    work = Work(pg, db, kind, ROWS)
    daemon.run_job(work.job())
    assert work.verdict() == Verdict(due(ROWS), 0, 0)
    work.check_rows()
    work.check_states()
    with spoilt(work, "DELETE FROM audit WHERE id IN (100, 101, 103)"):
        assert work.verdict() == Verdict(due(ROWS), 3, 0)
    with spoilt(work, "INSERT INTO audit SELECT job, id FROM audit WHERE id IN (20, 22)"):
        assert work.verdict() == Verdict(due(ROWS), 0, 2)
    with spoilt(work, """UPDATE backfill.segment SET position_key = '["200"]'"""):
        assert work.verdict() == Verdict(due(200), 0, due(ROWS) - due(200))
    with spoilt(work, "UPDATE audit SET job = 'nobody' WHERE id = 1"):
        assert work.verdict() == Verdict(due(ROWS), 1, 1)
    for sql in COUNTS:
        with spoilt(work, sql), pytest.raises(AssertionError):
            work.check_rows()
    for sql in STATES:
        with spoilt(work, sql), pytest.raises(AssertionError):
            work.check_states()
