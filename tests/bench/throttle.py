"""`make bench-throttle`: does the throttle keep the site within its bounds, and what does that cost? On a private primary with a replica, under
an independent load whose own latency log judges, contenders do the same backfill one after another: nobody (control), a keyset loop without
a sleep (none), with fixed batches and sleeps (fixed: the sweep; fixed-ROWS-SLEEP_MS: one pair), held and released at the limits (onoff), and
backfilld (ours; off: without its throttle). Raw data, tables and plots go to a folder of the session.

ENGINE      postgresql or mariadb
SCENARIOS   steady, step (+20 % load for a while), replica (slowed), pause (its apply stands still)
CONTENDERS  see above; control is always there, first, last and in between
SECONDS     of work in each run; SETTLE before it and TAIL after it are watched, too
CONTROL_EVERY   so many runs another control, as a machine changes with the time
ROWS, RATE, SWEEP="ROWS:SLEEP_MS …", SLOW_DUTY, LOOP_COMMIT=off, OURS='max_lag = "2s"; …'   take other sizes and settings
OUT         the folder
RENDER      a session's folder, of which tables and plots are made anew, and nothing else is done
"""

import os
import signal
import sys
import threading
import time
from dataclasses import dataclass, field

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(ROOT, "tests/integration")]
sys.dont_write_bytecode = True

import throttle_report
from throttle_contenders import SWEEP, SWEEP_FURTHER, contender, fixed_name
from throttle_judge import SAMPLES_LEAST, WINDOW_SECONDS, control_limit, judge_all, p95
from throttle_lag import LagWatch
from throttle_mariadb import BenchMariaDB
from throttle_postgresql import BenchPostgres
from throttle_record import save
from throttle_scenarios import SCENARIOS, Script
from throttle_site import FLUSH_SECONDS, Site
from workspace import Workspace

SERVERS = {"postgresql": BenchPostgres, "mariadb": BenchMariaDB}
DEFAULT_CONTENDERS = "none fixed onoff ours"
SAMPLE_SECONDS = 0.1
PREPARE_SECONDS = 15  # a guess, for the estimate
STOP_SECONDS = 15     # what a contender's end may take while the site goes on


def number(name, default, kind=float):
    try:
        return kind(os.environ.get(name) or default)
    except ValueError:
        sys.exit(f"{name}: not a number: {os.environ[name]}")


def words(name, default):
    return (os.environ.get(name) or default).split()


@dataclass
class Settings:
    engine: str = field(default_factory=lambda: os.environ.get("ENGINE") or "postgresql")
    scenarios: list = field(default_factory=lambda: words("SCENARIOS", "steady step replica"))
    contenders: list = field(default_factory=lambda: words("CONTENDERS", DEFAULT_CONTENDERS))
    sweep: list = field(default_factory=lambda: words("SWEEP", " ".join(SWEEP)))
    rows: int = field(default_factory=lambda: number("ROWS", 2000000, int))
    rate: int = field(default_factory=lambda: number("RATE", 300, int))
    seconds: float = field(default_factory=lambda: number("SECONDS", 180))
    settle: float = field(default_factory=lambda: number("SETTLE", 10))
    tail: float = field(default_factory=lambda: number("TAIL", 60))
    slow_duty: float = field(default_factory=lambda: number("SLOW_DUTY", 0))
    control_every: int = field(default_factory=lambda: number("CONTROL_EVERY", 4, int))
    loop_commit: str = field(default_factory=lambda: os.environ.get("LOOP_COMMIT") or "on")

    def check(self):
        if self.engine not in SERVERS:
            sys.exit(f"ENGINE: {' or '.join(SERVERS)}, not {self.engine}")
        for scenario in self.scenarios:
            if scenario not in SCENARIOS:
                sys.exit(f"SCENARIOS: there is no {scenario}; there are {', '.join(SCENARIOS)}")
        for name in self.contenders:
            if name != "fixed":
                contender(name)
        if self.rate * WINDOW_SECONDS < SAMPLES_LEAST:
            sys.exit(f"RATE: {SAMPLES_LEAST} requests in {WINDOW_SECONDS} s are the least that can be judged")

    def names(self):
        """In their order, without the controls."""
        found = []
        for name in self.contenders:
            found += [fixed_name(one) for one in self.sweep] if name == "fixed" else [name]
        return [name for name in found if name != "control"]

    def run_seconds(self):
        return PREPARE_SECONDS + self.settle + self.seconds + self.tail


class Stage:
    """What contenders and scenarios act upon."""

    def __init__(self, settings, server, directory):
        self.settings, self.server, self._directory = settings, server, directory
        self.site = Site(server.start_load, settings.rate)
        self.lag = self.limit = None
        self._directories = 0

    def new_directory(self):
        self._directories += 1
        path = os.path.join(self._directory, f"run{self._directories}")
        os.makedirs(path)
        return path


class Recorder:
    """(seconds since the begin, rows, lag), ten times a second."""

    def __init__(self, begin, one, lag):
        self.series, self._ended = [], threading.Event()
        self._begin, self._one, self._lag = begin, one, lag
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._ended.wait(SAMPLE_SECONDS):
            self.series.append((time.time() - self._begin, self._one.rows, self._lag.lag()))

    def end(self):
        self._ended.set()
        self._thread.join()
        return self.series


