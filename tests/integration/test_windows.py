"""Time windows: held outside of them, live, across a restart; zones that the daemon's host doesn't know are refused."""

from datetime import datetime, timedelta, timezone

import pytest

from jobs import increment
from waiting import holds_for, wait_for

ROWS = 20000
ALWAYS = ["Mon-Sun"]


def closed_now():
    """A whole day, three days away: not open for two days to come, and it wasn't for three."""
    return [(datetime.now(timezone.utc) + timedelta(days=3)).strftime("%a")]


def text(windows):
    return "windows=[" + ", ".join(f'"{one}"' for one in windows) + "]"


@pytest.fixture
def table(server, db):
    server.sql(db, f"""CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0);
        INSERT INTO t SELECT i, 0 FROM {server.dialect.series(1, ROWS)}""")
    server.grant_on_all_tables(db, "SELECT, UPDATE")


def start_job(daemon, **keys):
    job = increment(batch={"delay": "100ms"}, **keys)
    daemon.submit(job, "--start")
    return job


def wait_held(daemon, job, word):
    def held():
        throttle = daemon.show(job)["throttle"]
        return throttle["reason"] if throttle["held"] and word in throttle["reason"] else None
    return wait_for(held, 10, lambda: f"a hold with {word!r}; {daemon.show(job)['throttle']}\n{daemon.log()}")


def assert_stands_still(daemon, job):
    done = daemon.batches(job)
    holds_for(lambda: daemon.batches(job) == done, 0.7, "no batch outside the windows")
    assert daemon.state(job) == "running"


def told(daemon, job):
    return [e["event"] for e in daemon.ctl_json("events", job.id) if (e["reason"] or "").startswith("outside its time windows")]


def test_outside_its_windows_a_job_is_held_and_set_lets_it_go_on(server, db, daemon, table):
    closed = closed_now()
    job = start_job(daemon, windows=closed, timezone="UTC")
    reason = wait_held(daemon, job, "window")
    assert reason == f"outside its time windows: opens {closed[0]} 00:00 (UTC)"
    assert_stands_still(daemon, job)
    wait_for(lambda: told(daemon, job) == ["job.held"], 10, lambda: f"the event; {told(daemon, job)}")
    shown = daemon.show(job)
    assert daemon.batches(job) == 0 and shown["throttle"]["probe"] == "window"
    assert shown["windows"] == closed and shown["timezone"] == "UTC"
    assert f"{closed[0]} (UTC)" in daemon.ctl("show", job.id, check=0).stdout

    daemon.ctl("set", job.id, text(ALWAYS), check=0)
    daemon.wait_batches(job, 3)
    assert daemon.show(job)["windows"] == ALWAYS

    daemon.ctl("set", job.id, text(closed), check=0)
    wait_held(daemon, job, f"opens {closed[0]} 00:00 (UTC)")
    assert_stands_still(daemon, job)
    assert 0 < daemon.batches(job) < ROWS / 100

    daemon.ctl("set", job.id, "windows=[]", check=0)
    daemon.hurry_to_the_end(job)
    assert server.sql(db, "SELECT n, count(*) FROM t GROUP BY n") == [(1, ROWS)]
    assert "job.released" in told(daemon, job)


def test_a_restart_outside_the_windows_keeps_the_job_held(server, db, daemon, table):
    job = start_job(daemon, windows=ALWAYS, timezone="UTC")
    daemon.wait_batches(job, 2)
    daemon.ctl("set", job.id, text(closed_now()), check=0)
    wait_held(daemon, job, "window")
    done = daemon.batches(job)
    daemon.kill9()
    daemon.start()
    wait_held(daemon, job, "window")
    assert_stands_still(daemon, job)
    assert daemon.batches(job) == done
    daemon.ctl("set", job.id, text(ALWAYS), check=0)
    daemon.hurry_to_the_end(job)
    assert server.sql(db, "SELECT n, count(*) FROM t GROUP BY n") == [(1, ROWS)]


def test_a_job_that_is_held_outside_its_windows_obeys(server, daemon, table):
    job = start_job(daemon, windows=closed_now(), timezone="UTC")
    wait_held(daemon, job, "window")
    daemon.ctl("pause", job.id, check=0)
    assert daemon.state(job) == "paused"
    daemon.ctl("resume", job.id, check=0)
    wait_held(daemon, job, "window")
    assert daemon.ctl("wait", job.id, "--timeout", "300ms").code == 124
    daemon.ctl("cancel", job.id, check=0)
    assert daemon.state(job) == "cancelled"


def test_the_windows_are_of_their_time_zone(server, db, make_daemon, table):
    """Ten hours that are inside by the clock of one zone, and outside by that of the other, twelve hours from it."""
    begin = datetime.now(timezone.utc) - timedelta(hours=5)
    windows = [f"{begin:%H}:00-{begin + timedelta(hours=10):%H}:00"]
    daemon = make_daemon()
    daemon.env = {"TZ": "Etc/GMT-12"}
    daemon.start().init()
    job = start_job(daemon, windows=windows)
    wait_held(daemon, job, "(Etc/GMT-12)")
    assert daemon.batches(job) == 0
    assert "the daemon's local time" in daemon.ctl("show", job.id, check=0).stdout
    daemon.ctl("set", job.id, "timezone=UTC", check=0)
    daemon.wait_batches(job, 2)
    daemon.ctl("set", job.id, "timezone=Etc/GMT+12", check=0)
    wait_held(daemon, job, "(Etc/GMT+12)")


def test_an_unknown_zone_and_a_bad_window_are_refused(server, db, daemon, table):
    def refused(check=65, **keys):
        job = increment(**keys)
        return daemon.ctl_error("submit", job.write(daemon.directory), check=check), job
    error, job = refused(windows=ALWAYS, timezone="Europe/Belrin")
    line = 1 + job.text().splitlines().index('timezone = "Europe/Belrin";')
    assert error["message"].endswith(f"{job.id}.job:{line}: timezone: the time zone Europe/Belrin is not known on this host")
    assert "tzdata" in error["hint"]
    daemon.ctl("validate", job.write(daemon.directory), check=0)  # perhaps the daemon's host knows it
    error, job = refused(windows=["Sat", "Sun 10:00-10:00"])
    assert 'windows: "Sun 10:00-10:00" ends when it begins' in error["message"]
    assert "ends when it begins" in daemon.ctl("validate", job.write(daemon.directory), check=65).stderr
    assert daemon.ctl_json("list") == []

    job = increment()
    daemon.submit(job)
    assert "Europe/Belrin" in daemon.ctl_error("set", job.id, "timezone=Europe/Belrin", check=65)["message"]
    assert "weekends" in daemon.ctl_error("set", job.id, "windows=weekends", check=64)["message"]
    assert server.value(db, "SELECT count(*) FROM backfill.event WHERE event = 'setting.changed'") == 0
