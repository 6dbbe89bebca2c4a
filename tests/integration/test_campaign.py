"""Crash campaigns: whatever is killed, stalled or cut off at whatever moment, no row is lost and none is done twice.
BACKFILLD_SOAK=1 runs them whole; without, a sample that SEED chooses."""

import os
import time

import pytest

from campaign import KIND_PARAMETERS, WHOLE, Campaign, points

KILLS_A_POINT = 20  # for each kind
SLOW = {"delay": "50ms"}  # so that a job still runs when it is to be paused

pytestmark = pytest.mark.parametrize("kind", KIND_PARAMETERS)


def keep_working(campaign):
    campaign.keep_working()


def pause_and_resume(campaign):
    current = campaign.current()
    if current is not None and current[1] == "running":
        campaign.ctl("pause", current[0])
    else:
        campaign.keep_working()


def cancel(campaign):
    """In mid-work."""
    current = campaign.keep_working()
    if current is not None and current[1] == "running" and current[2] > 0:
        campaign.ctl("cancel", current[0])


def stop(campaign):
    """The file comes when the job runs, and goes when it is paused."""
    current, path = campaign.current(), campaign.daemon.stop_file
    if current is not None and current[1] == "running":
        with open(path, "w"):
            pass
        return
    if os.path.exists(path):
        os.unlink(path)
    campaign.keep_working()


ACTS = {"batch": keep_working, "claim": keep_working, "freeze": keep_working, "complete": keep_working, "start": keep_working,
        "pause": pause_and_resume, "resume": pause_and_resume, "cancel": cancel, "stop": stop}


def nth(campaign, what, point):
    """State changes share their failpoints: which of them is it?"""
    current = campaign.current()
    state = current[1] if current is not None else None
    if what == "batch" and ".count." not in point:
        return campaign.rng.randint(1, 3)
    if ".flags." not in point and (what in ("pause", "cancel") and state != "running" or what == "resume" and state != "paused"):
        return 2
    return 1


@pytest.mark.parametrize("what", ACTS)
def test_killed_at_every_failpoint(pg, db, daemon, what, kind):
    campaign = Campaign(pg, db, daemon, f"kill -9 at each failpoint: {what}", kind)
    daemon.kill9()
    if what in ("pause", "resume", "cancel", "stop"):
        campaign.batch = SLOW
    with campaign.traffic():
        for point in campaign.lives(points(what), KILLS_A_POINT, 3):
            campaign.killed_at(point, nth(campaign, what, point), lambda: ACTS[what](campaign))
        if os.path.exists(daemon.stop_file):
            os.unlink(daemon.stop_file)
        campaign.finish()
