"""Texts that differ between the engines, for tests that run on both; what both understand is written plainly in the test."""

import json


class PostgresDialect:
    name = "postgresql"
    silent_steps = ("accept",)  # of a transaction: this server has to be told nothing there
    captures = ("update", "insert-update")  # kinds of work whose rows are locked and looked at before they are written
    row_checks = ()  # kinds of work of which a statement of their own asks whether they look at more than a row

    @staticmethod
    def quote(name):
        return f'"{name}"'

    @staticmethod
    def series(first, last):
        """For FROM: i is first … last."""
        return f"generate_series({first}, {last}) i"

    @staticmethod
    def after(event, table, condition, statement):
        """A trigger that runs the statement for each row where the condition holds; with its owner's rights, as MySQL's do."""
        name = f"after_{event}_{table.replace('.', '_')}".lower()
        return f"""CREATE FUNCTION public.{name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
            $$ BEGIN {statement}; RETURN NULL; END $$;
            CREATE TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION public.{name}()"""

    refused_password = "password authentication failed"
    granted_control_tables = "backfill.job"  # which of them a GRANT of the worker's is on
    refused_privilege = "permission denied for table job"

    leads_to_primary = "read-write"  # how a url is told not to lead to a replica

    quiet = "SET session_replication_role = replica"  # a session whose changes those triggers are not to see

    @staticmethod
    def agree(table):
        """A trigger that looks at each row before it is updated, and changes nothing."""
        return f"""CREATE FUNCTION agree() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
            CREATE TRIGGER agree BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION agree()"""

    errors = {"disk full": "53100", "data": "22000"}

    @staticmethod
    def failing(table, error, at):
        """A trigger that fails at that id, with one of `errors` and the text "made to fail"; what `tries` says counts it, which no
        roll-back takes back."""
        return f"""CREATE SEQUENCE tries; GRANT USAGE ON SEQUENCE tries TO backfill;
            CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF new.id = {at} THEN
                    PERFORM nextval('public.tries');
                    RAISE EXCEPTION 'made to fail' USING ERRCODE = '{PostgresDialect.errors[error]}';
                END IF;
                RETURN new;
            END $$;
            CREATE TRIGGER fail BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION fail()"""

    tries = "SELECT last_value FROM tries"

    @staticmethod
    def drop_failing(table):
        return f"DROP TRIGGER fail ON {table}"

    # --- what the daemon says on the wire (tests/fault): markers of a message each ---

    batch = b"BEGIN ISOLATION LEVEL READ COMMITTED\0"  # a batch's, and a round's
    batch_commits = None  # nothing is said between a batch's COMMIT and the next batch
    ahead = b"READ COMMITTED READ ONLY"  # the look-up of the next end, on a connection of its own
    state = b"SET state = $2, reason = $3"  # only a change of state says so
    commits = b"COMMIT\0"
    logged_in = b"FROM pg_control_system()"  # the first question of a connection
    checkpoint_ends = range(75, 200)  # so many bytes before COMMIT's end the checkpoint is under way, behind another statement of its flight
    awaits_half_a_statement = True  # with no time-out of the server's

    rows_scanned_meanwhile = 0  # by what else is done, as rows_read of the server counts

    @staticmethod
    def binary_text(length):
        """The type of a text that is ordered by its bytes."""
        return 'text COLLATE "C"'

    built_anew_is_another = False  # a table that is built anew can't be told from another one
    @staticmethod
    def is_of_the_past(table):
        """One that is made from here on is told apart from it."""
        return "SELECT true"

    does_not_exist, no_such_column, denied = "does not exist", "does not exist", "permission denied"

    @staticmethod
    def swap(table, other, former):
        return f"BEGIN; ALTER TABLE {table} RENAME TO {former}; ALTER TABLE {other} RENAME TO {table}; COMMIT"

    @staticmethod
    def rebuild(table):
        return f"VACUUM FULL {table}"

    @staticmethod
    def change_type(table, column, kind):
        return f"ALTER TABLE {table} ALTER {column} TYPE {kind}"

    harmless = "ALTER TABLE t ALTER n TYPE bigint"  # a change of t (id, n) that is no matter to who walks it by id

    letters = "ä€😀"  # that a message can have

    @staticmethod
    def refusing(table, before, times):
        """A trigger that refuses each row, in so many letters."""
        return f"""CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION '{before}%', repeat('{PostgresDialect.letters}', {times}); END $$;
            CREATE TRIGGER refuse BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse()"""

    two_rows_with_one_key = "second time"  # what the server says of them

    @staticmethod
    def slow_at(name, at):
        """A function of an id, true but for `at`, where it first sleeps as long as gate.closed is true; for an index to know
        nothing of."""
        return f"""CREATE FUNCTION {name}(id int) RETURNS boolean LANGUAGE sql VOLATILE AS
            $$ SELECT CASE WHEN id = {at} AND (SELECT closed FROM public.gate) THEN pg_sleep(60) IS NOT NULL ELSE true END $$"""

    @staticmethod
    def dawdle(table, condition, seconds):
        """A trigger that sleeps before each row where the condition holds is updated."""
        return f"""CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep({seconds}); RETURN NEW; END $$;
            CREATE TRIGGER dawdle BEFORE UPDATE ON {table} FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION dawdle()"""

    @staticmethod
    def differ(one, other):
        """NULL or not."""
        return f"{one} IS DISTINCT FROM {other}"

    @staticmethod
    def first_of(keys):
        """The first element of the control tables' keys, a whole number."""
        return f"({keys}::jsonb ->> 0)::bigint"

    @staticmethod
    def array(value):
        """A list of the texts of backfill.kept, one column behind the other."""
        return value

    @staticmethod
    def kept_array(column):
        """One column's texts, as backfill.kept has them."""
        return column

    @staticmethod
    def slept(seconds):
        """True after a sleep, once a statement."""
        return f"(SELECT true FROM pg_sleep({seconds}))"

    @staticmethod
    def sleeping(seconds):
        """A query that takes as long as another one says."""
        return f"SELECT pg_sleep(({seconds}))"

    @staticmethod
    def waits_at_most(seconds):
        """For a session's locks."""
        return f"SET statement_timeout = '{seconds}s'"

    lock_table, unlock_table = "BEGIN; LOCK TABLE {}", "ROLLBACK"

    reading_for_update_skips_new_rows = True  # those that are not committed yet, rather than to wait for them

    # --- a transaction that is prepared: it begins as that, and belongs to no session once that is closed ---

    @staticmethod
    def begin_to_prepare(gid):
        return "SELECT 1"

    @staticmethod
    def prepare(gid):
        return f"PREPARE TRANSACTION '{gid}'"

    @staticmethod
    def commit_prepared(gid):
        return f"COMMIT PREPARED '{gid}'"

    # --- tables ---

    @staticmethod
    def drop_primary_key(table):
        return f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey"

    @staticmethod
    def replace_index(table, name, columns):
        """By a unique one of that name on these columns."""
        return f"DROP INDEX IF EXISTS {name}; CREATE UNIQUE INDEX {name} ON {table} ({columns})"

    @staticmethod
    def spoil_index(table, name, columns):
        """So that who goes by it reads all of the table: any index that fits will do for this server."""
        return f"DROP INDEX {name}"

    @staticmethod
    def ranges(table, column, partitions):
        """The end of CREATE TABLE. {name: (first, behind the last)}, ascending; None for the rest."""
        parts = [f"CREATE TABLE {name} PARTITION OF {table} " + ("FOR VALUES FROM (%d) TO (%d)" % bounds if bounds else "DEFAULT")
                 for name, bounds in partitions.items()]
        return "; ".join([f"PARTITION BY RANGE ({column})", *parts])

    @staticmethod
    def add_range(table, name, first, behind):
        return f"CREATE TABLE {name} PARTITION OF {table} FOR VALUES FROM ({first}) TO ({behind})"

    @staticmethod
    def drop_partition(table, name):
        return f"DROP TABLE {name}"


