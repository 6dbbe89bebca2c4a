"""What the servers of both engines have in common: a private primary with one replica, for one pytest worker."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading

from waiting import wait_for

COMMAND_DEADLINE = 100
START_DEADLINE = 90  # a replica that crashed may have much to recover
OWNER, WORKER = "backfill_owner", "backfill"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def as_server_user(command):
    """The servers refuse to run as root."""
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
    """One server program and its data. An engine's own says how it starts and stops, and which pid it has."""

    def __init__(self, name, directory):
        self.name = name
        self.directory = directory
        self.data = os.path.join(directory, name)
        self.log = os.path.join(directory, name + ".log")
        self.port = free_port()

    def restart(self, mode="fast"):
        self.stop(mode)
        self.start()

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
        """SIGSTOP for the server and its children: the host has gone silent."""
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
    """Primary and replica. Connections that `sql` uses are kept for each thread, role and database. An engine's own has:
    engine, url_scheme, superuser, system (the database that is always there), Error (what its connections raise), Instance,
    create, url, open, is_open, is_gone, create_database, drop_database, and what asks the server about itself."""

    def __init__(self, directory):
        self.directory = own_directory(directory)
        os.chmod(directory, 0o755)  # its sockets are for every user's clients
        self.primary = self.Instance("primary", self.directory)
        self.replica = self.Instance("replica", self.directory)
        self._local = threading.local()
        self._databases = 0

    def copy_to_replica(self):
        """Of a server at rest a copy is a base backup, and needs no program of its version."""
        run(["cp", "-a", self.primary.data, self.replica.data])

    def destroy(self):
        for instance in (self.replica, self.primary):
            if instance.running():
                instance.stop("immediate")
        shutil.rmtree(self.directory, ignore_errors=True)

    def durable(self):
        """A context in which each commit waits for the disk where the server's settings, and not the job's, decide that."""
        return contextlib.nullcontext()

    def forget_passwords(self):
        """Whatever would let a role in without its password a second time."""

    # --- connections ---

    @contextlib.contextmanager
    def connect(self, db, role=None, replica=False, autocommit=True):
        connection = self.open(db, role or self.superuser, replica, autocommit)
        try:
            yield connection
        finally:
            if self.is_open(connection):
                connection.close()

    def _kept(self, key):
        kept = self._local.__dict__.setdefault("connections", {})
        if key not in kept or not self.is_open(kept[key]):
            kept[key] = self.open(*key)
        return kept[key]

    def sql(self, db, query, params=None, role=None, replica=False):
        """Rows as tuples, or None for a statement without; of several statements the last one's."""
        key = (db, role or self.superuser, replica)
        connection = self._kept(key)
        try:
            return execute(connection, query, params)
        except self.Error as error:
            if not self.is_gone(error):
                raise
            self._local.connections.pop(key).close()
        return execute(self._kept(key), query, params)  # the server was restarted since

    def value(self, db, query, params=None, **options):
        return self.sql(db, query, params, **options)[0][0]

    def forget_connections(self, db=None):
        kept = self._local.__dict__.setdefault("connections", {})
        for key in [k for k in kept if db is None or k[0] == db]:
            kept.pop(key).close()

    # --- the replica ---

    def wait_replayed(self, db, query, deadline=30):
        def caught_up():
            try:
                return self.sql(db, query, replica=True)
            except self.Error:
                return None
        return wait_for(caught_up, deadline, f"the replica to show: {query}")

    def heal(self):
        """Whatever a test left behind: everything runs and streams again."""
        for instance in (self.primary, self.replica):
            instance.unfreeze()
            if not instance.running():
                instance.start()
        self.forget_connections()
        if self.replay_is_paused():
            self.resume_replay()
        self.wait_replica_streams()


def execute(connection, query, params=None):
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        return list(cursor.fetchall()) if cursor.description else None


@contextlib.contextmanager
def running_server(server):
    try:
        server.create()
        yield server
    finally:
        server.destroy()
