-- Until the transaction ends: is there a path over an index at all?
SET LOCAL enable_seqscan = off
