"""Input that must be refused: with words that help, with the exit code of its kind, and with nothing changed by it."""

import os
import subprocess

import pytest

from daemon import program, run_ctl
from jobs import Job

ROWS = 50
STATEMENT = {"kind": "statement", "set": None, "rollback": {"keep_old_values": False}}
PASSWORD = "s3cret_word"


def update(**keys):
    return Job(**{"table": "public.t", "kind": "update", "set": {"n": "n + 1"}, **keys})


def statement(sql, **keys):
    return {**STATEMENT, "statement": sql, **keys}


@pytest.fixture
def table(server, db):
    server.sql(db, f"""CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, {server.dialect.quote("order")} int);
        INSERT INTO t (id) SELECT i FROM {server.dialect.series(1, ROWS)}; GRANT SELECT, INSERT, UPDATE, DELETE ON t TO backfill""")


@pytest.fixture
def unchanged(server, db, table, daemon):
    """The rows, the jobs and the audit trail are after the test what they were before."""
    def look():
        return [server.sql(db, query) for query in ("SELECT * FROM t ORDER BY id", "SELECT * FROM backfill.job", "SELECT * FROM backfill.segment",
                                                    "SELECT * FROM backfill.event WHERE job_id IS NOT NULL")]
    before = look()
    yield
    assert look() == before


# name: (keys of the job, words of the message, words of the hint)
BAD_JOBS = {
    "unknown key": ({"whree": "true"}, "whree", "where"),
    "unknown key of a group": ({"batch": {"rowz": 100}}, "batch.rowz", "batch.rows"),
    "text for a number": ({"batch": {"rows": "many"}}, "batch.rows", ""),
    "number for a text": ({"where": 5}, "where", ""),
    "text for a truth value": ({"allow_triggers": "yes"}, "allow_triggers", ""),
    "group for a list": ({"key": {"id": 1}}, "key", ""),
    "number for an expression": ({"set": {"n": 1}}, "set.n", ""),
    "too few rows": ({"batch": {"rows": 99}}, "batch.rows", ""),
    "too many rows": ({"batch": {"rows": 100001}}, "batch.rows", ""),
    "more rows than max_rows": ({"batch": {"rows": 500, "max_rows": 400}}, "batch.", ""),
    "negative rows": ({"batch": {"rows": -100}}, "batch.rows", ""),
    "rows that wrap": ({"batch": {"rows": 4294968296}}, "batch.rows", ""),
    "id without a date": ({"id": "nodate"}, "id", ""),
    "id with a quote": ({"id": "20261121_a'b"}, "id", ""),
    "id that is too long": ({"id": "20261121_" + "x" * 60}, "id", ""),
    "two statements in set": ({"set": {"n": "1; DELETE FROM t"}}, "set.n, line 1, column 2: a `;`", ""),
    "two statements in where": ({"where": "true; DELETE FROM t"}, "where, line 1, column 5: a `;`", ""),
    "comment that hides the rest": ({"where": "true --"}, "comments are not allowed", ""),
    "comment in a comment": ({"set": {"n": "1 /* /* */ */ + 1"}}, "comments are not allowed", ""),
    "brackets that leave": ({"where": "true) OR (true"}, "column 5: closes a bracket", ""),
    "{range} in where": ({"where": "{range}"}, "only a `statement` has", ""),
    "missing table": ({"table": "public.nowhere"}, "public.nowhere does not exist", ""),
    "SET on the key": ({"set": {"id": "id + 1"}}, "id is a column of the key", ""),
}

