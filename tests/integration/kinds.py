"""The kinds of work that a crash campaign runs, and the oracle that compares what the control tables say with what was done:
the database itself counts each write by job and key."""

from dataclasses import dataclass

from jobs import Job
from server import WORKER

THEIRS_EVERY = 3  # of the keys, for kinds that meet rows already there
INTO = {"kind": "insert", "into": "public.copy", "columns": {"job": "'{id}'", "id": "id", "n": "1"}}
KINDS = {
    "update": {"kind": "update", "set": {"n": "n + 1", "job": "'{id}'"}},
    "insert-error": {**INTO, "on_conflict": "error"},
    "insert-skip": {**INTO, "on_conflict": "skip"},
    "insert-update": {**INTO, "on_conflict": "update"},
    "statement": {"kind": "statement", "statement": "UPDATE public.t SET n = n + 1, job = '{id}' WHERE {range}"},
}

# What each job has committed: `position` is its checkpoint.
PAST = """WITH past AS (SELECT j.id AS job, coalesce((s.position_key::jsonb ->> 0)::bigint, 0) AS position,
                               coalesce(s.rows_changed, 0) AS changed, coalesce(s.rows_conflicted, 0) AS conflicted
                          FROM backfill.job j LEFT JOIN backfill.segment s ON s.job_id = j.id),
     written AS (SELECT job, id, count(*) AS times FROM public.audit GROUP BY job, id) """
NEXT_STATES = {
    None: {"job.submitted", "job.started", "job.cancelled"},
    "job.submitted": {"job.started", "job.cancelled"},
    "job.started": {"job.paused", "job.cancelled", "job.completed"},
    "job.resumed": {"job.paused", "job.cancelled", "job.completed"},
    "job.paused": {"job.resumed", "job.cancelled"},
}
LAST_EVENTS = {"pending": (None, "job.submitted"), "running": ("job.started", "job.resumed"), "paused": ("job.paused",),
               "completed": ("job.completed",), "cancelled": ("job.cancelled",)}


@dataclass
class Verdict:
    rows: int     # writes that were due
    lost: int
    doubled: int  # done twice, or beyond the checkpoint: that is, done again later


class Work:
    """Jobs of one kind over public.t (id, n, job, note), keys 1 … rows. Foreground writers may add rows behind them."""

    def __init__(self, pg, db, kind, rows):
        self.pg, self.db, self.kind, self.rows = pg, db, kind, rows
        self.meets = kind in ("insert-skip", "insert-update")
        self.keeps = self.meets or kind == "update"  # without a key on the copy, a row inserted twice is there to be seen
        self.captures = kind in ("update", "insert-update")
        pg.sql(db, f"""
            CREATE TABLE public.t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0, job text, note text NOT NULL DEFAULT '');
            INSERT INTO public.t (id) SELECT generate_series(1, {rows});
            CREATE TABLE public.copy (job text, id bigint, n int NOT NULL{", PRIMARY KEY (job, id)" if self.meets else ""});
            CREATE TABLE public.audit (job text, id bigint);
            CREATE FUNCTION public.count_write() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                INSERT INTO public.audit VALUES (new.job, new.id);
                RETURN NULL;
            END $$;
            CREATE TRIGGER count_write AFTER INSERT OR UPDATE ON public.copy FOR EACH ROW WHEN (new.n > 0)
                EXECUTE FUNCTION public.count_write();
            CREATE TRIGGER count_write AFTER UPDATE ON public.t FOR EACH ROW WHEN (old.n <> new.n)
                EXECUTE FUNCTION public.count_write();
            GRANT SELECT, INSERT, UPDATE, DELETE ON public.t, public.copy, public.audit TO {WORKER}""")

    def job(self, **keys):
        job = Job(table="public.t", allow_triggers=True, rollback={"keep_old_values": self.keeps}, **keys)
        job.keys.update(fill(KINDS[self.kind], job.id))
        if self.meets:
            self.pg.sql(self.db, f"INSERT INTO public.copy SELECT '{job.id}', i, 0"
                        f" FROM generate_series({THEIRS_EVERY}, {self.rows}, {THEIRS_EVERY}) i")
        return job

    def verdict(self):
        """By the audit."""
        self.pg.sql(self.db, "ANALYZE")
        due = "t.id <= p.position" + (f" AND t.id % {THEIRS_EVERY} <> 0" if self.kind == "insert-skip" else "")
        rows, lost = self._row(f"""{PAST} SELECT count(*), count(*) FILTER (WHERE w.id IS NULL)
            FROM past p JOIN public.t t ON t.id <= {self.rows} AND {due} LEFT JOIN written w ON w.job = p.job AND w.id = t.id""")
        doubled, = self._row(f"""{PAST} SELECT count(*) FROM written w LEFT JOIN past p ON p.job = w.job
            WHERE w.times > 1 OR p.job IS NULL OR w.id > p.position""")
        return Verdict(rows, lost, doubled)

    def _row(self, query):
        return self.pg.sql(self.db, query)[0]

    def check_rows(self):
        """The rows themselves, and the job's own counts: what the audit can't see."""
        if self.kind in ("update", "statement"):
            wrong = self.pg.sql(self.db, f"{PAST} SELECT t.id, t.n FROM public.t t WHERE t.id <= {self.rows}"
                                " AND t.n <> (SELECT count(*) FROM past WHERE t.id <= position) LIMIT 5")
        else:
            wrong = self.pg.sql(self.db, "SELECT job, id, count(*) FROM public.copy GROUP BY 1, 2 HAVING count(*) > 1 LIMIT 5")
        assert not wrong, f"rows that are not as the checkpoints say: {wrong}"
        met = f"least(p.position, {self.rows}) / {THEIRS_EVERY}" if self.meets else "0"
        wrong = self.pg.sql(self.db, f"""{PAST} SELECT * FROM past p LEFT JOIN
            (SELECT job, sum(times) AS times FROM written GROUP BY job) w ON w.job = p.job
            WHERE p.changed <> coalesce(w.times, 0) OR p.conflicted <> {met} LIMIT 5""")
        assert not wrong, f"counts that are not as the rows say: {wrong}"
        wrong = self.pg.sql(self.db, f"""{PAST} SELECT p.job, p.changed, k.rows, k.different FROM past p LEFT JOIN
            (SELECT job_id, count(*) AS rows, count(DISTINCT keys[array_length(keys, 1) - rows + i]) AS different
               FROM backfill.kept, generate_series(1, rows) i GROUP BY job_id) k ON k.job_id = p.job
            WHERE (coalesce(k.rows, 0), coalesce(k.different, 0)) <> ({"p.changed, p.changed" if self.keeps else "0, 0"}) LIMIT 5""")
        assert not wrong, f"kept rows that are not those changed: {wrong}"

    def check_states(self):
        """Each state and its event were committed together, once."""
        last = {}
        for job, event in self.pg.sql(self.db, "SELECT job_id, event FROM backfill.event WHERE event IN ('job.submitted',"
                                      " 'job.started', 'job.paused', 'job.resumed', 'job.cancelled', 'job.completed') ORDER BY seq"):
            assert event in NEXT_STATES.get(last.get(job), ()), f"{job}: {event} after {last.get(job)}"
            last[job] = event
        for job, state in self.pg.sql(self.db, "SELECT id, state FROM backfill.job"):
            assert last.get(job) in LAST_EVENTS[state], f"{job} is {state}, its last event {last.get(job)}"


def fill(value, job_id):
    if isinstance(value, dict):
        return {key: fill(one, job_id) for key, one in value.items()}
    return value.replace("{id}", job_id)
