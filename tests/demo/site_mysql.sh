# site_mysql.sh: the demo's site on MariaDB and MySQL: its table, its traffic, and how one looks at it. Sourced by demo.sh.
# shellcheck shell=bash disable=SC2016,SC2034,SC2154

table=accounts
server_options=(innodb-buffer-pool-size=128M innodb-flush-log-at-trx-commit=2 innodb-flush-method=nosync sync-binlog=0)

create_table() {
	local monitor='REPLICATION CLIENT, XA_RECOVER_ADMIN' depth=cte_max_recursion_depth
	if is_mariadb; then monitor='REPLICA MONITOR' depth=max_recursive_iterations; fi
	servers_sql "$primary_port" mysql "CREATE DATABASE site" && sql >analyze.log <<-SQL
		CREATE TABLE accounts (
		    id     BIGINT PRIMARY KEY,
		    owner  VARCHAR(40) NOT NULL,
		    visits INTEGER NOT NULL DEFAULT 0, -- the site writes this
		    points INTEGER NOT NULL DEFAULT 0  -- the backfill writes this
		);
		CREATE TABLE visit (account BIGINT NOT NULL, at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP);
		SET $depth = $ROWS;
		INSERT INTO accounts (id, owner)
		WITH RECURSIVE series AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM series WHERE i < $ROWS)
		SELECT i, CONCAT('owner ', i) FROM series;
		ANALYZE TABLE accounts;
		CREATE USER backfill;
		GRANT SELECT, UPDATE, TRIGGER ON accounts TO backfill;
		GRANT PROCESS, $monitor ON *.* TO backfill;
		GRANT SELECT ON performance_schema.* TO backfill;
	SQL
}

# And `traffic`, that makes a quarter of it: 4 requests every 40 ms.
write_traffic() {
	cat >client.cnf <<-CNF
		[client]
		socket = $SERVERS_DATA/$primary_port.sock
		user = root
		[mariadb-client]
		database = site
	CNF
	cat >visit.sql <<-SQL
		SET @id = 1 + FLOOR(RAND() * $ROWS);
		SELECT owner, visits FROM accounts WHERE id = @id;
		SELECT owner, visits FROM accounts WHERE id = @id + 1;
		SELECT owner, visits FROM accounts WHERE id = @id + 2;
		START TRANSACTION;
		UPDATE accounts SET visits = visits + 1 WHERE id = @id;
		INSERT INTO visit (account) VALUES (@id);
		COMMIT;
		DO SLEEP(0.04);
	SQL
	# The shell becomes the client, and what it reads ends with it.
	traffic=(bash -c 'exec mariadb --defaults-file=client.cnf < <(yes "$(<visit.sql)") >/dev/null')
	traffic_shown='yes "$(<visit.sql)" | mariadb --defaults-file=client.cnf' traffic_clients=4
	client=(mariadb --defaults-file=client.cnf -t -e)
	interactive=(mariadb --defaults-file="$SERVERS_DIR/client.cnf")
}

admin_url() { echo "mysql://root@localhost/site?unix_socket=$SERVERS_DATA/$primary_port.sock"; }
