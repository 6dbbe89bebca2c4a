"""The bench's PostgreSQL: the integration tests' primary and replica, with settings as a small production server has them (each commit
reaches the disk, and there is a checkpoint in each run), the table to be backfilled, and pgbench with its own tables as the site."""

import os
import time

from postgres_server import PostgresServer, pg_program
from server import WORKER
from throttle_site import CLIENTS, Load

CATCH_UP_SECONDS = 1800  # of a replica that a contender without a throttle has left far behind
SITE_SCALE = 10  # 100,000 accounts each
SETTINGS = """
fsync = on
shared_buffers = 512MB
max_wal_size = 4GB
checkpoint_timeout = 2min
wal_keep_size = 1GB
log_checkpoints = on
"""


class PgbenchLoad(Load):
    def wait_done(self):
        self.process.wait()
        self.check()


class BenchPostgres(PostgresServer):
    slow_duty = 0.05  # of the process that replays

    def copy_to_replica(self):
        with open(os.path.join(self.primary.data, "postgresql.conf"), "a") as f:
            f.write(SETTINGS)
        super().copy_to_replica()

    def create(self):
        super().create()
        self.db = self.create_database("bench")
        self.sql(self.db, f"GRANT pg_monitor TO {WORKER}; CREATE TABLE beat (at double precision); INSERT INTO beat VALUES (0)")
        self._pgbench("-i", "-q", "-s", str(SITE_SCALE)).wait_done()

    def _pgbench(self, *options, log_path=None, name="load"):
        url = self.url(self.db, self.superuser)
        return PgbenchLoad([pg_program("pgbench"), *options, url], log_path, os.path.join(self.directory, f"{name}.out"))

    def start_load(self, rate, seconds, seed, name):
        prefix = os.path.join(self.directory, f"{name}-{time.time_ns()}")
        return self._pgbench("-n", "-c", str(CLIENTS), "-j", "1", "-R", str(rate), "-T", str(int(seconds) + 1), "-M", "prepared", "--log",
                             f"--log-prefix={prefix}", f"--random-seed={seed}", log_path=lambda pid: f"{prefix}.{pid}", name=name)

    def rebuild_worked(self, rows):
        self.sql(self.db, f"""DROP TABLE IF EXISTS worked; DROP SCHEMA IF EXISTS backfill CASCADE;
            CREATE TABLE worked AS SELECT i::bigint AS id, 'owner ' || i AS owner, i % 1000 AS amount, 0 AS n FROM generate_series(1, {rows}) i;
            ALTER TABLE worked ADD PRIMARY KEY (id); GRANT SELECT, UPDATE ON worked TO {WORKER}""")
        self.sql(self.db, "VACUUM (FREEZE, ANALYZE) worked")
        self.sql(self.db, "VACUUM pgbench_branches, pgbench_tellers, pgbench_history")
        self.sql(self.db, "CHECKPOINT")
        lsn = self.value(self.db, "SELECT pg_current_wal_lsn()::text")
        self.wait_replayed("postgres", f"SELECT 1 WHERE pg_last_wal_replay_lsn() >= '{lsn}'", CATCH_UP_SECONDS)
        self.sql("postgres", "CHECKPOINT", replica=True)

    def loop_address(self):
        return self.url(self.db, WORKER)

    def applying_pids(self):
        """What replays on the replica."""
        return [self.value("postgres", "SELECT pid FROM pg_stat_activity WHERE backend_type = 'startup'", replica=True)]

    def pause_apply(self):
        self.pause_replay()

    def resume_apply(self):
        self.resume_replay()