def busy_and_all():
    """Ticks of all processors since the machine started."""
    with open("/proc/stat") as f:
        ticks = [int(word) for word in f.readline().split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def watch_until(end, *steps):
    while time.time() < end:
        for step in steps:
            step()
        time.sleep(SAMPLE_SECONDS)


def work_and_tail(stage, one, script):
    """(begin, when it was told to stop, end, series)"""
    settings, begin = stage.settings, time.time()
    recorder = Recorder(begin, one, stage.lag)
    try:
        one.start(stage)
        watch_until(begin + settings.seconds, lambda: script.step(time.time() - begin), one.check, stage.site.check)
        script.finish()
        stopped = time.time()
        one.stop()
        watch_until(time.time() + settings.tail, stage.site.check)
        end = time.time()
    finally:
        series = recorder.end()
    return begin, stopped, end, series


def run_one(stage, scenario, name, directory):
    """Saves the raw data, and returns them."""
    settings, one, script = stage.settings, contender(name), Script(scenario, stage)
    stage.server.rebuild_worked(settings.rows)
    try:
        with LagWatch(stage.server) as stage.lag:
            stage.site.start(settings.settle + settings.seconds + settings.tail + STOP_SECONDS)
            watch_until(time.time() + settings.settle, stage.site.check)
            before = busy_and_all()
            begin, stopped, end, series = work_and_tail(stage, one, script)
            after = busy_and_all()
            time.sleep(FLUSH_SECONDS)
    except BaseException:
        one.abandon()
        raise
    finally:
        script.finish()
        stage.site.end()
    facts = {"contender": name, "scenario": scenario, "engine": settings.engine, "server": stage.server.version_text(), "begin": begin,
             "stopped": stopped - begin, "end": end - begin, "phases": script.phases, "note": one.note, "rate": settings.rate,
             "table_rows": settings.rows, "cpu": (after[0] - before[0]) / (after[1] - before[1])}
    return save(directory, facts, series, stage.site.latencies(begin))


class Session:
    """All scenarios, and the folder of their raw data."""

    def __init__(self, stage, out):
        self._stage, self._out, self._settings = stage, out, stage.settings
        self._names = self._settings.names()
        self._runs, self._kept = 0, False
        self.failures = []

    def _run(self, scenario, name):
        self._runs += 1
        print(f"{time.strftime('%H:%M:%S')}  {scenario}: {name} …", flush=True)
        try:
            return run_one(self._stage, scenario, name, os.path.join(self._out, scenario, f"{self._runs:03}-{name}"))
        except (RuntimeError, AssertionError) as failure:
            self.failures.append(f"{scenario}: {name}: {failure}")
            print(f"    FAILED: {failure}", flush=True)
            return None

    def _told(self, runs):
        """Of the last run, judged by what is known by now."""
        last = judge_all(runs)[-1]
        print(f"    {last.rate:,.0f} rows/s, P95 {last.p95:.2f} ms, windows above {last.limit:.2f} ms: {last.sliding_above or 0:.1%}, "
              f"lag up to {last.lag_most:.1f} s", flush=True)
        return last

    def _further(self):
        """Contenders in their order; when the sweep is through and none of its pairs has kept the bound, smaller batches."""
        yield from list(self._names)
        if "fixed" in self._settings.contenders:
            for name in map(fixed_name, SWEEP_FURTHER):
                if self._kept:
                    return
                if name not in self._names:
                    self._names.append(name)  # in the scenarios to come, too
                    yield name

    def _control(self, scenario, runs):
        control = self._run(scenario, "control")
        if control is None:
            raise SystemExit(f"{scenario}: no control, no judgement: {self.failures[-1]}")
        runs.append(control)
        self._stage.limit = control_limit([control])
        print(f"    P95 {p95(control.latencies.between(0, control.end)):.2f} ms", flush=True)

    def play(self, scenario):
        runs, since, self._kept = [], 0, False
        self._control(scenario, runs)
        for name in self._further():
            if since == self._settings.control_every:
                self._control(scenario, runs)
                since = 0
            run = self._run(scenario, name)
            since += 1
            if run is not None:
                runs.append(run)
                self._kept |= self._told(runs).keeps and name.startswith("fixed-")
        self._control(scenario, runs)

    def play_all(self):
        for scenario in self._settings.scenarios:
            self.play(scenario)


def interrupt_by_signals():
    """So that the servers are ended in order."""
    for one in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, lambda *_: sys.exit(1))


def bench(settings):
    settings.check()
    throttle_report.tell_of_plots()
    out = os.environ.get("OUT") or os.path.join(ROOT, "build/bench-throttle", f"{settings.engine}-{time.strftime('%Y%m%d-%H%M%S')}")
    contenders = len(settings.names())
    runs = len(settings.scenarios) * (contenders + 2 + max(0, contenders - 1) // settings.control_every)
    print(f"{runs} runs, about {runs * settings.run_seconds() / 60:.0f} minutes; on {os.cpu_count()} processors, load average "
          f"{os.getloadavg()[0]:.1f} (a busy machine spoils it); raw data in {out}", flush=True)
    interrupt_by_signals()
    workspace = Workspace()
    server = SERVERS[settings.engine](os.path.join(workspace.path, "server"))
    try:
        server.create()
        session = Session(Stage(settings, server, workspace.path), out)
        session.play_all()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # once begun, the clean-up is not cut short
        server.destroy()
        workspace.close()
    throttle_report.render(out)
    for failure in session.failures:
        print(f"FAILED  {failure}", file=sys.stderr)
    return 1 if session.failures else 0


def main():
    if os.environ.get("RENDER"):
        throttle_report.render(os.environ["RENDER"])
        return 0
    return bench(Settings())


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
