"""The house that the other tests live in: servers that replicate, and nothing left behind."""

import contextlib
import os
import subprocess
import sys
import threading
import time

import pytest

from server import OWNER, WORKER, execute
from waiting import DeadlineExceeded, wait_for
from workspace import Workspace, processes_of

HERE = os.path.dirname(os.path.abspath(__file__))

# What a pytest worker does, without pytest.
WORKER_SCRIPT = """
import os, signal, sys
from {module} import {kind}
from workspace import Workspace
workspace = Workspace()
server = {kind}(os.path.join(workspace.path, "server"))
server.create()
server.replica.freeze()
print(workspace.path, flush=True)
signal.pause()
"""


def test_the_replica_follows(server, db):
    server.sql(db, f"CREATE TABLE t (id int); INSERT INTO t SELECT i FROM {server.dialect.series(1, 1000)}; GRANT ALL ON t TO backfill")
    server.wait_replayed(db, "SELECT 1 FROM t HAVING count(*) = 1000")
    with pytest.raises(server.Error, match="read.only"):
        server.sql(db, "INSERT INTO t VALUES (0)", role=WORKER, replica=True)


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_has_a_fresh_database(server, db, turn):
    server.sql(db, "CREATE TABLE left_behind (turn int); CREATE SCHEMA backfill; CREATE TABLE backfill.left_behind (turn int)")
    with pytest.raises(server.Error):
        server.sql(db, "SELECT * FROM left_behind", role=WORKER)
    server.sql(db, "GRANT SELECT ON left_behind TO backfill")


def test_a_paused_replica_shows_nothing_new_until_it_is_resumed(server, db):
    server.sql(db, "CREATE TABLE t (id int)")
    server.wait_replayed(db, "SELECT count(*) FROM t")
    server.pause_replay()
    server.sql(db, "INSERT INTO t VALUES (1)")
    with pytest.raises(DeadlineExceeded):
        server.wait_replayed(db, "SELECT 1 FROM t", deadline=0.5)
    server.resume_replay()
    server.wait_replayed(db, "SELECT 1 FROM t")


def test_heal_repairs_whatever_a_test_did(server, db):
    server.pause_replay()
    server.replica.freeze()
    server.primary.stop("immediate")
    server.heal()
    assert server.primary.running() and server.replica.running()
    server.sql(db, "CREATE TABLE t (id int)")
    server.wait_replayed(db, "SELECT count(*) FROM t")


def test_what_is_committed_outlives_a_crash_of_either(server, db):
    server.sql(db, "CREATE TABLE t (id int PRIMARY KEY)")
    for turn, instance in enumerate((server.primary, server.replica)):
        server.sql(db, f"INSERT INTO t SELECT i FROM {server.dialect.series(turn * 1000 + 1, turn * 1000 + 1000)}")
        server.wait_replayed(db, f"SELECT 1 FROM t HAVING count(*) = {turn * 1000 + 1000}")
        instance.restart("immediate")
    assert server.value(db, "SELECT count(*) FROM t") == 2000
    server.heal()
    server.wait_replayed(db, "SELECT 1 FROM t HAVING count(*) = 2000")


@pytest.mark.engine("mariadb", "mysql")
def test_a_server_waits_for_the_disk_if_it_is_asked_to(server, db):
    settings = "SELECT @@sync_binlog, @@innodb_flush_log_at_trx_commit"
    with server.durable():
        assert server.sql(db, settings) == [(1, 1)]
    assert server.sql(db, settings) == [(0, 2)]


def test_the_worker_s_role_has_no_ddl(server, db):
    for statement in ("CREATE TABLE public.t (id int)", "CREATE SCHEMA s"):
        with pytest.raises(server.Error, match="denied"):
            server.sql(db, statement, role=WORKER)
    server.sql(db, "CREATE SCHEMA backfill", role=OWNER)


