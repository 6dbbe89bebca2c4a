"""backfillctl by itself: exit codes, help, and job files without a daemon."""

import json
import os

import pytest

from daemon import run_ctl
from jobs import Job, increment


def test_no_daemon_is_69_and_says_what_to_do(directory):
    result = run_ctl(os.path.join(directory, "none"), "list")
    assert result.code == 69
    assert result.stdout == ""
    assert "no daemon answers" in result.stderr and "start it" in result.stderr


def test_socket_comes_from_the_environment(directory):
    path = os.path.join(directory, "elsewhere")
    result = run_ctl(None, "list", env={"BACKFILLD_SOCKET": path})
    assert result.code == 69 and path in result.stderr


def test_unknown_command_is_64_and_names_the_nearest(directory):
    result = run_ctl(os.path.join(directory, "none"), "sumbit", "x")
    assert result.code == 64
    assert "sumbit" in result.stderr and "submit" in result.stderr


@pytest.mark.parametrize("args", [["show"], ["show", "a", "b"], ["list", "--nonsense"], ["-o", "yaml", "list"], []])
def test_bad_usage_is_64(directory, args):
    result = run_ctl(os.path.join(directory, "none"), *args)
    assert result.code == 64, result
    assert result.stdout == "" and result.stderr != ""


def test_help_goes_to_stdout_and_names_every_command(directory):
    result = run_ctl(None, "--help")
    assert result.code == 0 and result.stderr == ""
    for command in ("validate", "init", "submit", "start", "pause", "resume", "retry", "cancel", "stop", "unstop", "set", "list",
                    "show", "wait", "events", "throttle", "reload", "version", "targets"):
        assert command in result.stdout


def test_help_of_a_command():
    result = run_ctl(None, "submit", "--help")
    assert result.code == 0
    assert "--start" in result.stdout and "--confirm" in result.stdout


def test_version_with_and_without_a_daemon(directory, daemon):
    alone = run_ctl(os.path.join(directory, "none"), "version")
    assert alone.code == 0 and alone.stdout.startswith("backfillctl ")
    both = daemon.ctl("version", check=0)
    assert "backfillctl " in both.stdout and "backfilld " in both.stdout
    as_json = daemon.ctl_json("version")
    assert as_json["backfilld"] == as_json["backfillctl"]


def test_validate_accepts_a_good_file(directory):
    job = increment()
    result = run_ctl(None, "validate", job.write(directory))
    assert result.code == 0 and job.id in result.stdout
    as_json = run_ctl(None, "-o", "json", "validate", job.write(directory))
    assert json.loads(as_json.stdout)["id"] == job.id


def test_validate_ignores_comments_and_spacing(directory):
    job = increment()

    def sha256(text):
        return json.loads(run_ctl(None, "-o", "json", "validate", "-", stdin=text).stdout)["sha256"]
    assert sha256(job.text()) == sha256("# a comment\n" + job.text().replace(" = ", "   =\n  "))
    assert sha256(job.text()) != sha256(job.text().replace("n + 1", "n + 2"))


@pytest.mark.parametrize("keys, word", [
    ({"batch": {"rows": 99}}, "batch.rows"),
    ({"batch": {"rows": 100001}}, "batch.rows"),
    ({"kind": "upsert"}, "kind"),
    ({"id": "nodate"}, "id"),
    ({"where": "n IS NULL; DROP TABLE t"}, "where"),
    ({"where": "true) OR (true"}, "where"),
    ({"set": {"n": "1 -- comment"}}, "set.n"),
    ({"whree": "true"}, "where"),
    ({"table": "public.t; drop"}, "table"),
])
def test_validate_refuses_with_65_and_names_the_key(directory, keys, word):
    job = increment(**keys)
    result = run_ctl(None, "validate", job.write(directory))
    assert result.code == 65, result
    assert word in result.stderr
    error = json.loads(run_ctl(None, "-o", "json", "validate", job.write(directory)).stderr)["error"]
    assert set(error) == {"code", "message", "hint"}


@pytest.mark.parametrize("keys, engines", [
    ({}, ["postgresql", "mysql"]),
    ({"set": {"n": "n::int + 1"}}, ["postgresql"]),
    ({"set": {"n": "n DIV 2"}}, ["mysql"]),
    ({"set": {"n": "n + "}}, []),
    ({"kind": "statement", "set": None, "statement": "UPDATE t SET n = 1 WHERE {range}", "rollback": {"keep_old_values": False}},
     ["postgresql"]),
])
def test_validate_says_for_which_servers(directory, keys, engines):
    path = increment(**keys).write(directory)
    either = run_ctl(None, "-o", "json", "validate", path)
    assert either.code == (0 if engines else 65), either
    if engines:
        assert json.loads(either.stdout)["engines"] == engines
    # Nobody knows the target's engine here: whom it is not for is a warning.
    others = {"postgresql": "not for PostgreSQL: ", "mysql": "not for MySQL and MariaDB: "}
    for engine, warning in others.items():
        assert (warning in either.stderr) == (engines != [] and engine not in engines), either
        one = run_ctl(None, "validate", "--engine", engine, path)
        assert one.code == (0 if engine in engines else 65), one
        assert (one.stderr == "") == (engine in engines)
    assert run_ctl(None, "validate", "--engine", "oracle", path).code == 64


def test_syntax_error_names_the_line(directory):
    result = run_ctl(None, "validate", "-", stdin='id = "20261121_x";\ntarget = ;\n')
    assert result.code == 65 and ":2:" in result.stderr


def test_unreadable_file_is_65(directory):
    result = run_ctl(None, "validate", os.path.join(directory, "missing.job"))
    assert result.code == 65 and "missing.job" in result.stderr


def test_unknown_job_is_64(daemon):
    for command in ("show", "start", "pause", "resume", "retry", "cancel", "wait"):
        error = daemon.ctl_error(command, "20261121_nothing", check=64)
        assert "20261121_nothing" in error["message"], command
        assert error["hint"]


def test_unknown_target_is_64_or_65(daemon, directory):
    assert daemon.ctl("init", "nowhere").code == 64
    result = daemon.submit(Job(target="nowhere", table="t", kind="update", set={"n": "1"}), check=65)
    assert "nowhere" in result.stderr


def test_wait_times_out_with_124(pg, db, daemon):
    pg.sql(db, "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 1); GRANT ALL ON t TO backfill")
    job = increment()
    daemon.submit(job)
    assert daemon.ctl("wait", job.id, "--timeout", "200ms").code == 124
