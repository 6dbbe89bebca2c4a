"""A target whose url leads through pgbouncer in transaction mode: the next transaction may run in another session."""

import contextlib
import os
import subprocess

import psycopg2
import pytest

from jobs import increment
from server import as_server_user, execute, free_port
from waiting import wait_for
from writers import assert_exactly_once, create_counted_table

ROWS, SESSIONS = 5000, 3
# What a batch sets; another client of the same pool must never meet it.
SHOWN = ("search_path", "row_security", "DateStyle", "IntervalStyle", "TimeZone", "extra_float_digits", "bytea_output", "jit",
         "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "synchronous_commit")


@pytest.fixture
def pool(pg, db, directory):
    """The url of the pool: few sessions for everybody."""
    port = free_port()
    path = os.path.join(directory, "pgbouncer.ini")
    with open(path, "w") as f:
        f.write(f"""[databases]
* = user=backfill host={pg.directory} port={pg.primary.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {SESSIONS}
ignore_startup_parameters = extra_float_digits
""")
    pooler = subprocess.Popen(as_server_user(["pgbouncer", "-q", path]), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, cwd="/")
    url = f"postgresql://backfill@127.0.0.1:{port}/{db}"

    def answers():
        with contextlib.suppress(psycopg2.OperationalError):
            psycopg2.connect(url).close()
            return True
    try:
        wait_for(answers, 10, "pgbouncer to answer")
        yield url
    finally:
        pooler.terminate()
        pooler.wait(10)


@pytest.fixture
def pooled(make_daemon, pool, pg, db):
    create_counted_table(pg, db, ROWS)
    return make_daemon(target={"url": pool}).start().init()


def shown(connection):
    return {name: execute(connection, f"SHOW {name}")[0][0] for name in SHOWN}


def test_a_job_through_a_transaction_pooler_is_exact_and_leaves_no_setting(pg, db, pool, pooled):
    job = increment(allow_triggers=True, batch={"delay": "5ms"})
    with pg.connect(db, "backfill") as direct:
        usual = shown(direct)
    pooled.submit(job, "--start")
    neighbour = psycopg2.connect(pool)
    neighbour.autocommit = True
    looks = 0
    while pooled.progress(job)[0] != "completed":
        assert shown(neighbour) == usual
        assert execute(neighbour, "SELECT name FROM pg_prepared_statements") == []
        looks += 1
    neighbour.close()
    assert looks > 10
    pooled.wait_done(job)
    assert_exactly_once(pg, db, ROWS)


def test_kills_behind_a_pooler_are_exact(pg, db, pooled):
    job = increment(allow_triggers=True, batch={"delay": "5ms"})
    pooled.submit(job, "--start")
    for _ in range(5):
        pooled.wait_batches(job, pooled.batches(job) + 3)
        pooled.kill9()
        pooled.start()
    pooled.wait_done(job)
    assert_exactly_once(pg, db, ROWS)


def test_a_claim_ends_nobody_else_s_transaction_behind_a_pooler(pg, db, pool, pooled):
    """The session in which the job was claimed last serves another client by now."""
    job = increment(allow_triggers=True, batch={"delay": "1h"})
    pooled.submit(job, "--start")
    pooled.wait_batches(job, 1)
    pooled.kill9()
    clients = [psycopg2.connect(pool) for _ in range(SESSIONS)]
    by_pid = {execute(client, "SELECT pg_backend_pid(), pg_current_xact_id()")[0][0]: client for client in clients}
    remembered = pg.value(db, "SELECT backend_pid FROM backfill.job")
    pid = remembered if remembered in by_pid else min(by_pid)
    other = by_pid.pop(pid)
    for client in by_pid.values():  # the daemon needs some, too
        client.close()
    epoch = pg.value(db, "SELECT epoch FROM backfill.job")
    pooled.start()
    wait_for(lambda: pg.value(db, "SELECT epoch FROM backfill.job") > epoch, 15, lambda: f"the claim\n{pooled.log()}")
    assert execute(other, "SELECT pg_backend_pid()") == [(pid,)]
    other.close()
