"""A private PostgreSQL primary with one streaming replica, for one pytest worker."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading

import psycopg2

from waiting import wait_for

COMMAND_DEADLINE = 60
CONNECTION_IS_GONE = (None, "57P01", "57P02")
OWNER, WORKER, SUPERUSER = "backfill_owner", "backfill", "postgres"


def pg_program(name):
    """Of the server that BACKFILLD_PG_BIN names, or else the installed one; clients that it lacks are the installed ones."""
    chosen = os.path.join(os.environ.get("BACKFILLD_PG_BIN", ""), name)
    if os.path.isabs(chosen) and os.path.exists(chosen):
        return chosen
    installed = subprocess.run(["pg_config", "--bindir"], check=True, capture_output=True, text=True).stdout.strip()
    return os.path.join(installed, name)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def as_server_user(command):
    """The server refuses to run as root."""
    if os.geteuid() != 0:
        return command
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] + command


def own_directory(path):
    os.makedirs(path, mode=0o700, exist_ok=True)
    if os.geteuid() == 0:
        shutil.chown(path, "postgres", "postgres")
    return path


def run(command, **options):
    result = subprocess.run(as_server_user(command), capture_output=True, text=True, timeout=COMMAND_DEADLINE, cwd="/", **options)
    assert result.returncode == 0, f"{command}: {result.returncode}\n{result.stdout}{result.stderr}"
    return result.stdout


class Instance:
    """One postmaster."""

    def __init__(self, name, directory, socket_dir):
        self.name = name
        self.data = os.path.join(directory, name)
        self.log = os.path.join(directory, name + ".log")
        self.socket_dir = socket_dir
        self.port = free_port()

    def start(self):
        run([pg_program("pg_ctl"), "-D", self.data, "-l", self.log, "-w", "-t", "30",
             "-o", f"-p {self.port}", "start"])

    def stop(self, mode="fast"):
        """fast, immediate or smart."""
        self.unfreeze()
        run([pg_program("pg_ctl"), "-D", self.data, "-m", mode, "-w", "-t", "30", "stop"])

    def restart(self, mode="fast"):
        self.stop(mode)
        self.start()

    def pid(self):
        try:
            with open(os.path.join(self.data, "postmaster.pid")) as f:
                return int(f.readline())
        except FileNotFoundError:
            return None

    def running(self):
        pid = self.pid()
        return pid is not None and os.path.exists(f"/proc/{pid}")

    def _tree(self):
        pid = self.pid()
        if pid is None:
            return []
        try:
            with open(f"/proc/{pid}/task/{pid}/children") as f:
                return [pid] + [int(child) for child in f.read().split()]
        except FileNotFoundError:
            return []

    def freeze(self):
        """SIGSTOP for the postmaster and its children: the host has gone silent."""
        for pid in self._tree():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def unfreeze(self):
        for pid in reversed(self._tree()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def log_text(self):
        with open(self.log, errors="replace") as f:
            return f.read()


class Server:
    """Primary and replica. Connections that `sql` uses are kept for each thread, role and database."""

    def __init__(self, directory):
        self.directory = own_directory(directory)
        os.chmod(directory, 0o755)  # its sockets are for every user's psql
        self.primary = Instance("primary", self.directory, self.directory)
        self.replica = Instance("replica", self.directory, self.directory)
        self._local = threading.local()
        self._databases = 0

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
        """Of a server at rest a copy is a base backup, and needs no program of its version."""
        run(["cp", "-a", self.primary.data, self.replica.data])
        run(["touch", os.path.join(self.replica.data, "standby.signal")])
        with open(os.path.join(self.replica.data, "postgresql.conf"), "a") as f:
            f.write(f"primary_conninfo = 'host={self.directory} port={self.primary.port} user={SUPERUSER}'\n")

    def destroy(self):
        for instance in (self.replica, self.primary):
            if instance.running():
                instance.stop("immediate")
        shutil.rmtree(self.directory, ignore_errors=True)

    # --- connections ---

    def url(self, db, role=WORKER, replica=False, tcp=False):
        port = (self.replica if replica else self.primary).port
        if tcp:
            return f"postgresql://{role}@127.0.0.1:{port}/{db}"
        return f"postgresql://{role}@/{db}?host={self.directory}&port={port}"

    @contextlib.contextmanager
    def connect(self, db, role=SUPERUSER, replica=False, autocommit=True):
        connection = psycopg2.connect(self.url(db, role, replica), application_name="tests")
        connection.autocommit = autocommit
        try:
            yield connection
        finally:
            connection.close()

    def _kept(self, key):
        kept = self._local.__dict__.setdefault("connections", {})
        connection = kept.get(key)
        if connection is None or connection.closed:
            connection = kept[key] = psycopg2.connect(self.url(*key), application_name="tests", connect_timeout=10)
            connection.autocommit = True
        return connection

    def sql(self, db, query, params=None, role=SUPERUSER, replica=False):
        """Rows as tuples, or None for a statement without."""
        key = (db, role, replica)
        connection = self._kept(key)
        try:
            return execute(connection, query, params)
        except psycopg2.Error as error:
            if error.pgcode not in CONNECTION_IS_GONE:
                raise
            self._local.connections.pop(key).close()
        return execute(self._kept(key), query, params)  # the server was restarted since

    def version(self):
        """150020, 180006 …"""
        return self.value("postgres", "SELECT current_setting('server_version_num')::int")

    def value(self, db, query, params=None, **options):
        return self.sql(db, query, params, **options)[0][0]

    def forget_connections(self, db=None):
        kept = self._local.__dict__.setdefault("connections", {})
        for key in [k for k in kept if db is None or k[0] == db]:
            kept.pop(key).close()

    # --- databases ---

    def create_database(self, prefix="t"):
        self._databases += 1
        name = f"{prefix}{self._databases}"
        self.sql("postgres", f"CREATE DATABASE {name}")
        self.sql("postgres", f"GRANT CREATE ON DATABASE {name} TO {OWNER}")
        self.sql(name, "GRANT USAGE ON SCHEMA public TO backfill, backfill_owner")
        return name

    def drop_database(self, name):
        self.forget_connections(name)
        self.sql("postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    # --- the replica ---

    def wait_replica_streams(self, deadline=30):
        wait_for(lambda: self.sql("postgres", "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"), deadline,
                 "the replica to stream")

    def wait_replayed(self, db, query, deadline=30):
        def caught_up():
            try:
                return self.sql(db, query, replica=True)
            except psycopg2.Error:
                return None
        return wait_for(caught_up, deadline, f"the replica to show: {query}")

    def pause_replay(self):
        self.sql("postgres", "SELECT pg_wal_replay_pause()", replica=True)
        wait_for(lambda: self.value("postgres", "SELECT pg_get_wal_replay_pause_state() <> 'not paused'", replica=True), 10,
                 "replay to pause")

    def resume_replay(self):
        self.sql("postgres", "SELECT pg_wal_replay_resume()", replica=True)

    def heal(self):
        """Whatever a test left behind: everything runs and streams again."""
        for instance in (self.primary, self.replica):
            instance.unfreeze()
            if not instance.running():
                instance.start()
        self.forget_connections()
        if self.value("postgres", "SELECT pg_is_wal_replay_paused()", replica=True):
            self.resume_replay()
        self.wait_replica_streams()

    # --- backends ---

    def terminate_backends_of(self, db, role=WORKER):
        return self.value("postgres", "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                          " WHERE datname = %s AND usename = %s", (db, role))


def execute(connection, query, params=None):
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        return cursor.fetchall() if cursor.description else None


@contextlib.contextmanager
def running_server(directory):
    server = Server(directory)
    try:
        server.create()
        yield server
    finally:
        server.destroy()
