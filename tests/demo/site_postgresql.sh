# site_postgresql.sh: the demo's site on PostgreSQL: its table, its traffic, and how one looks at it. Sourced by demo.sh.
# shellcheck shell=bash disable=SC2034,SC2154

table=public.accounts
server_options=(shared_buffers=128MB max_wal_size=4GB fsync=off)

create_table() {
	servers_sql "$primary_port" postgres "CREATE DATABASE site" && sql <<-SQL
		CREATE TABLE accounts (
		    id     bigint PRIMARY KEY,
		    owner  text NOT NULL,
		    visits integer NOT NULL DEFAULT 0, -- the site writes this
		    points integer NOT NULL DEFAULT 0  -- the backfill writes this
		);
		CREATE TABLE visit (account bigint NOT NULL, at timestamptz NOT NULL DEFAULT now());
		INSERT INTO accounts (id, owner) SELECT i, 'owner ' || i FROM generate_series(1, $ROWS) i;
		ANALYZE accounts;
		CREATE ROLE backfill LOGIN;
		GRANT SELECT, UPDATE ON accounts TO backfill;
		GRANT pg_monitor TO backfill;
	SQL
}

# And `traffic`, that makes it.
write_traffic() {
	cat >read.sql <<-SQL
		\\set id random(1, $ROWS)
		SELECT owner, visits FROM accounts WHERE id = :id;
	SQL
	cat >write.sql <<-SQL
		\\set id random(1, $ROWS)
		BEGIN;
		UPDATE accounts SET visits = visits + 1 WHERE id = :id;
		INSERT INTO visit (account) VALUES (:id);
		COMMIT;
	SQL
	export PGHOST=127.0.0.1 PGPORT=$primary_port PGUSER=postgres PGDATABASE=site
	PATH=$PATH:$SERVERS_BIN # pgbench is in no other folder
	traffic=(pgbench -n -c 4 -R 400 -T 3600 -f read.sql@3 -f write.sql@1 site)
	traffic_shown="${traffic[*]}" traffic_clients=1
	client=(psql -X -c)
	interactive=(psql -h 127.0.0.1 -p "$primary_port" -U postgres site)
}

admin_url() { echo "postgresql://postgres@127.0.0.1:$primary_port/site"; }
