"""The system refuses memory, descriptors, disk, network, threads: the n-th call fails, or all from the n-th on, for each n. What
follows is an error that says so, an exit that says so, or the work goes on; never a crash, a hang or a wrong table."""

import contextlib
import os
import subprocess

import pytest

import starve as refusal
from jobs import increment
from starve import FOREVER, MEMORY, Starve, campaign, starved
from test_control import Client
from waiting import wait_for
from writers import assert_exactly_once, create_counted_table

ROWS = 300
EXITS = {0, 64, 65, 69, 70, 75, 77, 78}
OUT_OF_MEMORY = "out of memory: exiting\n"
KINDS = {
    "memory": refusal.MEMORY,
    "descriptors": refusal.DESCRIPTORS,
    "disk_full": refusal.DISK_FULL,
    "disk_broken": refusal.DISK_BROKEN,
    "network_down": refusal.NETWORK_DOWN,
    "network_busy": refusal.NETWORK_BUSY,
    "threads": refusal.THREADS,
}


@pytest.fixture
def starve(directory):
    made = Starve(directory)
    yield made
    made.stop()


@pytest.fixture
def starved_daemon(make_daemon, starve):
    daemon = make_daemon()
    daemon.program, daemon.env = starved("backfilld"), starve.env
    daemon.start().init()
    return daemon


def assert_clean_end(what, code, said):
    assert code in EXITS, f"exit code {code}: {said}"
    assert code == 0 or said, f"exit code {code} without a word"
    if what is MEMORY:
        assert (code, said[-len(OUT_OF_MEMORY):]) == (70, OUT_OF_MEMORY), f"exit code {code}: {said}"


def run(starve, command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, env={**os.environ, **starve.env})
    return done.returncode, done.stdout, done.stderr


def sweep_command(starve, faults, command, kinds, sample):
    """One that ends by itself, and soon."""
    for kind in kinds:
        starve.count(KINDS[kind])
        code, _, said = run(starve, command)
        total = starve.calls
        assert code in EXITS, said
        for number in faults.calls(f"{command[1:]}, {kind}", total, sample) if total > 0 else ():
            starve.refuse(KINDS[kind], number, faults.rng.choice((number, FOREVER)))
            code, _, said = run(starve, command)
            assert starve.failed > 0, f"call {number} of {total} was not made"
            assert_clean_end(KINDS[kind], code, said)


# --- programs that end by themselves ---


def test_check_config(make_daemon, starve):
    daemon = make_daemon()
    daemon.write_conf()
    command = [starved("backfilld"), "-c", daemon.conf, "--check-config"]
    with campaign("starve-check-config") as faults:
        sweep_command(starve, faults, command, ("memory", "descriptors"), 100)


def test_backfillctl(pg, db, daemon, starve):
    create_counted_table(pg, db, ROWS)
    job = increment(allow_triggers=True)
    daemon.submit(job)
    path = job.write(daemon.directory)
    with campaign("starve-backfillctl") as faults:
        for words in (["list"], ["show", job.id], ["-o", "json", "list"], ["targets"], ["events", job.id], ["set", job.id,
                      "batch.rows=50"], ["submit", path], ["check", path], ["help"], ["nonsense"]):
            command = [starved("backfillctl"), "-s", daemon.socket, *words]
            sweep_command(starve, faults, command, ("memory", "descriptors", "network_down", "network_busy"), 4)
    assert daemon.state(job) == "pending"


# --- the daemon ---


def answers(daemon):
    try:
        client = Client(daemon, timeout=1)
    except OSError:
        return None
    try:
        return client.call("target.list")["result"]
    except (OSError, ValueError, KeyError):
        return None
    finally:
        client.close()


def is_up(daemon):
    targets = answers(daemon)
    return targets is not None and [one["state"] for one in targets] == ["up"]


def remove(*paths):
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def ended(daemon):
    return not daemon.running()


def assert_ended_cleanly(daemon, what):
    said = daemon.log()
    code = daemon.wait_exit(0)
    assert code != 0, f"the daemon ended by itself, content:\n{said}"
    assert_clean_end(what, code, said)


@pytest.mark.parametrize("kind", KINDS)
def test_start(starved_daemon, starve, kind):
    daemon, what = starved_daemon, KINDS[kind]
    assert daemon.terminate() == 0
    with campaign(f"starve-start-{kind}") as faults:
        starve.count(what)
        daemon.launch()
        wait_for(lambda: is_up(daemon), 10, "the target")
        total = starve.calls
        assert daemon.terminate() == 0
        for number in faults.calls("start", total, 8):
            remove(daemon.log_path, daemon.socket + ".lock")  # a full disk shows where a file is made
            starve.refuse(what, number, faults.rng.choice((number, FOREVER)))
            daemon.launch()
            wait_for(lambda: ended(daemon) or starve.failed >= 3 or is_up(daemon), 15, daemon.log)
            starve.stop()
            wait_for(lambda: ended(daemon) or is_up(daemon), 20, lambda: f"{answers(daemon)}\n{daemon.log()}")
            if ended(daemon):
                assert_ended_cleanly(daemon, what)
            else:
                assert daemon.terminate() == 0
