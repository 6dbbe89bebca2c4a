-- The fence and the checkpoint, on one row: no match, and the whole batch is rolled back. An UPDATE reads the last committed version
-- of the row, whatever the snapshot; it waits for whoever has it locked, which is how a claim and a batch are put in order. The
-- dialect adds that the key must be as the claim found it. A server that has become read only lets some roles write all the same: not us.
-- $1 job, $2 number, $3 epoch, $4 batch_id expected, $5 position, $6 scanned, $7 changed, $8 conflicted, $9 done; of the leaf
-- $11 schema and $12 name. The others are of no use here.
UPDATE backfill.segment
   SET position_key = $5, batch_id = batch_id + 1, rows_scanned = rows_scanned + CAST($6 AS SIGNED), rows_changed = rows_changed + CAST($7 AS SIGNED),
       rows_conflicted = rows_conflicted + CAST($8 AS SIGNED), done = ($9 = 'true'), updated_at = UTC_TIMESTAMP(6)
 WHERE job_id = $1 AND number = CAST($2 AS SIGNED) AND epoch = CAST($3 AS SIGNED) AND batch_id = CAST($4 AS SIGNED) AND NOT stopped
   AND CONCAT(@@global.read_only) IN ('0', 'OFF')
