"""A backfilld of the test's own, and backfillctl against it."""

import json
import os
import signal
import subprocess
from dataclasses import dataclass

import libconfig_text
from server import OWNER
from waiting import wait_for

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("BACKFILLD_BUILD", os.path.join(REPOSITORY, "build"))
START_DEADLINE = 10
# Tests of other things than the throttle wait for no baseline and no slow start, and no probe asks beside them.
FULL_SPEED = {"initial_rate": 1e9, "latency": {"source": "none"}, "max_oldest": "0ms", "slots": False, "max_flow_control": 0}
NO_DISK = {"disk_used": 0}
STOP_DEADLINE = 20
CTL_DEADLINE = 60
SANITIZER_WORDS = ("AddressSanitizer", "runtime error", "LeakSanitizer", "UndefinedBehaviorSanitizer")


def program(name):
    return os.path.join(BUILD, name)


@dataclass
class Result:
    code: int
    stdout: str
    stderr: str


def run_ctl(socket, *args, stdin=None, env=None, timeout=CTL_DEADLINE):
    command = [program("backfillctl")] + (["-s", socket] if socket else []) + [str(a) for a in args]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout,
                          env={**os.environ, **(env or {})})
    found = [word for word in SANITIZER_WORDS if word in done.stderr]
    assert not found, f"{command}: {done.stderr}"
    return Result(done.returncode, done.stdout, done.stderr)


