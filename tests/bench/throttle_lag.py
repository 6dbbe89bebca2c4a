"""The replica's lag as seen from outside."""

import contextlib
import threading
import time
from collections import deque

BEAT_SECONDS = 0.05


class LagWatch:
    """A beat of the bench's own on the primary, looked for on the replica: the lag is the age of the oldest beat that the replica
    does not show yet. Each of the two has a thread, as either server may stand still."""

    def __init__(self, server):
        self._server, self._ended = server, threading.Event()
        self._written = deque(maxlen=int(3600 / BEAT_SECONDS))
        self._threads = [threading.Thread(target=self._loop, args=args, daemon=True)
                         for args in ((False, self._write), (True, self._look))]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception):
        self._ended.set()
        for thread in self._threads:
            thread.join(10)

    def _loop(self, replica, step):
        connection = None
        while not self._ended.wait(BEAT_SECONDS):
            try:
                if connection is None or not self._server.is_open(connection):
                    connection = self._server.open(self._server.db, replica=replica)
                with connection.cursor() as cursor:
                    step(cursor)
            except self._server.Error:  # a snapshot in the way of replay, or a server that is busy
                with contextlib.suppress(self._server.Error):
                    connection.rollback()
        if connection is not None:
            connection.close()

    def _write(self, cursor):
        at = time.time()
        self._written.append(at)
        cursor.execute("UPDATE beat SET at = %s", (at,))

    def _look(self, cursor):
        cursor.execute("SELECT at FROM beat")
        shown = cursor.fetchone()[0]
        while self._written and self._written[0] <= shown:
            self._written.popleft()

    def lag(self):
        try:
            return max(0.0, time.time() - self._written[0])
        except IndexError:
            return 0.0
