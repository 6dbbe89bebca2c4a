-- What the server is, and where a table is found. Run before search_path is pinned: a name without schema means what it
-- means to the role. $1 schema or NULL, $2 name.
SELECT jsonb_build_object(
	'in_recovery', pg_catalog.pg_is_in_recovery(),
	'read_only', pg_catalog.current_setting('default_transaction_read_only') = 'on',
	'encoding', pg_catalog.current_setting('server_encoding'),
	'role', current_user,
	'database', pg_catalog.current_database(),
	'schema', (
		SELECT n.nspname
		FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		WHERE CASE WHEN $1::text IS NULL THEN c.oid = pg_catalog.to_regclass(pg_catalog.quote_ident($2::text))
			ELSE n.nspname = $1::text AND c.relname = $2::text END),
	'similar', (
		SELECT pg_catalog.string_agg(n.nspname || '.' || c.relname, ', ' ORDER BY n.nspname, c.relname)
		FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p') AND pg_catalog.lower(c.relname) = pg_catalog.lower($2::text)))
