-- Around each look of a probe. Whatever an own query says, it only reads.
START TRANSACTION READ ONLY
