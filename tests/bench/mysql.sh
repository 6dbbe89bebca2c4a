# mysql.sh: the bench's words for MariaDB and MySQL. Sourced by bench.sh.
# shellcheck shell=bash disable=SC2034,SC2153,SC2154

# The disk is asked to be done; set_commit says how often.
server_options=(innodb-buffer-pool-size=1G innodb-flush-log-at-trx-commit=1 sync-binlog=1)
read_unit='rows (Handler_read%)'

create_database() {
	local monitor='REPLICATION CLIENT, XA_RECOVER_ADMIN'
	if is_mariadb; then monitor='REPLICA MONITOR'; fi
	servers_sql "$port" mysql "CREATE DATABASE bench" || fail "no database"
	sql "CREATE USER backfill; GRANT PROCESS, $monitor ON *.* TO backfill; GRANT SELECT ON performance_schema.* TO backfill"
	sql "GRANT SELECT, UPDATE, TRIGGER ON bench.* TO backfill"
}

admin_url() { echo "mysql://root@localhost/bench?unix_socket=$SERVERS_DATA/$port.sock"; }
epoch_ms() { printf "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', %s) DIV 1000" "$1"; }

# i is 1 … LAST, in FROM.
series() { # LAST
	if is_mariadb; then
		printf '(SELECT seq AS i FROM seq_1_to_%d) AS series' "$1"
	else
		printf '(WITH RECURSIVE one AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM one WHERE i < %d) SELECT i FROM one) AS series' "$1"
	fi
}

# Of as many rows as are wanted, and not for the binary log.
build() { # TABLE COLUMNS SELECT
	local depth=
	if ! is_mariadb; then depth='SET cte_max_recursion_depth = 4294967295;'; fi
	sql <<-SQL >/dev/null
		SET sql_log_bin = 0, unique_checks = 0, foreign_key_checks = 0; $depth
		DROP TABLE IF EXISTS $1;
		CREATE TABLE $1 ($2);
		INSERT INTO $1 $3;
		ANALYZE TABLE $1;
	SQL
}

# --- speed ---

# The same table each time, with nothing left to do for the server.
rebuild() {
	build worked 'id BIGINT PRIMARY KEY, owner VARCHAR(40) NOT NULL, amount INTEGER NOT NULL, n INTEGER NOT NULL' \
		"SELECT i, CONCAT('owner ', i), i % 1000, 0 FROM $(series "$ROWS")"
	sql "FLUSH TABLES worked; SET GLOBAL innodb_max_dirty_pages_pct_lwm = 0.001, GLOBAL innodb_max_dirty_pages_pct = 0"
	servers_until 60 "an end of what the server has to write" nothing_is_dirty
	sql "SET GLOBAL innodb_max_dirty_pages_pct = DEFAULT, GLOBAL innodb_max_dirty_pages_pct_lwm = DEFAULT; RESET MASTER"
}

