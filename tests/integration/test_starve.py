"""The system refuses memory, descriptors, disk, network, threads: the n-th call fails, or all from the n-th on, for each n. What
follows is an error that says so, an exit that says so, or the work goes on; never a crash, a hang or a wrong table."""

import contextlib
import json
import os
import resource
import socket
import subprocess
import threading
import time

import pytest

from jobs import increment
from starve import FOREVER, KINDS, SOAK, Starve, campaign, starved
from test_control import Client
from waiting import holds_for, wait_for
from writers import assert_exactly_once, create_counted_table

ROWS = 300
SHARDS = 8 if SOAK else 1  # of the sweep of a whole job: 14,000 allocations, one after the other
EXITS = {0, 64, 65, 69, 70, 75, 77, 78}
OUT_OF_MEMORY = "out of memory: exiting\n"


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


def assert_clean_end(kind, code, said):
    assert code in EXITS, f"exit code {code}: {said}"
    assert code == 0 or said, f"exit code {code} without a word"
    if kind == "memory":
        assert (code, said[-len(OUT_OF_MEMORY):]) == (70, OUT_OF_MEMORY), f"exit code {code}: {said}"


def run(starve, command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, env={**os.environ, **starve.env})
    return done.returncode, done.stdout, done.stderr


def sweep_command(starve, faults, command, kinds, sample):
    """One that ends by itself, and soon."""
    for kind in kinds:
        starve.count(kind)
        code, _, said = run(starve, command)
        total = starve.calls
        assert code in EXITS, said
        for first, last in faults.refusals(command[1:], kind, total, sample) if total > 0 else ():
            starve.refuse(kind, first, last)
            code, _, said = run(starve, command)
            assert starve.failed > 0, f"call {first} of {total} was not made"
            assert_clean_end(kind, code, said)


# --- programs that end by themselves ---


def test_check_config(server, make_daemon, starve):
    daemon = make_daemon()
    daemon.write_conf()
    command = [starved("backfilld"), "-c", daemon.conf, "--check-config"]
    with campaign(server, "refused: --check-config") as faults:
        sweep_command(starve, faults, command, ("memory", "descriptors"), 100)


def test_backfillctl(server, db, daemon, starve):
    create_counted_table(server, db, ROWS)
    job = increment(allow_triggers=True)
    daemon.submit(job)
    path = job.write(daemon.directory)
    with campaign(server, "refused: backfillctl") as faults:
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


def assert_ended_cleanly(daemon, kind):
    said = daemon.log()
    code = daemon.wait_exit(0)
    assert code != 0, f"the daemon ended by itself, content:\n{said}"
    assert_clean_end(kind, code, said)


@pytest.mark.parametrize("kind", KINDS)
def test_start(server, starved_daemon, starve, kind):
    daemon = starved_daemon
    assert daemon.terminate() == 0
    with campaign(server, f"refused at the start: {kind}") as faults:
        starve.count(kind)
        daemon.launch()
        wait_for(lambda: is_up(daemon), 10, "the target")
        total = starve.calls
        assert daemon.terminate() == 0
        for first, last in faults.refusals("start", kind, total, 25):
            remove(daemon.log_path, daemon.socket + ".lock")  # a full disk shows where a file is made
            starve.refuse(kind, first, last)
            daemon.launch()
            wait_for(lambda: ended(daemon) or starve.failed >= 3 or is_up(daemon), 15, daemon.log)
            starve.stop()
            wait_for(lambda: ended(daemon) or is_up(daemon), 20, lambda: f"{answers(daemon)}\n{daemon.log()}")
            if ended(daemon):
                assert_ended_cleanly(daemon, kind)
            else:
                assert daemon.terminate() == 0


def start_table(server, db):
    """As create_counted_table leaves it."""
    server.sql(db, f"DELETE FROM public.t; DELETE FROM public.audit; INSERT INTO public.t (id) SELECT i FROM {server.dialect.series(1, ROWS)}")


def state_of(daemon, job):
    rows = daemon.server.sql(daemon.db, "SELECT state FROM backfill.job WHERE id = %s", (job.id,))
    return rows[0][0] if rows else None


