"""Latency by what the server counts of its own statements: the site's are seen, ours are not."""

import threading
import time

import pytest

from jobs import increment
from server import WORKER, execute
from waiting import holds_for, wait_for

SOURCE = "events_statements_histogram_global without ours"
ROWS = 20000
SLOW_MS, BATCH_MS = 60, 300
mysql_only = pytest.mark.engine("mysql")


class Site:
    """Some 100 statements a second; `slow` says how long one in five of them takes."""

    def __init__(self, server, db, threads=2):
        self.server, self.db, self.slow_s = server, db, 0
        self.errors = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()
        assert not self.errors, self.errors[:3]

    def _run(self):
        try:
            with self.server.connect(self.db) as connection:
                number = 0
                while not self._stop.wait(0.01):
                    number += 1
                    execute(connection, f"SELECT n, SLEEP({self.slow_s if number % 5 == 0 else 0}) FROM t WHERE id = {number % ROWS + 1}")
        except Exception as error:  # reported by __exit__
            self.errors.append(error)


@pytest.fixture
def site(server, db):
    with Site(server, db) as site:
        yield site


@pytest.fixture(autouse=True)
def table(server, db):
    server.sql(db, f"""CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0);
        INSERT INTO t SELECT i, 0 FROM {server.dialect.series(1, ROWS)}""")
    server.grant_on_all_tables(db, "SELECT, UPDATE")


@pytest.fixture
def slow_batches(server, db):
    """Each row of a batch of ours takes its time: 100 make BATCH_MS."""
    server.sql(db, f"CREATE TRIGGER slow BEFORE UPDATE ON t FOR EACH ROW SET @slept = SLEEP({BATCH_MS / 1e5})")


def start_job(daemon, source):
    job = increment(batch={"delay": "300ms"}, allow_triggers=True, guards={"p95_increase": 0.0},
                    throttle={"max_p95_increase": 50.0, "latency": {"source": source, "learn": "2s"}})
    daemon.submit(job, "--start")
    return job


@pytest.fixture
def watching(make_daemon):
    """A daemon whose jobs say themselves where latency is read."""
    daemon = make_daemon()
    del daemon.settings["targets"][0]["throttle"]["latency"]
    return daemon.start().init()


def reading(daemon, job, probe="latency"):
    return {one["probe"]: one for one in daemon.ctl_json("throttle", job.id)}.get(probe)


def wait_reading(daemon, job, condition, what, deadline=30):
    last = []

    def met():
        last[:] = [reading(daemon, job)]
        return last[0] if last[0] and condition(last[0]) else None
    return wait_for(met, deadline, lambda: f"{what}; {daemon.ctl_json('throttle', job.id)}\n{daemon.log()}")


def wait_known(daemon, job, source, deadline=30):
    return wait_reading(daemon, job, lambda one: one["state"] != "unknown" and source in one["source"], f"latency by {source}", deadline)


def wait_held(daemon, job, words, deadline=20):
    def held():
        throttle = daemon.show(job)["throttle"]
        return throttle["held"] and words in throttle["reason"]
    wait_for(held, deadline, lambda: f"a hold for {words}; {daemon.show(job)['throttle']} {daemon.ctl_json('throttle', job.id)}\n{daemon.log()}")


def slow_statements(server, ms):
    """How many the server has counted that took so long."""
    return int(server.value(server.system, "SELECT COALESCE(SUM(count_bucket), 0) FROM performance_schema.events_statements_histogram_global"
                            f" WHERE bucket_timer_high > {ms} * 1000000000"))


@mysql_only
def test_auto_takes_the_histogram_of_a_busy_site(watching, site):
    job = start_job(watching, "auto")
    known = wait_known(watching, job, SOURCE)
    assert known["counts"] and known["unit"] == "ms" and known["samples"] > 0 and known["baseline"] > 0
    assert [one["probe"] for one in watching.ctl_json("throttle", job.id)].count("latency") == 1
    assert SOURCE in watching.ctl("throttle", job.id, check=0).stdout
    watching.wait_batches(job, 5)


@mysql_only
def test_slow_statements_of_the_site_are_seen_and_ours_are_not(server, site, slow_batches, watching):
    job = start_job(watching, "histogram")
    wait_known(watching, job, SOURCE)
    watching.wait_batches(job, 2)
    counted, done = slow_statements(server, BATCH_MS), watching.batches(job)
    watching.wait_batches(job, done + 10)
    assert slow_statements(server, BATCH_MS) == counted
    assert reading(watching, job)["value"] < SLOW_MS / 2
    site.slow_s = SLOW_MS / 1000
    slow = wait_reading(watching, job, lambda one: (one["value"] or 0) > SLOW_MS, "a higher P95")
    assert slow["value"] < SLOW_MS * 3
    site.slow_s = 0
    wait_reading(watching, job, lambda one: (one["value"] or SLOW_MS) < SLOW_MS / 2, "a P95 as before", 60)


