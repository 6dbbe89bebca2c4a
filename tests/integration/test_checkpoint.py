"""The row of the checkpoint: what finding it costs, and what becomes of a job when it has moved."""

import pytest

from jobs import increment
from server import execute
from waiting import wait_for

BATCHES = 3000
UPDATES = "SELECT n_tup_upd FROM pg_stat_user_tables WHERE relid = 'backfill.segment'::regclass"
BLOCKS = "SELECT heap_blks_read + heap_blks_hit FROM pg_statio_user_tables WHERE relid = 'backfill.segment'::regclass"


@pytest.fixture
def table(server, db):
    server.sql(db, "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0); GRANT SELECT, UPDATE ON t TO backfill;"
                   f"INSERT INTO t (id) SELECT i FROM {server.dialect.series(1, BATCHES * 100)}")
    server.analyze(db, "t")


def test_an_old_snapshot_does_not_make_checkpoints_dear(pg, db, daemon, table):
    """It keeps every version of the row, and by the index each one would be visited."""
    job = increment(where="n < 0", rollback={"keep_old_values": False}, batch={"max_duty": 1.0})
    with pg.connect(db, autocommit=False) as old:
        execute(old, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT 1")
        daemon.submit(job, "--start")
        daemon.wait_done(job)
        assert daemon.batches(job) == BATCHES
        # Statistics come up to a second late.
        wait_for(lambda: pg.value(db, UPDATES) > 0.9 * BATCHES, 15, "the statistics")
        blocks = pg.value(db, BLOCKS) / pg.value(db, UPDATES)
    assert blocks < 8, f"{blocks:.1f} blocks a checkpoint"


@pytest.mark.engine("mariadb", "mysql")
def test_an_old_snapshot_does_not_make_checkpoints_dear_in_innodb(server, db, daemon, table):
    """It keeps every version of the row in the undo log; an UPDATE needs the last one alone, and that stands in the row's place."""
    pages = lambda: int(server.sql(db, "SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_read_requests'")[0][1])
    job = increment(where="n < 0", rollback={"keep_old_values": False}, batch={"max_duty": 1.0})

    with server.connect(db, autocommit=False) as old:
        execute(old, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        execute(old, "SELECT count(*) FROM t WHERE id = 1")
        daemon.submit(job, "--start")
        looks = []
        for at in (1, BATCHES // 3, BATCHES * 2 // 3, BATCHES):
            daemon.wait_batches(job, at, 60)
            looks.append((daemon.batches(job), pages()))
        daemon.wait_done(job)
        assert daemon.batches(job) == BATCHES
    costs = [(pages - before) / (batches - first) for (first, before), (batches, pages) in zip(looks, looks[1:])]
    assert costs[-1] < 1.5 * costs[0], f"pages a batch: {costs}"


def test_a_row_that_was_moved_is_found_again(pg, db, daemon, table):
    job = increment(batch={"rows": 1000, "delay": "5ms"})
    daemon.submit(job, "--start")
    for _ in range(3):
        daemon.wait_batches(job, daemon.batches(job) + 2)
        pg.sql(db, "VACUUM FULL backfill.segment")
    daemon.wait_done(job)
    assert pg.value(db, "SELECT count(*) FROM t WHERE n <> 1") == 0
    assert daemon.log().count("claimed, epoch") > 1, "it was never looked for anew"


@pytest.mark.engine("mariadb", "mysql")
def test_control_tables_that_are_built_anew_meanwhile(server, db, daemon, table):
    """Their rows move, and a batch meets another definition than it began with, or waits for it."""
    job = increment(batch={"rows": 1000, "delay": "5ms"})
    daemon.submit(job, "--start")
    for name in ("segment", "job", "kept"):
        daemon.wait_batches(job, daemon.batches(job) + 2)
        server.sql(db, f"ALTER TABLE backfill.{name} FORCE")
    daemon.wait_done(job)
    assert server.value(db, "SELECT count(*) FROM t WHERE n <> 1") == 0


@pytest.mark.parametrize("change", ["epoch = epoch + 1", "batch_id = batch_id + 1", "stopped = true"])
def test_a_checkpoint_that_waited_for_its_row_sees_the_fence(server, db, daemon, table, change):
    """The address still leads to the version before: what counts is what the row says once the wait is over."""
    job = increment(batch={"rows": 1000, "delay": "5ms", "time": "5s"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 2)
    with server.connect(db, autocommit=False) as successor:
        execute(successor, f"UPDATE backfill.segment SET {change}")
        wait_for(lambda: server.waits_for_lock(db), 10, "a checkpoint that waits")
        successor.commit()
    wait_for(lambda: daemon.log().count("claimed, epoch") > 1, 10, lambda: f"the next claim; log:\n{daemon.log()}")
    server.sql(db, "UPDATE backfill.segment SET stopped = false")
    daemon.wait_done(job)
    assert server.value(db, "SELECT count(*) FROM t WHERE n <> 1") == 0
