"""One temporary folder for all that a pytest worker starts. However the worker ends, even by SIGKILL, the programs that work
in the folder are ended after it and the folder is removed: a process of its own waits for the worker's end of a pipe to close."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from waiting import DeadlineExceeded, wait_for

PROGRAMS = {"mariadbd", "mysqld", "postgres", "initdb", "pg_ctl", "backfilld", "backfillctl", "psql", "pgbouncer"}
QUIT_DEADLINE = 10
CLOSE_DEADLINE = 60


class Workspace:
    def __init__(self):
        # Short, as a Unix socket's path must be.
        self.path = tempfile.mkdtemp(prefix="bf", dir="/tmp")
        os.chmod(self.path, 0o755)
        self._reaper = subprocess.Popen([sys.executable, __file__, self.path], stdin=subprocess.PIPE, start_new_session=True)

    def processes(self):
        """Command lines by pid."""
        return processes_of(self.path)

    def close(self):
        self._reaper.stdin.close()
        assert self._reaper.wait(CLOSE_DEADLINE) == 0, "the workspace's reaper has failed"


def words_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().decode(errors="replace").rstrip("\0").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return [""]


def processes_of(path):
    """Our programs that name a file in the folder."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        words = words_of(pid)
        if os.path.basename(words[0]) in PROGRAMS and any(path + "/" in word for word in words):
            found[int(pid)] = " ".join(words)
    return found


def children_of(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            return [int(child) for child in f.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def send(pid, number):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def end_processes_of(path):
    """SIGQUIT is PostgreSQL's immediate shutdown, which frees its shared memory; what a test has stopped must go on to end."""
    begin = time.monotonic()

    def ended():
        running = processes_of(path)
        for pid in running:
            patient = time.monotonic() < begin + QUIT_DEADLINE
            send(pid, signal.SIGQUIT if patient and "postgres" in os.path.basename(words_of(pid)[0]) else signal.SIGKILL)
            for one in [pid, *children_of(pid)]:
                send(one, signal.SIGCONT)
        return not running
    wait_for(ended, 2 * QUIT_DEADLINE, lambda: f"the end of {processes_of(path)}")


def main(path):
    sys.stdin.read()
    try:
        end_processes_of(path)
    except DeadlineExceeded as failure:
        sys.exit(str(failure))
    shutil.rmtree(path)


if __name__ == "__main__":
    main(sys.argv[1])
