-- Until the transaction ends: is there a path over an index, in its order, at all?
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off;
SET LOCAL enable_sort = off
