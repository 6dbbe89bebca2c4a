"""What a batch runs under, whatever the role's own settings are, and that nothing of it is left in the session."""

import json

import pymysql
import pytest

from jobs import Job, increment
from server import execute
from waiting import wait_for
from writers import assert_exactly_once, create_counted_table

ODD = {"DateStyle": "'German, DMY'", "IntervalStyle": "sql_standard", "TimeZone": "'Asia/Kathmandu'", "extra_float_digits": "-3",
       "bytea_output": "escape", "standard_conforming_strings": "off", "backslash_quote": "on", "search_path": "nowhere, pg_temp",
       "row_security": "on", "default_transaction_isolation": "'repeatable read'", "statement_timeout": "0", "lock_timeout": "'1h'",
       "idle_in_transaction_session_timeout": "0", "synchronous_commit": "on", "jit": "on"}

PINNED = {"DateStyle": "ISO, YMD", "IntervalStyle": "postgres", "TimeZone": "UTC", "extra_float_digits": "1", "bytea_output": "hex",
          "lc_monetary": "C", "standard_conforming_strings": "on", "search_path": 'pg_catalog, "public"', "row_security": "off",
          "transaction_isolation": "read committed", "transaction_read_only": "off", "statement_timeout": "5s",
          "lock_timeout": "250ms", "idle_in_transaction_session_timeout": "2s", "synchronous_commit": "off", "jit": "off"}


@pytest.fixture
def odd_role(pg, db):
    for name, value in ODD.items():
        pg.sql(db, f"ALTER ROLE backfill IN DATABASE {db} SET {name} = {value}")


def settings_of_a_batch(pg, db, daemon, **keys):
    """The job writes down itself what it runs under."""
    pg.sql(db, "CREATE TABLE seen (name text PRIMARY KEY, value text); GRANT SELECT, UPDATE ON seen TO backfill")
    for name in PINNED:
        pg.sql(db, "INSERT INTO seen VALUES (%s)", (name,))
    daemon.run_job(Job(table="public.seen", kind="update", set={"value": "current_setting(name)"}, **keys))
    return dict(pg.sql(db, "SELECT name, value FROM seen"))


def test_every_setting_that_matters_is_pinned(pg, db, odd_role, daemon):
    assert settings_of_a_batch(pg, db, daemon) == PINNED


def test_a_long_batch_waits_for_locks_below_deadlock_timeout(pg, db, odd_role, daemon):
    """Which error comes first must not be chance; and it waits for disk if that is asked for."""
    pg.sql(db, f"ALTER ROLE backfill IN DATABASE {db} SET synchronous_commit = off")
    pg.terminate_backends_of(db)
    daemon.wait_up()
    seen = settings_of_a_batch(pg, db, daemon, durability="batch", batch={"time": "5s"})
    assert seen == {**PINNED, "statement_timeout": "100s", "lock_timeout": "900ms", "synchronous_commit": "on"}


def test_prepared_statements_that_a_trigger_drops_cost_one_try(pg, db, daemon):
    """What every batch says is prepared in the job's session. Of a job file nobody knows what triggers do there."""
    create_counted_table(pg, db, 1000)
    pg.sql(db, """CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DEALLOCATE ALL; RETURN NULL; END $$;
        CREATE TRIGGER forget AFTER UPDATE ON t FOR EACH STATEMENT EXECUTE FUNCTION forget()""")
    job = increment(allow_triggers=True)
    daemon.run_job(job)
    assert_exactly_once(pg, db, 1000)
    assert daemon.show(job)["batches"]["retried"] == 1


COLUMNS = {"d": "date", "at": "timestamptz", "span": "interval", "raw": "bytea", "amount": "numeric"}


