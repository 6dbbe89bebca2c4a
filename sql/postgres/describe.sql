-- Everything preflight judges about one table, as JSON; no row when it is missing. $1 schema, $2 name. search_path must be
-- pg_catalog alone, so that format_type writes every other type with its schema.
WITH root AS (
	SELECT c.* FROM pg_class AS c WHERE c.relname = $2::text AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1::text)
), rels AS (
	SELECT r.oid FROM root AS r
	UNION
	SELECT t.relid FROM root AS r, pg_partition_tree(r.oid) AS t WHERE r.relkind = 'p' AND t.isleaf
), relations AS (
	SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind AS kind, c.relpersistence AS persistence,
		CASE WHEN c.relkind IN ('r', 'p', 'm') THEN pg_relation_size(c.oid) ELSE 0 END AS bytes,
		c.reltuples, c.relpages, c.relreplident
	FROM rels JOIN pg_class AS c USING (oid) JOIN pg_namespace AS n ON n.oid = c.relnamespace
), sized AS (
-- As the planner estimates: the density that was last measured, times today's size. Never measured: 100 bytes a row.
	SELECT *, CASE WHEN reltuples >= 0 AND relpages > 0
		THEN (reltuples / relpages * bytes / current_setting('block_size')::int)::bigint ELSE bytes / 100 END AS estimated_rows
	FROM relations
), described AS (
	SELECT s.oid, s.kind, jsonb_build_object(
		'oid', s.oid::bigint, 'schema', s.schema, 'name', s.name, 'kind', s.kind, 'persistence', s.persistence,
		'estimated_rows', s.estimated_rows,
		'row_bytes', CASE WHEN s.estimated_rows > 0 THEN greatest(1, s.bytes / s.estimated_rows) ELSE 100 END,
		'row_security', row_security_active(s.oid),
		'may_delete', has_table_privilege(s.oid, 'DELETE'),
		'may_use_schema', has_schema_privilege(s.schema, 'USAGE'),
		'columns', (
			SELECT coalesce(jsonb_agg(jsonb_build_object(
				'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
				'float', coalesce(nullif(y.typbasetype, 0), y.oid) IN ('float4'::regtype, 'float8'::regtype),
				'collated', a.attcollation <> 0,
				'collation', c.name, 'collation_version', c.version, 'collation_recorded', c.recorded,
				'not_null', a.attnotnull OR y.typnotnull,
				'generated', a.attgenerated <> '', 'identity_always', a.attidentity = 'a',
				'may_select', has_column_privilege(s.oid, a.attnum, 'SELECT'),
				'may_update', has_column_privilege(s.oid, a.attnum, 'UPDATE'),
				'may_insert', has_column_privilege(s.oid, a.attnum, 'INSERT')) ORDER BY a.attnum), '[]')
			FROM pg_attribute AS a JOIN pg_type AS y ON y.oid = a.atttypid
-- The same as in shape_check.sql, and the version that was recorded when it was made.
			LEFT JOIN LATERAL (
				SELECT CASE WHEN o.oid = 100 THEN 'default (' || coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale', d.datcollate) || ')'
						ELSE n.nspname || '.' || o.collname END AS name,
					CASE WHEN o.oid <> 100 THEN pg_collation_actual_version(o.oid)
						WHEN to_jsonb(d) ->> 'datcollversion' IS NOT NULL THEN substring(query_to_xml(
							'SELECT pg_database_collation_actual_version(' || d.oid || ') AS v', false, true, '')::text FROM '<v>([^<]*)</v>') END AS version,
					CASE WHEN o.oid <> 100 THEN o.collversion ELSE to_jsonb(d) ->> 'datcollversion' END AS recorded
				FROM pg_collation AS o JOIN pg_namespace AS n ON n.oid = o.collnamespace JOIN pg_database AS d ON d.datname = current_database()
				WHERE o.oid = a.attcollation) AS c ON true
			WHERE a.attrelid = s.oid AND a.attnum > 0 AND NOT a.attisdropped),
		'triggers', (
-- tgtype's bits: 4 INSERT, 8 DELETE, 16 UPDATE. A trigger that fires only on a replica ('R') is none to us.
			SELECT coalesce(jsonb_agg(jsonb_build_object(
				'name', t.tgname, 'insert', t.tgtype & 4 > 0, 'delete', t.tgtype & 8 > 0, 'update', t.tgtype & 16 > 0,
				'columns', (SELECT coalesce(jsonb_agg(a.attname), '[]') FROM pg_attribute AS a
					WHERE a.attrelid = s.oid AND a.attnum = ANY (t.tgattr))) ORDER BY t.tgname), '[]')
			FROM pg_trigger AS t
			WHERE t.tgrelid = s.oid AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')),
		'rules', (
			SELECT coalesce(jsonb_agg(w.rulename ORDER BY w.rulename), '[]') FROM pg_rewrite AS w
			WHERE w.ev_class = s.oid AND w.ev_type IN ('2', '3', '4') AND w.ev_enabled <> 'D'),
		'cascades', (
			SELECT coalesce(jsonb_agg(jsonb_build_object(
				'name', f.conname, 'table', f.conrelid::regclass::text,
				'update', f.confupdtype IN ('c', 'n', 'd'), 'delete', f.confdeltype IN ('c', 'n', 'd'),
				'columns', (SELECT jsonb_agg(a.attname) FROM pg_attribute AS a
					WHERE a.attrelid = s.oid AND a.attnum = ANY (f.confkey))) ORDER BY f.conname), '[]')
			FROM pg_constraint AS f
			WHERE f.contype = 'f' AND f.confrelid = s.oid AND f.conparentid = 0
				AND (f.confupdtype IN ('c', 'n', 'd') OR f.confdeltype IN ('c', 'n', 'd'))),
-- The server refuses to UPDATE or DELETE rows of a published table that has nothing to name them by.
-- https://www.postgresql.org/docs/15/logical-replication-publication.html
		'replica_identity', s.relreplident = 'f' OR coalesce(pg_get_replica_identity_index(s.oid)::oid, 0) <> 0,
		'publishes_update', (
			SELECT coalesce(bool_or(p.pubupdate), false) FROM pg_publication AS p JOIN pg_publication_tables AS t USING (pubname)
			WHERE t.schemaname = s.schema AND t.tablename = s.name),
		'publishes_delete', (
			SELECT coalesce(bool_or(p.pubdelete), false) FROM pg_publication AS p JOIN pg_publication_tables AS t USING (pubname)
			WHERE t.schemaname = s.schema AND t.tablename = s.name)) AS json
	FROM sized AS s
), unique_indexes AS (
	SELECT jsonb_build_object(
		'name', c.relname, 'primary', i.indisprimary, 'valid', i.indisvalid AND i.indisready AND i.indislive,
		'partial', i.indpred IS NOT NULL, 'expressions', i.indexprs IS NOT NULL, 'immediate', i.indimmediate,
		'btree', m.amname = 'btree',
		'columns', (
			SELECT coalesce(jsonb_agg(jsonb_build_object(
				'name', a.attname,
				'default_opclass', o.opcdefault,
				'same_collation', i.indcollation[k.n - 1] = a.attcollation,
-- indoption: 1 DESC, 2 NULLS FIRST. 0 and 3 are what ORDER BY k and ORDER BY k DESC read without sorting.
				'order', i.indoption[k.n - 1],
				'operator_schemas', (
					SELECT jsonb_agg(DISTINCT n.nspname)
					FROM pg_amop AS x JOIN pg_operator AS p ON p.oid = x.amopopr JOIN pg_namespace AS n ON n.oid = p.oprnamespace
					WHERE x.amopfamily = o.opcfamily AND x.amoplefttype = o.opcintype AND x.amoprighttype = o.opcintype)
				) ORDER BY k.n), '[]')
			FROM generate_series(1, i.indnkeyatts) AS k (n)
			LEFT JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k.n - 1] AND a.attnum > 0
			JOIN pg_opclass AS o ON o.oid = i.indclass[k.n - 1])) AS json, i.indisprimary, c.relname
	FROM root AS r JOIN pg_index AS i ON i.indrelid = r.oid JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_am AS m ON m.oid = c.relam
	WHERE i.indisunique
)
SELECT d.json || jsonb_build_object(
	'indexes', (SELECT coalesce(jsonb_agg(u.json ORDER BY u.indisprimary DESC, u.relname), '[]') FROM unique_indexes AS u),
	'children', (SELECT coalesce(jsonb_agg(h.inhrelid::regclass::text ORDER BY 1), '[]') FROM pg_inherits AS h
		WHERE h.inhparent = r.oid AND r.relkind = 'r'),
	'leaves', (SELECT coalesce(jsonb_agg(l.json ORDER BY l.json ->> 'schema', l.json ->> 'name'), '[]') FROM described AS l
		WHERE l.oid <> r.oid OR r.relkind <> 'p'))
FROM root AS r JOIN described AS d ON d.oid = r.oid
