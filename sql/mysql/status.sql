-- What the server is: one row. One that takes no writes from us is a replica to us.
SELECT CURRENT_USER(), COALESCE(DATABASE(), ''), @@version, IF(CONCAT(@@global.read_only) IN ('0', 'OFF') AND NOT @@global.innodb_read_only, 'false', 'true'),
       IF(EXISTS (SELECT 1 FROM information_schema.tables WHERE table_schema = 'backfill' AND table_name = 'meta'), 'true', 'false'),
       /*M!100600 CONCAT(@@hostname, ':', @@port, ':', @@datadir, '#', @@server_id) */ /*!80000 @@server_uuid */
