-- Waits for a batch that is at its checkpoint, then fences every batch there may be.
UPDATE backfill.segment AS s JOIN backfill.job AS j ON j.id = s.job_id SET s.stopped = true, s.epoch = j.epoch WHERE NOT s.done AND NOT s.stopped