def bring_on(daemon, job, path):
    """What an operator does after a fault, until the job is completed."""
    state = state_of(daemon, job)
    words = {None: ["submit", path, "--start"], "pending": ["start", job.id], "paused": ["resume", job.id]}.get(state)
    if words is not None:
        daemon.ctl(*words)
    return state == "completed"


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("kind, sample", [("memory", 5), ("descriptors", 2), ("network_down", 3), ("network_busy", 2), ("threads", 1)])
def test_job(server, db, starved_daemon, starve, kind, sample, shard):
    daemon = starved_daemon
    create_counted_table(server, db, ROWS)
    with campaign(server, f"refused in a job: {kind}", shard, SHARDS) as faults:
        starve.count(kind)
        daemon.run_job(increment(allow_triggers=True))
        for first, last in faults.refusals("job", kind, starve.calls, sample):
            start_table(server, db)
            job = increment(allow_triggers=True)
            path = job.write(daemon.directory)
            starve.refuse(kind, first, last)
            submit = threading.Thread(target=daemon.ctl, args=("submit", path, "--start"))
            submit.start()  # it may have to wait until the fault is over
            wait_for(lambda: ended(daemon) or starve.failed > 0 or state_of(daemon, job) == "completed", 20, daemon.log)
            if kind != "memory":
                time.sleep(faults.rng.uniform(0, 0.3))  # not for synchronisation: how long it lasts
            starve.stop()
            if kind == "memory" and starve.failed > 0:
                wait_for(lambda: ended(daemon), 10, daemon.log)
            if ended(daemon):
                assert_ended_cleanly(daemon, kind)
                daemon.start()
            submit.join(20)
            assert not submit.is_alive(), daemon.log()
            wait_for(lambda: bring_on(daemon, job, path), 30, daemon.log)
            assert_exactly_once(server, db, ROWS)


# --- the disk is full ---


def test_a_full_disk_stops_no_job(server, db, starved_daemon, starve):
    """Neither the log nor the state directory takes a byte."""
    daemon = starved_daemon
    assert daemon.terminate() == 0
    log, daemon.log_path = daemon.log_path, "/dev/full"
    daemon.launch()
    daemon.log_path = log
    daemon.wait_up()
    starve.refuse("disk_full", 1, FOREVER)
    create_counted_table(server, db, ROWS)
    job = increment(allow_triggers=True)
    daemon.run_job(job)
    assert_exactly_once(server, db, ROWS)
    error = daemon.ctl_error("stop", check=75)
    assert daemon.stop_file in error["message"] and "No space left" in error["message"]
    starve.stop()
    daemon.ctl("stop", check=0)
    daemon.ctl("unstop", check=0)


def test_a_start_on_a_full_disk_says_so(starved_daemon, starve):
    daemon = starved_daemon
    assert daemon.terminate() == 0
    remove(daemon.socket + ".lock")
    starve.refuse("disk_full", 1, FOREVER)
    daemon.launch()
    assert daemon.wait_exit() == 78
    assert daemon.socket + ".lock: No space left on device" in daemon.log()
    assert not os.path.exists(daemon.socket)


def test_backfillctl_whose_output_is_full_says_so(daemon):
    with open("/dev/full", "w") as full:
        done = subprocess.run([starved("backfillctl"), "-s", daemon.socket, "targets"], stdout=full, stderr=subprocess.PIPE, text=True,
                              timeout=20)
    assert (done.returncode, done.stderr) == (70, "backfillctl: cannot write: No space left on device\n")


# --- out of descriptors ---


def open_descriptors(daemon):
    return len(os.listdir(f"/proc/{daemon.pid}/fd"))


