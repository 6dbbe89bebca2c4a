"""Who does the work in the bench: nobody, a keyset loop with fixed batches and sleeps, the same held and released at the limits, and
backfilld. Each has start, stop, `rows` done so far, and a `note` of what the reader should know."""

import os
import subprocess
import sys
import threading
import time

from daemon import REPOSITORY, Daemon
from throttle_judge import LAG_LIMIT_SECONDS
from waiting import wait_for

# What backfilld is asked for: a target's throttle group, and what a job says of itself. The environment's OURS takes the first one's place.
OURS_THROTTLE = 'max_lag = "2s"; max_p95_increase = 0.20;'
OURS_JOB = "rollback = { keep_old_values = false; };"  # the loops keep none either
OFF_THROTTLE = 'max_lag = "1h"; initial_rate = 1000000000.0; latency = { source = "none"; };'
OFF_JOB = OURS_JOB + ' batch = { max_duty = 1.0; }; guards = { lag = "24h"; };'

SWEEP = ("5000:0", "5000:50", "5000:200", "1000:20", "1000:50", "1000:100", "1000:200", "200:5", "200:10", "200:20", "200:40", "200:100",
         "50:2", "50:5", "50:10", "50:20")
SWEEP_FURTHER = ("50:40", "20:20", "20:40", "10:40", "10:100", "5:100")  # until one keeps the bound
NONE_ROWS = 5000
ON_OFF_ROWS, ON_OFF_SECONDS, ON_OFF_WINDOW_SECONDS = 1000, 1, 5
POLL_SECONDS = 0.5
STOP_SECONDS = 30


class Control:
    """The idle server."""
    rows, note = 0, ""

    def start(self, stage):
        pass

    def check(self):
        pass

    def stop(self):
        pass

    def abandon(self):
        pass


class Loop:
    """keyset_loop.py with a batch of so many rows and a sleep behind it."""

    def __init__(self, rows, sleep_ms):
        self._arguments = [str(rows), str(sleep_ms)]
        self._process = None
        self.rows, self.batches, self.note = 0, 0, ""

    def start(self, stage):
        program = os.path.join(REPOSITORY, "tests/bench/keyset_loop.py")
        self._process = subprocess.Popen([sys.executable, program, stage.server.engine, stage.server.loop_address(), *self._arguments,
                                          stage.settings.loop_commit],
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._process.stdout:
            self.rows, self.batches = map(int, line.split()[1:])

    def check(self):
        if self._process.poll() is not None:
            raise RuntimeError(f"the loop has ended with {self._process.returncode}")

    def order(self, word):
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()

    def stop(self):
        self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        finally:
            self._process.kill()
        self._reader.join(STOP_SECONDS)
        self.note = f"{self.batches:,} batches"

    def abandon(self):
        if self._process is not None:
            self._process.kill()


class OnOff(Loop):
    """What is done today where a limit is watched: looked at each second, held above it, released below. It sees the site's own
    log and the bench's own view of the replica, which is more than it would have."""

    def __init__(self):
        super().__init__(ON_OFF_ROWS, 0)
        self._ended = threading.Event()
        self._switches = 0

    def start(self, stage):
        super().start(stage)
        self._watcher = threading.Thread(target=self._watch, args=(stage,), daemon=True)
        self._watcher.start()

    def _watch(self, stage):
        held = False
        while not self._ended.wait(ON_OFF_SECONDS):
            latency = stage.site.recent_p95(ON_OFF_WINDOW_SECONDS)
            above = stage.lag.lag() > LAG_LIMIT_SECONDS or bool(latency and latency > stage.limit)
            if above != held:
                self.order("stop" if above else "go")
                held, self._switches = above, self._switches + 1

    def stop(self):
        self._ended.set()
        self._watcher.join()
        super().stop()
        self.note += f", held and released {self._switches} times"

    def abandon(self):
        self._ended.set()
        super().abandon()


class OursDaemon(Daemon):
    def __init__(self, server, directory, throttle):
        self._throttle = throttle
        super().__init__(server, server.db, directory)

    def write_conf(self):
        self.settings["targets"][0].pop("throttle", None)  # the tests' own
        super().write_conf()
        with open(self.conf) as f:
            text = f.read()
        with open(self.conf, "w") as f:
            f.write(text.replace('name = "main";', f'name = "main"; throttle = {{ {self._throttle} }};', 1))


class Ours:
    """backfilld, one job after another until it is told to stop. Its control tables are new in each run: it knows nothing yet."""

    def __init__(self, throttle, job):
        self._throttle, self._job = throttle, job
        self._jobs, self._ended = 0, threading.Event()
        self._daemon = self._failure = None
        self.rows, self.note = 0, ""

    def start(self, stage):
        self._stage = stage
        self._daemon = OursDaemon(stage.server, stage.new_directory(), self._throttle).start()
        self._daemon.init()
        self._daemon.wait_up()
        self._submit()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def _submit(self):
        self._jobs += 1
        self._id = f"20261121_bench_{self._jobs}"
        path = os.path.join(self._daemon.directory, self._id + ".job")
        with open(path, "w") as f:
            f.write(f'id = "{self._id}"; target = "main"; table = "worked"; kind = "update"; set = {{ n = "n + 1"; }};\n{self._job}\n')
        self._daemon.ctl("submit", "--start", path, check=0)

    def _watch(self):
        """By SQL: what the daemon has committed."""
        try:
            while not self._ended.wait(POLL_SECONDS):
                self._count()
                state = self._sql(f"SELECT state FROM backfill.job WHERE id = '{self._id}'")
                if state == "completed":
                    self._submit()
        except Exception as failure:  # told to the main thread by check
            self._failure = failure

    def _sql(self, query):
        return self._stage.server.value(self._stage.server.db, query)

    def _count(self):
        self.rows = int(self._sql("SELECT coalesce(sum(rows_scanned), 0) FROM backfill.segment"))

    def check(self):
        if self._failure is not None:
            raise self._failure
        if not self._daemon.running():
            raise RuntimeError(f"backfilld has ended:\n{self._daemon.log()[-3000:]}")

    def stop(self):
        self._ended.set()
        self._watcher.join(STOP_SECONDS)
        found = self._daemon.show(self._id)
        if found["state"] == "running":
            self._daemon.ctl("pause", self._id)
            wait_for(lambda: self._daemon.state(self._id) != "running", STOP_SECONDS, "the job to pause")
        self._count()
        self.note = f"{self._jobs} job(s), in the end {found['state']}" + (f": {found['reason']}" if found.get("reason") else "")
        self._daemon.close()

    def abandon(self):
        self._ended.set()
        if self._daemon is not None and self._daemon.running():
            self._daemon.kill9()


def pair(text):
    """("200", "20") of 200:20 or 200-20."""
    rows, sleep_ms = text.replace("-", ":").split(":")
    return int(rows), float(sleep_ms) if "." in sleep_ms else int(sleep_ms)


def fixed_name(text):
    return "fixed-{}-{}".format(*pair(text))


def contender(name):
    if name == "control":
        return Control()
    if name == "none":
        return Loop(NONE_ROWS, 0)
    if name == "onoff":
        return OnOff()
    if name == "ours":
        return Ours(os.environ.get("OURS", OURS_THROTTLE), OURS_JOB)
    if name == "off":
        return Ours(OFF_THROTTLE, OFF_JOB)
    if name.startswith("fixed-"):
        return Loop(*pair(name.removeprefix("fixed-")))
    raise SystemExit(f"CONTENDERS: there is no {name}; there are control, none, fixed, fixed-ROWS-SLEEP, onoff, ours, off")
