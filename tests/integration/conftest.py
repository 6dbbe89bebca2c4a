"""Fixtures: server (one of the engine that --engine chooses, for each xdist worker), db (a fresh database), daemon (started and
initialised on it). A test runs on each engine, unless it is marked engine("…") or asks for pg."""

import os
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fault"))

from daemon import Daemon
from mysql_server import MySQLServer
from postgres_server import PostgresServer
from proxy import Proxy
from server import running_server
from workspace import Workspace


SERVERS = {"postgresql": PostgresServer, "mariadb": MySQLServer, "mysql": MySQLServer}
NOT_OURS = pytest.StashKey()  # how many tests another engine has


def pytest_addoption(parser):
    parser.addoption("--engine", choices=SERVERS, help="which servers to run on; or $BACKFILLD_ENGINE; default: postgresql. "
                     "BACKFILLD_PG_BIN and BACKFILLD_MYSQL_BIN choose others than the installed ones")


def pytest_configure(config):
    config.option.engine = config.option.engine or os.environ.get("BACKFILLD_ENGINE", "postgresql")
    if config.option.engine not in SERVERS:
        raise pytest.UsageError(f"BACKFILLD_ENGINE={config.option.engine}: one of {', '.join(SERVERS)}")
    config.addinivalue_line("markers", "engine(name, …): what is tested is of these engines alone")
    config.stash[NOT_OURS] = 0


def engines_of(item):
    if "pg" in item.fixturenames:
        return ("postgresql",)
    marker = item.get_closest_marker("engine")
    return marker.args if marker else tuple(SERVERS)


def pytest_collection_modifyitems(config, items):
    """Another engine's tests are not skipped: they are not there."""
    others = [item for item in items if config.option.engine not in engines_of(item)]
    items[:] = [item for item in items if config.option.engine in engines_of(item)]
    config.hook.pytest_deselected(items=others)
    config.stash[NOT_OURS] = len(others)


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["not_ours"] = session.config.stash[NOT_OURS]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """xdist's workers collect, each of them everything."""
    node.config.stash[NOT_OURS] = getattr(node, "workeroutput", {}).get("not_ours", 0)


def pytest_terminal_summary(terminalreporter, config):
    terminalreporter.line(f"on {config.option.engine}; {config.stash[NOT_OURS]} tests are other engines'")


@pytest.fixture(scope="session")
def workspace():
    made = Workspace()
    yield made
    left = made.processes()
    made.close()
    assert not left, f"left running: {left}"
    assert not os.path.exists(made.path)


@pytest.fixture(scope="session")
def server(request, workspace):
    engine = request.config.option.engine
    with running_server(SERVERS[engine](os.path.join(workspace.path, "server"))) as server:
        assert server.engine == engine, f"--engine {engine} on {server.engine}"
        yield server


@pytest.fixture(scope="session")
def pg(server):
    """For tests that are PostgreSQL's alone."""
    return server


@pytest.fixture
def db(server):
    name = server.create_database()
    yield name
    server.heal()
    server.drop_database(name)


@pytest.fixture
def make_proxy(server):
    """A function that makes proxies in front of a server's port."""
    made = []

    def make(port):
        made.append(Proxy(port, server.engine))
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
def make_daemon(request, server, db, directory):
    """A function that makes daemons; all of them end in order, and are checked, with the test."""
    request.node.daemons = made = []

    def make(name="d", **options):
        made.append(Daemon(server, options.pop("db", db), directory, name, **options))
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
