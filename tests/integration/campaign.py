"""What the crash campaigns share: their size, the failpoints, a daemon that is always given something to do, and the record."""

import contextlib
import random
import threading
import time

import pytest

from kinds import KINDS, Work, kinds_on
from results import WHOLE, draw_seed, record
from waiting import POLL_SECONDS, DeadlineExceeded
from writers import Writers

STATEMENT = pytest.param("statement", marks=pytest.mark.engine("postgresql"))
EACH_KIND = [*KINDS][:-1] + [STATEMENT] if WHOLE else [""]  # the seed chooses one whose name begins so
EACH_JOB_KIND = ["update", "insert", STATEMENT] if WHOLE else [""]  # where on_conflict makes no difference
ROWS = 750
LIFE_DEADLINE = 30
END_DEADLINE = 60
REFUSED = 65  # the exit code

# The steps of each transaction, as they run on a job over one table; test_campaign.py holds that the program takes these and no others.
# What an engine has nothing to say for isn't sent there (server.dialect.silent_steps).
STEPS = {
    "batch": ("begin", "settings", "constraints", "boundary", "count", "capture", "work", "by_place", "checkpoint", "commit"),
    "ahead": ("begin", "settings", "boundary", "commit"),  # the next end, beside the batch
    "claim": ("begin", "lock", "shape", "end_backend", "take", "segments", "commit"),
    "plan_check": ("begin", "settings", "boundary_plan", "boundary", "row_check", "work_plan"),  # and rolled back
    "round": ("begin", "settings", "constraints", "wait", "shape", "last_key", "take", "segment", "event", "commit"),
    "open": ("begin", "wait", "open", "commit"),
    "complete": ("begin", "identity", "seen", "complete", "event", "commit"),
    "start": ("begin", "identity", "lock", "flags", "accept", "state", "segments", "event", "commit"),
    "pause": ("begin", "identity", "lock", "seen", "state", "segments", "event", "commit"),
    "resume": ("begin", "identity", "lock", "flags", "accept", "state", "segments", "event", "commit"),
    "cancel": ("begin", "identity", "lock", "seen", "state", "segments", "event", "commit"),
    "stop": ("begin", "identity", "flag", "lock", "jobs", "segments", "event", "commit"),
}
WORK = ("claim", "plan_check", "open", "round", "batch", "ahead", "complete")  # nobody asks for these but the job
STATE_CHANGES = ("start", "pause", "resume", "cancel")  # one transaction, named "state"


