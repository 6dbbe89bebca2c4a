"""The control tables are bound to their server: on a restored copy or a clone nothing is done until somebody says adopt."""

import contextlib
import os
import subprocess

import pytest

from jobs import increment
from mysql_server import MySQLServer
from postgres_server import SUPERUSER, PostgresServer, pg_program
from server import OWNER, execute, run, running_server
from waiting import holds_for, wait_for
from writers import assert_exactly_once, create_counted_table

POSTGRES, MYSQL = pytest.mark.engine("postgresql"), pytest.mark.engine("mariadb", "mysql")
ROWS = 3000


@pytest.fixture(scope="module")
def other(workspace):
    """Another server, with another system identifier."""
    with running_server(PostgresServer(os.path.join(workspace.path, "other"))) as server:
        yield server


@pytest.fixture
def job(server, db, daemon):
    create_counted_table(server, db, ROWS)
    job = increment(allow_triggers=True, batch={"delay": "20ms"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 2)
    return job


def restore(pg, db, other):
    """A copy of the same name on another server."""
    script = os.path.join(other.directory, db + ".sql")
    with open(script, "w") as f:
        f.write(run([pg_program("pg_dump"), pg.url(db, SUPERUSER)]))
    other.sql("postgres", f"CREATE DATABASE {db}")
    run([pg_program("psql"), "-qv", "ON_ERROR_STOP=1", other.url(db, SUPERUSER), "-f", script])


def lead_to(daemon, pg, db, **more):
    daemon.server, daemon.db = pg, db
    daemon.settings["targets"] = [daemon.target_settings(owner_timeout="2s", **more)]


def url_of_both(first, first_port, second, second_port, db, role="backfill"):
    return (f"postgresql://{role}@/{db}?host={first.directory},{second.directory}&port={first_port},{second_port}"
            "&target_session_attrs=read-write")


@contextlib.contextmanager
def copied(server, path):
    """The server's files, as they were while it was down, and another server on them. Without a replica."""
    other = type(server)(path)
    server.primary.stop()
    server.forget_connections()
    subprocess.run(["cp", "-a", server.primary.data, other.primary.data], check=True)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(other.primary.data, "auto.cnf"))  # no backup of MySQL has it
    server.primary.start()
    other.primary.start()
    try:
        yield other
    finally:
        other.forget_connections()
        other.destroy()


def facts(server, db):
    """All that a batch, a claim or a change of state would change."""
    return server.sql(db, "SELECT (SELECT count(*) FROM t WHERE n > 0), (SELECT count(*) FROM backfill.event), state, epoch, owner,"
                      " (SELECT sum(batch_id) FROM backfill.segment) FROM backfill.job")


@pytest.fixture
def restored(pg, db, other):
    restore(pg, db, other)
    yield other, db
    other.drop_database(db)


@pytest.fixture
def clone(pg, db):
    name = db + "_clone"
    pg.terminate_backends_of(db)
    pg.forget_connections(db)
    pg.sql("postgres", f"CREATE DATABASE {name} TEMPLATE {db}")
    yield pg, name
    pg.drop_database(name)


@pytest.fixture
def files(server, db, workspace):
    with copied(server, os.path.join(workspace.path, "copy")) as other:
        yield other, db


@pytest.fixture(params=[pytest.param("restored", marks=POSTGRES), pytest.param("clone", marks=POSTGRES), pytest.param("files", marks=MYSQL)])
def copy(request, daemon, job):
    """The daemon is dead, and what it finds when it comes back is a copy."""
    daemon.kill9()
    server, name = request.getfixturevalue(request.param)
    lead_to(daemon, server, name, environment="production")
    if not server.replica.running():
        del daemon.settings["targets"][0]["replicas"]
    daemon.start()
    yield server, name
    if daemon.running():
        daemon.terminate()


