"""The kinds of work that a crash campaign runs, and the oracle that compares what the control tables say with what was done:
the database itself counts each write by job and key."""

from dataclasses import dataclass

from jobs import Job
from kept import kept_batches
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

NEXT_STATES = {
    None: {"job.submitted", "job.started", "job.cancelled"},
    "job.submitted": {"job.started", "job.cancelled"},
    "job.started": {"job.paused", "job.cancelled", "job.completed"},
    "job.resumed": {"job.paused", "job.cancelled", "job.completed"},
    "job.paused": {"job.resumed", "job.cancelled"},
}
LAST_EVENTS = {"pending": (None, "job.submitted"), "running": ("job.started", "job.resumed"), "paused": ("job.paused",),
               "completed": ("job.completed",), "cancelled": ("job.cancelled",)}


def kinds_on(server):
    return [kind for kind in KINDS if kind != "statement" or server.engine == "postgresql"]


@dataclass
class Verdict:
    rows: int     # writes that were due
    lost: int
    doubled: int  # done twice, or beyond the checkpoint: that is, done again later


class Work:
    """Jobs of one kind over public.t (id, n, job, note), keys 1 … rows. Foreground writers may add rows behind them."""

    def __init__(self, server, db, kind, rows):
        self.server, self.db, self.kind, self.rows = server, db, kind, rows
        self.meets = kind in ("insert-skip", "insert-update")
        self.keeps = self.meets or kind == "update"  # without a key on the copy, a row inserted twice is there to be seen
        self.captures = kind in server.dialect.captures and not server.returns_old()
        self.row_checks = kind in server.dialect.row_checks
        dialect, count = server.dialect, "INSERT INTO public.audit VALUES (new.job, new.id)"
        server.sql(db, f"""
            CREATE TABLE public.t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0, job varchar(64), note varchar(40) NOT NULL DEFAULT '');
            INSERT INTO public.t (id) SELECT i FROM {dialect.series(1, rows)};
            CREATE TABLE public.copy (job varchar(64), id bigint, n int NOT NULL{", PRIMARY KEY (job, id)" if self.meets else ""});
            CREATE TABLE public.audit (job varchar(64), id bigint);
            CREATE INDEX audit_job_id ON public.audit (job, id);
            {dialect.after("INSERT", "public.copy", "new.n > 0", count)};
            {dialect.after("UPDATE", "public.copy", "new.n > 0", count)};
            {dialect.after("UPDATE", "public.t", "old.n <> new.n", count)}""")
        for table in ("t", "copy", "audit"):
            server.sql(db, f"GRANT SELECT, INSERT, UPDATE, DELETE ON public.{table} TO {WORKER}")
        server.analyze(db, "public.t")  # no plan is to depend on when the server comes by
        # What each job has committed: `position` is its checkpoint.
        self.past = f"""WITH past AS (SELECT j.id AS job, coalesce({dialect.first_of("s.position_key")}, 0) AS position,
                                             coalesce(s.rows_changed, 0) AS changed, coalesce(s.rows_conflicted, 0) AS conflicted
                                        FROM backfill.job j LEFT JOIN backfill.segment s ON s.job_id = j.id),
                             written AS (SELECT job, id, count(*) AS times FROM public.audit GROUP BY job, id) """

    def job(self, **keys):
        job = Job(table="public.t", allow_triggers=True, rollback={"keep_old_values": self.keeps}, **keys)
        job.keys.update(fill(KINDS[self.kind], job.id))
        if self.meets:
            self.server.sql(self.db, f"INSERT INTO public.copy SELECT '{job.id}', i, 0 FROM {self.server.dialect.series(1, self.rows)}"
                            f" WHERE i % {THEIRS_EVERY} = 0")
        return job

    def verdict(self):
        """By the audit."""
        self.server.analyze(self.db)
        due = "t.id <= p.position" + (f" AND t.id % {THEIRS_EVERY} <> 0" if self.kind == "insert-skip" else "")
        rows = self._count(f"past p JOIN public.t t ON t.id <= {self.rows} AND {due}")
        done = self._count(f"written w JOIN past p ON p.job = w.job JOIN public.t t ON t.id = w.id AND t.id <= {self.rows} AND {due}")
        doubled = self._count("written w LEFT JOIN past p ON p.job = w.job WHERE w.times > 1 OR p.job IS NULL OR w.id > p.position")
        return Verdict(rows, rows - done, doubled)

    def _count(self, what):
        return self.server.value(self.db, f"{self.past} SELECT count(*) FROM {what}")

    def _rows(self, query):
        return self.server.sql(self.db, query)

    def check_rows(self):
        """The rows themselves, and the job's own counts: what the audit can't see."""
        if self.kind in ("update", "statement"):
            wrong = self._rows(f"{self.past} SELECT t.id, t.n FROM public.t t WHERE t.id <= {self.rows}"
                               " AND t.n <> (SELECT count(*) FROM past WHERE t.id <= position) LIMIT 5")
        else:
            wrong = self._rows("SELECT job, id, count(*) FROM public.copy GROUP BY job, id HAVING count(*) > 1 LIMIT 5")
        assert not wrong, f"rows that are not as the checkpoints say: {wrong}"
        met = f"floor(least(p.position, {self.rows}) / {THEIRS_EVERY})" if self.meets else "0"
        wrong = self._rows(f"""{self.past} SELECT p.job, p.changed, p.conflicted, w.times FROM past p LEFT JOIN
            (SELECT job, sum(times) AS times FROM written GROUP BY job) w ON w.job = p.job
            WHERE p.changed <> coalesce(w.times, 0) OR p.conflicted <> {met} LIMIT 5""")
        assert not wrong, f"counts that are not as the rows say: {wrong}"
        kept = {}
        for batch in kept_batches(self.server, self.db):
            kept.setdefault(batch.job, []).extend(batch.columns(batch.keys)[-1])
        wrong = [(job, changed, len(kept.get(job, [])), len(set(kept.get(job, []))))
                 for job, changed in self._rows(f"{self.past} SELECT job, changed FROM past")]
        wrong = [row for row in wrong if row[2:] != ((row[1], row[1]) if self.keeps else (0, 0))]
        assert not wrong, f"kept rows that are not those changed: {wrong[:5]}"

    def check_states(self):
        """Each state and its event were committed together, once."""
        last = {}
        for job, event in self.server.sql(self.db, "SELECT job_id, event FROM backfill.event WHERE event IN ('job.submitted',"
                                      " 'job.started', 'job.paused', 'job.resumed', 'job.cancelled', 'job.completed') ORDER BY seq"):
            assert event in NEXT_STATES.get(last.get(job), ()), f"{job}: {event} after {last.get(job)}"
            last[job] = event
        for job, state in self.server.sql(self.db, "SELECT id, state FROM backfill.job"):
            assert last.get(job) in LAST_EVENTS[state], f"{job} is {state}, its last event {last.get(job)}"


def fill(value, job_id):
    if isinstance(value, dict):
        return {key: fill(one, job_id) for key, one in value.items()}
    return value.replace("{id}", job_id)