nothing_is_dirty() {
	[ "$(sql "SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'" | cut -d' ' -f2)" -lt 100 ]
}

# What the procedure needs that backfilld's control tables are to backfilld.
create_procedure() {
	sql <<-'SQL'
		CREATE TABLE checkpoint (name VARCHAR(20) PRIMARY KEY, position BIGINT, batch_id BIGINT NOT NULL, done BIGINT NOT NULL);
		DELIMITER //
		CREATE PROCEDURE backfill_by_hand(batch_rows INTEGER)
		BEGIN
		    DECLARE behind BIGINT DEFAULT 0;
		    DECLARE through BIGINT;
		    DECLARE skipped INTEGER DEFAULT batch_rows - 1;
		    DELETE FROM checkpoint;
		    INSERT INTO checkpoint VALUES ('hand', NULL, 0, 0);
		    batches: LOOP
		        START TRANSACTION;
		        SET through = (SELECT id FROM worked WHERE id > behind ORDER BY id LIMIT skipped, 1);
		        IF through IS NULL THEN
		            SET through = (SELECT MAX(id) FROM worked WHERE id > behind);
		            IF through IS NULL THEN
		                LEAVE batches;
		            END IF;
		        END IF;
		        UPDATE worked SET n = n + 1 WHERE id > behind AND id <= through;
		        UPDATE checkpoint SET position = through, batch_id = batch_id + 1, done = done + ROW_COUNT() WHERE name = 'hand';
		        COMMIT;
		        SET behind = through;
		    END LOOP;
		    COMMIT;
		END //
	SQL
}

# For all sessions: there is no other way.
set_commit() { # on|off
	if [ "$1" = on ]; then
		sql "SET GLOBAL innodb_flush_log_at_trx_commit = 1, GLOBAL sync_binlog = 1"
	else
		sql "SET GLOBAL innodb_flush_log_at_trx_commit = 2, GLOBAL sync_binlog = 0"
	fi
}

# The statement's ms, by the server's clock.
timed_sql() { # COMMIT SQL
	sql "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; SET @begun = SYSDATE(6); $2;
		SELECT TIMESTAMPDIFF(MICROSECOND, @begun, SYSDATE(6)) / 1000"
}

# --- the server's own account of the daemon's statements ---

note_statements() { # times|reads
	noted=$SERVERS_DATA/statements.log
	if [ "$1" = reads ]; then
		sql "SET GLOBAL general_log_file = '$noted', GLOBAL general_log = ON"
	else
		sql "SET GLOBAL slow_query_log_file = '$noted', GLOBAL long_query_time = 0, GLOBAL slow_query_log = ON"
	fi
	stop_daemon # its sessions have the old settings
	forget_statements
	start_daemon
}

note_no_more() {
	sql "SET GLOBAL general_log = OFF, GLOBAL slow_query_log = OFF, GLOBAL long_query_time = DEFAULT"
	forget_statements
}

forget_statements() { : >"$noted"; }

# Dense, and one row in 100,000 matches.
build_dense() {
	build dense 'id BIGINT PRIMARY KEY, n INTEGER NOT NULL' "SELECT i, 0 FROM $(series "$LOOKUP_ROWS")"
}

# One row in five is gone, and each fourth run of 50,000.
build_gaps() {
	build gaps 'region INTEGER, owner VARCHAR(20), id BIGINT, n INTEGER NOT NULL, PRIMARY KEY (region, owner, id)' \
		"SELECT i DIV 100000, CONCAT('owner ', i DIV 100 % 1000), i, 0 FROM $(series $((LOOKUP_ROWS * 5 / 3)))"
	sql "SET sql_log_bin = 0; DELETE FROM gaps WHERE id % 5 = 0 OR id DIV 50000 % 4 = 3; ANALYZE TABLE gaps" >/dev/null
}

# Of each look-up that found a whole window, in the log's order: the rows it reads, whichever way, when it is asked again as it was.
# The log has values in their places.
look_ups() {
	{
		echo "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;"
		sed -nE 's/^.*Execute\t(SELECT .* LIMIT 2 OFFSET [0-9]+)$/FLUSH STATUS; \1; SHOW SESSION STATUS LIKE "Handler\\_read%";/p' "$noted"
	} >look_ups.sql
	sql <look_ups.sql | awk '
		!/^Handler_read/ { found++; next }
		{ reads += $2 }
		/^Handler_read_rnd_next / {
			if (found == 2) print reads
			found = reads = 0
		}'
}

# --- an old snapshot ---

build_narrow() {
	build narrow 'id BIGINT PRIMARY KEY, n INTEGER NOT NULL' "SELECT i, 0 FROM $(series $((BATCHES * NARROW_ROWS)))"
}

snapshots() { sql "SELECT id FROM information_schema.processlist WHERE info = 'DO SLEEP(3600)'"; }
snapshot_is_open() { [ -n "$(snapshots)" ]; }

open_snapshot() {
	servers_spawn snapshot_pid snapshot.log mariadb --no-defaults -S "$SERVERS_DATA/$port.sock" -u root bench \
		-e "START TRANSACTION WITH CONSISTENT SNAPSHOT; DO SLEEP(3600)"
	servers_until 10 "the old snapshot" snapshot_is_open
}

end_snapshot() { sql "KILL $(snapshots)"; }

# Of each checkpoint, in the log's order: µs.
checkpoints() {
	awk '
		/^# Query_time: / { us = $3 * 1000000 }
		/^ *SET position_key = / { printf "%d\n", us }' "$noted"
}