def test_the_end_leaves_no_process_and_no_folder(server):
    workspace = Workspace()
    another = type(server)(os.path.join(workspace.path, "server"))
    another.create()
    assert len(workspace.processes()) == 2  # primary and replica
    another.destroy()
    assert workspace.processes() == {}
    workspace.close()
    assert not os.path.exists(workspace.path)


def test_a_killed_run_leaves_no_process_and_no_folder(server):
    script = WORKER_SCRIPT.format(module=type(server).__module__, kind=type(server).__name__)
    with subprocess.Popen([sys.executable, "-c", script], cwd=HERE, stdout=subprocess.PIPE, text=True) as killed:
        path = killed.stdout.readline().strip()
        try:
            assert len(processes_of(path)) == 2
        finally:
            killed.kill()
    wait_for(lambda: processes_of(path) == {} and not os.path.exists(path), 30, lambda: f"the end of {processes_of(path)} in {path}")


def test_what_does_not_come_is_described():
    states = iter(range(1000))
    with pytest.raises(DeadlineExceeded, match="still waiting for: state [0-9]+"):
        wait_for(lambda: False, 0.05, lambda: f"state {next(states)}")


def test_a_connection_that_the_server_ended_is_made_anew(server, db):
    assert server.value(db, "SELECT 1", role=OWNER) == 1
    assert server.terminate_backends_of(db, OWNER) == 1
    wait_for(lambda: server.count_backends_of(db, OWNER) == 0, 10, "its end")
    assert server.value(db, "SELECT 1", role=OWNER) == 1


# --- what the tests ask of a server, and say in its dialect ---

@contextlib.contextmanager
def worker_executes(server, db, query):
    with server.connect(db, WORKER) as connection:
        thread = threading.Thread(target=execute, args=(connection, query), daemon=True)
        thread.start()
        yield
        thread.join(20)
        assert not thread.is_alive()


def test_who_waits_and_who_sleeps_is_seen(server, db):
    server.sql(db, "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 0); GRANT SELECT, UPDATE ON t TO backfill")
    with server.connect(db, autocommit=False) as site:
        execute(site, "SELECT 1 FROM t WHERE id = 1 FOR UPDATE")
        assert not server.waits_for_lock(db)
        with worker_executes(server, db, "UPDATE t SET n = n + 1 WHERE id = 1"):
            wait_for(lambda: server.waits_for_lock(db), 10, "the worker to wait")
            site.rollback()
    assert not server.waits_for_lock(db) and not server.sleeps(db)
    with worker_executes(server, db, f"SELECT {server.dialect.slept(0.5)}"):
        wait_for(lambda: server.sleeps(db), 10, "the worker to sleep")


def test_a_sleep_comes_once_a_statement(server, db):
    server.sql(db, f"CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT i, 0 FROM {server.dialect.series(1, 500)}")
    begin = time.monotonic()
    server.sql(db, f"UPDATE t SET n = n + 1 WHERE {server.dialect.slept(0.2)} AND id > 100")
    assert 0.2 <= time.monotonic() - begin < 5
    assert server.sql(db, "SELECT sum(n), count(*) FROM t") == [(400, 500)]


def test_a_prepared_transaction_is_committed_by_another_session_or_rolled_back_at_the_end(server, db):
    server.sql(db, "CREATE TABLE t (id int)")
    for number in (1, 2):
        with server.connect(db, autocommit=False) as writer:
            execute(writer, server.dialect.begin_to_prepare(f"gid{number}"))
            execute(writer, f"INSERT INTO t VALUES ({number})")
            execute(writer, server.dialect.prepare(f"gid{number}"))
    assert server.value(db, "SELECT count(*) FROM t") == 0

    def committed():
        with contextlib.suppress(server.Error):  # MariaDB: until the session that prepared it is gone
            server.sql(db, server.dialect.commit_prepared("gid2"))
            return True
    wait_for(committed, 10, "the commit")
    assert server.sql(db, "SELECT id FROM t") == [(2,)]