def test_a_copy_waits_for_adopt_and_then_goes_on_where_it_was(copy, daemon, job):
    server, name = copy
    wait_for(lambda: daemon.ctl_json("targets")[0]["control_tables"] == "foreign", 10, lambda: daemon.log())
    before = facts(server, name)
    assert before[0][2] == "running"
    for command in (["pause", job.id], ["resume", job.id], ["submit", job.write(daemon.directory)]):
        error = daemon.ctl_error(*command, check=78)
        assert "made on another server" in error["message"] and "backfillctl adopt main" in error["hint"]
    holds_for(lambda: facts(server, name) == before, 2.5, "nothing is done before somebody says adopt")
    assert "nothing is done there" in daemon.log()

    error = daemon.ctl_error("adopt", "main", check=65)
    assert "production" in error["message"] and "--confirm" in error["hint"]
    daemon.ctl("adopt", "main", "--confirm", "elsewhere", check=65)
    assert facts(server, name) == before
    assert "1 running job(s) paused" in daemon.ctl("adopt", "main", "--confirm", name, check=0).stdout

    shown = daemon.show(job)
    assert shown["state"] == "paused" and "adopted" in shown["reason"] and shown["owner"] is None
    events = daemon.ctl_json("events")
    assert [event["job"] for event in events if event["event"] == "job.paused"] == [job.id]
    adopted = [event for event in events if event["event"] == "target.adopted"]
    assert len(adopted) == 1 and adopted[0]["data"]["from"] != adopted[0]["data"]["to"] and adopted[0]["actor"] != "backfilld"

    again = daemon.ctl_json("adopt", "main", "--confirm", name)
    assert not again["changed"] and "already" in again["message"]
    daemon.ctl("resume", job.id, check=0)
    daemon.wait_done(job)
    assert_exactly_once(server, name, ROWS)


@POSTGRES
def test_a_copy_of_a_job_that_was_not_frozen_yet(pg, db, daemon, other):
    """Its marker is a transaction id of the other server: it is set anew."""
    create_counted_table(pg, db, ROWS)
    job = increment(allow_triggers=True, batch={"rows": 1000})
    daemon.submit(job)
    with pg.connect(db, autocommit=False) as writer:
        execute(writer, "INSERT INTO t (id) VALUES (0)")
        daemon.ctl("start", job.id, check=0)
        wait_for(lambda: daemon.show(job)["throttle"]["probe"] == "writers", 10, lambda: daemon.show(job))
        daemon.kill9()
        restore(pg, db, other)
    other.sql(db, "UPDATE backfill.job SET freeze_marker = '999999999'")  # this server won't come there for years
    lead_to(daemon, other, db)
    daemon.start()
    daemon.ctl("adopt", "main", check=0)
    daemon.ctl("resume", job.id, check=0)
    wait_for(lambda: other.value(db, "SELECT frozen_at IS NOT NULL FROM backfill.job"), 10, lambda: daemon.show(job))
    assert int(other.value(db, "SELECT freeze_marker FROM backfill.job")) < 999999999
    with other.connect(db, autocommit=False) as writer:  # of no concern: younger than the start
        execute(writer, "INSERT INTO t (id) VALUES (%s)", (ROWS + 1,))
        daemon.wait_done(job)
    assert_exactly_once(other, db, ROWS)
    daemon.terminate()
    other.drop_database(db)


def test_an_unknown_target_and_one_that_needs_no_adoption(daemon):
    daemon.ctl("adopt", "nowhere", check=64)
    assert "already" in daemon.ctl("adopt", "main", check=0).stdout
    assert "target.adopted" not in str(daemon.ctl_json("events"))


