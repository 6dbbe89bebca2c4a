"""A private PostgreSQL primary with one streaming replica."""

import contextlib
import os
import subprocess

import psycopg2

from dialect import PostgresDialect
from server import OWNER, START_DEADLINE, WORKER, Instance, Server, execute, own_directory, run
from waiting import wait_for

CONNECTION_IS_GONE = (None, "57P01", "57P02")
SUPERUSER = "postgres"


def pg_program(name):
    """Of the server that BACKFILLD_PG_BIN names, or else the installed one; clients that it lacks are the installed ones."""
    chosen = os.path.join(os.environ.get("BACKFILLD_PG_BIN", ""), name)
    if os.path.isabs(chosen) and os.path.exists(chosen):
        return chosen
    installed = subprocess.run(["pg_config", "--bindir"], check=True, capture_output=True, text=True).stdout.strip()
    return os.path.join(installed, name)


class PostgresInstance(Instance):
    """One postmaster."""

    def start(self):
        run([pg_program("pg_ctl"), "-D", self.data, "-l", self.log, "-w", "-t", str(START_DEADLINE),
             "-o", f"-p {self.port}", "start"])

    def stop(self, mode="fast"):
        """fast, immediate or smart."""
        self.unfreeze()
        run([pg_program("pg_ctl"), "-D", self.data, "-m", mode, "-w", "-t", "30", "stop"])

    def pid(self):
        try:
            with open(os.path.join(self.data, "postmaster.pid")) as f:
                return int(f.readline())
        except FileNotFoundError:
            return None


