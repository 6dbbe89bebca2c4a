"""A switch: the replica is promoted, the former primary takes no writes any more. A url of both finds the one that does. (PostgreSQL's
half, with target_session_attrs, is in test_adopt.)"""

import os

import pytest

from jobs import increment
from mysql_server import MySQLServer
from server import running_server
from waiting import holds_for, wait_for
from writers import assert_exactly_once, create_counted_table

pytestmark = pytest.mark.engine("mariadb", "mysql")
ROWS = 3000


@pytest.fixture
def server(workspace):
    """A pair of its own: what a switch leaves is no primary with a replica."""
    with running_server(MySQLServer(os.path.join(workspace.path, "pair"))) as server:
        yield server


@pytest.fixture
def db(server):
    return server.create_database()


def url_of_both(server, db):
    return f"mariadb://backfill@127.0.0.1:{server.primary.port},127.0.0.1:{server.replica.port}/{db}"


def target(daemon):
    return daemon.ctl_json("targets")[0]


def wait_leads_to(daemon, port):
    wait_for(lambda: str(port) in (target(daemon)["server"] or ""), 30, lambda: f"a connection to {port}; {target(daemon)}\n{daemon.log()}")


def demote(server):
    server.sql(server.system, "SET GLOBAL read_only = 1")


@pytest.fixture
def job(server, db, make_daemon):
    create_counted_table(server, db, ROWS)
    daemon = make_daemon(target={"url": url_of_both(server, db)})
    del daemon.settings["targets"][0]["replicas"]
    daemon.start().init()
    job = increment(allow_triggers=True, batch={"delay": "20ms"}, throttle={"replicas": [f"!{server.follower}"]})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 2)
    yield daemon, job


def test_a_url_of_both_finds_the_new_primary(server, db, job):
    daemon, job = job
    wait_leads_to(daemon, server.primary.port)
    demote(server)
    wait_for(lambda: daemon.show(job)["throttle"]["held"], 10, lambda: daemon.show(job)["throttle"])
    before = daemon.batches(job)
    holds_for(lambda: daemon.batches(job) == before, 1, "no batch while nobody takes writes")
    server.wait_replica_is_current()
    server.promote_replica()
    wait_leads_to(daemon, server.replica.port)
    assert daemon.batches(job) == before, "the former primary is left alone"
    wait_for(lambda: target(daemon)["control_tables"] == "foreign", 10, lambda: target(daemon))
    daemon.ctl("adopt", "main", check=0)
    daemon.ctl("resume", job.id, check=0)
    daemon.wait_done(job)
    server.swap()
    assert_exactly_once(server, db, ROWS)


def test_a_daemon_that_starts_after_the_switch_finds_it_too(server, db, job):
    daemon, job = job
    daemon.kill9()
    demote(server)
    server.wait_replica_is_current()
    daemon.start()
    wait_for(lambda: "read only" in (target(daemon)["reason"] or ""), 10, lambda: target(daemon))
    assert target(daemon)["state"] == "down"
    server.promote_replica()
    wait_leads_to(daemon, server.replica.port)
