-- $1 name, $2 value. 'stop:<daemon>' and why is its stop flag: while any is there nothing starts. 'throttle:<daemon>' is what it has
-- found out about the site.
INSERT INTO backfill.meta VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value
