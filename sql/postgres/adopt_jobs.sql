-- A restored table has another oid than the one that the job was submitted for; the names, and the operator's word, say
-- that it is the same. Transaction ids of the other server mean nothing here: a job whose round isn't open takes a new marker when it is resumed.
UPDATE backfill.job j
   SET freeze_marker = CASE WHEN frozen_at IS NOT NULL THEN freeze_marker END, freeze_writers = NULL,
       shape = shape || jsonb_build_object('leaves', (
           SELECT jsonb_agg(CASE WHEN c.oid IS NULL THEN leaf ELSE leaf || jsonb_build_object('oid', c.oid::bigint) END ORDER BY number)
             FROM jsonb_array_elements(shape -> 'leaves') WITH ORDINALITY AS l (leaf, number)
             LEFT JOIN pg_namespace n ON n.nspname = leaf ->> 'schema'
             LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = leaf ->> 'name'))
 WHERE state NOT IN ('completed', 'cancelled', 'rolled_back')
