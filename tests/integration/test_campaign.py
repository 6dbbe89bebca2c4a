"""Crash campaigns: whatever is killed, stalled or cut off at whatever moment, no row is lost and none is done twice.
BACKFILLD_SOAK=1 runs them whole; without, a sample that SEED chooses."""

import os
import re
import threading
import time

import pytest

from campaign import EACH_JOB_KIND, EACH_KIND, STATE_CHANGES, STATEMENT, WORK, Campaign
from kinds import KINDS
from results import WHOLE
from waiting import wait_for

KILLS_A_POINT = int(os.environ.get("BACKFILLD_SOAK_KILLS", "20"))  # for each kind, as all of these
LOSSES_A_POINT = 4
RANDOM_KILLS = 75
CRASHES = 5
STALLS = 5
POINTS_A_LIFE = 25  # failpoint.c arms 32 at most
BLOCKED_AT_MOST_S = 3
MANY = 20_000
SLOW = {"delay": "50ms"}  # so that a job still runs when it is to be paused

each_kind = pytest.mark.parametrize("kind", EACH_KIND)
each_job_kind = pytest.mark.parametrize("kind", EACH_JOB_KIND)


def keep_working(campaign):
    campaign.keep_working()


def pause_and_resume(campaign):
    """Mostly a job that somebody works on."""
    current = campaign.current()
    if current is not None and current[1] == "running":
        if current[3] or campaign.rng.random() < 0.1:
            campaign.ctl("pause", current[0])
    else:
        campaign.keep_working()


def cancel(campaign):
    """In mid-work."""
    current = campaign.keep_working()
    if current is not None and current[1] == "running" and current[2] > 0:
        campaign.ctl("cancel", current[0])


def stop(campaign):
    """The file comes when the job runs, and goes when it is paused."""
    current, path = campaign.current(), campaign.daemon.stop_file
    if current is not None and current[1] == "running":
        with open(path, "w"):
            pass
        return
    if os.path.exists(path):
        os.unlink(path)
    campaign.keep_working()


ACTS = {"batch": keep_working, "ahead": keep_working, "claim": keep_working, "plan_check": keep_working, "round": keep_working, "open": keep_working, "complete": keep_working,
        "start": keep_working, "pause": pause_and_resume, "resume": pause_and_resume, "cancel": cancel, "stop": stop}


def nth(campaign, what, point):
    """State changes share their failpoints: which of them is it?"""
    current = campaign.current()
    state = current[1] if current is not None else None
    if what in ("batch", "ahead") and ".boundary." not in point and ".count." not in point:
        return campaign.rng.randint(1, 3)
    of_one = any(step in point for step in (".flags.", ".seen."))  # only of who begins to work, or only of who ends it
    if not of_one and (what in ("pause", "cancel") and state != "running" or what == "resume" and state != "paused"):
        return 2
    return 1


def kinds_of(what):
    return EACH_KIND if what in ("batch", "ahead") else EACH_JOB_KIND


def at(what, kind):
    """A kind may carry a mark."""
    kind = pytest.param(kind) if isinstance(kind, str) else kind
    return pytest.param(what, *kind.values, marks=kind.marks)


@pytest.mark.parametrize("kind", [*KINDS][:-1] + [STATEMENT])
def test_the_steps_are_those_of_the_program(server, db, daemon, kind):
    """A new one would not be killed at otherwise."""
    campaign = Campaign(server, db, daemon, "steps", kind)
    campaign.batch = {"delay": "300ms"}
    daemon.kill9()
    daemon.start("*=trace")

    def traced(transactions, act, last):
        """Failpoints of these that were reached."""
        seen = len(daemon.log())
        act()
        wait_for(lambda: f"failpoint {last}.commit.done\n" in daemon.log()[seen:], 30, lambda: f"the end of {last}; {daemon.log()[seen:]}")
        return {point for point in re.findall(r"failpoint (\S+)\n", daemon.log()[seen:]) if point.split(".")[0] in transactions}

    def submitted():
        job = campaign.work.job(batch={"max_duty": 1.0, **campaign.batch})
        daemon.submit(job)
        return job.id
    job = submitted()
    for what in STATE_CHANGES:
        done = campaign.committed()
        if what in ("pause", "cancel"):
            wait_for(lambda: campaign.committed() > done, 10, "a batch")
        assert traced(("state",), lambda command=what: daemon.ctl(command, job, check=0), "state") == set(campaign.points(what)), what
    daemon.ctl("start", submitted(), check=0)
    assert traced(("stop",), lambda: stop(campaign), "stop") == set(campaign.points("stop"))
    os.unlink(daemon.stop_file)
    wait_for(lambda: daemon.ctl("cancel", campaign.current()[0]).code == 0, 10, "the stop to be over")
    campaign.batch = {}
    seen = set()

    def work():
        """A job may be over before the connection of its look-ahead is there."""
        job = submitted()
        seen.update(traced(WORK, lambda: daemon.ctl("start", job, check=0), "complete"))
        return "ahead.commit.done" in seen
    wait_for(work, 60, "a look-ahead")
    assert seen == set(campaign.points(*WORK))


@pytest.mark.parametrize("what, kind", [at(what, kind) for what in ACTS for kind in kinds_of(what)])
def test_killed_at_every_failpoint(server, db, daemon, what, kind):
    campaign = Campaign(server, db, daemon, f"kill -9 at each failpoint: {what}", kind)
    daemon.kill9()
    if what in ("pause", "resume", "cancel", "stop"):
        campaign.batch = SLOW
    with campaign.traffic():
        for point in campaign.lives(campaign.points(what), KILLS_A_POINT, 2):
            campaign.killed_at(point, nth(campaign, what, point), lambda: ACTS[what](campaign))
        if os.path.exists(daemon.stop_file):
            os.unlink(daemon.stop_file)
        campaign.finish()


