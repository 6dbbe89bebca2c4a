"""Partitioned tables: a segment for each leaf, every row once."""

import pytest

from jobs import increment

ROWS = 1200


def create(server, db, body):
    server.sql(db, body)
    server.grant_on_all_tables(db, "SELECT, UPDATE")


def run(server, db, daemon, **keys):
    shown = daemon.run_job(increment("public.p", **keys))
    assert server.sql(db, "SELECT n, count(*) FROM p GROUP BY n") == [(1, ROWS)]
    assert shown["rows"]["scanned"] == shown["rows"]["changed"] == ROWS
    return shown


@pytest.fixture
def ranges(server, db):
    partitions = {"nothing": (-100, 1), "p1": (1, 300), "p2": (300, 350), "p3": (350, 1000), "rest": None}
    create(server, db, f"""CREATE TABLE p (id int, n int NOT NULL DEFAULT 0, PRIMARY KEY (id)) {server.dialect.ranges("p", "id", partitions)};
        INSERT INTO p SELECT i, 0 FROM {server.dialect.series(1, ROWS)}""")


def test_range(server, db, daemon, ranges):
    segments = run(server, db, daemon)["segments"]
    assert sorted(segment["rows_scanned"] for segment in segments if segment["rows_scanned"]) == [50, 201, 299, 650]
    assert all(segment["done"] for segment in segments)


HASH = {
    "postgresql": """PARTITION BY HASH (id);
        CREATE TABLE h0 PARTITION OF p FOR VALUES WITH (MODULUS 3, REMAINDER 0);
        CREATE TABLE h1 PARTITION OF p FOR VALUES WITH (MODULUS 3, REMAINDER 1);
        CREATE TABLE h2 PARTITION OF p FOR VALUES WITH (MODULUS 3, REMAINDER 2)""",
    "mysql": "PARTITION BY HASH (id) PARTITIONS 3",
}


def test_hash(server, db, daemon):
    create(server, db, f"""CREATE TABLE p (id int, n int NOT NULL DEFAULT 0, PRIMARY KEY (id)) {HASH[server.dialect.name]};
        INSERT INTO p SELECT i, 0 FROM {server.dialect.series(1, ROWS)}""")
    run(server, db, daemon)


def test_list_with_subpartitions_and_another_column_order(pg, db, daemon):
    create(pg, db, f"""CREATE TABLE p (id int, kind text, n int NOT NULL DEFAULT 0, PRIMARY KEY (kind, id)) PARTITION BY LIST (kind);
        CREATE TABLE a (n int NOT NULL DEFAULT 0, id int NOT NULL, kind text NOT NULL);
        ALTER TABLE p ATTACH PARTITION a FOR VALUES IN ('a');
        CREATE TABLE b PARTITION OF p FOR VALUES IN ('b') PARTITION BY RANGE (id);
        CREATE TABLE b1 PARTITION OF b FOR VALUES FROM (0) TO (500);
        CREATE TABLE "B 2" PARTITION OF b FOR VALUES FROM (500) TO (5000);
        INSERT INTO p SELECT i, CASE i % 2 WHEN 0 THEN 'a' ELSE 'b' END, 0 FROM generate_series(1, {ROWS}) i""")
    run(pg, db, daemon)


@pytest.mark.engine("mariadb", "mysql")
def test_list_with_subpartitions(server, db, daemon):
    create(server, db, f"""CREATE TABLE p (id int, kind varchar(10), n int NOT NULL DEFAULT 0, PRIMARY KEY (kind, id))
        PARTITION BY LIST COLUMNS (kind) SUBPARTITION BY HASH (id) SUBPARTITIONS 2
        (PARTITION a VALUES IN ('a'), PARTITION `B 2` VALUES IN ('b'));
        INSERT INTO p SELECT i, CASE i % 2 WHEN 0 THEN 'a' ELSE 'b' END, 0 FROM {server.dialect.series(1, ROWS)}""")
    run(server, db, daemon)


def test_a_kill_in_the_middle_of_the_second_leaf(server, db, daemon, ranges):
    job = increment("public.p", batch={"delay": "30ms"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 4)
    daemon.kill9()
    daemon.start()
    daemon.wait_done(job)
    assert server.sql(db, "SELECT n, count(*) FROM p GROUP BY n") == [(1, ROWS)]


def test_one_leaf_alone(pg, db, daemon, ranges):
    daemon.run_job(increment("public.p3"))
    assert pg.sql(db, "SELECT n, count(*) FROM p3 GROUP BY n") == [(1, 650)]
    assert pg.sql(db, "SELECT n, count(*) FROM p1 GROUP BY n") == [(0, 299)]


def test_inheritance_children_are_left_alone(pg, db, daemon):
    create(pg, db, """CREATE TABLE p (id int PRIMARY KEY, n int NOT NULL DEFAULT 0); CREATE TABLE child () INHERITS (p);
        INSERT INTO p SELECT i, 0 FROM generate_series(1, 250) i; INSERT INTO child SELECT i, 0 FROM generate_series(1, 250) i;
        GRANT ALL ON p, child TO backfill""")
    result = daemon.submit(increment("public.p"), "--start")
    assert "child" in result.stderr
    job = daemon.ctl_json("list")[0]["id"]
    daemon.ctl("wait", job, "--timeout", "30s", check=0)
    assert pg.sql(db, "SELECT n, count(*) FROM ONLY p GROUP BY n") == [(1, 250)]
    assert pg.sql(db, "SELECT n, count(*) FROM child GROUP BY n") == [(0, 250)]
