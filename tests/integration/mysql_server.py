"""A private MariaDB or MySQL primary with one replica that follows it by GTID. BACKFILLD_MYSQL_BIN names the folder of another
mariadbd or mysqld than the installed one."""

import contextlib
import functools
import os
import re
import shutil
import signal
import subprocess
from urllib.parse import quote

import pymysql
import pymysql.cursors
from pymysql.constants import CLIENT

from dialect import MySQLDialect
from server import OWNER, START_DEADLINE, WORKER, Instance, Server, execute, own_directory, run, as_server_user
from waiting import wait_for

SUPERUSER, REPLICATOR = "root", "repl"
STOP_DEADLINE = 30
SOCKET_PATH_MOST = 107
# The server went, is going or is not there yet, or has ended the connection; 0 is pymysql's own, for one that it has lost before.
CONNECTION_IS_GONE = (0, 1053, 1927, 2002, 2003, 2006, 2013, 2055, 4031)
SYSTEM_DATABASES = ("mysql", "sys", "performance_schema", "information_schema")
PUBLIC = "public"  # what a test's first database is called: public.t is a name on both engines then

# Nothing waits for the disk: what a killed server has written, the kernel keeps.
OPTIONS = """
bind-address=127.0.0.1
skip-name-resolve
default-time-zone=+00:00
character-set-server=utf8mb4
max-connections=200
log-bin=binlog
relay-log=relay
sync-binlog=0
innodb-flush-log-at-trx-commit=2
innodb-flush-method=nosync
innodb-buffer-pool-size=64M
"""
MARIADB_OPTIONS = """
debug-no-sync
innodb-log-file-size=32M
binlog-format=ROW
log-slave-updates=ON
gtid-strict-mode=ON
max-recursive-iterations=4294967295
"""
MYSQL_OPTIONS = """
innodb-redo-log-capacity=64M
gtid-mode=ON
enforce-gtid-consistency=ON
secure-file-priv=NULL
mysqlx=OFF
cte-max-recursion-depth=4294967295
"""
DURABLE = ("sync-binlog=1", "innodb-flush-log-at-trx-commit=1", "innodb-flush-method=O_DIRECT")