@each_kind
def test_random_kills(server, db, daemon, kind):
    campaign = Campaign(server, db, daemon, "kill -9 at random", kind, MANY)
    campaign.batch = {"delay": campaign.rng.choice(["0ms", "2ms"])}  # without a rest, the next end is looked up ahead
    campaign.until(lambda: campaign.committed() > 0, campaign.keep_working, "a batch")  # a life may be too short to submit a job
    daemon.kill9()
    with campaign.traffic():
        for _ in range(RANDOM_KILLS if WHOLE else 4):
            daemon.launch()
            threading.Timer(campaign.rng.uniform(0, 0.6), daemon.process.kill).start()
            campaign.until(lambda: not daemon.running(), campaign.keep_working, "its end")
            daemon.wait_killed()
            campaign.blows += 1
        campaign.finish()


@each_kind
def test_server_crashes(server, db, daemon, kind):
    """PostgreSQL's batches commit without waiting for the disk: the last of them are lost, rows and checkpoint alike."""
    campaign = Campaign(server, db, daemon, "server crash", kind, MANY)
    campaign.batch = {"delay": campaign.rng.choice(["0ms", "2ms"])}
    with server.durable(), campaign.traffic(patient=True):
        for _ in range(CRASHES if WHOLE else 1):
            before = campaign.committed()
            campaign.until(lambda: campaign.committed() > before, campaign.keep_working, "another batch")
            time.sleep(campaign.rng.uniform(0, 0.3))  # not for synchronisation: the random moment itself
            server.primary.restart("immediate")
            campaign.blows += 1
        campaign.finish()


@each_kind
def test_stalled_and_overtaken(server, db, daemon, make_daemon, kind):
    """The owner stands still in mid-batch, another daemon goes on, then the owner wakes up: it writes nothing. And the
    site's own UPDATE of the same row waits no longer than the server lets an idle transaction be."""
    campaign = Campaign(server, db, daemon, "SIGSTOP and take-over", kind, MANY)
    campaign.batch = {"delay": "2ms"}
    other = make_daemon("other", owner_timeout="1s")
    daemon.kill9()
    in_batch = [point for point in campaign.points("batch") if ".count." not in point]
    with campaign.traffic():
        for _ in range(STALLS if WHOLE else 1):
            point, seen = campaign.rng.choice(in_batch), len(daemon.log())
            daemon.launch(f"{point}=stop@{campaign.rng.randint(1, 5)}")
            campaign.until(lambda: daemon.process_state() == "T", campaign.keep_working, f"{point} to be reached")
            begin = time.monotonic()
            server.sql(db, "UPDATE t SET note = 'site' WHERE id BETWEEN %s AND %s", campaign.next_rows())
            blocked, done = time.monotonic() - begin, campaign.committed()
            assert blocked <= BLOCKED_AT_MOST_S, f"{point}: blocked for {blocked:.1f} s"
            other_seen = len(other.log())
            other.start()  # what the stopped one had sent may still be committed: that is no take-over
            wait_for(lambda: "claimed, epoch" in other.log()[other_seen:] and campaign.committed() > done, 10,
                     lambda: f"the take-over at {point}; {other.log()[-6000:]}")
            daemon.sigcont()
            wait_for(lambda: "let go" in daemon.log()[seen:], 10, lambda: f"{point}: to let go; {daemon.log()[-6000:]}")
            daemon.kill9()
            assert other.terminate() == 0
            campaign.blows += 1
        campaign.finish()


@pytest.mark.parametrize("how", ["cut", "ended"])
@each_kind
def test_connection_lost_at_every_failpoint(server, db, daemon, how, kind):
    """cut: what was sent arrives, no answer does. ended: the server ends the connection while the daemon stands still."""
    campaign = Campaign(server, db, daemon, f"connection {how} at each failpoint", kind)
    daemon.kill9()
    which = campaign.lives(campaign.points("batch", "claim", "plan_check", "round", "open", "complete"), LOSSES_A_POINT, 10)
    with campaign.traffic():
        while which:
            now, which = distinct(which)
            campaign.loses_at(now, "fail" if how == "cut" else "stop", campaign.keep_working,
                              lambda: server.terminate_backends_of(db))
        campaign.finish()


@each_job_kind
def test_connection_cut_while_states_change(server, db, daemon, kind):
    """The control connection's: whoever asked is told that the outcome is not known, and asks again."""
    campaign = Campaign(server, db, daemon, "connection cut while states change", kind)
    daemon.kill9()

    def meddle():
        act = campaign.rng.choices((keep_working, pause_and_resume, stop), (6, 3, 1))[0]
        act(campaign)
    which = campaign.lives(campaign.points("resume", "stop"), LOSSES_A_POINT, 8)
    with campaign.traffic():
        while which:
            now, which = distinct(which)
            campaign.loses_at(now, "fail", meddle)
        if os.path.exists(daemon.stop_file):
            os.unlink(daemon.stop_file)
        campaign.finish()


def distinct(which):
    """(some of them, each once, the rest)"""
    some = list(dict.fromkeys(which))[:POINTS_A_LIFE]
    rest = list(which)
    for point in some:
        rest.remove(point)
    return some, rest
