"""Fixtures: pg (a server for each xdist worker), db (a fresh database), daemon (started and initialised on it)."""

import os
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fault"))

from daemon import Daemon
from postgres_server import PostgresServer
from proxy import Proxy
from server import running_server
from workspace import Workspace


@pytest.fixture(scope="session")
def workspace():
    made = Workspace()
    yield made
    left = made.processes()
    made.close()
    assert not left, f"left running: {left}"
    assert not os.path.exists(made.path)


@pytest.fixture(scope="session")
def pg(workspace):
    with running_server(PostgresServer(os.path.join(workspace.path, "pg"))) as server:
        yield server


@pytest.fixture
def db(pg):
    name = pg.create_database()
    yield name
    pg.heal()
    pg.drop_database(name)


@pytest.fixture
def make_proxy():
    """A function that makes proxies in front of a server's port."""
    made = []

    def make(port):
        made.append(Proxy(port))
        return made[-1]
    yield make
    for proxy in made:
        proxy.close()


@pytest.fixture
def directory(workspace):
    path = tempfile.mkdtemp(prefix="d", dir=workspace.path)
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if not report.failed:
        return
    for daemon in getattr(item, "daemons", []):
        report.sections.append((f"log of {daemon.directory}", daemon.log()[-20000:]))


@pytest.fixture
def make_daemon(request, pg, db, directory):
    """A function that makes daemons; all of them end in order, and are checked, with the test."""
    request.node.daemons = made = []

    def make(name="d", **options):
        made.append(Daemon(pg, options.pop("db", db), directory, name, **options))
        return made[-1]
    yield make
    failures = []
    for daemon in made:
        try:
            daemon.close()
        except AssertionError as failure:
            failures.append(str(failure))
    assert not failures, "\n".join(failures)


@pytest.fixture
def daemon(make_daemon):
    return make_daemon().start().init()
