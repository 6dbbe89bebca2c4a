"""What a soak leaves behind of itself: a line for each campaign, of which tests/soak_table.py makes a table."""

import json
import os
import random
import subprocess
import time

from daemon import REPOSITORY

WHOLE = os.environ.get("BACKFILLD_SOAK") == "1"
RESULTS = os.environ.get("BACKFILLD_SOAK_RESULTS")


def draw_seed():
    seed = int(os.environ.get("SEED", random.randrange(1_000_000)))
    print(f"SEED={seed}")
    return seed


def git_commit():
    return subprocess.run(["git", "-C", REPOSITORY, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()


def record(server, name, kind, begin, seed, kills, rows, lost=0, doubled=0, **more):
    """`begin` by the monotonic clock."""
    if RESULTS is None:
        return
    line = {"date": time.strftime("%Y-%m-%d"), "commit": git_commit(), "server": server.version_text(), "campaign": name, "kind": kind,
            "kills": kills, "rows": rows, "lost": lost, "doubled": doubled, **more, "seconds": round(time.monotonic() - begin), "seed": seed}
    with open(RESULTS, "a") as f:
        f.write(json.dumps(line) + "\n")