# Of fragments that each server's own grammar judges, and of statements, which one engine alone has.
BAD_JOBS_OF = {
    "postgresql": {
        "two statements": (statement("UPDATE t SET n = 9 WHERE {range}; DELETE FROM t"), "a `;` is not allowed", ""),
        "comment that hides {range}": (statement("UPDATE t SET n = 9 WHERE true -- {range}"), "comments are not allowed", ""),
        "comment between the two": (statement("UPDATE t SET n = 9 WHERE {/**/range}"), "comments are not allowed", ""),
        "{range} missing": (statement("UPDATE t SET n = 9"), "{range} is missing", "AND {range}"),
        "{range} in a literal": (statement("UPDATE t SET n = length('{range}')"), "{range} is missing", "AND {range}"),
        "{range} twice": (statement("UPDATE t SET n = 9 WHERE {range} AND {range}"), "a second time", ""),
        "DELETE": (statement("DELETE FROM t WHERE {range}"), "deletes rows", "allow_delete = true"),
        "DELETE without {range}": (statement("DELETE FROM t", allow_delete=True), "{range} is missing", ""),
        "DROP": (statement("DROP TABLE t"), "{range} is missing", ""),
        "DROP behind a batch": (statement("UPDATE t SET n = 9 WHERE {range}; DROP TABLE t"), "a `;`", ""),
        "TRUNCATE": (statement("TRUNCATE t"), "{range} is missing", ""),
        "MERGE": (statement("MERGE INTO t USING t s ON {range} WHEN MATCHED THEN DELETE"), "must be an INSERT, UPDATE or DELETE", ""),
        "SELECT": (statement("SELECT pg_sleep(9) FROM t WHERE {range}"), "must be an INSERT, UPDATE or DELETE", ""),
        "COPY TO PROGRAM": (statement("COPY (SELECT 1 FROM t WHERE {range}) TO PROGRAM 'x'"), "must be an INSERT", ""),
        "reserved word as a column": ({"where": "order > 1"}, "where, line 1, column 1: syntax error", ""),
        "comment without an end": ({"where": "true /* "}, "unterminated", ""),
    },
    "mysql": {
        "reserved word as a column": ({"where": "order > 1"}, "where, line 1, column 1", ""),
        "comment without an end": ({"where": "true /* "}, "comments are not allowed", ""),
        "statement": (statement("UPDATE t SET n = 9 WHERE {range}"), "not on MySQL and MariaDB", '"update" or "insert"'),
    },
}


def bad_jobs():
    of = {"postgresql": ("postgresql",), "mysql": ("mariadb", "mysql")}
    return [pytest.param(*case, id=name) for name, case in BAD_JOBS.items()] + [
        pytest.param(*case, id=name, marks=pytest.mark.engine(*of[engine])) for engine, cases in BAD_JOBS_OF.items() for name, case in cases.items()]


@pytest.mark.parametrize("keys, message, hint", bad_jobs())
def test_a_bad_job_is_65(daemon, unchanged, keys, message, hint):
    path = update(**keys).write(daemon.directory)
    error = daemon.ctl_error("submit", path, "--start", check=65)
    assert message in error["message"] and hint in error["hint"], error
    plain = daemon.ctl("submit", path, check=65)
    assert plain.stdout == "" and error["message"] in plain.stderr


def test_reserved_words_as_names_are_quoted(server, db, daemon, table):
    """Not bad at all, where they are names."""
    order, user, select = (server.dialect.quote(name) for name in ("order", "user", "select"))
    server.sql(db, f"CREATE TABLE {select} (id int PRIMARY KEY, {order} int, {user} int); GRANT ALL ON {select} TO backfill;"
                   f" INSERT INTO {select} SELECT i, 0, 0 FROM {server.dialect.series(1, 10)}")
    daemon.run_job(update(table="public.select", set={"order": f"{order} + 1", "user": f"{select}.{user} + 2"}))
    assert list(server.sql(db, f"SELECT DISTINCT {order}, {user} FROM {select}")) == [(1, 2)]


def test_the_same_id_with_another_definition(server, db, daemon, table):
    job = update()
    daemon.submit(job)
    stored = server.sql(db, "SELECT definition, sha256, state, settings FROM backfill.job")
    other = update(id=job.id, set={"n": "n + 2"})
    error = daemon.ctl_error("submit", other.write(daemon.directory), "--start", check=65)
    assert job.id in error["message"] and "another content" in error["message"]
    assert server.sql(db, "SELECT definition, sha256, state, settings FROM backfill.job") == stored
    assert daemon.ctl("submit", job.write(daemon.directory)).code == 0  # the same again is the same


