"""What preflight refuses: exit code 65, nothing stored, and a message with what to do."""

import pytest

from jobs import Job, increment

# SERIES and AGREE are the dialect's: of the numbers 1 … 500, and a trigger of that name on t.
BASE = """CREATE TABLE t (id bigint PRIMARY KEY, n int, m int NOT NULL DEFAULT 0, note varchar(40));
    INSERT INTO t (id, n) SELECT i, 0 FROM SERIES; GRANT SELECT, UPDATE, INSERT, DELETE ON t TO backfill;"""
COPY = BASE + """CREATE TABLE copy (id bigint PRIMARY KEY, n int, code int NOT NULL UNIQUE); GRANT SELECT, INSERT, UPDATE ON copy TO backfill;"""
INSERT = {"kind": "insert", "set": None, "into": "public.copy", "columns": {"id": "id", "n": "n", "code": "m"}}
TRIGGER = {"allow_triggers": True}
MYSQL, BOTH = ("mariadb", "mysql"), ("postgresql", "mariadb", "mysql")


def own_key(definition, **more):
    """A table whose primary key, a, is of that type."""
    return (f"CREATE TABLE t (a {definition}, n int, PRIMARY KEY (a)); GRANT ALL ON t TO backfill", more)


# engines: name: (statements, job's keys, words of the message, words of the hint)
REFUSED = {
    BOTH: {
        "view": (BASE + "CREATE VIEW v AS SELECT * FROM t; GRANT ALL ON v TO backfill", {"table": "public.v"}, "view", "table"),
        "no_key": ("CREATE TABLE t (id int, n int); GRANT ALL ON t TO backfill", {}, "no primary key", "add a primary key"),
        "nullable_unique_key": ("CREATE TABLE t (id int UNIQUE, n int); GRANT ALL ON t TO backfill", {"key": ["id"]}, "may be NULL",
                                "add a primary key"),
        "float_key": (*own_key("double precision"), "floating-point", "primary key"),
        "float_key_with_another": ("CREATE TABLE t (id double precision PRIMARY KEY, code int NOT NULL UNIQUE, n int); GRANT ALL ON t TO backfill",
                                   {}, "floating-point", 'key = ( "code" )'),
        "key_that_is_not_unique": (BASE, {"key": ["m"]}, "no unique index", 'key = ( "id" )'),
        "set_on_the_key": (BASE, {"set": {"id": "id + 1"}}, "id is a column of the key", "key"),
        "generated_column": (BASE + "ALTER TABLE t ADD g int GENERATED ALWAYS AS (m * 2) STORED", {"set": {"g": "1"}}, "the server computes it", ""),
        "missing_column": (BASE, {"set": {"nota": "'x'"}}, "no column nota", "note"),
        "missing_column_in_where": (BASE, {"where": "nn = 1"}, "nn", ""),
        "missing_table": (BASE, {"table": "public.tt"}, "public.tt does not exist", ""),
        "table_in_another_case": (BASE, {"table": "public.T"}, "does not exist", "public.t"),
        "no_update_privilege": (BASE + "REVOKE UPDATE ON t FROM backfill", {}, "no UPDATE privilege", "GRANT UPDATE"),
        "no_select_privilege": (BASE + "REVOKE SELECT ON t FROM backfill", {}, "SELECT", "GRANT SELECT"),
        "trigger": (BASE + "AGREE", {}, "agree", "allow_triggers"),
        "cascade": (BASE + "ALTER TABLE t ADD UNIQUE (m, id); CREATE TABLE c (m int, id bigint, FOREIGN KEY (m, id) REFERENCES t (m, id)"
                    " ON UPDATE CASCADE)", {"set": {"m": "1"}}, "foreign keys", "allow_cascades"),
        "subselect_that_leaves": (BASE, {"where": "true) OR EXISTS (SELECT 1"}, "where", ""),
        "union": (BASE, {"set": {"n": "1) UNION (SELECT 2"}}, "set.n", ""),
        "second_assignment": (BASE, {"set": {"n": "1, m = 2"}}, "set.n", ""),
        "group_by": (BASE, {"where": "true GROUP BY n"}, "where", ""),
        "aggregate": (BASE, {"set": {"n": "max(m)"}}, "", ""),
        "comment": (BASE, {"where": "true /* x */"}, "where", ""),
        "parameter": (BASE, {"where": "n = $1"}, "where", ""),
        "control_tables": (BASE, {"table": "backfill.job", "set": {"reason": "'x'"}}, "backfill", ""),
    },
    ("postgresql",): {
        "materialized_view": (BASE + "CREATE MATERIALIZED VIEW v AS SELECT * FROM t", {"table": "public.v"}, "materialized view", "table"),
        "partial_index": (BASE + "CREATE UNIQUE INDEX ON t (m) WHERE m > 0", {"key": ["m"]}, "partial", 'key = ( "id" )'),
        "identity_column": (BASE + "ALTER TABLE t ADD g int GENERATED ALWAYS AS IDENTITY", {"set": {"g": "1"}}, "IDENTITY", ""),
        "row_level_security": (BASE + "ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (n > 5)", {},
                               "row-level security", "BYPASSRLS"),
        "no_schema_privilege": ("CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY, n int); GRANT ALL ON s.t TO backfill",
                                {"table": "s.t"}, "USAGE", "GRANT USAGE"),
        "rule": (BASE + "CREATE RULE r AS ON UPDATE TO t DO ALSO NOTHING", {}, "rule", "drop"),
        "wrong_type": (BASE, {"set": {"n": "'abc'::text"}}, "n", ""),
        "catalogue": (BASE, {"table": "pg_catalog.pg_class", "set": {"relname": "'x'"}}, "pg_catalog", ""),
        "published_without_identity": ("CREATE TABLE t (id int NOT NULL, n int); CREATE UNIQUE INDEX u ON t (id);"
                                       "ALTER TABLE t REPLICA IDENTITY NOTHING; CREATE PUBLICATION pub FOR TABLE t;"
                                       "GRANT ALL ON t TO backfill", {"key": ["id"]}, "replica identity", "REPLICA IDENTITY"),
    },
    MYSQL: {
        "not_innodb": (BASE + "ALTER TABLE t ENGINE = MyISAM", {}, "engine of public.t is MyISAM", "ENGINE = InnoDB"),
        "control_table_not_innodb": (BASE + "ALTER TABLE backfill.event ENGINE = MyISAM", {}, "event (MyISAM)", "ENGINE = InnoDB"),
        "into_not_innodb": (COPY + "ALTER TABLE copy DROP INDEX code, ENGINE = MyISAM", INSERT, "engine of public.copy is MyISAM", "ENGINE = InnoDB"),
        "trigger_target_not_innodb": (BASE + "CREATE TABLE log (id bigint) ENGINE = MyISAM; CREATE TRIGGER logs AFTER UPDATE ON t FOR EACH ROW"
                                      " INSERT INTO log VALUES (new.id)", TRIGGER, "the trigger logs of public.t names the table log", "ENGINE = InnoDB"),
        "triggers_not_shown": (BASE + "REVOKE TRIGGER ON public.* FROM backfill", {}, "no TRIGGER privilege", "GRANT TRIGGER"),
        "no_process_privilege": (BASE + "REVOKE PROCESS ON *.* FROM backfill", {}, "PROCESS", ""),
        "no_privilege_at_all": ("CREATE DATABASE s; CREATE TABLE s.t (id int PRIMARY KEY, n int)", {"table": "s.t"}, "s.t does not exist", "GRANT"),
        "no_insert_privilege": (COPY + "ALTER TABLE copy DROP INDEX code; REVOKE INSERT ON copy FROM backfill", INSERT, "no INSERT privilege", "GRANT INSERT"),
        "virtual_column": (BASE + "ALTER TABLE t ADD g int GENERATED ALWAYS AS (m * 2) VIRTUAL", {"set": {"g": "1"}}, "the server computes it", ""),
        "system_table": (BASE, {"table": "performance_schema.threads", "set": {"name": "'x'"}}, "belongs to the server", ""),
        "another_unique_key_and_update": (COPY, {**INSERT, "on_conflict": "update"}, "another unique index, code", 'on_conflict = "error"'),
        "another_unique_key_and_skip": (COPY, {**INSERT, "on_conflict": "skip"}, "another unique index, code", 'on_conflict = "error"'),
        "single_float_key": (*own_key("float"), "floating-point", "primary key"),
        "set_key": (*own_key("set('a', 'b')"), "SET", "primary key"),
        "text_key": ("CREATE TABLE t (a text NOT NULL, n int, PRIMARY KEY (a(10))); GRANT ALL ON t TO backfill", {}, "TEXT", "primary key"),
        "prefix_key": ("CREATE TABLE t (a varchar(40), n int, PRIMARY KEY (a(10))); GRANT ALL ON t TO backfill", {}, "beginning only", "primary key"),
        "mixed_order": ("CREATE TABLE t (a int, b int, n int, PRIMARY KEY (a, b DESC)); GRANT ALL ON t TO backfill", {}, "mixes ASC and DESC", "primary key"),
        "semicolon": (BASE, {"where": "true; DELETE FROM t"}, "a `;`", ""),
        "brackets_that_leave": (BASE, {"where": "true) OR (true"}, "closes a bracket", ""),
        "code_in_a_comment": (BASE, {"where": "true /*!50000 OR true */"}, "comments are not allowed", ""),
        "comment_to_the_end_of_the_line": (BASE, {"where": "true # x"}, "comments are not allowed", ""),
        "user_variable": (BASE, {"set": {"n": "(@x := 1)"}}, "set.n", ""),
        "sleep": (BASE, {"where": "sleep(1) = 0"}, "waits, locks", ""),
        "sleep_in_a_subquery": (BASE, {"where": "n = (SELECT `SLEEP`(1))"}, "waits, locks", ""),
        "get_lock": (BASE, {"where": "get_lock('x', 1) = 1"}, "waits, locks", ""),
        "benchmark": (BASE, {"set": {"n": "benchmark(1000000, 1)"}}, "waits, locks", ""),
        "outfile": (BASE, {"set": {"n": "(SELECT 1 INTO OUTFILE '/tmp/x')"}}, "set.n", ""),
        "a_quote_that_a_backslash_escapes": (BASE, {"where": r"note = 'a\' OR true"}, "unterminated", ""),
        "two_bars": (BASE, {"where": "n = 1 || m = 0"}, "write OR", ""),
    },
    ("mysql",): {
        "invisible_index": (BASE + "ALTER TABLE t ADD u int NOT NULL AUTO_INCREMENT, ADD UNIQUE u (u); ALTER TABLE t ALTER INDEX u INVISIBLE",
                            {"key": ["u"]}, "invisible", 'key = ( "id" )'),
        "index_on_an_expression": (BASE + "CREATE UNIQUE INDEX e ON t ((id + 1))", {"key": ["id", "m"]}, "no unique index", 'key = ( "id" )'),
    },
    ("mariadb",): {
        "ignored_index": (BASE + "ALTER TABLE t ADD u int NOT NULL AUTO_INCREMENT, ADD UNIQUE u (u); ALTER TABLE t ALTER INDEX u IGNORED",
                          {"key": ["u"]}, "ignored", 'key = ( "id" )'),
        "sequence": (BASE + "CREATE SEQUENCE s; GRANT ALL ON s TO backfill", {"table": "public.s"}, "a sequence", "table"),
        "system_versioned": (BASE + "ALTER TABLE t ADD SYSTEM VERSIONING", {}, "system-versioned", "table"),
    },
}