class PostgresServer(Server):
    engine, dialect, superuser, system = "postgresql", PostgresDialect, SUPERUSER, "postgres"
    url_scheme = "postgresql://"
    Instance, Error = PostgresInstance, psycopg2.Error

    def create(self):
        run([pg_program("initdb"), "-A", "trust", "-U", SUPERUSER, "-E", "UTF8", "--locale=C.UTF-8", "-N",
             "-D", own_directory(self.primary.data)])
        settings = f"""
listen_addresses = '127.0.0.1'
unix_socket_directories = '{self.directory}'
fsync = off
wal_level = replica
hot_standby = on
max_prepared_transactions = 20
max_connections = 200
max_wal_senders = 10
shared_buffers = 32MB
wal_keep_size = 256MB
max_wal_size = 1GB
wal_receiver_status_interval = 1
wal_retrieve_retry_interval = 200ms
hot_standby_feedback = off
autovacuum_naptime = 5s
log_line_prefix = '%m %a '
timezone = 'UTC'
"""
        with open(os.path.join(self.primary.data, "postgresql.conf"), "a") as f:
            f.write(settings)
        self.copy_to_replica()
        self.primary.start()
        with self.connect("postgres", SUPERUSER) as connection:
            for role in (OWNER, WORKER):
                execute(connection, f"CREATE ROLE {role} LOGIN")
        self.replica.start()
        self.wait_replica_streams()

    def copy_to_replica(self):
        super().copy_to_replica()
        run(["touch", os.path.join(self.replica.data, "standby.signal")])
        with open(os.path.join(self.replica.data, "postgresql.conf"), "a") as f:
            f.write(f"primary_conninfo = 'host={self.directory} port={self.primary.port} user={SUPERUSER}'\n")

    # --- connections ---

    def url(self, db, role=WORKER, replica=False, tcp=False):
        port = (self.replica if replica else self.primary).port
        if tcp:
            return f"postgresql://{role}@127.0.0.1:{port}/{db}"
        return f"postgresql://{role}@/{db}?host={self.directory}&port={port}"

    def open(self, db, role=SUPERUSER, replica=False, autocommit=True):
        connection = psycopg2.connect(self.url(db, role, replica), application_name="tests", connect_timeout=10)
        connection.autocommit = autocommit
        return connection

    def is_open(self, connection):
        return not connection.closed

    def is_gone(self, error):
        """The connection, and not only what was asked."""
        return error.pgcode in CONNECTION_IS_GONE

    def backend_pid(self, connection):
        return connection.info.backend_pid

    def version(self):
        """150020, 180006 …"""
        return self.value("postgres", "SELECT current_setting('server_version_num')::int")

    def returns_old(self):
        """Since PostgreSQL 18.6 the statement that changes a row says, and truly, what it was."""
        return self.version() >= 180006

    def version_text(self):
        return "PostgreSQL " + self.value("postgres", "SHOW server_version").split()[0]

    # --- databases ---

    def create_database(self, prefix="t"):
        self._databases += 1
        name = f"{prefix}{self._databases}"
        self.sql("postgres", f"CREATE DATABASE {name}")
        self.sql("postgres", f"GRANT CREATE ON DATABASE {name} TO {OWNER}")
        self.sql(name, "GRANT USAGE ON SCHEMA public TO backfill, backfill_owner")
        return name

    def create_schema(self, db, name):
        """In which the worker may be."""
        self.sql(db, f"CREATE SCHEMA {name}; GRANT USAGE ON SCHEMA {name} TO {WORKER}")

    def drop_database(self, name):
        for gid, in self.sql(name, "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()"):
            self.sql(name, "ROLLBACK PREPARED %s", (gid,))
        self.forget_connections(name)
        self.sql("postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def analyze(self, db, *tables):
        """All of them, if none is named."""
        self.sql(db, f"ANALYZE {', '.join(tables)}")

    @contextlib.contextmanager
    def guarded_role(self, name, password):
        """A role whose password is asked for, over TCP."""
        path = os.path.join(self.primary.data, "pg_hba.conf")
        with open(path) as f:
            trusting = f.read()

        def rewrite(text):
            with open(path, "w") as f:
                f.write(text)
            run([pg_program("pg_ctl"), "-D", self.primary.data, "reload"])
        self.sql("postgres", f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
        rewrite(f"host all {name} 127.0.0.1/32 scram-sha-256\n" + trusting)
        try:
            yield
        finally:
            rewrite(trusting)
            self.sql("postgres", f"DROP ROLE {name}")

    def grant_on_all_tables(self, db, privileges, role=WORKER):
        self.sql(db, f"GRANT {privileges} ON ALL TABLES IN SCHEMA public TO {role}")

    def run_script(self, db, script, role):
        """As the engine's own client runs it."""
        run([pg_program("psql"), "-v", "ON_ERROR_STOP=1", "-q", "-d", self.url(db, role)], input=script)

    # --- the replica ---

    def wait_replica_streams(self, deadline=30):
        wait_for(lambda: self.sql("postgres", "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"), deadline,
                 "the replica to stream")

    def replay_is_paused(self):
        return self.value("postgres", "SELECT pg_is_wal_replay_paused()", replica=True)

    def pause_replay(self):
        self.sql("postgres", "SELECT pg_wal_replay_pause()", replica=True)
        wait_for(lambda: self.value("postgres", "SELECT pg_get_wal_replay_pause_state() <> 'not paused'", replica=True), 10,
                 "replay to pause")

    def resume_replay(self):
        self.sql("postgres", "SELECT pg_wal_replay_resume()", replica=True)

    @contextlib.contextmanager
    def delayed_replay(self, seconds):
        """As its administrator wants it."""
        self._set_delay(seconds)
        try:
            yield
        finally:
            self._set_delay(0)

    def _set_delay(self, seconds):
        with open(f"{self.replica.data}/postgresql.auto.conf", "a") as f:
            f.write(f"recovery_min_apply_delay = '{seconds}s'\n")
        self.sql("postgres", "SELECT pg_reload_conf()", replica=True)
        self.wait_replayed("postgres", f"SELECT 1 WHERE current_setting('recovery_min_apply_delay')::interval = '{seconds}s'")

    follower, tells_lag = "walreceiver", True  # what the primary calls the replica, and whether it knows how far that is

    @contextlib.contextmanager
    def shown_followers(self, role=WORKER):
        """The role sees who follows the primary."""
        self.sql("postgres", f"GRANT pg_monitor TO {role}")
        try:
            yield
        finally:
            self.sql("postgres", f"REVOKE pg_monitor FROM {role}")

    # --- backends ---

    def terminate_backends_of(self, db, role=WORKER):
        return self.value("postgres", "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                          " WHERE datname = %s AND usename = %s", (db, role))

    def cancel(self, pid):
        """What the session is doing."""
        self.sql("postgres", "SELECT pg_cancel_backend(%s)", (pid,))

    def _count_backends(self, db, role, condition):
        return self.value("postgres", f"SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND usename = %s AND {condition}", (db, role))

    def count_backends_of(self, db, role=WORKER):
        return self._count_backends(db, role, "true")

    def idles_in_transaction(self, db, role=WORKER):
        """For more than 200 ms."""
        return self._count_backends(db, role, "clock_timestamp() - xact_start > interval '200 ms'") > 0

    @contextlib.contextmanager
    def ends_idle_sessions(self, db, role=WORKER):
        """Of those that are made from here on, soon."""
        self.sql(db, f"ALTER ROLE {role} IN DATABASE {db} SET idle_session_timeout = '200ms'")
        try:
            yield
        finally:
            self.sql(db, f"ALTER ROLE {role} IN DATABASE {db} RESET idle_session_timeout")

    ends_statements = True  # that take too long, by itself

    def rows_read(self, db, table):
        """(by scans of whole tables, by indexes), as far as sessions that have ended tell it."""
        wait_for(lambda: self.count_backends_of(db) == 0, 5, "its end")
        self.sql(db, "SELECT pg_stat_force_next_flush()")
        return self.sql(db, "SELECT seq_tup_read::int, coalesce(idx_tup_fetch, 0)::int + (SELECT sum(idx_tup_read)::int FROM"
                        f" pg_stat_user_indexes WHERE relname = '{table}') FROM pg_stat_user_tables WHERE relname = '{table}'")[0]

    def waits_for_lock(self, db, role=WORKER):
        return self._count_backends(db, role, "wait_event_type = 'Lock'") > 0

    def sleeps(self, db, role=WORKER):
        return self._count_backends(db, role, "wait_event = 'PgSleep'") > 0
