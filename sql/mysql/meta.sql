SELECT name, value FROM backfill.meta