def server_program():
    """Of the server that BACKFILLD_MYSQL_BIN names, or else the installed one."""
    folder = os.environ.get("BACKFILLD_MYSQL_BIN")
    for name in ("mariadbd", "mysqld"):
        found = shutil.which(name, path=folder or os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        if found:
            return os.path.realpath(found)
    raise AssertionError(f"no mariadbd and no mysqld in {folder or 'PATH'}")


@functools.lru_cache(maxsize=None)
def is_mariadb():
    version = subprocess.run([server_program(), "--no-defaults", "--version"], check=True, capture_output=True, text=True).stdout
    return "MariaDB" in version


def shared_files():
    """The folder with messages, charsets and, of MariaDB, the system tables' definitions."""
    prefix = os.path.dirname(os.path.dirname(server_program()))
    return next(path for path in (os.path.join(prefix, "share", name) for name in ("mariadb", "mysql"))
                if os.path.isdir(os.path.join(path, "charsets")))


def options(text):
    return ["--" + line for line in text.split()]


def common_options(data):
    shared = shared_files()
    return ["--no-defaults", f"--basedir={os.path.dirname(os.path.dirname(server_program()))}", f"--datadir={data}",
            f"--tmpdir={os.path.dirname(data)}", f"--lc-messages-dir={shared}", f"--character-sets-dir={shared}/charsets",
            *options(OPTIONS), *options(MARIADB_OPTIONS if is_mariadb() else MYSQL_OPTIONS)]


def system_tables():
    """What mariadb-install-db feeds to the server, which has to be installed where that looks."""
    yield "CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n"
    found = os.listdir(shared_files())
    for name in ("system_tables.sql", "performance_tables.sql", "system_tables_data.sql", "maria_add_gis_sp_bootstrap.sql", "sys_schema.sql"):
        file = next(one for one in found if one in (name, "mysql_" + name, "mariadb_" + name))
        with open(os.path.join(shared_files(), file)) as f:
            yield f.read()


class LastResult(pymysql.cursors.Cursor):
    """Of several statements, fetches what the last one gave."""

    def execute(self, query, args=None):
        affected = super().execute(query, args)
        while self.nextset():
            pass
        return affected


class MySQLInstance(Instance):
    """One mariadbd or mysqld."""

    def __init__(self, name, directory):
        super().__init__(name, directory)
        self.socket = os.path.join(directory, name + ".sock")
        assert len(self.socket) <= SOCKET_PATH_MOST, self.socket
        self.server_id = {"primary": 1, "replica": 2}[name]
        self.options = ()  # further ones, and what the ones above are to be instead
        self.process = None

    def initialise(self):
        command, script = [server_program(), *common_options(own_directory(self.data)), "--skip-log-bin"], None
        if is_mariadb():
            command += ["--bootstrap", "--skip-grant-tables", "--silent-startup"]
            script = "".join(system_tables())
        else:
            command += ["--initialize-insecure"]
        run(command, input=script)

    def launch(self):
        assert not self.running()
        command = [server_program(), *common_options(self.data), f"--socket={self.socket}", f"--port={self.port}",
                   f"--pid-file={self.data}/pid", f"--server-id={self.server_id}"]
        if self.name == "replica":
            command += ["--read-only"] if is_mariadb() else ["--read-only", "--super-read-only"]
        command += ["--" + option for option in self.options]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(as_server_user(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                                            start_new_session=True)

    def wait_up(self):
        def answers():
            assert self.process.poll() is None, f"{self.name} ended with {self.process.returncode}:\n{self.log_text()[-6000:]}"
            with contextlib.suppress(pymysql.Error):
                pymysql.connect(unix_socket=self.socket, user=SUPERUSER).close()
                return True
        wait_for(answers, START_DEADLINE, lambda: f"{self.name} to answer:\n{self.log_text()[-6000:]}")

    def start(self):
        self.launch()
        self.wait_up()

    def stop(self, mode="fast"):
        """fast: SIGTERM. immediate: kill -9."""
        self.unfreeze()
        self.process.send_signal({"fast": signal.SIGTERM, "immediate": signal.SIGKILL}[mode])
        self.process.wait(STOP_DEADLINE)

    def pid(self):
        return self.process.pid if self.process is not None and self.process.poll() is None else None


class MySQLServer(Server):
    superuser, system, url_scheme = SUPERUSER, "mysql", "mysql://"
    Instance, Error = MySQLInstance, pymysql.Error

    def __init__(self, directory):
        super().__init__(directory)
        self.engine = "mariadb" if is_mariadb() else "mysql"
        self.dialect = MySQLDialect
        self._pause = None  # a connection that keeps the replica from writing

    def create(self):
        self.primary.initialise()
        self.copy_to_replica()
        for instance in (self.primary, self.replica):
            instance.launch()
        for instance in (self.primary, self.replica):
            instance.wait_up()
        for role in (OWNER, WORKER, REPLICATOR):
            self.sql(self.system, f"CREATE USER {role}")
        self.sql(self.system, f"GRANT REPLICATION SLAVE ON *.* TO {REPLICATOR}")
        self.grant_roles()
        self.follow_primary()
        self.wait_replica_streams()

    def copy_to_replica(self):
        super().copy_to_replica()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.replica.data, "auto.cnf"))  # MySQL's server_uuid

    def grant_roles(self):
        """What the documentation asks for, and nothing that a test has granted."""
        self.sql(self.system, f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM {OWNER}, {WORKER}")
        self.sql(self.system, f"GRANT ALL ON backfill.* TO {OWNER} WITH GRANT OPTION")
        self.sql(self.system, f"GRANT PROCESS, {'REPLICA MONITOR' if is_mariadb() else 'REPLICATION CLIENT, XA_RECOVER_ADMIN'} ON *.* TO {WORKER}")
        self.sql(self.system, f"GRANT SELECT ON performance_schema.* TO {WORKER}")
        if not is_mariadb():
            self.sql(self.system, f"GRANT UPDATE (instrumented) ON performance_schema.threads TO {WORKER}")

    def follow_primary(self):
        self.change_replication({"HOST": "'127.0.0.1'", "PORT": self.primary.port, "USER": f"'{REPLICATOR}'", "CONNECT_RETRY": 1, "SSL": 0,
                                 **({"USE_GTID": "slave_pos"} if is_mariadb() else {"RETRY_COUNT": 0, "AUTO_POSITION": 1})})
        self.sql(self.system, "START REPLICA", replica=True)

    # --- connections ---

    def url(self, db, role=WORKER, replica=False, tcp=False):
        instance = self.replica if replica else self.primary
        if tcp:
            return f"mysql://{role}@127.0.0.1:{instance.port}/{db}"
        return f"mysql://{role}@localhost/{db}?unix_socket={quote(instance.socket)}"

    def open(self, db, role=SUPERUSER, replica=False, autocommit=True):
        return pymysql.connect(unix_socket=(self.replica if replica else self.primary).socket, user=role, database=db,
                               autocommit=autocommit, connect_timeout=10, client_flag=CLIENT.MULTI_STATEMENTS, cursorclass=LastResult,
                               program_name="tests")

    def is_open(self, connection):
        return connection.open

    def is_gone(self, error):
        """The connection, and not only what was asked."""
        return not error.args or error.args[0] in CONNECTION_IS_GONE

    def backend_pid(self, connection):
        return connection.thread_id()

    def returns_old(self):
        return False

    def version_text(self):
        """MariaDB 10.11.14, MySQL 9.7.0."""
        number = re.match(r"[0-9.]+", self.value(self.system, "SELECT version()"))[0]
        return f"{'MariaDB' if is_mariadb() else 'MySQL'} {number}"

    # --- databases ---

    def create_database(self, prefix=None):
        """The control tables are one set a server: a second database is for what does not need its own."""
        self._databases += 1
        name = f"{prefix}{self._databases}" if prefix else PUBLIC
        self.create_schema(self.system, name)
        return name

    def create_schema(self, db, name):
        """Who may do nothing in it can't enter it."""
        self.sql(db, f"CREATE DATABASE {name}; GRANT SHOW VIEW, TRIGGER ON {name}.* TO {OWNER}, {WORKER}")

    def drop_database(self, name):
        """Nobody may be in it, nor own a prepared transaction that has locked its tables. With a test's first database goes
        all that it has made, the control tables too."""
        self.forget_connections(name)
        gone = tuple(one for one, in self.sql(self.system, "SHOW DATABASES") if one not in SYSTEM_DATABASES) if name == PUBLIC else (name,)
        for gtrid_length, bqual_length, data in (row[1:] for row in self.sql(self.system, "XA RECOVER")):
            self.sql(self.system, "XA ROLLBACK %s, %s", (data[:gtrid_length], data[gtrid_length:gtrid_length + bqual_length]))
        self._kill(self.sql(self.system, "SELECT id FROM information_schema.processlist WHERE db IN %s", (gone,)))
        for one in gone:
            self.sql(self.system, f"DROP DATABASE IF EXISTS `{one}`")
        self.grant_roles()
        self.wait_replica_is_current()

    @contextlib.contextmanager
    def durable(self):
        self.primary.options = (*DURABLE, "debug-no-sync=OFF") if is_mariadb() else DURABLE
        self.primary.restart()
        try:
            yield
        finally:
            self.primary.options = ()
            self.primary.restart()

    def heal(self):
        super().heal()
        self.sql(self.system, "SET GLOBAL read_only = 0")

    def analyze(self, db, *tables):
        """All of them, if none is named. It would commit a transaction of `sql`'s."""
        if not tables:
            tables = [f"`{name}`" for name, in self.sql(db, "SELECT table_name FROM information_schema.tables WHERE table_schema = %s"
                                                        " AND table_type = 'BASE TABLE'", (db,))]
        if tables:
            with self.connect(db) as connection:
                execute(connection, f"ANALYZE TABLE {', '.join(tables)}")

    @contextlib.contextmanager
    def guarded_role(self, name, password):
        """A role whose password is asked for."""
        self.sql(self.system, f"CREATE USER {name} IDENTIFIED BY '{password}'")
        try:
            yield
        finally:
            self.sql(self.system, f"DROP USER {name}")

    def forget_passwords(self):
        """What the server remembers of a log-in would do for the next one."""
        self.sql(self.system, "FLUSH PRIVILEGES")

    def grant_on_all_tables(self, db, privileges, role=WORKER):
        self.sql(db, f"GRANT {privileges} ON {db}.* TO {role}")

    def run_script(self, db, script, role):
        """As the engine's own client runs it."""
        run(["mariadb", "--no-defaults", "-S", self.primary.socket, "-u", role, db], input=script)

    # --- the replica ---

    def replica_threads(self):
        """{"IO": "Yes", "SQL": "Yes"}, and what they died of."""
        with self.connect(self.system, replica=True) as connection, connection.cursor(pymysql.cursors.DictCursor) as cursor:
            cursor.execute("SHOW REPLICA STATUS" if is_mariadb() else "SHOW REPLICA STATUS FOR CHANNEL ''")
            (status,) = cursor.fetchall()
        return ({thread: next(value for name, value in status.items() if name.endswith(f"_{thread}_Running")) for thread in ("IO", "SQL")},
                status["Last_IO_Error"] + status["Last_SQL_Error"])

    def wait_replica_streams(self, deadline=30):
        wait_for(lambda: self.replica_threads()[0] == {"IO": "Yes", "SQL": "Yes"}, deadline,
                 lambda: f"the replica to stream; {self.replica_threads()}")

    def wait_replica_is_current(self, deadline=30):
        if is_mariadb():
            position, wait = "SELECT @@gtid_binlog_pos", "SELECT master_gtid_wait(%s, %s)"
        else:
            position, wait = "SELECT @@gtid_executed", "SELECT wait_for_executed_gtid_set(%s, %s)"
        position = self.value(self.system, position)
        assert self.value(self.system, wait, (position, deadline), replica=True) == 0, f"after {deadline} s the replica is not at {position}"

    follower, tells_lag = "127.0.0.1", False  # what the primary calls the replica, and whether it knows how far that is

    def shown_followers(self, role=WORKER):
        """The role sees who follows the primary: by what the documentation asks for."""
        return contextlib.nullcontext()

    def replay_is_paused(self):
        return self._pause is not None or self.replica_threads()[0] != {"IO": "Yes", "SQL": "Yes"}

    def pause_replay(self):
        """Changes arrive, and wait. Both threads run."""
        self._pause = self.open(self.system, replica=True)
        execute(self._pause, "FLUSH TABLES WITH READ LOCK")

    def resume_replay(self):
        pause, self._pause = self._pause, None
        if pause is not None and self.is_open(pause):
            pause.close()
        self.sql(self.system, "START REPLICA", replica=True)

    def stop_replica_thread(self, thread):
        """IO or SQL."""
        self.sql(self.system, f"STOP REPLICA {thread}_THREAD", replica=True)

    def change_replication(self, settings, channel=""):
        """{name without its first word: value}; a channel's own threads are stopped then."""
        word = "MASTER" if is_mariadb() else "SOURCE"
        settings = ", ".join(f"{word}_{name} = {value}" for name, value in settings.items())
        if not channel:
            self.sql(self.system, "STOP REPLICA", replica=True)
        self.sql(self.system, f"CHANGE MASTER '{channel}' TO {settings}" if is_mariadb() else
                 f"CHANGE REPLICATION SOURCE TO {settings} FOR CHANNEL '{channel}'", replica=True)

    def forget_channel(self, channel):
        self.sql(self.system, f"STOP REPLICA '{channel}'; RESET REPLICA '{channel}' ALL" if is_mariadb() else
                 f"STOP REPLICA FOR CHANNEL '{channel}'; RESET REPLICA ALL FOR CHANNEL '{channel}'", replica=True)

    def grant_row_image(self, role=WORKER):
        """What a session needs to choose its binlog_row_image."""
        self.sql(self.system, f"GRANT {'BINLOG ADMIN' if is_mariadb() else 'SESSION_VARIABLES_ADMIN'} ON *.* TO {role}")

    def binlog_bytes(self):
        return sum(row[1] for row in self.sql(self.system, "SHOW BINARY LOGS"))

    def promote_replica(self):
        self.sql(self.system, "STOP REPLICA; RESET REPLICA ALL; SET GLOBAL read_only = 0", replica=True)

    def swap(self):
        """Whatever is asked of the primary from now on is asked of what was the replica."""
        self.forget_connections()
        self.primary, self.replica = self.replica, self.primary

    @contextlib.contextmanager
    def writable_replica(self):
        setting = f"SET GLOBAL {'read_only' if is_mariadb() else 'super_read_only'} ="
        self.sql(self.system, f"{setting} 0", replica=True)
        try:
            yield
        finally:
            self.sql(self.system, f"{setting} 1", replica=True)

    @contextlib.contextmanager
    def left_out_of_replication(self, db):
        """It is gone afterwards."""
        self._ignore(db)
        try:
            yield
        finally:
            self.sql(self.system, f"DROP DATABASE {db}")
            self.wait_replica_is_current()
            with self.writable_replica():
                self.sql(self.system, f"SET sql_log_bin = 0; DROP DATABASE IF EXISTS {db}; SET sql_log_bin = 1", replica=True)
            self._ignore("")

    def _ignore(self, db):
        ignore = f"SET GLOBAL replicate_wild_ignore_table = '{db and db + '.%'}'" if is_mariadb() else \
            f"CHANGE REPLICATION FILTER REPLICATE_WILD_IGNORE_TABLE = ({db and repr(db + '.%')})"
        self.sql(self.system, f"STOP REPLICA; {ignore}; START REPLICA", replica=True)

    @contextlib.contextmanager
    def hidden_replica_state(self, role=WORKER):
        """A word of what the role lacks."""
        what = "REPLICA MONITOR ON *.*" if is_mariadb() else "SELECT ON performance_schema.*"
        self.sql(self.system, f"REVOKE {what} FROM {role}")
        self.wait_replica_is_current()
        yield "SLAVE MONITOR" if is_mariadb() else "SELECT command denied"
        self.sql(self.system, f"GRANT {what} TO {role}")

    @contextlib.contextmanager
    def delayed_replay(self, seconds):
        """As its administrator wants it."""
        self._set_delay(seconds)
        try:
            yield
        finally:
            self._set_delay(0)

    def _set_delay(self, seconds):
        self.change_replication({"DELAY": seconds})
        self.sql(self.system, "START REPLICA", replica=True)

    # --- backends ---

    def cancel(self, pid):
        """What the session is doing."""
        self.sql(self.system, f"KILL QUERY {pid}")

    def _kill(self, rows):
        """How many there were to end. They go when they notice."""
        ended = 0
        for pid, in rows:
            with contextlib.suppress(pymysql.Error):  # gone already
                self.sql(self.system, f"KILL {pid}")
                ended += 1
        return ended

    def terminate_backends_of(self, db, role=WORKER):
        return self._kill(self.sql(self.system, "SELECT id FROM information_schema.processlist WHERE db = %s AND user = %s", (db, role)))

    def _count_backends(self, db, role, condition):
        return self.value(self.system, f"SELECT count(*) FROM information_schema.processlist WHERE db = %s AND user = %s AND {condition}",
                          (db, role))

    def count_backends_of(self, db, role=WORKER):
        return self._count_backends(db, role, "true")

    def waits_for_lock(self, db, role=WORKER):
        """Somebody waits for a row while the role is at work, or the role waits for a table. Not by information_schema.innodb_trx:
        for who asks more often than every 100 ms it never changes."""
        status = "information_schema" if is_mariadb() else "performance_schema"
        return self._count_backends(db, role, f"""command <> 'Sleep' AND (state LIKE 'Waiting for %% lock' OR
            (SELECT variable_value FROM {status}.global_status WHERE variable_name = 'Innodb_row_lock_current_waits') > 0)""") > 0

    def idles_in_transaction(self, db, role=WORKER):
        """For more than 200 ms."""
        if is_mariadb():
            idle = "command = 'Sleep' AND time_ms > 200 AND id IN (SELECT trx_mysql_thread_id FROM information_schema.innodb_trx)"
        else:
            idle = ("id IN (SELECT t.processlist_id FROM performance_schema.threads AS t JOIN performance_schema.events_transactions_current AS e"
                    " USING (thread_id) WHERE e.state = 'ACTIVE' AND e.timer_wait > 200000000000)")
        return self._count_backends(db, role, idle) > 0

    @contextlib.contextmanager
    def ends_idle_sessions(self, db, role=WORKER):
        """Of those that are made from here on, after 1 s."""
        former = self.value(self.system, "SELECT @@global.wait_timeout")
        self.sql(self.system, "SET GLOBAL wait_timeout = 1")
        try:
            yield
        finally:
            self.sql(self.system, f"SET GLOBAL wait_timeout = {former}")

    @property
    def ends_statements(self):
        return is_mariadb()  # MySQL: only those that read

    def rows_read(self, db, table):
        """(by scans of whole tables, by indexes), of the whole server."""
        counts = dict(self.sql(db, "SHOW GLOBAL STATUS LIKE 'Handler_read%'"))
        scanned = int(counts.pop("Handler_read_rnd_next"))
        return scanned, sum(int(count) for count in counts.values())

    def sleeps(self, db, role=WORKER):
        return self._count_backends(db, role, "state = 'User sleep'") > 0
