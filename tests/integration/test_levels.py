"""What is one number by SQL: it holds or slows at its limit, by a real cause, says who is behind it, and lets go."""

import contextlib
import os
import threading

import pytest

from jobs import increment
from server import execute
from waiting import holds_for, wait_for

ROWS = 40000
QUICKLY = {"every": "200ms"}
mysql_only = pytest.mark.engine("mariadb", "mysql")


def make_table(server, db, options=""):
    server.sql(db, f"""CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0) {options};
        INSERT INTO t SELECT i, 0 FROM {server.dialect.series(1, ROWS)};
        CREATE TABLE other (id int PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO other VALUES (1, 0), (2, 0);
        CREATE TABLE gauge (v varchar(20)); INSERT INTO gauge VALUES ('1')""")
    server.grant_on_all_tables(db, "SELECT, UPDATE")


@pytest.fixture
def seeing(server):
    """The worker may see the sessions of others."""
    with server.shown_followers():
        yield


def start_job(daemon, guards=None, **throttle):
    job = increment(batch={"delay": "50ms"}, throttle=throttle, **({"guards": guards} if guards else {}))
    daemon.submit(job, "--start")
    return job


def readings(daemon, job):
    return {one["probe"]: one for one in daemon.ctl_json("throttle", job.id)}


def throttle_of(daemon, job):
    return daemon.show(job)["throttle"]


def wait_known(daemon, job, probe):
    def known():
        one = readings(daemon, job).get(probe)
        return one if one is not None and one["state"] != "unknown" else None
    return wait_for(known, 15, lambda: f"a reading {probe}; {daemon.ctl_json('throttle', job.id)}\n{daemon.log()}")


def wait_held(daemon, job, *words, deadline=20):
    def held():
        throttle = throttle_of(daemon, job)
        return throttle["reason"] if throttle["held"] and all(word in throttle["reason"] for word in words) else None
    return wait_for(held, deadline, lambda: f"a hold with {words}; {throttle_of(daemon, job)}\n{daemon.ctl_json('throttle', job.id)}\n{daemon.log()}")


def wait_works(daemon, job, deadline=30):
    """Not held, and going on."""
    done = daemon.batches(job)
    wait_for(lambda: not throttle_of(daemon, job)["held"] and daemon.batches(job) > done + 1, deadline,
             lambda: f"the release; {throttle_of(daemon, job)}\n{daemon.ctl_json('throttle', job.id)}")


def assert_stands_still(daemon, job):
    before = daemon.batches(job)
    holds_for(lambda: daemon.batches(job) <= before + 1, 0.5, "no batch while held")
    assert daemon.state(job) == "running"


@contextlib.contextmanager
def busy_sessions(server, db, statement, count):
    """Sessions of the site that are in the middle of a statement, until the context ends."""
    connections = [server.open(db) for _ in range(count)]

    def run(connection):
        with contextlib.suppress(server.Error):
            execute(connection, statement)
    threads = [threading.Thread(target=run, args=(connection,)) for connection in connections]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for connection in connections:
            server.cancel(server.backend_pid(connection))
        for thread in threads:
            thread.join()
        for connection in connections:
            connection.close()


def test_active_sessions_hold(server, db, daemon, seeing):
    make_table(server, db)
    job = start_job(daemon, max_active=3)
    wait_works(daemon, job)
    with busy_sessions(server, db, f"SELECT {server.dialect.slept(60)}", 4):
        reason = wait_held(daemon, job, "active sessions")
        assert reason.endswith("4 > 3"), reason
        assert_stands_still(daemon, job)
        one = readings(daemon, job)["active"]
        assert (one["value"], one["limit"], one["state"], one["counts"]) == (4, 3, "high", True)
        assert one["source"] and one["age_ms"] < 3000 and one["samples"] > 0
    wait_works(daemon, job)
    assert readings(daemon, job)["active"]["value"] == 0  # ours don't count


def test_lock_waiters_hold(server, db, daemon, seeing):
    make_table(server, db)
    job = start_job(daemon, max_lock_waiters=2)
    wait_works(daemon, job)
    with server.connect(db, autocommit=False) as locker:
        execute(locker, "UPDATE other SET n = 1 WHERE id = 1")
        with busy_sessions(server, db, "UPDATE other SET n = 2 WHERE id = 1", 2):
            wait_held(daemon, job, "sessions waiting for locks 2 = 2", f"user {server.superuser}")
            assert_stands_still(daemon, job)
            locker.rollback()
            wait_works(daemon, job)