@POSTGRES
@pytest.mark.parametrize("adopted, why", [(False, "made on another server"), (True, "the control connection to")])
def test_the_job_s_own_connection_comes_back_on_a_copy(pg, db, daemon, job, other, adopted, why):
    """The control connection still leads to the right server; only the job's is made anew, and finds the wrong one."""
    daemon.terminate()
    restore(pg, db, other)
    if adopted:
        other.sql(db, "UPDATE backfill.meta SET value = (SELECT system_identifier || '/' || current_database() FROM pg_control_system())"
                      " WHERE name = 'identity'")
    lead_to(daemon, pg, db, url=url_of_both(pg, pg.primary.port, other, other.primary.port, db))
    daemon.start()
    daemon.wait_batches(job, daemon.batches(job) + 1)
    before = facts(other, db)
    pg.sql("postgres", f"ALTER DATABASE {db} SET default_transaction_read_only = on")
    # a connection that is made now takes the next host
    pg.sql(db, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", (f"backfilld {job.id}",))
    held = wait_for(lambda: (lambda t: t["reason"] if t["held"] and why in t["reason"] else None)(daemon.show(job)["throttle"]),
                    15, lambda: f"{daemon.show(job)['throttle']}\n{daemon.log()}")
    assert pg.value(db, "SELECT value FROM backfill.meta WHERE name = 'identity'") in held
    holds_for(lambda: facts(other, db) == before, 1.5, "nothing is written to the copy")
    pg.sql("postgres", f"ALTER DATABASE {db} RESET default_transaction_read_only")
    daemon.wait_done(job)
    assert_exactly_once(pg, db, ROWS)
    assert facts(other, db) == before
    daemon.terminate()
    other.drop_database(db)


@POSTGRES
def test_every_connection_moves_to_a_copy_and_back(pg, db, daemon, job, other):
    daemon.terminate()
    restore(pg, db, other)
    lead_to(daemon, pg, db, url=url_of_both(pg, pg.primary.port, other, other.primary.port, db))
    daemon.start()
    daemon.wait_batches(job, daemon.batches(job) + 1)
    before = facts(other, db)
    pg.primary.stop()
    wait_for(lambda: daemon.ctl_json("targets")[0]["control_tables"] == "foreign", 20, lambda: daemon.log())
    assert "adopt" in daemon.ctl_error("pause", job.id, check=78)["hint"]
    assert facts(other, db) == before
    pg.primary.start()
    wait_for(lambda: daemon.ctl_json("targets")[0]["control_tables"] == "ok", 30, lambda: daemon.log())
    daemon.wait_done(job)
    assert_exactly_once(pg, db, ROWS)
    assert facts(other, db) == before
    daemon.terminate()
    other.drop_database(db)


@POSTGRES
def test_a_promoted_replica_needs_no_adoption(workspace, make_daemon):
    """A fail-over keeps the system identifier. What asynchronous replication loses, it loses rows and checkpoint alike."""
    server = PostgresServer(os.path.join(workspace.path, "failover"))
    try:
        server.create()
        db = server.create_database()
        create_counted_table(server, db, ROWS)
        daemon = make_daemon()
        lead_to(daemon, server, db, url=url_of_both(server, server.primary.port, server, server.replica.port, db),
                admin_url=server.url(db, OWNER))
        server.sql(db, "GRANT pg_monitor TO backfill")
        del daemon.settings["targets"][0]["replicas"]  # its only standby becomes the primary
        daemon.start().init()
        job = increment(allow_triggers=True, batch={"delay": "20ms"}, throttle={"replicas": ["!walreceiver"]})
        daemon.submit(job, "--start")
        daemon.wait_batches(job, 3)
        server.wait_replayed(db, "SELECT 1 FROM backfill.segment WHERE batch_id > 1")
        server.primary.stop("immediate")
        server.forget_connections()
        run([pg_program("pg_ctl"), "-D", server.replica.data, "-w", "promote"])
        server.primary, server.replica = server.replica, server.primary
        daemon.wait_up()
        daemon.wait_done(job)
        assert_exactly_once(server, db, ROWS)
        assert daemon.ctl_json("targets")[0]["control_tables"] == "ok"
        assert "target.adopted" not in str(daemon.ctl_json("events"))
        daemon.terminate()
        server.forget_connections()
    finally:
        server.destroy()


@MYSQL
def test_a_promoted_replica_is_another_server_and_has_all(workspace, make_daemon):
    """There is nothing that the two have in common, as a system identifier is: a person says that it is the one. Its own numbers of
    transactions and tables are learnt anew. What asynchronous replication loses, it loses rows and checkpoint alike."""
    server = MySQLServer(os.path.join(workspace.path, "failover"))
    try:
        server.create()
        db = server.create_database()
        create_counted_table(server, db, ROWS)
        daemon = make_daemon()
        lead_to(daemon, server, db)
        daemon.start().init()
        job = increment(allow_triggers=True, batch={"delay": "20ms"})
        daemon.submit(job, "--start")
        daemon.wait_batches(job, 3)
        server.wait_replayed(db, "SELECT 1 FROM backfill.segment WHERE batch_id > 1")
        server.primary.stop("immediate")
        server.forget_connections()
        wait_for(lambda: daemon.ctl_json("targets")[0]["state"] != "up", 20, lambda: daemon.log())
        server.primary, server.replica = server.replica, server.primary
        lead_to(daemon, server, db)
        del daemon.settings["targets"][0]["replicas"]
        daemon.terminate()
        daemon.start()
        wait_for(lambda: daemon.ctl_json("targets")[0]["state"] == "up", 20, lambda: daemon.log())
        error = daemon.ctl_error("pause", job.id, check=75)
        assert "is a replica" in error["message"] and "read_only" in error["hint"], error
        for statement in ("STOP REPLICA", "SET GLOBAL read_only = 0"):  # MySQL: super_read_only goes with it
            server.sql(server.system, statement)
        wait_for(lambda: daemon.ctl("pause", job.id).code == 78, 20, lambda: daemon.log())
        assert "backfillctl adopt main" in daemon.ctl_error("pause", job.id, check=78)["hint"]
        before = facts(server, db)
        holds_for(lambda: facts(server, db) == before, 1.5, "nothing is done before somebody says adopt")
        daemon.ctl("adopt", "main", check=0)
        daemon.ctl("resume", job.id, check=0)
        daemon.wait_done(job)
        assert_exactly_once(server, db, ROWS)
        daemon.terminate()
        server.forget_connections()
    finally:
        server.destroy()