def cpu_seconds(daemon):
    with open(f"/proc/{daemon.pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def crowd(daemon, size):
    """Clients that connect, as far as the queue takes them, and say nothing."""
    clients = []
    for _ in range(size):
        client = socket.socket(socket.AF_UNIX)
        client.setblocking(False)
        clients.append(client)
        with contextlib.suppress(BlockingIOError):
            client.connect(daemon.socket)
    return clients


def test_a_crowd_that_takes_every_descriptor(server, db, daemon):
    """The job goes on, the processor has peace, and whoever comes when they have left is served."""
    create_counted_table(server, db, 20000)
    job = increment(allow_triggers=True, batch={"delay": "20ms"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 3)
    limit = open_descriptors(daemon) + 20
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (limit, limit))
    clients = crowd(daemon, 200)
    wait_for(lambda: "cannot accept a client: Too many open files" in daemon.log(), 10, daemon.log)
    assert open_descriptors(daemon) == limit
    begin, used, before = time.monotonic(), cpu_seconds(daemon), daemon.batches(job)
    daemon.wait_batches(job, before + 20)
    share = (cpu_seconds(daemon) - used) / (time.monotonic() - begin)
    print(f"processor: {share:.2f}")
    assert share < 0.5
    for client in clients:
        client.close()
    wait_for(lambda: answers(daemon), 10, "an answer")
    daemon.ctl("set", job.id, "batch.delay=0ms", "batch.rows=5000", check=0)
    daemon.wait_done(job)
    assert_exactly_once(server, db, 20000)


# --- the wall clock is set ---

HOUR = 3600


def begun(server, db, daemon):
    """A job that has done some of its work."""
    create_counted_table(server, db, 20000)
    job = increment(allow_triggers=True, batch={"delay": "20ms"}, throttle={"max_lag": "500ms"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 3)
    return job


def finish(server, db, daemon, job):
    wait_for(lambda: daemon.ctl("set", job.id, "batch.delay=0ms", "batch.rows=5000").code == 0, 10, "the target to be up")
    daemon.wait_done(job)
    assert_exactly_once(server, db, 20000)


def test_another_time_changes_nothing(server, db, starved_daemon, starve):
    daemon = starved_daemon
    job = begun(server, db, daemon)
    ownership = server.sql(db, "SELECT owner, epoch FROM backfill.job")
    for step in (HOUR, -HOUR, 0):
        starve.step_clock(step)
        daemon.wait_batches(job, daemon.batches(job) + 5, deadline=5)
        readings = {one["probe"]: one for one in daemon.ctl_json("throttle", job.id)}
        assert 0 <= readings["lag:r1"]["value"] < 0.5 and readings["lag:r1"]["age_ms"] < 5000, readings
    assert server.sql(db, "SELECT owner, epoch FROM backfill.job") == ownership
    server.pause_replay()
    wait_for(lambda: daemon.show(job)["throttle"]["held"], 10, "a hold")
    for step in (HOUR, -HOUR):
        done = daemon.batches(job)
        starve.step_clock(step)
        holds_for(lambda: daemon.batches(job) <= done + 1, 0.5, "no batch while held")
        assert daemon.show(job)["throttle"]["held"]
    server.resume_replay()
    finish(server, db, daemon, job)
    assert 0 < daemon.show(job)["seconds"]["held"] < 60
    assert "no connection" not in daemon.log()


def ask(daemon, method, **params):
    """A client whose call the daemon has begun to serve."""
    client = Client(daemon, timeout=20)
    client.send(json.dumps({"jsonrpc": "2.0", "id": 2, "method": method, "params": params}).encode() + b"\n")
    assert client.call("daemon.version")["id"] == 1  # a line after the other
    return client


def test_patience_with_a_server_that_does_not_answer_is_not_an_hour(server, db, make_daemon, make_proxy, starve):
    """The connections end, and new ones get no answer: commands await the first try."""
    proxy = make_proxy(server.primary.port)
    daemon = make_daemon(target={"url": proxy.url(server.url(db, tcp=True))})
    daemon.program, daemon.env = starved("backfilld"), starve.env
    daemon.start().init()
    job = begun(server, db, daemon)
    proxy.hang_up()
    wait_for(lambda: "target main: no connection" in daemon.log(), 10, "the daemon to notice")
    client = ask(daemon, "job.show", job=job.id)
    starve.step_clock(-HOUR)
    assert client.answer()["error"]["data"]["exit"] == 75
    client.close()
    proxy.heal()
    finish(server, db, daemon, job)


@pytest.mark.parametrize("step", [HOUR, -HOUR])
def test_a_step_between_two_statements(server, db, starved_daemon, starve, step):
    """Set back, the daemon must not give the answer up before it can come; set forward, not wait an hour longer."""
    daemon = starved_daemon
    assert daemon.terminate() == 0
    create_counted_table(server, db, 20000)
    daemon.env = {**starve.env, "BACKFILLD_FAILPOINTS": "batch.checkpoint.before=stop@5"}
    daemon.start()
    job = increment(allow_triggers=True, batch={"delay": "20ms"})
    daemon.submit(job, "--start")
    wait_for(lambda: daemon.process_state() == "T", 20, "the failpoint")
    starve.step_clock(step)
    if step > 0:
        server.primary.freeze()
    daemon.sigcont()
    if step > 0:
        wait_for(lambda: "no answer within" in daemon.log(), 20, daemon.log)
        server.primary.unfreeze()
    finish(server, db, daemon, job)
    assert step > 0 or "no answer" not in daemon.log()
