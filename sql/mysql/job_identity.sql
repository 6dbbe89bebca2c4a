-- $1 id
SELECT sha256, state FROM backfill.job WHERE id = $1