@mysql_only
def test_connections_that_are_made_again_are_left_out_too(server, db, site, slow_batches, watching):
    """But for what they were doing when we saw them."""
    job = start_job(watching, "histogram")
    wait_known(watching, job, SOURCE)
    watching.wait_batches(job, 2)
    server.terminate_backends_of(db)
    done = watching.batches(job)
    watching.wait_batches(job, done + 10)
    counted, done = slow_statements(server, BATCH_MS), watching.batches(job)
    watching.wait_batches(job, done + 10)
    assert slow_statements(server, BATCH_MS) == counted
    wait_known(watching, job, SOURCE)


@mysql_only
def test_who_empties_the_histogram_does_no_harm(server, site, watching):
    job = start_job(watching, "histogram")
    wait_known(watching, job, SOURCE)
    for _ in range(3):
        server.sql(server.system, "TRUNCATE TABLE performance_schema.events_statements_histogram_global")
        emptied = time.monotonic()

        def is_newer(one):
            return one["age_ms"] is not None and one["age_ms"] / 1000 < time.monotonic() - emptied - 1.2
        fresh = wait_reading(watching, job, is_newer, "a look after it", 10)
        assert fresh["state"] == "ok" and 0 < fresh["value"] < SLOW_MS and fresh["samples"] > 0


@mysql_only
def test_without_the_grant_auto_times_queries_of_its_own_and_says_which_it_lacks(server, site, watching):
    server.sql(server.system, f"REVOKE UPDATE (instrumented) ON performance_schema.threads FROM {WORKER}")
    job = start_job(watching, "auto")
    wait_known(watching, job, "canary")
    lack = wait_for(lambda: reading(watching, job, "histogram"), 10, "what the histogram lacks")
    assert lack["state"] == "unknown" and not lack["counts"] and "UPDATE (instrumented) on performance_schema.threads" in lack["reason"]
    watching.wait_batches(job, 2)
    server.sql(server.system, f"GRANT UPDATE (instrumented) ON performance_schema.threads TO {WORKER}")
    wait_known(watching, job, SOURCE)
    assert reading(watching, job, "histogram") is None


@mysql_only
def test_without_the_grant_who_asks_for_the_histogram_is_held(server, site, watching):
    server.sql(server.system, f"REVOKE UPDATE (instrumented) ON performance_schema.threads FROM {WORKER}")
    job = start_job(watching, "histogram")
    wait_held(watching, job, "UPDATE (instrumented) on performance_schema.threads")
    holds_for(lambda: watching.batches(job) == 0, 1, "no batch in the dark")
    watching.ctl("set", job.id, "throttle.latency.source=canary", check=0)
    watching.wait_batches(job, 2)


@mysql_only
def test_a_quiet_site_is_told_by_queries_of_our_own(watching):
    """The daemon alone is asked here: what a test asks the server is a site's, too."""
    job = start_job(watching, "auto")
    lack = wait_for(lambda: reading(watching, job, "histogram"), 20, "what the histogram lacks")
    assert "statements a second of others tell too little" in lack["reason"]
    wait_known(watching, job, "canary")
    watching.wait_batches(job, 2)


@pytest.mark.engine("mariadb")
def test_mariadb_without_its_plugin(watching):
    job = start_job(watching, "histogram")
    wait_held(watching, job, "the plugin query_response_time is not loaded")
    watching.ctl("set", job.id, "throttle.latency.source=auto", check=0)
    wait_known(watching, job, "canary")
    assert reading(watching, job, "histogram") is None
    watching.wait_batches(job, 2)


@pytest.mark.engine("postgresql")
def test_postgresql_has_none(watching):
    job = increment(throttle={"latency": {"source": "histogram"}})
    refused = watching.submit(job, check=65).stderr
    assert "throttle.latency.source: PostgreSQL counts no latencies" in refused
    job = start_job(watching, "auto")
    wait_known(watching, job, "canary")
    assert reading(watching, job, "histogram") is None
    watching.ctl("set", job.id, "throttle.latency.source=histogram", check=0)
    wait_held(watching, job, "counts no latencies")