def each(cases):
    return [pytest.param(engines, name, id=name, marks=pytest.mark.engine(*engines)) for engines, some in cases.items() for name in some]


def prepare(server, db, statements):
    server.sql(db, statements.replace("SERIES", server.dialect.series(1, 500)).replace("AGREE", server.dialect.agree("t")))
    server.analyze(db)


@pytest.mark.parametrize("engines, name", each(REFUSED))
def test_refused(server, db, daemon, engines, name):
    statements, keys, message, hint = REFUSED[engines][name]
    prepare(server, db, statements)
    job = Job(**{"table": "public.t", "kind": "update", "set": {"n": "coalesce(n, 0) + 1"}, **keys})
    error = daemon.ctl_error("submit", job.write(daemon.directory), "--start", check=65)
    assert message in error["message"], error
    assert hint in error["hint"], error
    assert daemon.ctl_json("list") == []
    plain = daemon.submit(job, check=65)
    assert plain.stdout == "" and error["message"] in plain.stderr


ALLOWED = {
    BOTH: {
        "trigger": (BASE + "AGREE", TRIGGER, "agree"),
        "column_privilege": (BASE + "REVOKE ALL ON t FROM backfill; GRANT SELECT ON t TO backfill; GRANT UPDATE (n) ON t TO backfill", {}, ""),
    },
    ("postgresql",): {
        "trigger_of_another_column": (BASE + "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
                                      "CREATE TRIGGER touched BEFORE UPDATE OF note ON t FOR EACH ROW EXECUTE FUNCTION f()", {}, ""),
        "row_level_security_with_bypass": (BASE + "ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t OWNER TO backfill", {}, ""),
        "unlogged": (BASE + "ALTER TABLE t SET UNLOGGED", {}, "unlogged"),
    },
    MYSQL: {
        "triggers_not_shown": (BASE + "REVOKE TRIGGER ON public.* FROM backfill", TRIGGER, "no TRIGGER privilege"),
        "trigger_of_another_event": (BASE + "CREATE TRIGGER goes BEFORE DELETE ON t FOR EACH ROW SET @gone = old.id", {}, ""),
        "column_that_follows_each_update": (BASE + "ALTER TABLE t ADD at datetime NULL ON UPDATE current_timestamp", {}, "column at"),
        "batch_durability": (BASE, {"durability": "batch"}, "durability"),
    },
}


