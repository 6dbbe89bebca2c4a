"""Fixtures for the texts of sql/mysql: a private MariaDB, or the servers whose sockets BACKFILLD_MYSQL_SOCKETS names, with colons between.
They lose the databases backfill and backfill_texts."""

import os
import subprocess
import tempfile
import time

import pytest

from mysql_session import Refused, Session
from mysql_texts import DATABASE, Job, Texts, init

GIVEN = [path for path in os.environ.get("BACKFILLD_MYSQL_SOCKETS", "").split(":") if path]
SYSTEM = [f"/usr/share/mysql/{name}.sql" for name in ("mysql_system_tables", "mysql_performance_tables", "mysql_system_tables_data",
                                                      "maria_add_gis_sp_bootstrap", "mysql_sys_schema")]


def start_mariadb(path):
    """A private server on the socket path + "/s"."""
    for directory in ("tmp", "data"):
        os.makedirs(os.path.join(path, directory))
    subprocess.run(["chown", "-R", "postgres", path], check=True)
    options = ["mariadbd", "--no-defaults", f"--datadir={path}/data", f"--tmpdir={path}/tmp", "--innodb-buffer-pool-size=48M",
               "--innodb-log-file-size=32M", "--user=postgres"]
    script = "create database mysql;\nuse mysql;\nset @auth_root_socket = NULL;\n"
    for name in SYSTEM:
        with open(name, encoding="utf-8") as file:
            script += file.read()
    with open(path + "/log", "wb") as log:
        subprocess.run(options + ["--bootstrap", "--skip-grant-tables", "--silent-startup"], input=script.encode(), stdout=log, stderr=log, check=True)
        server = subprocess.Popen(options + [f"--socket={path}/s", "--skip-networking", "--server-id=7", f"--log-bin={path}/data/b", "--binlog-format=ROW",
                                             f"--pid-file={path}/pid", "--innodb-flush-log-at-trx-commit=0"], stdout=log, stderr=log)
    deadline = time.monotonic() + 60
    while True:
        try:
            Session(path + "/s", None).close()
            return server
        except Refused:
            assert server.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture(scope="module", params=GIVEN or ["private"])
def server(request, workspace):
    if request.param != "private":
        yield request.param
        return
    path = tempfile.mkdtemp(prefix="mariadb", dir=workspace.path)
    process = start_mariadb(path)
    yield path + "/s"
    process.terminate()
    process.wait(60)


@pytest.fixture
def t(server):
    """A connection with the control tables and an empty database."""
    made = Texts(server)
    for row in made.session.query("XA RECOVER")[0]:
        made.session.query(f"XA ROLLBACK '{row[3]}'")
    for sql in ("SET lock_wait_timeout = 20", "DROP DATABASE IF EXISTS backfill", f"DROP DATABASE IF EXISTS {DATABASE}", f"CREATE DATABASE {DATABASE}", f"USE {DATABASE}",
                "SET sql_mode = 'STRICT_ALL_TABLES'"):
        made.session.query(sql)
    init(server)
    yield made
    made.close()


@pytest.fixture
def make_job(server, t):
    made = []

    def make(*args, **options):
        made.append(Job(server, *args, **options))
        return made[-1]
    yield make
    for job in made:
        job.close()


@pytest.fixture
def connect(server, t):
    """A function that makes connections of the site."""
    made = []

    def make():
        made.append(Session(server, DATABASE))
        return made[-1]
    yield make
    for session in made:
        session.close()


DIGITS = "(SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 " \
         "UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)"


def numbers(count):
    """0 … count - 1 as i"""
    digits = len(str(count - 1))
    total = " + ".join(f"d{k}.d * {10 ** k}" for k in range(digits))
    return f"(SELECT {total} AS i FROM {' CROSS JOIN '.join(f'{DIGITS} AS d{k}' for k in range(digits))}) AS numbers WHERE i < {count}"


def until(condition):
    """innodb_trx and what is made of it is read anew when nobody has looked for 0.1 s."""
    deadline = time.monotonic() + 30
    while True:
        time.sleep(0.15)
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline
