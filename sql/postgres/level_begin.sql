-- Around each look of a probe. Whatever an own query says, it only reads.
BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY
