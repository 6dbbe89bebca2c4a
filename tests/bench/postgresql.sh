# postgresql.sh: the bench's words for PostgreSQL. Sourced by bench.sh.
# shellcheck shell=bash disable=SC2034,SC2153,SC2154

server_options=(fsync=on shared_buffers=512MB max_wal_size=8GB autovacuum=off maintenance_work_mem=256MB "log_line_prefix=%a|")
read_unit=buffers

create_database() {
	servers_sql "$port" postgres "CREATE DATABASE bench" || fail "no database"
	sql "CREATE ROLE backfill LOGIN"
	sql "GRANT pg_monitor TO backfill"
	sql "GRANT CREATE ON SCHEMA public TO backfill"
}

admin_url() { echo "postgresql://postgres@127.0.0.1:$port/bench"; }
epoch_ms() { printf 'round(extract(epoch FROM %s) * 1000)' "$1"; }

# --- speed ---

# The same table, byte for byte, each time.
rebuild() {
	sql <<-SQL
		SET client_min_messages = warning;
		DROP TABLE IF EXISTS worked;
		CREATE TABLE worked AS
		    SELECT i::bigint AS id, 'owner ' || i AS owner, i % 1000 AS amount, 0 AS n FROM generate_series(1, $ROWS) i;
		ALTER TABLE worked ADD PRIMARY KEY (id);
		GRANT SELECT, UPDATE ON worked TO backfill;
		VACUUM (FREEZE, ANALYZE) worked;
		CHECKPOINT;
	SQL
}

# What the procedure needs that backfilld's control tables are to backfilld.
create_procedure() {
	sql <<-'SQL'
		CREATE TABLE checkpoint (name text PRIMARY KEY, position bigint, batch_id bigint NOT NULL, rows bigint NOT NULL)
		    WITH (fillfactor = 50);
		CREATE PROCEDURE backfill_by_hand(batch_rows integer) LANGUAGE plpgsql AS $$
		DECLARE
		    after bigint := 0;
		    through bigint;
		    changed bigint;
		BEGIN
		    DELETE FROM checkpoint;
		    INSERT INTO checkpoint VALUES ('hand', NULL, 0, 0);
		    COMMIT;
		    LOOP
		        SELECT id INTO through FROM worked WHERE id > after ORDER BY id OFFSET batch_rows - 1 LIMIT 1;
		        IF through IS NULL THEN
		            SELECT max(id) INTO through FROM worked WHERE id > after;
		            EXIT WHEN through IS NULL;
		        END IF;
		        UPDATE worked SET n = n + 1 WHERE id > after AND id <= through;
		        GET DIAGNOSTICS changed = ROW_COUNT;
		        UPDATE checkpoint SET position = through, batch_id = batch_id + 1, rows = rows + changed WHERE name = 'hand';
		        COMMIT;
		        after := through;
		    END LOOP;
		END $$;
	SQL
}

# Each session says it for itself.
set_commit() { :; }

# The statement's ms. \timing's clock is the client's, on the same host.
timed_sql() { # COMMIT SQL
	PGOPTIONS="-c synchronous_commit=$1" psql -X -q -A -t -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$port" -U postgres -d bench \
		-c '\timing on' -c "$2" | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p'
}

# --- the server's own account of the daemon's statements ---

# It writes down what each cost it, from the daemon's next start on; the executor's share.
note_statements() { # times|reads
	sql "ALTER ROLE backfill SET session_preload_libraries = auto_explain"
	sql "ALTER ROLE backfill SET auto_explain.log_min_duration = 0"
	if [ "$1" = reads ]; then
		sql "ALTER ROLE backfill SET auto_explain.log_analyze = on"
		sql "ALTER ROLE backfill SET auto_explain.log_buffers = on"
		sql "ALTER ROLE backfill SET auto_explain.log_timing = off"
	fi
	stop_daemon
	forget_statements
	start_daemon
}

note_no_more() {
	sql "ALTER ROLE backfill RESET ALL"
	forget_statements
}

forget_statements() { : >primary.log; }

# Dense, and one row in 100,000 matches. UNLOGGED: how a table is written is no matter here.
build_dense() {
	sql <<-SQL
		CREATE UNLOGGED TABLE dense AS SELECT i::bigint AS id, 0 AS n FROM generate_series(1, $LOOKUP_ROWS) i;
		ALTER TABLE dense ADD PRIMARY KEY (id);
		GRANT SELECT, UPDATE ON dense TO backfill;
		VACUUM (ANALYZE) dense;
	SQL
}

# One row in five is gone, and each fourth run of 50,000: thin leaves of the index, and empty ones that VACUUM unlinks.
build_gaps() {
	sql <<-SQL
		CREATE UNLOGGED TABLE gaps AS
		    SELECT (i / 100000)::integer AS region, 'owner ' || i / 100 % 1000 AS owner, i AS id, 0 AS n
		      FROM generate_series(1, $LOOKUP_ROWS::bigint * 5 / 3) i;
		ALTER TABLE gaps ADD PRIMARY KEY (region, owner, id);
		DELETE FROM gaps WHERE id % 5 = 0 OR id / 50000 % 4 = 3;
		GRANT SELECT, UPDATE ON gaps TO backfill;
		VACUUM (ANALYZE) gaps;
	SQL
}

# Of each look-up that found a whole window, in the log's order: the buffers it read or found. The first Buffers line of a
# plan is its top node's and holds all below it.
look_ups() {
	awk '
		/\|LOG:  duration/ { looking = 0 }
		/Query Text: SELECT .* OFFSET \$[0-9]+::bigint LIMIT 2$/ { looking = 1 }
		looking && /Limit .*actual rows=/ { full = /actual rows=2 / }
		looking && /Buffers: / {
			looking = 0
			hit = read = 0
			for (i = 1; i <= NF; i++) {
				if ($i ~ /^hit=/) hit = substr($i, 5)
				if ($i ~ /^read=/) read = substr($i, 6)
			}
			if (full) print hit + read
		}' primary.log
}

# --- an old snapshot ---

build_narrow() {
	sql <<-SQL
		CREATE UNLOGGED TABLE narrow AS SELECT i::bigint AS id, 0 AS n FROM generate_series(1, $BATCHES * $NARROW_ROWS) i;
		ALTER TABLE narrow ADD PRIMARY KEY (id);
		GRANT SELECT, UPDATE ON narrow TO backfill;
		VACUUM (ANALYZE) narrow;
	SQL
}

snapshot_is_open() {
	[ "$(sql "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'old snapshot' AND backend_xmin IS NOT NULL")" = 1 ]
}

open_snapshot() {
	PGAPPNAME='old snapshot' servers_spawn snapshot_pid snapshot.log psql -X -q -h 127.0.0.1 -p "$port" -U postgres -d bench \
		-c "BEGIN ISOLATION LEVEL REPEATABLE READ" -c "SELECT pg_sleep(3600)"
	servers_until 10 "the old snapshot" snapshot_is_open
}

end_snapshot() {
	sql "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'old snapshot'" >/dev/null
}

# Of each checkpoint, in the log's order: µs.
checkpoints() {
	awk '
		sub(/^.*\|LOG:  duration: /, "") { us = $1 * 1000 }
		/^\t *SET position_key = / { printf "%d\n", us }' primary.log
}