def test_an_old_transaction_slows_and_never_holds(server, db, daemon, seeing):
    make_table(server, db)
    job = start_job(daemon, max_oldest="2s", initial_rate=400)
    wait_works(daemon, job)
    with server.connect(db, autocommit=False) as old:
        execute(old, "UPDATE other SET n = 1 WHERE id = 1")

        def slowed():
            throttle = throttle_of(daemon, job)
            assert not (throttle["held"] and "oldest" in throttle["reason"])
            return throttle["reason"] if "slowed to 25 %" in (throttle["reason"] or "") else None
        reason = wait_for(slowed, 20, lambda: f"that it slows; {throttle_of(daemon, job)}; {daemon.ctl_json('throttle', job.id)}")
        assert "oldest transaction" in reason and "limit 2 s" in reason and f"user {server.superuser}" in reason
        assert str(server.backend_pid(old)) in reason
        assert "slowed to 25 %" in daemon.ctl("show", job.id, check=0).stdout
        assert readings(daemon, job)["oldest"]["state"] == "high"
        done = daemon.batches(job)  # of 100 rows; the rate may be up to 1100 rows a second by now, if it weren't slowed
        holds_for(lambda: daemon.batches(job) <= done + 15, 4, "less than 400 rows a second")
        assert daemon.batches(job) > done
        old.rollback()
    wait_for(lambda: "slowed" not in throttle_of(daemon, job)["reason"], 15, lambda: f"full speed; {throttle_of(daemon, job)}")


# --- own probes ---

def test_an_own_query_holds_at_its_limit(server, db, daemon):
    make_table(server, db)
    job = start_job(daemon, sql=[{"name": "gauge", "sql": "SELECT v FROM gauge", "limit": 10, **QUICKLY}])
    wait_works(daemon, job)
    server.sql(db, "UPDATE gauge SET v = '12.5'")
    assert wait_held(daemon, job, "sql:gauge") == "sql:gauge 12.5 > 10"
    assert_stands_still(daemon, job)
    server.sql(db, "UPDATE gauge SET v = '9.5'")
    wait_held(daemon, job, "going on below 9")
    server.sql(db, "UPDATE gauge SET v = '3'")
    wait_works(daemon, job)
    one = readings(daemon, job)["sql:gauge"]
    assert (one["value"], one["limit"], one["pressure"]) == (3, 10, 0)


@pytest.mark.parametrize("spoil, word", [
    ("UPDATE gauge SET v = NULL", "answered with NULL"),
    ("UPDATE gauge SET v = 'many'", "\"many\", which is no number"),
    ("UPDATE gauge SET v = ''", "no number"),
    ("DELETE FROM gauge", "answered with 0 rows"),
    ("INSERT INTO gauge VALUES ('1')", "answered with 2 rows"),
    ("ALTER TABLE gauge RENAME TO former", "gauge"),
])
def test_an_own_query_without_a_number_holds_at_once(server, db, daemon, spoil, word):
    make_table(server, db)
    job = start_job(daemon, sql=[{"name": "gauge", "sql": "SELECT v FROM gauge", "limit": 10, **QUICKLY}])
    wait_works(daemon, job)
    server.sql(db, spoil)
    wait_held(daemon, job, "sql:gauge unknown: ", word, deadline=5)
    assert_stands_still(daemon, job)
    assert readings(daemon, job)["sql:gauge"]["state"] == "unknown"
    server.sql(db, {"ALTER": "ALTER TABLE former RENAME TO gauge"}.get(spoil.split()[0], "DELETE FROM gauge; INSERT INTO gauge VALUES ('1')"))
    wait_works(daemon, job)


def test_an_own_query_that_is_slow_holds_and_delays_no_other(server, db, daemon, seeing):
    make_table(server, db)
    job = start_job(daemon, max_active=100, sql=[{"name": "slow", "sql": f"SELECT 1 WHERE {server.dialect.slept(5)}", "limit": 10, **QUICKLY}])
    wait_held(daemon, job, "sql:slow unknown: ")
    assert daemon.batches(job) == 0
    wait_known(daemon, job, "active")
    holds_for(lambda: readings(daemon, job)["active"]["age_ms"] < 2000, 3, "a fresh number of sessions", 0.1)


def test_an_own_query_can_t_write(server, db, daemon):
    make_table(server, db)
    server.sql(db, "GRANT INSERT ON gauge TO backfill")
    writes = {"postgresql": "INSERT INTO gauge VALUES (2) RETURNING 1"}.get(server.engine, "INSERT INTO gauge VALUES (2)")
    job = start_job(daemon, sql=[{"name": "writer", "sql": writes, "limit": 10, **QUICKLY}])
    wait_held(daemon, job, "sql:writer unknown: ", {"postgresql": "read-only"}.get(server.engine, "READ ONLY"))
    assert server.value(db, "SELECT count(*) FROM gauge") == 1