@pytest.mark.parametrize("engines, name", each(ALLOWED))
def test_allowed_and_warned(server, db, daemon, engines, name):
    statements, keys, warning = ALLOWED[engines][name]
    prepare(server, db, statements)
    job = Job(**{"table": "public.t", "kind": "update", "set": {"n": "n + 1"}, **keys})
    result = daemon.submit(job, "--start")
    assert warning in result.stderr
    daemon.wait_done(job)
    assert list(server.sql(db, "SELECT n, count(*) FROM t GROUP BY n")) == [(1, 500)]


def test_what_is_not_built_yet_is_refused_by_name(server, db, daemon):
    prepare(server, db, BASE)
    for keys, word in (({"errors": {"quarantine": True}}, "quarantine"), ({"canary": {"rows": 500}}, "canary"), ({"workers": 3}, "workers")):
        result = daemon.submit(increment(**keys), check=65)
        assert word in result.stderr


def test_standby_as_primary_is_held_or_refused(server, db, make_daemon):
    prepare(server, db, BASE)
    daemon = make_daemon()
    daemon.start().init()
    server.wait_replayed(db, "SELECT 1 FROM backfill.meta WHERE name = 'identity'")
    daemon.terminate()
    daemon.settings["targets"][0]["url"] = server.url(db, replica=True)
    daemon.start()
    result = daemon.submit(increment(), check=75)
    assert "replica" in result.stderr and server.dialect.leads_to_primary in result.stderr


