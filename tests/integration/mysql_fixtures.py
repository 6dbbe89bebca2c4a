"""Fixtures for the texts of sql/mysql: each test has the control tables and an empty database on the worker's own server."""

import time

import pytest

from mysql_server import PUBLIC
from mysql_session import Session
from mysql_texts import DATABASE, Job, Texts, init


@pytest.fixture(scope="module")
def server(server):
    """The primary's socket."""
    yield server.primary.socket
    server.drop_database(PUBLIC)


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