# name: (pair, exit code, words of the message)
BAD_SETTINGS = {
    "unknown key": ("batch.rowz=100", 64, "batch.rowz"),
    "too few rows": ("batch.rows=99", 64, "batch.rows"),
    "too many rows": ("batch.rows=500000", 64, "batch.rows"),
    "rows that wrap": ("batch.rows=4294968296", 64, "batch.rows"),
    "text for a number": ("batch.rows=many", 64, "batch.rows"),
    "no value": ("batch.rows", 64, "batch.rows"),
    "no duration": ("batch.time=soon", 64, "batch.time"),
    "not live": ("where=true", 64, "where"),
    "another id": ("id=20261121_y", 64, "id"),
    "nothing": ("=", 64, ""),
}


@pytest.mark.parametrize("name", BAD_SETTINGS)
def test_a_bad_setting_changes_nothing(server, db, daemon, table, name):
    pair, code, message = BAD_SETTINGS[name]
    job = update()
    daemon.submit(job)
    settings = server.value(db, "SELECT settings FROM backfill.job")
    error = daemon.ctl_error("set", job.id, "batch.delay=1ms", pair, check=code)
    assert message in error["message"], error
    assert server.value(db, "SELECT settings FROM backfill.job") == settings


def test_a_setting_looser_than_the_target_s_changes_nothing(server, db, table, make_daemon):
    daemon = make_daemon(target={"throttle": {"max_lag": "2s"}}).start().init()
    job = update()
    daemon.submit(job)
    error = daemon.ctl_error("set", job.id, "batch.delay=1ms", "throttle.max_lag=3s", check=65)
    assert "throttle.max_lag" in error["message"], error
    assert server.value(db, "SELECT concat(settings, '') FROM backfill.job") == "{}"


# --- the server ---

def only_url(daemon, url):
    """One target with nothing but this URL."""
    target = daemon.target_settings(url=url, admin_url=url)
    del target["replicas"]
    daemon.settings["targets"] = [target]



def test_unreachable_server_is_75(server, db, make_daemon):
    """Nobody listens on port 1."""
    daemon = make_daemon()
    only_url(daemon, f"{server.url_scheme}backfill@127.0.0.1:1/x")
    daemon.start()
    for command in (["submit", update().write(daemon.directory)], ["pause", "20261121_x"]):
        error = daemon.ctl_error(*command, check=75)
        assert "main is out of reach" in error["message"] and "127.0.0.1" in error["message"], error
        assert "check its url" in error["hint"]
    assert daemon.running()


@pytest.fixture
def guarded_role(server):
    """A role whose password the server asks for."""
    with server.guarded_role("guarded", "another_word"):
        yield "guarded"


def test_a_wrong_password_is_never_shown(server, db, table, make_daemon, guarded_role):
    daemon = make_daemon()
    only_url(daemon, f"{server.url_scheme}{guarded_role}:{PASSWORD}@127.0.0.1:{server.primary.port}/{db}")
    daemon.start()
    answers = [daemon.ctl(*options, *command)
               for options in ([], ["-o", "json"])
               for command in (["submit", update().write(daemon.directory)], ["init", "main"], ["targets"], ["list"], ["events"])]
    said = "\n".join(answer.stdout + answer.stderr for answer in answers) + daemon.log()
    assert PASSWORD not in said
    assert server.dialect.refused_password in said
    assert [answer.code for answer in answers[:3]] == [75, 75, 0], answers
    assert server.value(db, "SELECT count(*) FROM information_schema.schemata WHERE schema_name = 'backfill'") == 0


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_a_password_in_a_url_that_can_t_be_read_is_never_shown(directory, scheme):
    path = os.path.join(directory, "bad.conf")
    for place in ("max_workers = 0;", "owner_timeout = 5;", "unknown = 1;", "name = 7;", "url = 5;", "("):
        with open(path, "w") as f:
            f.write(f'targets = ( {{ name = "a"; url = "{scheme}://u:{PASSWORD}@h/d?password={PASSWORD}"; {place} }} );')
        result = subprocess.run([program("backfilld"), "-c", path, "--check-config"], capture_output=True, text=True, timeout=20)
        assert result.returncode == 78 and path + ":1:" in result.stderr, (place, result)
        assert PASSWORD not in result.stdout + result.stderr