@pytest.mark.engine(*MYSQL)
def test_statements_in_the_binary_log_are_refused(server, db, daemon):
    """READ COMMITTED can't be logged by them; of sessions that were there before, each keeps its own."""
    prepare(server, db, BASE)
    job = increment()
    server.sql(db, "SET GLOBAL binlog_format = STATEMENT")
    try:
        error = daemon.ctl_error("submit", job.write(daemon.directory), "--start", check=65)
        assert "binlog_format is STATEMENT" in error["message"] and "SET GLOBAL binlog_format = ROW" in error["hint"], error
        assert daemon.ctl_json("list") == []
        server.sql(db, "SET GLOBAL binlog_format = MIXED")  # logs rows, then
        daemon.run_job(job)
    finally:
        server.sql(db, "SET GLOBAL binlog_format = ROW")
    assert list(server.sql(db, "SELECT n, count(*) FROM t GROUP BY n")) == [(1, 500)]


@pytest.mark.engine(*MYSQL)
def test_what_quotes_mean_is_the_daemon_s_and_not_the_server_s(server, db, daemon):
    """Under the server's own mode the predicate would be true for each row, and the assignment would be a column."""
    prepare(server, db, BASE)
    default = server.value(db, "SELECT @@global.sql_mode")
    server.sql(db, "SET GLOBAL sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,HIGH_NOT_PRECEDENCE,IGNORE_SPACE'")
    try:
        server.terminate_backends_of(db)
        daemon.wait_up()
        daemon.run_job(Job(table="public.t", kind="update", set={"note": '"m"'}, where=r"id > 400 AND concat(m, '') <> 'a\' OR \'0'"))
    finally:
        server.sql(db, "SET GLOBAL sql_mode = %s", (default,))
    assert list(server.sql(db, "SELECT note, count(*), min(id) FROM t GROUP BY note ORDER BY 2")) == [("m", 100, 401), (None, 400, 1)]
