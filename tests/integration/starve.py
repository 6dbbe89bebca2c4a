"""The library that refuses (tests/starve/starve.c): what it starves is the plain build with failpoints, whose calls it sees."""

import contextlib
import errno
import mmap
import os
import random
import struct
import time

from daemon import REPOSITORY
from results import WHOLE as SOAK
from results import draw_seed, record

BUILD = os.path.join(REPOSITORY, "build", "failpoint")
LIBRARY = os.path.join(BUILD, "tests", "starve.so")
FOREVER = 2**63

# What is refused, and how.
KINDS = {
    "memory": (1, errno.ENOMEM),
    "descriptors": (2, errno.EMFILE),
    "disk_full": (4, errno.ENOSPC),
    "disk_broken": (4, errno.EIO),
    "network_down": (8, errno.ECONNRESET),
    "network_busy": (8, errno.EAGAIN),
    "threads": (16, errno.EAGAIN),
}
# No memory ends the program. A network that is ready, and busy whenever asked, does not exist.
ENDS_AT_ONCE = {"memory", "network_busy"}


def starved(name):
    path = os.path.join(BUILD, name)
    assert os.path.exists(path) and os.path.exists(LIBRARY), "missing: make VARIANT=failpoint FAILPOINTS=1 starve"
    return path


class Starve:
    """The file that we share with whom we starve."""

    LAYOUT = struct.Struct("=qQQQQQQ")

    def __init__(self, directory):
        path = os.path.join(str(directory), "starve")
        with open(path, "wb+") as f:
            f.truncate(self.LAYOUT.size)
            self._map = mmap.mmap(f.fileno(), self.LAYOUT.size)
        self.env = {"STARVE": path, "LD_PRELOAD": LIBRARY}

    def _field(self, number):
        return self.LAYOUT.unpack(self._map)[number]

    def refuse(self, kind, first, last):
        """Counts from now; the calls `first` to `last` fail."""
        kinds, error = KINDS[kind]
        self.stop()
        self._map[16:56] = struct.pack("=QQQQQ", first, last, error, 0, 0)
        self._map[8:16] = struct.pack("=Q", kinds)

    def count(self, kind):
        self.refuse(kind, FOREVER, FOREVER)

    def stop(self):
        self._map[8:16] = bytes(8)

    def step_clock(self, seconds):
        self._map[0:8] = struct.pack("=q", seconds)

    @property
    def calls(self):
        return self._field(5)

    @property
    def failed(self):
        return self._field(6)


class Campaign:
    """Which calls fail: a sample in a normal run, all of them in a soak, or as many as there is time for, in an order that a seed
    decides."""

    def __init__(self, server, name, shard=0, shards=1):
        self.server, self.name, self.shard, self.shards = server, name, shard, shards
        self.faults, self.possible, self.begin = 0, 0, time.monotonic()
        self.seed = draw_seed()
        self.rng = random.Random(self.seed)
        self.end = self.begin + float(os.environ.get("BACKFILLD_SOAK_SECONDS", 600))

    def refusals(self, label, kind, total, sample):
        """Of calls 1 to total: (the first, the last) that is refused. A soak that has no time left ends."""
        assert total > 0, f"{self.name}: {label}: {kind}: nothing to refuse"
        possible = [(number, number) for number in range(1, total + 1)]
        if kind not in ENDS_AT_ONCE:
            possible += [(number, FOREVER) for number in range(1, total + 1)]
        possible = possible[self.shard::self.shards]
        self.possible += len(possible)
        for first, last in self.rng.sample(possible, len(possible) if SOAK else min(sample, len(possible))):
            if SOAK and time.monotonic() > self.end:
                return
            print(f"{self.name}: {label}: {kind}: call {first}{'' if first == last else ' and all after'} of {total}")
            yield first, last
            self.faults += 1

    def report(self):
        """Only what was exact gets here."""
        record(self.server, self.name.replace("_", " "), self.shard, self.begin, self.seed, self.faults, None, possible=self.possible)


@contextlib.contextmanager
def campaign(server, name, shard=0, shards=1):
    made = Campaign(server, name, shard, shards)
    yield made
    made.report()
