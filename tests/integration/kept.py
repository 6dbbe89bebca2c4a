"""What backfill.kept holds."""

from dataclasses import dataclass


@dataclass
class Batch:
    job: str
    rows: int
    existing: int  # the first so many were there before
    keys: list
    old_values: list
    new_values: list

    def columns(self, values, rows=None):
        """They are flat: one column behind the other."""
        rows = rows or self.rows
        return [values[first:first + rows] for first in range(0, len(values or []), rows)]


def kept_batches(server, db):
    """In the order of the work."""
    array = server.dialect.array
    return [Batch(job, rows, existing, array(keys), array(old), array(new)) for job, rows, existing, keys, old, new in
            server.sql(db, "SELECT k.job_id, k.rows, k.existing, k.keys, k.old_values, k.new_values FROM backfill.kept k"
                       " ORDER BY k.job_id, k.segment, k.batch_id")]