class MySQLDialect:
    name = "mysql"  # of both its servers
    silent_steps = ("constraints", "by_place")
    captures = ("update", "insert-skip", "insert-update")
    row_checks = ("insert-error", "insert-skip", "insert-update")

    @staticmethod
    def quote(name):
        return f"`{name}`"

    @staticmethod
    def series(first, last):
        return (f"(WITH RECURSIVE numbers AS (SELECT CAST({first} AS signed) AS i UNION ALL SELECT i + 1 FROM numbers WHERE i < {last})"
                f" SELECT i FROM numbers WHERE i <= {last}) i")

    @staticmethod
    def after(event, table, condition, statement):
        name = f"after_{event}_{table.replace('.', '_')}".lower()
        return f"CREATE TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW IF @quiet IS NULL AND ({condition}) THEN {statement}; END IF"

    refused_password = "Access denied for user 'guarded'"
    granted_control_tables = "backfill.*"
    refused_privilege = "command denied to user 'backfill'"

    leads_to_primary = "read_only"  # what a replica has

    quiet = "SET @quiet = 1"

    @staticmethod
    def agree(table):
        return f"CREATE TRIGGER agree BEFORE UPDATE ON {table} FOR EACH ROW SET @agreed = OLD.id"

    errors = {"disk full": (1114, "HY000"), "data": (1644, "22000")}

    @staticmethod
    def failing(table, error, at):
        number, sqlstate = MySQLDialect.errors[error]
        return f"""CREATE TABLE tries (i int AUTO_INCREMENT PRIMARY KEY);
            CREATE TRIGGER fail BEFORE UPDATE ON {table} FOR EACH ROW IF new.id = {at} THEN
                INSERT INTO tries VALUES (); SIGNAL SQLSTATE '{sqlstate}' SET MYSQL_ERRNO = {number}, MESSAGE_TEXT = 'made to fail'; END IF"""

    tries = "INSERT INTO tries VALUES (); SELECT LAST_INSERT_ID() - 1"

    @staticmethod
    def drop_failing(table):
        return "DROP TRIGGER fail"

    batch = b"START TRANSACTION READ WRITE"
    batch_commits = commits = b"COMMIT AND NO CHAIN"
    ahead = b"START TRANSACTION READ ONLY"
    state = b"SET reason = ?, epoch = epoch + 1"
    logged_in = b"SET SESSION autocommit = 1, completion_type"
    checkpoint_ends = range(60, 200)
    awaits_half_a_statement = False

    rows_scanned_meanwhile = 15000  # of information_schema; one scan of the table that is walked more is too many

    @staticmethod
    def binary_text(length):
        return f"varchar({length}) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"

    built_anew_is_another = True
    @staticmethod
    def is_of_the_past(table):
        return f"SELECT create_time < now() - INTERVAL 1 SECOND FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = '{table}'"

    does_not_exist, no_such_column, denied = "doesn't exist", "Unknown column", "command denied"

    @staticmethod
    def swap(table, other, former):
        return f"RENAME TABLE {table} TO {former}, {other} TO {table}; GRANT SELECT, UPDATE ON {table} TO backfill"

    @staticmethod
    def rebuild(table):
        return f"ALTER TABLE {table} FORCE"

    @staticmethod
    def change_type(table, column, kind):
        return f"ALTER TABLE {table} MODIFY {column} {kind} NOT NULL"

    harmless = "ALTER TABLE t COMMENT 'x'"

    letters = "ä€"

    @staticmethod
    def refusing(table, before, times):
        """Beyond 128 characters of it nothing is told."""
        return f"""CREATE TRIGGER refuse BEFORE UPDATE ON {table} FOR EACH ROW
            SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{(before + MySQLDialect.letters * times)[:128]}'"""

    two_rows_with_one_key = "Duplicate entry 'x449'"

    @staticmethod
    def slow_at(name, at):
        return f"""CREATE FUNCTION {name}(id int) RETURNS boolean READS SQL DATA
            RETURN IF(id = {at} AND (SELECT closed FROM public.gate), sleep(60) = 0, true);
            GRANT EXECUTE ON FUNCTION {name} TO backfill"""

    @staticmethod
    def dawdle(table, condition, seconds):
        """The worker's own: while a session is in a trigger, it is shown as the definer's, and not as ours to end."""
        return f"CREATE DEFINER = backfill TRIGGER dawdle BEFORE UPDATE ON {table} FOR EACH ROW IF {condition} THEN DO sleep({seconds}); END IF"

    @staticmethod
    def differ(one, other):
        return f"NOT ({one} <=> {other})"

    @staticmethod
    def first_of(keys):
        return f"CAST(json_value({keys}, '$[0]') AS signed)"

    @staticmethod
    def array(value):
        return None if value is None else [text for column in zip(*json.loads(value)) for text in column]

    @staticmethod
    def kept_array(column):
        return json.dumps([[text] for text in column])

    @staticmethod
    def slept(seconds):
        return f"(SELECT s = 0 FROM (SELECT sleep({seconds}) AS s LIMIT 1) d)"

    @staticmethod
    def sleeping(seconds):
        """A query that takes as long as another one says."""
        return f"SELECT SLEEP(({seconds}))"

    @staticmethod
    def waits_at_most(seconds):
        return f"SET innodb_lock_wait_timeout = {seconds}"

    lock_table, unlock_table = "LOCK TABLES {} WRITE", "UNLOCK TABLES"

    reading_for_update_skips_new_rows = False

    @staticmethod
    def begin_to_prepare(gid):
        return f"XA START '{gid}'"

    @staticmethod
    def prepare(gid):
        return f"XA END '{gid}'; XA PREPARE '{gid}'"

    @staticmethod
    def commit_prepared(gid):
        return f"XA COMMIT '{gid}'"

    @staticmethod
    def drop_primary_key(table):
        return f"ALTER TABLE {table} DROP PRIMARY KEY"

    @staticmethod
    def replace_index(table, name, columns):
        return f"ALTER TABLE {table} DROP INDEX {name}, ADD UNIQUE INDEX {name} ({columns})"

    @staticmethod
    def spoil_index(table, name, columns):
        """Statements name it: it has to be there."""
        return MySQLDialect.replace_index(table, name, columns)

    @staticmethod
    def ranges(table, column, partitions):
        parts = [f"PARTITION {name} VALUES LESS THAN " + (f"({bounds[1]})" if bounds else "MAXVALUE") for name, bounds in partitions.items()]
        return f"PARTITION BY RANGE ({column}) ({', '.join(parts)})"

    @staticmethod
    def add_range(table, name, first, behind):
        return f"ALTER TABLE {table} ADD PARTITION (PARTITION {name} VALUES LESS THAN ({behind}))"

    @staticmethod
    def drop_partition(table, name):
        return f"ALTER TABLE {table} DROP PARTITION {name}"