def test_keys_and_kept_values_have_one_text(pg, db, odd_role, daemon):
    """What one connection wrote under the role's settings another one reads, when they have changed."""
    pg.sql(db, f"""CREATE TABLE t ({", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())}, n int NOT NULL DEFAULT 0, f float8,
            PRIMARY KEY ({", ".join(COLUMNS)}));
        INSERT INTO t SELECT date '2026-01-01' + i, timestamptz '2026-02-03 04:05:06.789+00' + i * interval '1 day',
            interval '1 mon -3 days 04:05:06.7' * i, decode(lpad(to_hex(i * 97), 8, '0'), 'hex'), i / 7.0 FROM generate_series(1, 300) i;
        GRANT SELECT, UPDATE ON t TO backfill""")
    job = Job(table="public.t", kind="update", set={"n": "n + 1", "f": "0.1::float8 + 0.2::float8"}, batch={"delay": "1h"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 1)
    with pg.connect(db) as connection:
        connection.cursor().execute("SET DateStyle = 'ISO, YMD'; SET TimeZone = 'UTC'; SET IntervalStyle = postgres")
        cursor = connection.cursor()
        cursor.execute(f"SELECT {', '.join(f'{name}::text' for name in COLUMNS)} FROM t ORDER BY {', '.join(COLUMNS)}")
        texts = [list(row) for row in cursor.fetchall()]
    position, through = pg.sql(db, "SELECT position_key, through_key FROM backfill.segment")[0]
    assert (json.loads(position), json.loads(through)) == (texts[99], texts[299])
    keys, new = pg.sql(db, "SELECT keys, new_values FROM backfill.kept")[0]
    assert keys == [text for column in zip(*texts[:100]) for text in column]
    assert set(new) == {"1", "0.30000000000000004"}

    daemon.kill9()
    pg.sql(db, f"ALTER ROLE backfill IN DATABASE {db} RESET ALL")
    daemon.start()
    daemon.ctl("set", job.id, "batch.delay=0ms", check=0)
    daemon.wait_done(job)
    assert pg.sql(db, "SELECT n, count(*)::int FROM t GROUP BY n") == [(1, 300)]


def test_batches_need_no_disk_but_claims_and_states_do(pg, db, odd_role, daemon):
    """The server's own words: each change of a control row, and under which synchronous_commit it came."""
    pg.sql(db, f"ALTER ROLE backfill IN DATABASE {db} SET synchronous_commit = off")
    pg.sql(db, """CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT generate_series(1, 1000);
        GRANT SELECT, UPDATE ON t TO backfill;
        CREATE TABLE public.durability (what text, setting text); GRANT INSERT ON public.durability TO backfill;
        CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_TABLE_NAME = 'job' THEN
                IF new.state <> old.state THEN INSERT INTO public.durability VALUES (new.state, current_setting('synchronous_commit')); END IF;
                IF new.epoch > old.epoch AND new.state = 'running' THEN
                    INSERT INTO public.durability VALUES ('claim', current_setting('synchronous_commit')); END IF;
            ELSIF new.batch_id > old.batch_id THEN INSERT INTO public.durability VALUES ('batch', current_setting('synchronous_commit'));
            END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER note AFTER UPDATE ON backfill.job FOR EACH ROW EXECUTE FUNCTION public.note();
        CREATE TRIGGER note AFTER UPDATE ON backfill.segment FOR EACH ROW EXECUTE FUNCTION public.note()""")
    job = Job(table="public.t", kind="update", set={"n": "n + 1"}, batch={"delay": "50ms"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 2)
    daemon.ctl("pause", job.id, check=0)
    daemon.ctl("resume", job.id, check=0)
    daemon.wait_done(job)
    wait_for(lambda: daemon.state(job) == "completed", 5, "the end")
    assert dict(pg.sql(db, "SELECT what, string_agg(DISTINCT setting, ' ') FROM public.durability GROUP BY what")) == {
        "running": "on", "paused": "on", "completed": "on", "claim": "on", "batch": "off"}


@pytest.mark.engine("mariadb", "mysql")
def test_every_batch_is_read_committed(server, db, daemon):
    """A claim says so for the session, and what is connected again begins with one. The servers' own level is REPEATABLE READ."""
    level = "@@tx_isolation" if server.engine == "mariadb" else "@@transaction_isolation"
    create_counted_table(server, db, 1000)
    server.sql(db, f"CREATE TRIGGER see BEFORE UPDATE ON public.t FOR EACH ROW SET new.note = {level}")
    job = increment(allow_triggers=True, batch={"rows": 100, "max_rows": 100, "delay": "100ms"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 2)
    server.terminate_backends_of(db)
    daemon.wait_done(job)
    assert_exactly_once(server, db, 1000)
    assert server.sql(db, "SELECT note, count(*) FROM public.t GROUP BY note") == [("READ-COMMITTED", 1000)]


# --- MySQL and MariaDB: the server's own defaults, and what it does to who logs in ---

HOSTILE = {"autocommit": 0, "completion_type": "CHAIN", "time_zone": "+05:45", "sql_select_limit": 2, "sql_safe_updates": 1, "sql_big_selects": 0,
           "max_join_size": 1, "sql_auto_is_null": 1, "group_concat_max_len": 4, "div_precision_increment": 9, "default_week_format": 5,
           "lc_time_names": "de_DE", "low_priority_updates": 1, "foreign_key_checks": 0, "unique_checks": 0,
           "innodb_lock_wait_timeout": 3600, "lock_wait_timeout": 86400, "transaction_isolation": "SERIALIZABLE", "character_set_client": "latin1",
           "character_set_results": "latin1", "collation_connection": "latin1_german2_ci",
           "sql_mode": "ANSI_QUOTES,PIPES_AS_CONCAT,HIGH_NOT_PRECEDENCE,IGNORE_SPACE,NO_BACKSLASH_ESCAPES,ONLY_FULL_GROUP_BY,NO_AUTO_VALUE_ON_ZERO",
           "init_connect": "SET SESSION autocommit = 0, sql_select_limit = 1, sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'"}
HOSTILE_MARIADB = {"max_error_count": 0, "max_statement_time": 2, "idle_transaction_timeout": 1, "tx_isolation": HOSTILE["transaction_isolation"]}
HOSTILE_MYSQL = {"max_execution_time": 1, "sql_require_primary_key": 1, "explain_format": "TREE"}

STRICT = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE,NO_ENGINE_SUBSTITUTION"
PINNED_MYSQL = {"autocommit": "ON", "time_zone": "+00:00", "sql_safe_updates": "OFF", "sql_big_selects": "ON", "sql_auto_is_null": "OFF",
                "sql_select_limit": "18446744073709551615", "group_concat_max_len": "1073741824", "div_precision_increment": "4",
                "default_week_format": "0", "lc_time_names": "en_US", "foreign_key_checks": "ON", "unique_checks": "ON",
                "innodb_lock_wait_timeout": "1", "lock_wait_timeout": "1", "character_set_client": "utf8mb4", "character_set_results": "utf8mb4",
                "collation_connection": "utf8mb4_general_ci"}


@pytest.fixture
def hostile(server, db):
    """What the server makes of every session that begins; the test's own have begun before."""
    server.sql(db, "SELECT 1")
    wanted = {**HOSTILE, **(HOSTILE_MARIADB if server.engine == "mariadb" else HOSTILE_MYSQL)}
    if server.engine == "mariadb":
        del wanted["transaction_isolation"]  # its name there since 11.1
    former = {name: server.value(server.system, f"SELECT @@global.{name}") for name in wanted}
    with server.connect(server.system) as own:  # it keeps the settings that it has
        for name, value in wanted.items():
            execute(own, f"SET GLOBAL {name} = %s", (value,))
        server.terminate_backends_of(db)
        yield
        for name, value in former.items():
            execute(own, f"SET GLOBAL {name} = %s", (value,))


def variables(server):
    return f"{'information' if server.engine == 'mariadb' else 'performance'}_schema.session_variables"


@pytest.mark.engine("mariadb", "mysql")
def test_every_setting_of_mysql_that_matters_is_pinned(server, db, hostile, daemon):
    server.sql(db, "CREATE TABLE seen (name varchar(64) PRIMARY KEY, value varchar(1000)) CHARACTER SET utf8mb4; GRANT SELECT, UPDATE ON seen TO backfill")
    names = [*PINNED_MYSQL, "sql_mode"]
    for name in names:
        server.sql(db, "INSERT INTO seen VALUES (%s, NULL)", (name,))
    daemon.run_job(Job(table="public.seen", kind="update", set={
        "value": f"(SELECT v.variable_value FROM {variables(server)} v WHERE v.variable_name = name)"}))
    seen = dict(server.sql(db, "SELECT name, value FROM seen"))
    mode = set(seen.pop("sql_mode").split(","))
    assert seen == PINNED_MYSQL
    assert mode == {*STRICT.split(","), *(["SIMULTANEOUS_ASSIGNMENT"] if server.engine == "mariadb" else [])}


@pytest.fixture
def counted(server, db):
    """On a replica of MySQL, CREATE INDEX meets the primary's global sql_require_primary_key, not that of the session that said it."""
    create_counted_table(server, db, 1000)


@pytest.mark.engine("mariadb", "mysql")
def test_a_hostile_server_s_job_is_exact(server, db, counted, hostile, daemon):
    """Signs of life, events and lists are single statements: they are committed, and whole."""
    jobs = [increment(allow_triggers=True, where=where, batch={"delay": "20ms"}) for where in ("id <= 600", "id > 600", "n < 0")]
    for job in jobs:
        daemon.submit(job, "--start")
    daemon.wait_batches(jobs[0], 1)
    daemon.kill9()
    daemon.start()
    for job in jobs:
        daemon.wait_done(job)
    assert_exactly_once(server, db, 1000)
    assert len(daemon.ctl_json("list")) == 3
    assert len(daemon.ctl_json("events")) > 6


@pytest.mark.engine("mariadb", "mysql")
def test_a_job_keeps_the_settings_it_was_submitted_with(server, db, daemon):
    server.sql(db, "CREATE TABLE seen (id int PRIMARY KEY, week int); INSERT INTO seen VALUES (1, NULL); GRANT SELECT, UPDATE ON seen TO backfill")
    job = Job(table="public.seen", kind="update", set={"week": "WEEK('2021-01-03')"})
    daemon.submit(job)
    recorded = json.loads(server.value(db, "SELECT shape FROM backfill.job"))["session"]
    assert "time_zone = '+00:00'" in recorded and "sql_mode" in recorded and "character_set_client = utf8mb4" in recorded
    server.sql(db, "UPDATE backfill.job SET shape = REPLACE(shape, 'default_week_format = 0', 'default_week_format = 3')")
    daemon.ctl("start", job.id)
    daemon.wait_done(job)
    assert server.value(db, "SELECT week FROM seen") == 53


@pytest.mark.engine("mariadb", "mysql")
def test_what_a_trigger_sets_holds_for_no_other_batch(server, db, daemon):
    """A job's settings stand in its session. The server tells when something else is set there."""
    server.sql(db, f"""CREATE TABLE t (id int PRIMARY KEY, week int NOT NULL DEFAULT -1);
        INSERT INTO t (id) SELECT i FROM {server.dialect.series(1, 1000)}; GRANT SELECT, UPDATE ON t TO backfill;
        CREATE TRIGGER precise AFTER UPDATE ON t FOR EACH ROW SET SESSION default_week_format = 3""")
    daemon.run_job(Job(table="public.t", kind="update", set={"week": "WEEK('2021-01-03')"}, allow_triggers=True, batch={"rows": 100}))
    assert server.value(db, "SELECT count(DISTINCT batch) FROM (SELECT (id - 1) DIV 100 AS batch FROM t WHERE week = 1) AS good") == 10


def commit_changes_the_session(server, db):
    """MariaDB 11.8 says so, but not what, if a variable of InnoDB is tracked: who believes it sets everything again."""
    session_track, state_changed = 1 << 23, 1 << 14
    with pymysql.connect(unix_socket=server.primary.socket, user="root", database=db, client_flag=session_track) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION session_track_system_variables = 'innodb_lock_wait_timeout'")
            cursor.execute("CREATE TABLE told (id int)")
            cursor.execute("INSERT INTO told VALUES (1)")
            cursor.execute("COMMIT")
            return bool(connection._result.server_status & state_changed)


@pytest.mark.engine("mariadb")
def test_what_stands_in_a_session_is_not_said_again(server, db, daemon):
    create_counted_table(server, db, 3000)
    job = increment(allow_triggers=True, batch={"rows": 100, "delay": "10ms"})
    daemon.submit(job)
    server.sql(db, "SET GLOBAL log_output = 'TABLE', GLOBAL general_log = ON; TRUNCATE TABLE mysql.general_log")
    try:
        daemon.ctl("start", job.id)
        daemon.wait_done(job)
    finally:
        server.sql(db, "SET GLOBAL general_log = OFF, GLOBAL log_output = DEFAULT")
    batches = "FROM mysql.general_log WHERE thread_id = (SELECT MAX(thread_id) FROM mysql.general_log WHERE argument LIKE 'UPDATE backfill.segment%position_key%')"
    assert server.value(db, f"SELECT count(*) {batches} AND command_type = 'Execute' AND argument LIKE 'UPDATE backfill.segment%position_key%'") == 30
    said = server.value(db, f"SELECT count(*) {batches} AND argument LIKE 'SET SESSION sql_mode = CONCAT(%'")
    assert said >= 30 if commit_changes_the_session(server, db) else said < 6
