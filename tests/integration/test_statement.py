"""kind = statement: one statement with {range}. Where no parser can prove what that bounds, it is refused."""

import pytest

from jobs import Job

ROWS = 450


@pytest.fixture
def tables(pg, db):
    pg.sql(db, f"""
        CREATE TABLE t (id int PRIMARY KEY, customer int NOT NULL, n int NOT NULL DEFAULT 0, region text);
        INSERT INTO t SELECT i, i % 5 FROM generate_series(1, {ROWS}) i;
        CREATE TABLE customers (id int PRIMARY KEY, region text); INSERT INTO customers SELECT i, 'r' || i FROM generate_series(0, 4) i;
        CREATE TABLE copy (id int, n int);
        ANALYZE t;
        GRANT SELECT, INSERT, UPDATE, DELETE ON t, customers, copy TO backfill""")


def statement(sql, **keys):
    return Job(table="public.t", kind="statement", statement=sql, rollback={"keep_old_values": False}, **keys)


def test_update_from(pg, db, daemon, tables):
    shown = daemon.run_job(statement("UPDATE t SET region = c.region, n = n + 1 FROM customers c"
                                     " WHERE c.id = t.customer AND {range t}"))
    assert pg.sql(db, "SELECT count(*)::int FROM t WHERE n = 1 AND region = 'r' || customer") == [(ROWS,)]
    assert shown["rows"]["scanned"] == ROWS and shown["rows"]["changed"] == ROWS


def test_alias(pg, db, daemon, tables):
    daemon.run_job(statement('UPDATE public.t AS "Big" SET n = n + 1 WHERE {range "Big"} AND customer < 4'))
    assert dict(pg.sql(db, "SELECT n, count(*)::int FROM t GROUP BY n")) == {0: ROWS // 5, 1: ROWS - ROWS // 5}


def test_range_without_alias(pg, db, daemon, tables):
    daemon.run_job(statement("UPDATE t SET n = n + 1 WHERE {range}"))
    assert pg.sql(db, "SELECT n, count(*)::int FROM t GROUP BY n") == [(1, ROWS)]


def test_insert_select(pg, db, daemon, tables):
    shown = daemon.run_job(statement("INSERT INTO copy (id, n) SELECT x.id, x.customer FROM t x"
                                     " JOIN customers c ON c.id = x.customer WHERE {range x}"))
    assert pg.sql(db, "SELECT count(*)::int, count(DISTINCT id)::int FROM copy") == [(ROWS, ROWS)]
    assert shown["rows"]["changed"] == ROWS


def test_delete_needs_consent(pg, db, daemon, tables):
    sql = "DELETE FROM t WHERE {range} AND customer = 0"
    error = daemon.ctl_error("submit", statement(sql).write(daemon.directory), check=65)
    assert "allow_delete" in error["message"] + error["hint"]
    daemon.run_job(statement(sql, allow_delete=True))
    assert pg.value(db, "SELECT count(*)::int FROM t") == ROWS - ROWS // 5


def test_delete_of_every_row(pg, db, daemon, tables):
    shown = daemon.run_job(statement("DELETE FROM t WHERE {range}", allow_delete=True))
    assert pg.value(db, "SELECT count(*)::int FROM t") == 0
    assert shown["rows"]["changed"] == ROWS


def test_range_in_a_literal_is_not_the_range(pg, db, daemon, tables):
    daemon.run_job(statement("UPDATE t SET region = '{range}', n = n + 1 WHERE {range}"))
    assert pg.value(db, "SELECT count(*)::int FROM t WHERE region = '{range}' AND n = 1") == ROWS


@pytest.mark.parametrize("sql", [
    "UPDATE t SET n = n + 1 WHERE customer = 0",
    "UPDATE t SET n = n + 1 WHERE {range} OR customer = 0",
    "UPDATE t SET n = n + 1 WHERE {range} AND {range}",
    "UPDATE t SET n = n + 1 WHERE NOT {range}",
    "UPDATE t SET n = n + 1 WHERE id IN (SELECT id FROM t WHERE {range})",
    "UPDATE t SET n = n + 1 WHERE {range} RETURNING pg_sleep(1)",
    "UPDATE t SET n = n + 1 WHERE {range}; DELETE FROM t",
    "WITH x AS (DELETE FROM t RETURNING *) UPDATE t SET n = 1 WHERE {range}",
    "INSERT INTO copy SELECT customer, count(*) FROM t WHERE {range} GROUP BY customer",
    "INSERT INTO copy SELECT id, n FROM t WHERE {range} LIMIT 10",
    "INSERT INTO t SELECT id + 1000, 1 FROM t WHERE {range}",
    "UPDATE customers c SET region = 'x' WHERE {range c}",
    "TRUNCATE t",
    "UPDATE t SET id = id + 1 WHERE {range}",
])
def test_statements_that_would_not_be_exact_are_refused(pg, db, daemon, tables, sql):
    error = daemon.ctl_error("submit", statement(sql).write(daemon.directory), check=65)
    assert error["message"]
    assert daemon.ctl_json("list") == []


@pytest.mark.engine("mariadb", "mysql")
@pytest.mark.parametrize("sql, keys", [
    ("UPDATE public.t SET n = n + 1 WHERE {range}", {}),
    ("INSERT INTO public.copy SELECT id FROM public.t WHERE {range}", {}),
    ("DELETE FROM public.t WHERE {range}", {"allow_delete": True}),
])
def test_without_a_parser_a_statement_is_refused(server, db, daemon, sql, keys):
    server.sql(db, "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0); CREATE TABLE copy (id int); INSERT INTO t (id) VALUES (1)")
    server.grant_on_all_tables(db, "ALL")
    error = daemon.ctl_error("submit", statement(sql, **keys).write(daemon.directory), "--start", check=65)
    assert "not on MySQL and MariaDB" in error["message"] and '"update" or "insert"' in error["hint"], error
    assert daemon.ctl_json("list") == []
    assert list(server.sql(db, "SELECT n, (SELECT count(*) FROM copy) FROM t")) == [(0, 0)]
