-- The stop flag of one daemon; while any is there nothing starts. $1 'stop:<daemon>', $2 why
INSERT INTO backfill.meta VALUES ($1, $2) ON DUPLICATE KEY UPDATE value = $2
