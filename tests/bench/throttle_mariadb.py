"""The bench's MariaDB: the integration tests' primary and replica, with settings as a small production server has them (each commit
reaches the primary's disk), the table to be backfilled, and site_load.c with its own tables as the site."""

import os
import time

from daemon import BUILD
from mysql_server import DURABLE, MySQLServer
from throttle_site import CLIENTS, Load

SITE_ACCOUNTS = 1000000
SIZES = ("innodb-buffer-pool-size=512M", "innodb-log-file-size=512M")
CATCH_UP_SECONDS = 1800  # of a replica that a contender without a throttle has left far behind


class BenchMariaDB(MySQLServer):
    slow_duty = 0.3  # of the whole replica, which has to do the site's work in it, too

    def __init__(self, directory):
        super().__init__(directory)
        self.primary.options = (*DURABLE, "debug-no-sync=OFF", *SIZES)
        # It applies with one thread: waiting for the disk at each of the site's commits, it would not keep up with the site alone.
        self.replica.options = SIZES

    def create(self):
        super().create()
        self.db = self.create_database("bench")
        self.grant_on_all_tables(self.db, "SELECT, UPDATE, TRIGGER")
        self.sql(self.db, f"""CREATE TABLE beat (at DOUBLE); INSERT INTO beat VALUES (0);
            CREATE TABLE site_account (id BIGINT PRIMARY KEY, balance INTEGER NOT NULL, filler CHAR(84) NOT NULL);
            CREATE TABLE site_history (account BIGINT NOT NULL, delta INTEGER NOT NULL, at TIMESTAMP NOT NULL);
            INSERT INTO site_account SELECT seq, 0, '' FROM seq_1_to_{SITE_ACCOUNTS}""")
        self.wait_replica_is_current(CATCH_UP_SECONDS)

    def start_load(self, rate, seconds, seed, name):
        path = os.path.join(self.directory, f"{name}-{time.time_ns()}.log")
        command = [os.path.join(BUILD, "tests/bench/site_load"), self.primary.socket, self.db, str(CLIENTS), str(rate), str(int(seconds) + 1), str(seed),
                   str(SITE_ACCOUNTS), path]
        return Load(command, path, os.path.join(self.directory, f"{name}.out"))

    def rebuild_worked(self, rows):
        """On both, and not by way of the binary log: that would be the replica's work for a long time."""
        self.sql(self.db, "DROP DATABASE IF EXISTS backfill")
        self.wait_replica_is_current(CATCH_UP_SECONDS)
        for replica in (False, True):
            with self.connect(self.db, replica=replica) as connection, connection.cursor() as cursor:
                cursor.execute(f"""SET sql_log_bin = 0, unique_checks = 0, foreign_key_checks = 0;
                    DROP TABLE IF EXISTS worked;
                    CREATE TABLE worked (id BIGINT PRIMARY KEY, owner VARCHAR(40) NOT NULL, amount INTEGER NOT NULL, n INTEGER NOT NULL);
                    INSERT INTO worked SELECT seq, CONCAT('owner ', seq), seq % 1000, 0 FROM seq_1_to_{rows};
                    ANALYZE TABLE worked""")

    def loop_address(self):
        return f"{self.primary.socket}:{self.db}"

    def applying_pids(self):
        """Its threads can't be stopped one by one: the whole replica."""
        return [self.replica.pid()]

    def pause_apply(self):
        self.stop_replica_thread("SQL")

    def resume_apply(self):
        self.sql(self.system, "START REPLICA", replica=True)