class Daemon:
    """One configuration with one process at a time. `settings` is the whole configuration: change it, then `reload`."""

    def __init__(self, server, db, directory, name="d", owner_timeout="2s", target=None, **settings):
        self.server, self.db = server, db
        self.directory = os.path.join(str(directory), name)
        self.state_dir = os.path.join(self.directory, "state")
        os.makedirs(self.state_dir)
        self.socket = os.path.join(self.directory, "s")
        self.stop_file = os.path.join(self.state_dir, "EMERGENCY_STOP")
        self.conf = os.path.join(self.directory, "backfilld.conf")
        self.log_path = os.path.join(self.directory, "log")
        self.settings = {
            "control": {"socket": self.socket},
            "state_dir": self.state_dir,
            "emergency_stop": {"files": [self.stop_file]},
            "targets": [self.target_settings(owner_timeout=owner_timeout, **(target or {}))],
            **settings,
        }
        self.program, self.env = program("backfilld"), {}
        self.process = None
        self.exits_checked = True

    def target_settings(self, name="main", db=None, throttle=None, guards=None, **more):
        db = db or self.db
        return {
            "name": name,
            "url": self.server.url(db),
            "admin_url": self.server.url(db, OWNER),
            "replicas": [{"name": "r1", "url": self.server.url(db, replica=True)}],
            "environment": "test",
            "throttle": {**FULL_SPEED, **(throttle or {})},
            "guards": {**NO_DISK, **(guards or {})},
            **more,
        }

    # --- the process ---

    def write_conf(self):
        with open(self.conf, "w") as f:
            f.write(libconfig_text.settings(self.settings))

    def launch(self, failpoints=""):
        """Starts the process and returns at once. `failpoints` as daemon/base/failpoint.h has them."""
        assert self.process is None
        self.write_conf()
        with open(self.log_path, "a") as log:
            self.process = subprocess.Popen([self.program, "-c", self.conf], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT, cwd="/",
                                            env={**os.environ, "BACKFILLD_FAILPOINTS": failpoints, **self.env})
        return self

    def start(self, failpoints=""):
        self.launch(failpoints)
        wait_for(self._answers, START_DEADLINE, lambda: f"the daemon to answer; log:\n{self.log()}")
        return self

    def _answers(self):
        assert self.process.poll() is None, f"the daemon ended with {self.process.returncode}:\n{self.log()}"
        return self.ctl_json("version")["backfilld"] is not None  # `version` works without a daemon too

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill9(self):
        self.process.kill()
        self.process.wait(STOP_DEADLINE)
        self.process = None

    def sigstop(self):
        self.process.send_signal(signal.SIGSTOP)
        wait_for(lambda: self.process_state() == "T", 5, "the daemon to stand still")

    def sigcont(self):
        self.process.send_signal(signal.SIGCONT)

    def process_state(self):
        with open(f"/proc/{self.pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0]

    def terminate(self):
        """SIGTERM; returns the exit code."""
        process, self.process = self.process, None
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            return process.wait(STOP_DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"still running {STOP_DEADLINE} s after SIGTERM:\n{self.log()}") from None

    def wait_killed(self, deadline=STOP_DEADLINE):
        """For a failpoint that kills it."""
        try:
            code = self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still alive after {deadline} s:\n{self.log()[-6000:]}") from None
        self.process = None
        assert code == -signal.SIGKILL, f"exit code {code} instead of SIGKILL:\n{self.log()[-6000:]}"

    def wait_stopped(self, deadline=STOP_DEADLINE):
        """For a failpoint that stops it."""
        wait_for(lambda: self.process_state() == "T", deadline, lambda: f"the daemon to stop:\n{self.log()[-6000:]}")

    def wait_exit(self, deadline=STOP_DEADLINE):
        """For a daemon that ends by itself; returns the exit code."""
        process, self.process = self.process, None
        try:
            return process.wait(deadline)
        finally:
            process.kill()

    def close(self):
        """The end of a test."""
        if self.process is not None:
            code = self.terminate()
            assert code == 0, f"exit code {code} after SIGTERM:\n{self.log()}"
        log = self.log()
        found = [word for word in SANITIZER_WORDS if word in log]
        assert not found, f"{found} in the log:\n{log}"

    def log(self):
        try:
            with open(self.log_path, errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    # --- backfillctl ---

    def ctl(self, *args, check=None, **options):
        """`check`: the exit code that is expected."""
        result = run_ctl(self.socket, *args, **options)
        if check is not None:
            assert result.code == check, f"backfillctl {args}: {result}\nlog:\n{self.log()}"
        return result

    def ctl_json(self, *args, check=0, **options):
        return json.loads(self.ctl("-o", "json", *args, check=check, **options).stdout)

    def ctl_error(self, *args, check, **options):
        """The error object that -o json prints on stderr."""
        result = self.ctl("-o", "json", *args, check=check, **options)
        assert result.stdout == ""
        error = json.loads(result.stderr)["error"]
        return {**error, "hint": error["hint"] or ""}

    def init(self):
        self.ctl("init", "main", check=0)
        return self

    def submit(self, job, *args, check=0):
        """With fresh statistics: what preflight sees must not depend on when autovacuum came by."""
        self.server.analyze(self.db)
        return self.ctl("submit", job.write(self.directory), *args, check=check)

    def wait_up(self):
        """A job's own connection may be there before the control connection is."""
        wait_for(lambda: self._answers() and self.ctl_json("targets")[0]["state"] == "up", 15, "the control connection")

    def show(self, job):
        return self.ctl_json("show", getattr(job, "id", job))

    def state(self, job):
        return self.show(job)["state"]

    def wait_state(self, job, state, deadline=30):
        last = []

        def reached():
            last[:] = [self.show(job)]
            return last[0] if last[0]["state"] == state else None
        return wait_for(reached, deadline, lambda: f"state {state}; now {json.dumps(last[0], indent=1)}\nlog:\n{self.log()}")

    def run_job(self, job, deadline=60):
        """Submits, starts, and waits for the end."""
        self.submit(job, "--start")
        self.wait_done(job, deadline)
        return self.show(job)

    def hurry_to_the_end(self, job):
        self.ctl("set", job.id, "batch.delay=0ms", "batch.rows=5000", check=0)
        self.wait_done(job)

    def wait_done(self, job, deadline=60):
        result = self.ctl("wait", job.id, "--timeout", f"{deadline}s", timeout=deadline + 10)
        assert result.code == 0, f"{result}\n{json.dumps(self.show(job), indent=1)}\nlog:\n{self.log()}"

    # --- what the database says, without the daemon ---

    def progress(self, job):
        """(state, batches committed) as the control tables have it."""
        ((state, batches),) = self.server.sql(self.db, "SELECT state, (SELECT coalesce(sum(batch_id), 0) FROM backfill.segment"
                                              " WHERE job_id = j.id) FROM backfill.job j WHERE id = %s", (job.id,))
        return state, int(batches)

    def batches(self, job):
        return self.progress(job)[1]

    def wait_batches(self, job, at_least, deadline=30):
        wait_for(lambda: self.batches(job) >= at_least, deadline,
                 lambda: f"{at_least} batches of {job.id}; now {self.progress(job)}\nlog:\n{self.log()}")
