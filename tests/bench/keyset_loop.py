"""keyset_loop.py ENGINE ADDRESS ROWS SLEEP_MS COMMIT: what one would script without backfilld: find where a batch of ROWS ends, UPDATE the
range, COMMIT, sleep. At the table's end it begins anew. On stdin "stop" and "go" hold and release it between two batches; the end of
stdin ends it. Every 100 ms it prints the clock, the rows and the batches so far."""

import os
import select
import sys
import time

REPORT_SECONDS = 0.1
HELD_SECONDS = 0.02


def connect(engine, address):
    if engine == "postgresql":
        import psycopg2
        return psycopg2.connect(address, application_name="keyset_loop")
    import pymysql
    socket, database = address.rsplit(":", 1)
    return pymysql.connect(unix_socket=socket, user="backfill", database=database)


class Orders:
    """What stdin says, without waiting for it."""

    def __init__(self):
        self.held = self.ended = False

    def read(self):
        while not self.ended and select.select([0], [], [], 0)[0]:
            words = os.read(0, 4096).split()
            self.ended = not words
            if words:
                self.held = words[-1] == b"stop"


class Loop:
    def __init__(self, connection, rows):
        self.connection, self.batch_rows = connection, rows
        self.position = self.rows = self.batches = 0
        self.reported = 0.0

    def batch(self):
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT id FROM worked WHERE id > %s ORDER BY id LIMIT 1 OFFSET %s", (self.position, self.batch_rows - 1))
            found = cursor.fetchone()
            if found:
                cursor.execute("UPDATE worked SET n = n + 1 WHERE id > %s AND id <= %s", (self.position, found[0]))
            else:
                cursor.execute("UPDATE worked SET n = n + 1 WHERE id > %s", (self.position,))
            changed = cursor.rowcount
        self.connection.commit()
        self.position = found[0] if found else 0
        self.rows += changed
        self.batches += 1

    def report(self, last=False):
        now = time.time()
        if last or now >= self.reported + REPORT_SECONDS:
            self.reported = now
            print(f"{now:.3f} {self.rows} {self.batches}", flush=True)

    def run(self, sleep_seconds, orders):
        while not orders.ended:
            if orders.held:
                time.sleep(HELD_SECONDS)
            else:
                self.batch()
                if sleep_seconds:
                    time.sleep(sleep_seconds)
            self.report()
            orders.read()
        self.report(last=True)


def main(engine, address, rows, sleep_ms, commit):
    connection = connect(engine, address)
    if commit == "off" and engine == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET synchronous_commit = off")
        connection.commit()
    Loop(connection, int(rows)).run(float(sleep_ms) / 1000, Orders())


if __name__ == "__main__":
    main(*sys.argv[1:])