def test_the_target_s_own_queries_are_asked_for_each_job(server, db, make_daemon):
    make_table(server, db)
    daemon = make_daemon(target={"throttle": {"sql": [{"name": "gauge", "sql": "SELECT v FROM gauge", "ok": 1, "limit": 10, **QUICKLY}]}}).start().init()
    same = increment(throttle={"sql": [{"name": "gauge", "sql": "SELECT 1", "limit": 10}]})
    error = daemon.ctl_error("submit", same.write(daemon.directory), check=65)
    assert "gauge" in error["message"]
    job = start_job(daemon, sql=[{"name": "more", "sql": "SELECT 2", "limit": 10, **QUICKLY}])
    wait_works(daemon, job)
    assert {"sql:gauge", "sql:more"} <= set(readings(daemon, job))
    server.sql(db, "UPDATE gauge SET v = '10'")
    wait_held(daemon, job, "sql:gauge 10 = 10")
    daemon.settings["targets"][0]["throttle"]["sql"][0]["limit"] = 100
    daemon.write_conf()
    daemon.ctl("reload", check=0)
    wait_works(daemon, job)


# --- the disk ---

def used_share(path):
    found = os.statvfs(path)
    return (found.f_blocks - found.f_bfree) / (found.f_blocks - found.f_bfree + found.f_bavail)


def test_a_full_disk_pauses(server, db, daemon, seeing):
    make_table(server, db)
    job = start_job(daemon, guards={"disk_used": 0.9999})
    one = wait_known(daemon, job, "disk")
    assert abs(one["value"] - used_share(server.primary.data)) < 0.02 and one["source"].rstrip("/") == server.primary.data
    wait_works(daemon, job)
    daemon.ctl("set", job.id, f"guards.disk_used={used_share(server.primary.data) / 2:.4f}", check=0)
    daemon.wait_state(job, "paused", 15)
    assert daemon.show(job)["reason"].startswith("guard: used share of the data directory's disk 0.")
    assert "guard.tripped" in [event["event"] for event in daemon.ctl_json("events", job.id)]
    daemon.ctl("set", job.id, "guards.disk_used=0.9999", check=0)
    daemon.ctl("resume", job.id, check=0)
    wait_works(daemon, job)


@pytest.mark.engine("postgresql")
def test_a_disk_that_can_t_be_seen_holds_nothing(server, db, daemon):
    make_table(server, db)
    job = start_job(daemon, guards={"disk_used": 0.01})
    wait_for(lambda: "data_directory" in readings(daemon, job).get("disk", {}).get("reason", ""), 10, lambda: f"the reason: {readings(daemon, job)}")
    assert not readings(daemon, job)["disk"]["counts"]
    wait_works(daemon, job)


# --- PostgreSQL's ---

def test_without_the_privilege_it_holds_and_names_it(pg, db, daemon):
    make_table(pg, db)
    job = start_job(daemon, max_active=3)
    wait_held(daemon, job, "active sessions unknown", "GRANT pg_read_all_stats (or pg_monitor) TO backfill")
    assert_stands_still(daemon, job)
    daemon.ctl("set", job.id, "throttle.max_active=0", "throttle.max_oldest=10m", check=0)
    wait_works(daemon, job)  # nobody asked for that one by name: it holds nothing, and says why it is not known
    one = wait_for(lambda: readings(daemon, job).get("oldest"), 10, "the oldest transaction's reading")
    wait_for(lambda: "GRANT" in readings(daemon, job)["oldest"].get("reason", ""), 10, lambda: f"the privilege; {readings(daemon, job)}")
    assert one["state"] == "unknown"


@contextlib.contextmanager
def settings(server, **values):
    for name, value in values.items():
        server.sql("postgres", f"ALTER SYSTEM SET {name} = '{value}'")
    server.sql("postgres", "SELECT pg_reload_conf()")
    try:
        yield
    finally:
        for name in values:
            server.sql("postgres", f"ALTER SYSTEM RESET {name}")
        server.sql("postgres", "SELECT pg_reload_conf()")


@contextlib.contextmanager
def idle_slot(server):
    """A replication slot that nobody reads."""
    server.sql("postgres", "SELECT pg_create_physical_replication_slot('idle', true)")
    try:
        yield
    finally:
        server.sql("postgres", "SELECT pg_drop_replication_slot('idle')")


def write_wal(server, db, mb):
    server.sql(db, f"SELECT count(pg_logical_emit_message(false, 'x', repeat('x', 1048576))) FROM generate_series(1, {mb})")


