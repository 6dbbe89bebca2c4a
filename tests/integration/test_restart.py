"""The server goes away in mid-job: a hold, and then the work goes on, exact."""

import re

import pytest

from jobs import increment
from server import WORKER, execute
from waiting import holds_for, wait_for
from writers import assert_exactly_once, create_counted_table

ROWS = 12000


@pytest.fixture
def job(server, db, daemon):
    create_counted_table(server, db, ROWS)
    job = increment(allow_triggers=True, batch={"delay": "10ms"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 3)
    return job


def finish(server, db, daemon, job):
    wait_for(lambda: daemon.ctl("set", job.id, "batch.delay=0ms", "batch.rows=2000").code == 0, 10, "the target to be up again")
    daemon.wait_done(job)
    assert_exactly_once(server, db, ROWS)
    assert daemon.show(job)["batches"]["failed"] == 0


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_server_restart(server, db, daemon, job, mode):
    for _ in range(2):
        server.primary.restart(mode)
        daemon.wait_batches(job, daemon.batches(job) + 1)
    finish(server, db, daemon, job)


def test_while_the_server_is_down(server, db, daemon, job):
    server.primary.stop("immediate")
    wait_for(lambda: daemon.ctl("show", job.id).code == 75, 10, "the daemon to notice")
    error = daemon.ctl_error("pause", job.id, check=75)
    assert "main" in error["message"]
    listed = daemon.ctl("-o", "json", "list", check=0)
    assert listed.stdout.strip() == "[]" and "main" in listed.stderr
    assert [target["state"] for target in daemon.ctl_json("targets")] == ["down"]
    server.primary.start()
    daemon.wait_batches(job, daemon.batches(job) + 1)
    daemon.wait_up()
    names = [e["event"] for e in daemon.ctl_json("events")]
    assert "target.up" in names
    finish(server, db, daemon, job)


def test_a_daemon_that_starts_before_the_server(server, db, daemon, job):
    daemon.kill9()
    server.primary.stop("fast")
    daemon.start()
    server.primary.start()
    daemon.wait_batches(job, daemon.batches(job) + 1)
    finish(server, db, daemon, job)


def test_a_command_waits_while_a_lost_connection_is_made_again(server, db, daemon, job):
    for times in range(1, 6):
        wait_for(lambda: daemon.log().count("target main: connected") == times, 10, "the target")
        server.terminate_backends_of(db)
        wait_for(lambda: daemon.log().count("target main: no connection") == times, 10, "the loss to be seen")
        daemon.show(job)


def test_backends_terminated_again_and_again(server, db, daemon, job):
    for _ in range(15):
        before = daemon.batches(job)
        wait_for(lambda: server.terminate_backends_of(db) > 0, 10, "connections to end")  # the last ones may not be back yet
        daemon.wait_batches(job, before + 1)
    finish(server, db, daemon, job)


def test_sigterm_while_a_batch_waits_for_a_lock(server, db, daemon, job):
    """The batch in flight ends or is cancelled; nothing of it is left half done."""
    with server.connect(db, autocommit=False) as site:
        execute(site, "SELECT 1 FROM t FOR UPDATE")
        wait_for(lambda: server.waits_for_lock(db), 10, "a batch that waits")
        assert daemon.terminate() == 0
        wait_for(lambda: server.count_backends_of(db) == 0, 10, "its backends to be gone")
    daemon.start()
    finish(server, db, daemon, job)


def test_sigterm_while_the_server_is_down(server, db, daemon, job):
    server.primary.stop("immediate")
    assert daemon.terminate() == 0
    server.primary.start()
    daemon.start()
    finish(server, db, daemon, job)


def test_a_frozen_server_is_noticed_and_its_return_too(server, db, daemon, job):
    server.primary.freeze()
    # the daemon itself must go on answering
    assert daemon.ctl("version").code == 0
    assert daemon.ctl("list").code in (0, 75)
    server.primary.unfreeze()
    daemon.wait_batches(job, daemon.batches(job) + 1)
    finish(server, db, daemon, job)


# --- a server that takes no writes any more, as the former primary after a switch ---

@pytest.fixture
def admin(server):
    """A role that the server lets write all the same, as root may on the former primary."""
    privilege = "READ_ONLY ADMIN" if server.engine == "mariadb" else "CONNECTION_ADMIN"
    server.sql(server.system, f"GRANT {privilege} ON *.* TO {WORKER}")


def held_as_read_only(server, db, daemon, job):
    def says_why():
        """The log, where it was held for nothing else before; or whoever asks."""
        shown = daemon.ctl("show", job.id)
        return re.search("held: .*read.only", daemon.log()) or re.search("read.only", shown.stdout + shown.stderr)
    wait_for(says_why, 40, lambda: f"a hold that says why; log:\n{daemon.log()}")
    done = daemon.batches(job)
    holds_for(lambda: daemon.progress(job) == ("running", done), 1.5, "nothing is written there")


@pytest.mark.engine("mariadb", "mysql")
@pytest.mark.parametrize("role", ["worker", "admin"])
def test_a_server_that_becomes_read_only_holds_the_job(request, server, db, daemon, job, role):
    if role == "admin":
        request.getfixturevalue("admin")
        server.terminate_backends_of(db)
    daemon.wait_batches(job, daemon.batches(job) + 1)
    server.sql(server.system, "SET GLOBAL read_only = 1")
    held_as_read_only(server, db, daemon, job)
    server.sql(server.system, "SET GLOBAL read_only = 0")
    daemon.wait_batches(job, daemon.batches(job) + 1)
    finish(server, db, daemon, job)


@pytest.mark.engine("mysql")
def test_a_server_that_is_read_only_for_everybody_holds_the_job(server, db, daemon, job):
    server.sql(server.system, "SET GLOBAL super_read_only = 1")
    held_as_read_only(server, db, daemon, job)
    server.sql(server.system, "SET GLOBAL read_only = 0")
    finish(server, db, daemon, job)


@pytest.mark.engine("mariadb", "mysql")
def test_a_server_that_comes_back_with_a_read_only_innodb_holds_the_job(server, db, daemon, job):
    server.primary.options = ("innodb-read-only",)
    try:
        server.primary.restart("fast")
        held_as_read_only(server, db, daemon, job)
    finally:
        server.primary.options = ()
        server.primary.restart("fast")
    finish(server, db, daemon, job)
