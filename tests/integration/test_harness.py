"""The house that the other tests live in: servers that replicate, and nothing left behind."""

import contextlib
import os
import subprocess
import sys

import psycopg2
import pytest

from postgres_server import PostgresServer
from server import OWNER, WORKER
from waiting import DeadlineExceeded, wait_for
from workspace import Workspace, processes_of

HERE = os.path.dirname(os.path.abspath(__file__))

# What a pytest worker does, without pytest.
WORKER_SCRIPT = """
import os, signal, sys
from postgres_server import PostgresServer
from workspace import Workspace
workspace = Workspace()
server = PostgresServer(os.path.join(workspace.path, "pg"))
server.create()
server.replica.freeze()
print(workspace.path, flush=True)
signal.pause()
"""


def test_the_replica_follows(pg, db):
    pg.sql(db, "CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 1000)")
    pg.wait_replayed(db, "SELECT 1 FROM t HAVING count(*) = 1000")
    assert pg.value(db, "SELECT pg_is_in_recovery()", replica=True)
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
        pg.sql(db, "INSERT INTO t VALUES (0)", replica=True)


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_has_a_fresh_database(pg, db, turn):
    pg.sql(db, "CREATE TABLE left_behind (turn int)")


def test_a_paused_replica_shows_nothing_new_until_it_is_resumed(pg, db):
    pg.sql(db, "CREATE TABLE t (id int)")
    pg.wait_replayed(db, "SELECT 1 WHERE to_regclass('t') IS NOT NULL")
    pg.pause_replay()
    pg.sql(db, "INSERT INTO t VALUES (1)")
    with pytest.raises(DeadlineExceeded):
        pg.wait_replayed(db, "SELECT 1 FROM t", deadline=0.5)
    pg.resume_replay()
    pg.wait_replayed(db, "SELECT 1 FROM t")


def test_heal_repairs_whatever_a_test_did(pg, db):
    pg.pause_replay()
    pg.replica.freeze()
    pg.primary.stop("immediate")
    pg.heal()
    assert pg.primary.running() and pg.replica.running()
    pg.sql(db, "CREATE TABLE t (id int)")
    pg.wait_replayed(db, "SELECT 1 WHERE to_regclass('t') IS NOT NULL")


def test_the_worker_s_role_has_no_ddl(pg, db):
    for statement in ("CREATE TABLE public.t (id int)", "CREATE SCHEMA s"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            pg.sql(db, statement, role=WORKER)
    pg.sql(db, "CREATE SCHEMA s", role=OWNER)


def test_the_end_leaves_no_process_and_no_folder():
    workspace = Workspace()
    server = PostgresServer(os.path.join(workspace.path, "pg"))
    server.create()
    assert len(workspace.processes()) == 2  # primary and replica
    server.destroy()
    assert workspace.processes() == {}
    workspace.close()
    assert not os.path.exists(workspace.path)


def test_a_killed_run_leaves_no_process_and_no_folder():
    with subprocess.Popen([sys.executable, "-c", WORKER_SCRIPT], cwd=HERE, stdout=subprocess.PIPE, text=True) as killed:
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


def test_a_connection_that_the_server_ended_is_made_anew(pg, db):
    assert pg.value(db, "SELECT 1") == 1
    with contextlib.suppress(psycopg2.Error):
        pg.sql(db, "SELECT pg_terminate_backend(pg_backend_pid())")
    assert pg.value(db, "SELECT 1") == 1
