"""Foreground traffic while a job runs, and the oracle that counts each write of the job."""

import random
import threading

from server import WORKER, execute

FIRST_NEW_ID = 10_000_000
MOST_NEW_ROWS = 300  # each; a job that starts late walks them, too


def create_counted_table(pg, db, rows):
    """public.t (id, n, note); audit counts every change of n by key."""
    pg.sql(db, f"""
        CREATE TABLE public.t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0, note text NOT NULL DEFAULT '');
        INSERT INTO public.t (id) SELECT generate_series(1, {rows});
        ANALYZE public.t;
        GRANT SELECT, INSERT, UPDATE, DELETE ON public.t TO {WORKER}""")
    create_audit(pg, db)


def create_audit(pg, db, table="public.t", key="id"):
    """The worker fires it, so the worker may insert. A job that writes `table` needs allow_triggers = true."""
    pg.sql(db, f"""
        CREATE TABLE public.audit (key text NOT NULL, old_n bigint, new_n bigint);
        CREATE FUNCTION public.count_write() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO public.audit VALUES (old.{key}::text, old.n, new.n);
            RETURN NULL;
        END $$;
        CREATE TRIGGER count_write AFTER UPDATE ON {table} FOR EACH ROW WHEN (old.n IS DISTINCT FROM new.n)
            EXECUTE FUNCTION public.count_write();
        GRANT INSERT ON public.audit TO {WORKER}""")


def assert_exactly_once(pg, db, rows, table="public.t"):
    """Each of the keys 1 … rows that still exists was written once, and nothing was written twice."""
    pg.sql(db, f"ANALYZE public.audit; ANALYZE {table}")  # without, the server compares each row with each
    doubled = pg.sql(db, "SELECT key, count(*) FROM public.audit GROUP BY key HAVING count(*) > 1 ORDER BY 1 LIMIT 10")
    lost = pg.sql(db, f"SELECT id FROM {table} t WHERE id <= {rows} AND n <> 1 ORDER BY id LIMIT 10")
    uncounted = pg.sql(db, f"SELECT id FROM {table} t WHERE id <= {rows} AND NOT EXISTS"
                       " (SELECT FROM public.audit a WHERE a.key = t.id::text) ORDER BY id LIMIT 10")
    assert (doubled, lost, uncounted) == ([], [], []), f"doubled {doubled}, lost {lost}, without audit {uncounted}"


class Writers:
    """Threads that insert rows of their own, delete some of them, and update another column of everyone's rows. With
    `patient` they outlive the server."""

    def __init__(self, pg, db, rows, seed=0, threads=2, pause=0.002, patient=False):
        self.pg, self.db, self.rows, self.pause, self.patient = pg, db, rows, pause, patient
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
                with self.pg.connect(self.db) as connection:
                    while not self._stop.wait(self.pause):
                        writer.write(connection)
                        self.statements += 1
            except self.pg.Error as error:
                if not self.patient or not self.pg.is_gone(error):
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
