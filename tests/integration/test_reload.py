"""The configuration: at the start, on SIGHUP, and by `reload`."""

import os
import signal
import subprocess

import pytest

from daemon import program
from jobs import increment
from waiting import wait_for


@pytest.fixture
def table(pg, db):
    pg.sql(db, "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0);"
               "INSERT INTO t SELECT i, 0 FROM generate_series(1, 3000) i; GRANT SELECT, UPDATE ON t TO backfill")


def write(daemon, text):
    with open(daemon.conf, "w") as f:
        f.write(text)


def targets(daemon):
    return {target["name"]: target for target in daemon.ctl_json("targets")}


def good_text(daemon):
    daemon.write_conf()
    with open(daemon.conf) as f:
        return f.read()


@pytest.mark.parametrize("how", ["command", "SIGHUP"])
def test_a_bad_file_is_refused_with_its_line_and_the_old_one_stays(daemon, table, how):
    write(daemon, good_text(daemon) + "\n\nnonsense_key = 1;\n")
    with open(daemon.conf) as f:
        line = f.read().rstrip("\n").count("\n") + 1
    if how == "command":
        error = daemon.ctl_error("reload", check=78)
        assert f"{daemon.conf}:{line}:" in error["message"] and "nonsense_key" in error["message"]
    else:
        daemon.process.send_signal(signal.SIGHUP)
        wait_for(lambda: f"{daemon.conf}:{line}:" in daemon.log(), 5, lambda: f"the refusal in the log:\n{daemon.log()}")
    assert set(targets(daemon)) == {"main"}
    assert daemon.run_job(increment())["state"] == "completed"
    wait_for(lambda: "config.rejected" in [e["event"] for e in daemon.ctl_json("events")], 5, "the event")


def test_a_syntax_error_is_refused(daemon):
    write(daemon, "targets = (\n  { name = ;\n")
    assert ":2:" in daemon.ctl_error("reload", check=78)["message"]
    daemon.ctl("list", check=0)


@pytest.mark.parametrize("how", ["command", "SIGHUP"])
def test_a_new_target_is_added_and_works(pg, db, daemon, how):
    second = pg.create_database("second")
    try:
        pg.sql(second, "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t VALUES (1, 0);"
                       "GRANT SELECT, UPDATE ON t TO backfill")
        daemon.settings["targets"].append(daemon.target_settings("second", second))
        daemon.write_conf()
        if how == "command":
            daemon.ctl("reload", check=0)
        else:
            daemon.process.send_signal(signal.SIGHUP)
        wait_for(lambda: set(targets(daemon)) == {"main", "second"}, 5, "both targets")
        daemon.ctl("init", "second", check=0)
        daemon.run_job(increment(target="second"))
        assert pg.value(second, "SELECT n FROM t") == 1
        assert len(daemon.ctl_json("list", "--target", "second")) == 1 and daemon.ctl_json("list", "--target", "main") == []
        del daemon.settings["targets"][1]
        daemon.write_conf()
        daemon.ctl("reload", check=0)
        assert set(targets(daemon)) == {"main"}
    finally:
        if daemon.running():
            daemon.terminate()
        pg.drop_database(second)


