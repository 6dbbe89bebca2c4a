"""What preflight refuses: exit code 65, nothing stored, and a message with what to do."""

import pytest

from jobs import Job, increment

BASE = """CREATE TABLE t (id bigint PRIMARY KEY, n int, m int NOT NULL DEFAULT 0, note text);
    INSERT INTO t SELECT i, 0 FROM generate_series(1, 500) i; ANALYZE t; GRANT SELECT, UPDATE, INSERT, DELETE ON t TO backfill;"""

# name: (statements, job's keys, words of the message, words of the hint)
REFUSED = {
    "view": (BASE + "CREATE VIEW v AS SELECT * FROM t; GRANT ALL ON v TO backfill", {"table": "public.v"}, "view", "table"),
    "materialized_view": (BASE + "CREATE MATERIALIZED VIEW v AS SELECT * FROM t", {"table": "public.v"}, "materialized view", "table"),
    "no_key": ("CREATE TABLE t (id int, n int); GRANT ALL ON t TO backfill", {}, "no primary key", "add a primary key"),
    "nullable_unique_key": ("CREATE TABLE t (id int UNIQUE, n int); GRANT ALL ON t TO backfill", {"key": ["id"]}, "may be NULL",
                            "add a primary key"),
    "float_key": ("CREATE TABLE t (id float8 PRIMARY KEY, n int); GRANT ALL ON t TO backfill", {}, "floating-point",
                  "primary key"),
    "float_key_with_another": ("CREATE TABLE t (id float8 PRIMARY KEY, code int NOT NULL UNIQUE, n int); GRANT ALL ON t TO backfill",
                               {}, "floating-point", 'key = ( "code" )'),
    "partial_index": (BASE + "CREATE UNIQUE INDEX ON t (m) WHERE m > 0", {"key": ["m"]}, "partial", 'key = ( "id" )'),
    "key_that_is_not_unique": (BASE, {"key": ["m"]}, "no unique index", 'key = ( "id" )'),
    "set_on_the_key": (BASE, {"set": {"id": "id + 1"}}, "id is a column of the key", "key"),
    "generated_column": (BASE + "ALTER TABLE t ADD g int GENERATED ALWAYS AS (m * 2) STORED", {"set": {"g": "1"}}, "the server computes it", ""),
    "identity_column": (BASE + "ALTER TABLE t ADD g int GENERATED ALWAYS AS IDENTITY", {"set": {"g": "1"}}, "IDENTITY", ""),
    "missing_column": (BASE, {"set": {"nota": "'x'"}}, "no column nota", "note"),
    "missing_column_in_where": (BASE, {"where": "nn = 1"}, "nn", ""),
    "missing_table": (BASE, {"table": "public.tt"}, "public.tt does not exist", ""),
    "table_in_another_case": (BASE, {"table": "public.T"}, "does not exist", "public.t"),
    "row_level_security": (BASE + "ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (n > 5)", {},
                           "row-level security", "BYPASSRLS"),
    "no_update_privilege": (BASE + "REVOKE UPDATE ON t FROM backfill", {}, "no UPDATE privilege", "GRANT UPDATE"),
    "no_select_privilege": (BASE + "REVOKE SELECT ON t FROM backfill", {}, "SELECT", "GRANT SELECT"),
    "no_schema_privilege": ("CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY, n int); GRANT ALL ON s.t TO backfill",
                            {"table": "s.t"}, "USAGE", "GRANT USAGE"),
    "trigger": (BASE + "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
                "CREATE TRIGGER touched BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()", {}, "touched", "allow_triggers"),
    "cascade": (BASE + "ALTER TABLE t ADD UNIQUE (m, id); CREATE TABLE c (m int, id bigint, FOREIGN KEY (m, id) REFERENCES t (m, id)"
                " ON UPDATE CASCADE)", {"set": {"m": "1"}}, "foreign keys", "allow_cascades"),
    "rule": (BASE + "CREATE RULE r AS ON UPDATE TO t DO ALSO NOTHING", {}, "rule", "drop"),
    "wrong_type": (BASE, {"set": {"n": "'abc'::text"}}, "n", ""),
    "subselect_that_leaves": (BASE, {"where": "true) OR EXISTS (SELECT 1"}, "where", ""),
    "union": (BASE, {"set": {"n": "1) UNION (SELECT 2"}}, "set.n", ""),
    "second_assignment": (BASE, {"set": {"n": "1, m = 2"}}, "set.n", ""),
    "group_by": (BASE, {"where": "true GROUP BY n"}, "where", ""),
    "aggregate": (BASE, {"set": {"n": "max(m)"}}, "", ""),
    "comment": (BASE, {"where": "true /* x */"}, "where", ""),
    "parameter": (BASE, {"where": "n = $1"}, "where", ""),
    "control_tables": (BASE, {"table": "backfill.job", "set": {"reason": "'x'"}}, "backfill", ""),
    "catalogue": (BASE, {"table": "pg_catalog.pg_class", "set": {"relname": "'x'"}}, "pg_catalog", ""),
    "published_without_identity": ("CREATE TABLE t (id int NOT NULL, n int); CREATE UNIQUE INDEX u ON t (id);"
                                   "ALTER TABLE t REPLICA IDENTITY NOTHING; CREATE PUBLICATION pub FOR TABLE t;"
                                   "GRANT ALL ON t TO backfill", {"key": ["id"]}, "replica identity", "REPLICA IDENTITY"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(pg, db, daemon, name):
    statements, keys, message, hint = REFUSED[name]
    pg.sql(db, statements)
    job = Job(**{"table": "public.t", "kind": "update", "set": {"n": "coalesce(n, 0) + 1"}, **keys})
    error = daemon.ctl_error("submit", job.write(daemon.directory), "--start", check=65)
    assert message in error["message"], error
    assert hint in error["hint"], error
    assert daemon.ctl_json("list") == []
    plain = daemon.submit(job, check=65)
    assert plain.stdout == "" and error["message"] in plain.stderr


ALLOWED = {
    "trigger": (BASE + "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
                "CREATE TRIGGER touched BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()", {"allow_triggers": True}, "touched"),
    "trigger_of_another_column": (BASE + "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
                                  "CREATE TRIGGER touched BEFORE UPDATE OF note ON t FOR EACH ROW EXECUTE FUNCTION f()", {}, ""),
    "column_privilege": (BASE + "REVOKE ALL ON t FROM backfill; GRANT SELECT ON t TO backfill; GRANT UPDATE (n) ON t TO backfill",
                         {}, ""),
    "row_level_security_with_bypass": (BASE + "ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t OWNER TO backfill", {}, ""),
    "unlogged": (BASE + "ALTER TABLE t SET UNLOGGED", {}, "unlogged"),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_allowed_and_warned(pg, db, daemon, name):
    statements, keys, warning = ALLOWED[name]
    pg.sql(db, statements)
    job = Job(table="public.t", kind="update", set={"n": "n + 1"}, **keys)
    result = daemon.submit(job, "--start")
    assert warning in result.stderr
    daemon.wait_done(job)
    assert pg.sql(db, "SELECT n, count(*)::int FROM t GROUP BY n") == [(1, 500)]


def test_what_is_not_built_yet_is_refused_by_name(pg, db, daemon):
    pg.sql(db, BASE)
    for keys, word in (({"errors": {"quarantine": True}}, "quarantine"), ({"canary": {"rows": 500}}, "canary"), ({"workers": 3}, "workers")):
        result = daemon.submit(increment(**keys), check=65)
        assert word in result.stderr


def test_standby_as_primary_is_held_or_refused(pg, db, make_daemon):
    pg.sql(db, BASE)
    daemon = make_daemon()
    daemon.start().init()
    pg.wait_replayed(db, "SELECT 1 WHERE to_regclass('backfill.meta') IS NOT NULL")
    daemon.terminate()
    daemon.settings["targets"][0]["url"] = pg.url(db, replica=True)
    daemon.start()
    result = daemon.submit(increment(), check=75)
    assert "replica" in result.stderr and "read-write" in result.stderr
