-- Behind explain_without_seqscan.sql: the planner's choice again.
SET LOCAL enable_seqscan TO DEFAULT;
SET LOCAL enable_bitmapscan TO DEFAULT;
SET LOCAL enable_sort TO DEFAULT
