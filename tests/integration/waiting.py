"""Waiting for facts, with a deadline. Nothing in these tests sleeps and hopes."""

import time

POLL_SECONDS = 0.01


class DeadlineExceeded(AssertionError):
    pass


def wait_for(condition, deadline, what):
    """Calls `condition` until it returns something true, and returns that. `what` may be a string or a callable that
    describes the present state when time is up."""
    end = time.monotonic() + deadline
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            description = what() if callable(what) else what
            raise DeadlineExceeded(f"after {deadline} s still waiting for: {description}")
        time.sleep(POLL_SECONDS)


def holds_for(condition, seconds, what, poll_seconds=POLL_SECONDS):
    """Asserts that `condition` stays true for a while: for facts of the kind "nothing happens any more"."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition(), f"ceased to be true: {what}"
        time.sleep(poll_seconds)
