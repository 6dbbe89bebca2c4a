"""Foreground traffic while a job runs, and the oracle that counts each write of the job."""

import random
import threading

from server import WORKER, execute

FIRST_NEW_ID = 10_000_000
MOST_NEW_ROWS = 300  # each; a job that starts late walks them, too


def create_counted_table(server, db, rows):
    """public.t (id, n, note); audit counts every change of n by key."""
    server.sql(db, f"""
        CREATE TABLE public.t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0, note varchar(40) NOT NULL DEFAULT '');
        INSERT INTO public.t (id) SELECT i FROM {server.dialect.series(1, rows)};
        GRANT SELECT, INSERT, UPDATE, DELETE ON public.t TO {WORKER}""")
    server.analyze(db, "public.t")
    create_audit(server, db)


def create_audit(server, db, table="public.t", key="id"):
    """A job that writes `table` needs allow_triggers = true."""
    server.sql(db, f"""
        CREATE TABLE public.audit (row_key varchar(100) NOT NULL, old_n bigint, new_n bigint);
        CREATE INDEX audit_row_key ON public.audit (row_key);
        {server.dialect.after("UPDATE", table, server.dialect.differ("old.n", "new.n"),
                              f"INSERT INTO public.audit VALUES (old.{key}, old.n, new.n)")}""")


def assert_exactly_once(server, db, rows, table="public.t"):
    """Each of the keys 1 … rows that still exists was written once, and nothing was written twice."""
    server.analyze(db, "public.audit", table)  # without, the server compares each row with each
    doubled = server.sql(db, "SELECT row_key, count(*) FROM public.audit GROUP BY row_key HAVING count(*) > 1 ORDER BY 1 LIMIT 10")
    lost = server.sql(db, f"SELECT id FROM {table} t WHERE id <= {rows} AND n <> 1 ORDER BY id LIMIT 10")
    uncounted = server.sql(db, f"SELECT id FROM {table} t WHERE id <= {rows} AND NOT EXISTS"
                           " (SELECT 1 FROM public.audit a WHERE a.row_key = concat(t.id, '')) ORDER BY id LIMIT 10")
    assert (doubled, lost, uncounted) == ([], [], []), f"doubled {doubled}, lost {lost}, without audit {uncounted}"


class Writers:
    """Threads that insert rows of their own, delete some of them, and update another column of everyone's rows. With
    `patient` they outlive the server."""

    def __init__(self, server, db, rows, seed=0, threads=2, pause=0.002, patient=False):
        self.server, self.db, self.rows, self.pause, self.patient = server, db, rows, pause, patient
        self.errors, self.statements = [], 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(seed * 100 + i, i), daemon=True) for i in range(threads)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive(), "a foreground writer hangs"
        assert not self.errors, self.errors[:3]
        assert self.statements > 0

    def _run(self, seed, number):
        writer = Writer(random.Random(seed), FIRST_NEW_ID * (number + 1), self.rows)
        while not self._stop.is_set():
            try:
                with self.server.connect(self.db) as connection:
                    while not self._stop.wait(self.pause):
                        writer.write(connection)
                        self.statements += 1
            except self.server.Error as error:
                if not self.patient or not self.server.is_gone(error):
                    return self.errors.append(error)
                self._stop.wait(0.1)  # the server is down or starting: its own pace
            except Exception as error:  # reported by __exit__
                return self.errors.append(error)


class Writer:
    def __init__(self, rng, next_id, rows):
        self.rng, self.next_id, self.rows, self.mine = rng, next_id, rows, []

    def write(self, connection):
        choice = self.rng.random()
        if choice < 0.3 and len(self.mine) < MOST_NEW_ROWS:
            self.next_id += 1
            self.mine.append(self.next_id)
            execute(connection, "INSERT INTO public.t (id) VALUES (%s)", (self.next_id,))
        elif choice < 0.4 and self.mine:
            execute(connection, "DELETE FROM public.t WHERE id = %s", (self.mine.pop(self.rng.randrange(len(self.mine))),))
        else:
            execute(connection, "UPDATE public.t SET note = %s WHERE id = %s",
                    (str(self.rng.random()), self.rng.randint(1, self.rows)))
