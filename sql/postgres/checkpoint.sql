-- The fence and the checkpoint, on one row: no match, and the whole batch is rolled back. The leaf's name must still lead to the
-- relation that the claim found, and the dialect adds that its key must be of the same types.
-- It goes to where the row's last version lies, and says where the new one does: by the index, every version that an old snapshot
-- keeps would be visited. A row that has moved (VACUUM FULL) is not found, which is a fence like any other: the claim looks for it.
-- $1 job, $2 number, $3 epoch, $4 batch_id expected, $5 position, $6 scanned, $7 changed, $8 conflicted, $9 done,
-- $10 oid, $11 schema and $12 name of the leaf, $14 place
UPDATE backfill.segment
   SET position_key = $5, batch_id = batch_id + 1, rows_scanned = rows_scanned + $6::bigint, rows_changed = rows_changed + $7::bigint,
       rows_conflicted = rows_conflicted + $8::bigint, done = $9::boolean, updated_at = clock_timestamp()
 WHERE ctid = $14::tid AND job_id = $1 AND number = $2::integer AND epoch = $3::bigint AND batch_id = $4::bigint AND NOT stopped
   AND format('%I.%I', $11::text, $12::text)::regclass = $10::oid
