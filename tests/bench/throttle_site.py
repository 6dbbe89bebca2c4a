"""The site: an independent load at a fixed rate, open-loop, that writes the latency of each request into a log of its own. On PostgreSQL it
is pgbench; on MariaDB site_load.c, because sysbench's log has no latency of single requests. Both logs have pgbench's format: client, number,
µs since the request was due, script, clock's seconds and µs at its end, µs that it began late. What waited for a free connection is in it."""

import os
import subprocess
import time

from throttle_judge import p95

CLIENTS = 16
FLUSH_SECONDS = 1  # the last lines may stay in a program's buffer that is ended


def parse(line):
    """(when it was due by the clock, ms)"""
    words = line.split()
    us, seconds, fraction = int(words[2]), int(words[4]), int(words[5])
    return seconds + (fraction - us) / 1e6, us / 1000


class Load:
    """One program that makes so many requests a second."""

    def __init__(self, command, log_path, output_path):
        self._tail, self._rest = None, ""
        self.recent = []  # (due, ms), of what `read` has found so far
        self.output_path = output_path
        with open(output_path, "wb") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
        self.log_path = log_path(self.process.pid) if callable(log_path) else log_path

    def check(self):
        code = self.process.poll()
        if code not in (None, 0):
            with open(self.output_path) as f:
                raise RuntimeError(f"the site's load ended with {code}:\n{f.read()[-2000:]}")

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(10)

    def read(self):
        """What the log has got since."""
        if self._tail is None:
            if not os.path.exists(self.log_path):
                return
            self._tail = open(self.log_path)
        *lines, self._rest = (self._rest + self._tail.read()).split("\n")
        self.recent += map(parse, lines)


class Site:
    """`start_load(rate, seconds, seed, name)` is the engine's."""

    def __init__(self, start_load, rate):
        self._start, self.rate = start_load, rate
        self.loads = []

    def start(self, seconds):
        self.loads = [self._start(self.rate, seconds, seed=1, name="site")]

    def add(self, share, seconds):
        """So much more load for a while."""
        self.loads.append(self._start(max(1, round(self.rate * share)), seconds, seed=2, name="more"))

    def check(self):
        for load in self.loads:
            load.check()

    def recent_p95(self, seconds):
        """Of the requests that ended lately, by the site's log as it stands; None while there is none."""
        since = time.time() - seconds
        values = []
        for load in self.loads:
            load.read()
            for due, ms in reversed(load.recent):
                if due + ms / 1000 < since:
                    break
                values.append(ms)
        return p95(values)

    def end(self):
        for load in self.loads:
            load.end()

    def latencies(self, begin):
        """[(seconds since begin, ms)] of the whole log."""
        for load in self.loads:
            load.read()
        return sorted((due - begin, ms) for load in self.loads for due, ms in load.recent)