def test_removing_a_target_with_live_jobs_is_refused(pg, db, daemon, table):
    job = increment(batch={"delay": "50ms"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 1)
    daemon.settings["targets"][0] = daemon.target_settings("other")
    daemon.write_conf()
    error = daemon.ctl_error("reload", check=78)
    assert "main" in error["message"] and job.id in error["message"] and error["hint"]
    daemon.ctl("set", job.id, "batch.delay=0ms", check=0)
    daemon.wait_done(job)
    assert pg.sql(db, "SELECT n, count(*)::int FROM t GROUP BY n") == [(1, 3000)]


def test_a_changed_limit_reaches_a_running_job(pg, db, daemon, table):
    job = increment(batch={"delay": "50ms"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 1)
    for _ in range(3):
        daemon.settings["targets"][0]["throttle"]["max_lag"] = "700ms"
        daemon.write_conf()
        daemon.ctl("reload", check=0)
    daemon.wait_batches(job, daemon.batches(job) + 2)
    assert {one["probe"]: one for one in daemon.ctl_json("throttle")}["lag:r1"]["limit"] == 0.7
    daemon.wait_done(job)
    assert pg.sql(db, "SELECT n, count(*)::int FROM t GROUP BY n") == [(1, 3000)]


def test_the_socket_can_t_change(daemon):
    daemon.settings["control"]["socket"] = daemon.socket + "2"
    daemon.write_conf()
    assert "control.socket" in daemon.ctl_error("reload", check=78)["message"]


@pytest.mark.parametrize("text, word", [
    ("targets = ( { name = \"a\"; url = \"postgresql:///x\"; nmae = 1; } );", "name"),
    ("controll = { socket = \"/tmp/x\"; };", "control"),
    ("targets = ( { url = \"postgresql:///x\"; } );", "name"),
    ("targets = ( { name = \"a\"; } );", "url"),
    ("targets = ( { name = \"a\"; url = \"oracle://x\"; } );", "url"),
    ("targets = ( { name = \"a\"; url = \"postgresql:///x\"; owner_timeout = \"soon\"; } );", "owner_timeout"),
])
def test_check_config_names_what_is_wrong(directory, text, word):
    path = os.path.join(directory, "bad.conf")
    with open(path, "w") as f:
        f.write("\n" + text + "\n")
    result = subprocess.run([program("backfilld"), "-c", path, "--check-config"], capture_output=True, text=True, timeout=20)
    assert result.returncode == 78, result
    assert word in result.stderr and path in result.stderr


def test_check_config_accepts_a_good_one_and_starts_nothing(pg, db, make_daemon):
    daemon = make_daemon()
    daemon.write_conf()
    result = subprocess.run([program("backfilld"), "-c", daemon.conf, "--check-config"], capture_output=True, text=True, timeout=20)
    assert result.returncode == 0, result
    assert not os.path.exists(daemon.socket)


def test_a_password_is_warned_about_and_never_shown(pg, db, make_daemon):
    daemon = make_daemon()
    target = daemon.settings["targets"][0]
    target["url"] = target["url"].replace("backfill@", "backfill:s3cret_word@")
    daemon.start().init()
    daemon.ctl("targets", check=0)
    shown = daemon.ctl("-o", "json", "targets").stdout + daemon.ctl("-o", "json", "events").stdout + daemon.log()
    assert "s3cret_word" not in shown
    assert "password" in daemon.log()


def test_missing_configuration_is_78(directory):
    result = subprocess.run([program("backfilld"), "-c", os.path.join(directory, "none.conf")], capture_output=True, text=True,
                            timeout=20)
    assert result.returncode == 78 and "none.conf" in result.stderr


def waiting_for_a_lock(pg, db, name):
    wait_for(lambda: pg.value(db, "SELECT count(*)::int FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                                  " AND application_name LIKE %s", (name,)), 10, f"{name} to wait for a lock")


def test_two_reloads_while_a_claim_is_under_way(pg, db, daemon, table):
    """The first one's configuration is gone by the time that the claim it caused comes back."""
    job = increment(batch={"delay": "50ms"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 1)
    with pg.connect(db, autocommit=False) as other:
        other.cursor().execute("SELECT FROM backfill.job FOR UPDATE")
        daemon.ctl("reload", check=0)
        waiting_for_a_lock(pg, db, f"backfilld {job.id}")
        daemon.ctl("reload", check=0)
        other.rollback()
    daemon.ctl("set", job.id, "batch.delay=0ms", check=0)
    daemon.wait_done(job)
    assert pg.sql(db, "SELECT n, count(*)::int FROM t GROUP BY n") == [(1, 3000)]


@pytest.mark.parametrize("command, locked, client", [
    ("init", "backfill.meta", "backfilld init"),
    ("submit", "t", "backfilld preflight%"),
])
def test_a_target_is_removed_under_a_command(pg, db, daemon, table, command, locked, client):
    argument = "main" if command == "init" else increment().write(daemon.directory)
    with pg.connect(db, autocommit=False) as other:
        other.cursor().execute(f"LOCK TABLE {locked}")
        ctl = subprocess.Popen([program("backfillctl"), "-s", daemon.socket, command, argument], stderr=subprocess.PIPE, text=True)
        waiting_for_a_lock(pg, db, client)
        daemon.settings["targets"] = [daemon.target_settings("other")]
        daemon.write_conf()
        daemon.ctl("reload", check=0)
        other.rollback()
    _, complaint = ctl.communicate(timeout=20)
    assert ctl.returncode == 75 and "removed from the configuration" in complaint, complaint
    assert daemon.ctl_json("list") == []