def test_a_slot_that_fills_holds(pg, db, daemon):
    make_table(pg, db)
    job = start_job(daemon, max_wal_retained="40MB")
    wait_works(daemon, job)
    with idle_slot(pg):
        write_wal(pg, db, 60)
        wait_held(daemon, job, "WAL kept by a replication slot", "> 40.0 MB (slot idle, inactive, wal_status reserved)")
        assert_stands_still(daemon, job)
    wait_works(daemon, job)


def test_a_slot_beyond_max_wal_size_holds(pg, db, daemon):
    make_table(pg, db)
    with settings(pg, max_wal_size="48MB"):
        job = start_job(daemon, slots=True)
        wait_works(daemon, job)
        with idle_slot(pg):
            write_wal(pg, db, 90)
            wait_held(daemon, job, "WAL kept by a replication slot", "> 48.0 MB (slot idle, inactive, wal_status extended)")
            assert_stands_still(daemon, job)
            daemon.ctl("set", job.id, "throttle.slots=false", check=0)
            wait_works(daemon, job)


def test_an_archiver_that_fails_holds(pg, db, make_daemon):
    make_table(pg, db)
    with settings(pg, archive_mode="on", archive_command="false"):
        pg.primary.restart()
        pg.forget_connections()
        try:
            daemon = make_daemon().start().init()
            job = start_job(daemon, max_archive_queue=2)
            wait_works(daemon, job)
            for _ in range(3):
                pg.sql(db, "SELECT pg_logical_emit_message(false, 'x', 'x'), pg_switch_wal()")
            wait_held(daemon, job, "WAL files waiting for the archiver 3 > 2")
            wait_held(daemon, job, "the archiver failed at ")
            assert_stands_still(daemon, job)
            with settings(pg, archive_command="true"):
                wait_works(daemon, job, 60)
                daemon.terminate()
        finally:
            pg.sql("postgres", "ALTER SYSTEM RESET archive_mode")
            pg.primary.restart()


@pytest.mark.parametrize("partitioned", [False, True])
def test_dead_rows_hold_until_vacuum(pg, db, daemon, partitioned):
    options = "autovacuum_enabled = false, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0"
    if partitioned:
        pg.sql(db, f"""CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0) PARTITION BY RANGE (id);
            CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (100000) WITH ({options});
            INSERT INTO t SELECT i, 0 FROM generate_series(1, {ROWS}) i""")
        pg.grant_on_all_tables(db, "SELECT, UPDATE")
    else:
        make_table(pg, db, f"WITH ({options})")
    job = start_job(daemon, max_dead_ratio=1.5)
    wait_held(daemon, job, "dead rows over autovacuum's trigger", "> 1.5", "in t1)" if partitioned else "in t)", deadline=60)
    assert 1500 <= pg.value(db, "SELECT count(*) FROM t WHERE n = 1") < ROWS
    assert_stands_still(daemon, job)
    pg.sql(db, "VACUUM t")
    wait_works(daemon, job)


# --- MySQL's and MariaDB's ---

@mysql_only
def test_a_long_history_list_holds(server, db, daemon):
    """An old snapshot keeps InnoDB from purging what we change."""
    make_table(server, db)
    with server.connect(db, autocommit=False) as old:
        execute(old, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ; START TRANSACTION WITH CONSISTENT SNAPSHOT; SELECT count(*) FROM other")
        job = start_job(daemon, max_history_list=150)
        wait_held(daemon, job, "InnoDB's history list", "> 150", deadline=60)
        assert_stands_still(daemon, job)
        old.rollback()
        wait_works(daemon, job, 60)


@mysql_only
def test_a_growing_binary_log_holds(server, db, daemon):
    make_table(server, db)
    job = start_job(daemon, max_binlog_rate="20MB")
    wait_works(daemon, job)
    server.sql(db, "CREATE TABLE bulk (id int AUTO_INCREMENT PRIMARY KEY, v longtext)")
    server.sql(db, f"INSERT INTO bulk (v) SELECT repeat('x', 1000000) FROM {server.dialect.series(1, 30)}")
    wait_held(daemon, job, "growth of the binary log", "/min > 20.0 MB/min")
    wait_works(daemon, job, 40)
    assert readings(daemon, job)["binlog"]["unit"] == "bytes/min"


@mysql_only
def test_flow_control_is_not_spoken_of_where_there_is_none(server, db, make_daemon):
    make_table(server, db)
    daemon = make_daemon(target={"throttle": {"max_flow_control": 0.1, "max_oldest": "10m"}}).start().init()
    job = start_job(daemon)
    wait_known(daemon, job, "oldest")
    wait_for(lambda: "flow" not in readings(daemon, job), 10, lambda: f"no word of it: {readings(daemon, job)}")
    wait_works(daemon, job)