# --- the control tables ---

def test_missing_control_tables_are_78(server, db, table, make_daemon):
    daemon = make_daemon().start()
    error = daemon.ctl_error("submit", update().write(daemon.directory), check=78)
    assert "main has no control tables" in error["message"] and "backfillctl init main" in error["hint"]
    listed = daemon.ctl("list", check=0)
    assert "control tables" in listed.stderr
    assert server.value(db, "SELECT count(*) FROM information_schema.schemata WHERE schema_name = 'backfill'") == 0


def test_control_tables_of_a_newer_version_are_left_alone(server, db, table, daemon):
    job = update()
    daemon.submit(job)
    daemon.terminate()
    server.sql(db, "UPDATE backfill.meta SET value = '99' WHERE name = 'schema_version'")
    daemon.start()
    for command in (["start", job.id], ["pause", job.id], ["submit", update().write(daemon.directory)], ["init", "main"]):
        error = daemon.ctl_error(*command, check=78)
        assert "of version 99, newer than this daemon's" in error["message"], (command, error)
        assert "upgrade backfilld" in error["hint"], (command, error)
    assert list(server.sql(db, "SELECT id, state FROM backfill.job")) == [(job.id, "pending")]
    assert server.value(db, "SELECT value FROM backfill.meta WHERE name = 'schema_version'") == "99"


@pytest.mark.parametrize("command, privilege", [("submit", "INSERT"), ("start", "UPDATE"), ("set", "UPDATE")])
def test_control_tables_that_may_not_be_written(server, db, table, daemon, command, privilege):
    job = update()
    daemon.submit(job)
    server.sql(db, f"REVOKE {privilege} ON {server.dialect.granted_control_tables} FROM backfill")
    arguments = {"submit": [update().write(daemon.directory)], "start": [job.id], "set": [job.id, "batch.rows=200"]}[command]
    error = daemon.ctl_error(command, *arguments, check=78)
    assert "the control tables can't be used: " in error["message"] and server.dialect.refused_privilege in error["message"], error
    assert "backfillctl init main" in error["hint"], error
    assert list(server.sql(db, "SELECT id, state, concat(settings, '') FROM backfill.job")) == [(job.id, "pending", "{}")]
    daemon.init()
    daemon.ctl(command, *arguments, check=0)


# --- the socket and the file ---

def test_a_socket_path_that_is_too_long(directory):
    path = os.path.join(directory, "x" * 108)
    result = run_ctl(path, "list")
    assert result.code == 64 and "too long" in result.stderr and result.stdout == ""
    conf = os.path.join(directory, "long.conf")
    with open(conf, "w") as f:
        f.write(f'control = {{ socket = "{path}"; }};')
    for options in (["--check-config"], []):
        result = subprocess.run([program("backfilld"), "-c", conf, *options], capture_output=True, text=True, timeout=20)
        assert result.returncode == 78 and "control.socket" in result.stderr and "107" in result.stderr, result
    assert os.listdir(directory) == ["long.conf"]


def test_the_longest_socket_path_works(make_daemon):
    daemon = make_daemon()
    daemon.socket = os.path.join(daemon.directory, "")
    daemon.socket += "s" * (107 - len(daemon.socket))
    daemon.settings["control"]["socket"] = daemon.socket
    daemon.start()
    assert os.path.exists(daemon.socket)


@pytest.mark.parametrize("size, limit", [(300 << 10, "256 KiB"), (2 << 20, "512 KiB")])
def test_a_job_file_that_is_too_large(daemon, unchanged, size, limit):
    text = update().text() + "# " + "x" * size + "\n"
    for options in ([], ["-o", "json"]):
        result = run_ctl(daemon.socket, *options, "submit", "-", stdin=text)
        assert result.code == 65 and limit in result.stderr and result.stdout == "", result