class Campaign:
    """One database, one kind of work, one daemon that dies or loses something again and again. `blows` counts that."""

    def __init__(self, server, db, daemon, name, kind, rows=ROWS):
        self.seed = draw_seed()
        self.rng = random.Random(f"{self.seed} {name} {kind}")
        self.server, self.db, self.daemon, self.name = server, db, daemon, name
        self.kind = self.rng.choice([name for name in kinds_on(server) if name.startswith(kind)])
        self.work = Work(server, db, self.kind, rows)
        self.blows, self.begin = 0, time.monotonic()
        self.batch = {}

    @contextlib.contextmanager
    def traffic(self, patient=False):
        with Writers(self.server, self.db, self.work.rows, self.seed, pause=0.02, patient=patient):
            yield

    def lives(self, which, times, sample):
        """What to go through, in random order: each point so often, or only a few of them."""
        chosen = which * times if WHOLE else self.rng.sample(which, min(sample, len(which)))
        self.rng.shuffle(chosen)
        return chosen

    # --- jobs: there is always one ---

    def current(self):
        """(id, state, batches, whether somebody owns it) of the job that isn't over, or None."""
        rows = self.server.sql(self.db, "SELECT id, state, coalesce((SELECT sum(batch_id) FROM backfill.segment WHERE job_id = id), 0),"
                           " owner IS NOT NULL FROM backfill.job WHERE state IN ('pending', 'running', 'paused') ORDER BY submitted_at LIMIT 1")
        return rows[0] if rows else None

    def points(self, *transactions):
        """Every failpoint of these transactions."""
        return [f"{'state' if t in STATE_CHANGES else t}.{step}.{at}"
                for t in transactions for step in STEPS[t] for at in ("before", "sent", "done")
                if step not in self.server.dialect.silent_steps and (step != "capture" or self.work.captures)
                and (step != "row_check" or self.work.row_checks)]

    def committed(self):
        """Batches of all jobs."""
        return self.server.value(self.db, "SELECT coalesce(sum(batch_id), 0) FROM backfill.segment")

    def next_rows(self):
        """(first, last) of the batch that is next or in flight."""
        position = self.server.value(self.db, f"SELECT coalesce(max({self.server.dialect.first_of('position_key')}), 0)"
                                     " FROM backfill.segment WHERE job_id = %s", (self.current()[0],))
        return position + 1, position + 100

    def ctl(self, command, job_id):
        """May fail: the daemon is not up yet, or dies over it."""
        self.daemon.ctl(command, job_id)

    def keep_working(self):
        """Starts the next job when the last one is over."""
        current = self.current()
        if current is None:
            job = self.work.job(batch={"max_duty": 1.0, **self.batch})
            result = self.daemon.ctl("submit", job.write(self.daemon.directory))
            assert result.code != REFUSED, result.stderr
        elif current[1] == "pending":
            self.ctl("start", current[0])
        elif current[1] == "paused":
            self.ctl("resume", current[0])
        return current

    def until(self, condition, poke, what):
        end = time.monotonic() + LIFE_DEADLINE
        while not condition():
            if time.monotonic() > end:
                raise DeadlineExceeded(f"after {LIFE_DEADLINE} s still waiting for: {what() if callable(what) else what}; {self.current()}\n"
                                       f"{self.daemon.log()[-6000:]}")
            poke()
            time.sleep(POLL_SECONDS)

    def killed_at(self, point, nth, poke):
        """One life: the daemon starts, is poked, and dies at the failpoint."""
        self.daemon.launch(f"{point}=kill@{nth}")
        self.until(lambda: not self.daemon.running(), poke, f"{point} to be reached {nth} times")
        self.daemon.wait_killed()
        self.blows += 1

    def loses_at(self, points, action, poke, when_stopped=None):
        """One life: the daemon comes to all of these points, at each once, and lives on."""
        seen = len(self.daemon.log())
        self.daemon.launch(",".join(f"{point}={action}" for point in points))

        def left():
            log = self.daemon.log()[seen:]
            return [point for point in points if f"failpoint {point}\n" not in log]
        with self._attended(when_stopped):
            self.until(lambda: not left() and self.daemon.process_state() != "T", poke, lambda: f"{left()} to be reached")
        self.blows += len(points)
        self.daemon.kill9()

    @contextlib.contextmanager
    def _attended(self, when_stopped):
        """A thread lets a stopped daemon go on: we may be waiting for its answer to a command."""
        over = threading.Event()

        def attend():
            while not over.wait(POLL_SECONDS):
                if self.daemon.process_state() == "T":
                    when_stopped()
                    self.daemon.sigcont()
        thread = threading.Thread(target=attend, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(LIFE_DEADLINE)

    # --- the end ---

    def finish(self):
        """An unharmed daemon brings all jobs to their ends; then the oracle."""
        if not self.daemon.running():
            self.daemon.start()
        end = time.monotonic() + END_DEADLINE
        while self.current():
            assert time.monotonic() < end, f"no end: {self.current()}\n{self.daemon.log()[-6000:]}"
            self.keep_working()
            time.sleep(POLL_SECONDS)
        verdict = self.work.verdict()
        record(self.server, self.name, self.kind, self.begin, self.seed, self.blows, verdict.rows, verdict.lost, verdict.doubled)
        assert verdict.rows > 0
        assert (verdict.lost, verdict.doubled) == (0, 0), f"SEED={self.seed} {self.name} {self.kind}: {verdict}"
        self.work.check_rows()
        self.work.check_states()
        assert self.server.value(self.db, "SELECT sum(failed_batches) FROM backfill.job") == 0
