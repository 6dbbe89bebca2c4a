"""What happens to the site and the replica while a contender works. A scenario is a list of phases: the part of the work's time that it
takes, its load, and what is done at its begin and its end."""

import os
import signal
import threading
from dataclasses import dataclass

SLOW_PERIOD_SECONDS = 0.1


@dataclass
class Phase:
    name: str
    begin: float  # shares of the work's time
    end: float
    load: float = 1.0
    replica: str = ""  # slow or paused


SCENARIOS = {
    "steady": [],
    "step": [Phase("+20 % load", 1 / 3, 2 / 3, load=1.2)],
    "replica": [Phase("replica slow", 1 / 3, 2 / 3, replica="slow")],
    "pause": [Phase("apply paused", 1 / 3, 1 / 2, replica="paused")],
}


class SlowReplica:
    """What applies on the replica runs for a part of the time only: SIGSTOP and SIGCONT, ten times a second."""

    def __init__(self, server, duty):
        self._pids, self._duty, self._ended = server.applying_pids(), duty, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _signal(self, number):
        for pid in self._pids:
            os.kill(pid, number)

    def _run(self):
        try:
            while not self._ended.is_set():
                self._signal(signal.SIGSTOP)
                self._ended.wait(SLOW_PERIOD_SECONDS * (1 - self._duty))
                self._signal(signal.SIGCONT)
                self._ended.wait(SLOW_PERIOD_SECONDS * self._duty)
        finally:
            self._signal(signal.SIGCONT)

    def end(self):
        self._ended.set()
        self._thread.join()


class Script:
    """Plays a scenario: `step` is called often, with the seconds since the begin."""

    def __init__(self, name, stage):
        self._stage = stage
        length = stage.settings.seconds
        self.phases = [{"name": p.name, "begin": p.begin * length, "end": p.end * length, "load": p.load, "replica": p.replica}
                       for p in SCENARIOS[name]]
        self._waiting, self._running, self._slow = list(self.phases), [], None

    def step(self, now):
        for phase in [p for p in self._waiting if p["begin"] <= now]:
            self._waiting.remove(phase)
            self._running.append(phase)
            self._begin(phase)
        for phase in [p for p in self._running if p["end"] <= now]:
            self._running.remove(phase)
            self._end(phase)

    def _begin(self, phase):
        if phase["load"] > 1:
            self._stage.site.add(phase["load"] - 1, phase["end"] - phase["begin"])
        if phase["replica"] == "slow":
            self._slow = SlowReplica(self._stage.server, self._stage.settings.slow_duty or self._stage.server.slow_duty)
        elif phase["replica"] == "paused":
            self._stage.server.pause_apply()

    def _end(self, phase):
        if phase["replica"] == "slow":
            self._slow.end()
        elif phase["replica"] == "paused":
            self._stage.server.resume_apply()

    def finish(self):
        """Whatever is in the way of an orderly end."""
        for phase in self._running:
            self._end(phase)
        self._running = []
