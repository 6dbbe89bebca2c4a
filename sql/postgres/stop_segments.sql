-- Waits for a batch that is at its checkpoint, then fences every batch there may be.
UPDATE backfill.segment s SET stopped = true, epoch = j.epoch FROM backfill.job j WHERE j.id = s.job_id AND NOT s.done AND NOT s.stopped
