"""What sql/mysql/resolve.sql and describe.sql say of a server and its tables, and that the plans asked for can be asked for: on
real servers."""

import json
import os
import re

import pymysql
import pytest

pytestmark = pytest.mark.engine("mariadb", "mysql")
DB, OTHER = "catalogue", "catalogue_other"
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

TABLES = """
CREATE TABLE plain (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, v INT, `at` TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3));
CREATE TABLE Plain (id INT PRIMARY KEY);
CREATE TABLE texts (a VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, b BINARY(16), c DECIMAL(30, 10), d ENUM('z', 'y'), e BIT(9), f CHAR(3) CHARACTER SET latin1,
    v INT, w INT AS (v + 1) STORED, PRIMARY KEY (c, a, b), UNIQUE KEY begins (a(5), d), UNIQUE KEY `weird``"name` (d, e), KEY plain (f));
CREATE TABLE nokey (a INT, b JSON, c DOUBLE, g GEOMETRY);
CREATE TABLE backwards (a INT, b INT, PRIMARY KEY (a DESC, b));
CREATE TABLE parts (id INT PRIMARY KEY, v INT) PARTITION BY RANGE (id) (PARTITION low VALUES LESS THAN (100), PARTITION `Hi-gh` VALUES LESS THAN MAXVALUE);
CREATE TABLE hashed (id INT PRIMARY KEY, v INT) PARTITION BY RANGE (id) SUBPARTITION BY HASH (id) SUBPARTITIONS 2 (PARTITION p0 VALUES LESS THAN (100), PARTITION p1 VALUES LESS THAN MAXVALUE);
CREATE TABLE aria (id INT PRIMARY KEY) ENGINE = MyISAM;
CREATE VIEW a_view AS SELECT * FROM plain;
CREATE TABLE parent (id INT PRIMARY KEY, a INT, b INT, c INT, UNIQUE KEY (a, b), UNIQUE KEY (c));
CREATE TABLE kid (a INT, b INT, CONSTRAINT both_of FOREIGN KEY (a, b) REFERENCES parent (a, b) ON UPDATE CASCADE);
CREATE TABLE catalogue_other.kid (c INT, CONSTRAINT far FOREIGN KEY (c) REFERENCES catalogue.parent (c) ON DELETE SET NULL);
CREATE TABLE quiet (c INT, CONSTRAINT harmless FOREIGN KEY (c) REFERENCES parent (c) ON DELETE RESTRICT);
CREATE TRIGGER first BEFORE UPDATE ON parent FOR EACH ROW SET new.c = old.c;
CREATE TRIGGER second AFTER INSERT ON parent FOR EACH ROW INSERT INTO aria VALUES (new.id);
INSERT INTO parts WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT i, i FROM n;
INSERT INTO plain (id, v) SELECT id, v FROM parts;
ANALYZE TABLE parts; ANALYZE TABLE plain
"""


class Connection:
    """Runs texts of sql/mysql as the engine does: statement by statement, prepared where there are values."""

    def __init__(self, socket, user="root", database=DB):
        self.raw = pymysql.connect(unix_socket=socket, user=user, database=database, charset="utf8mb4", autocommit=True)
        self.mariadb = "MariaDB" in self.raw.get_server_info()

    def sql(self, statement, *values):
        with self.raw.cursor() as cursor:
            if not values:
                cursor.execute(statement)
                return cursor.fetchall()
            order = [int(n) - 1 for n in re.findall(r"\$(\d+)", statement)]
            cursor.execute("PREPARE s FROM %s", (re.sub(r"\$\d+", "?", statement),))
            for i, n in enumerate(order):
                cursor.execute(f"SET @p{i} = %s", (values[n],))
            cursor.execute("EXECUTE s USING " + ", ".join(f"@p{i}" for i in range(len(order))))
            return cursor.fetchall()

    def text(self, name, *values):
        rows = ()
        for statement in text_of(name).split(";"):
            rows = self.sql(statement, *(values if "$" in statement else ())) or rows
        return rows

    def json(self, name, *values):
        rows = self.text(name, *values)
        return json.loads(rows[0][0]) if rows else None


def text_of(name):
    with open(f"{ROOT}/sql/mysql/{name}.sql") as f:
        return "".join(line for line in f if not line.startswith("--"))


@pytest.fixture(scope="module")
def socket(server):
    return server.primary.socket


@pytest.fixture(scope="module")
def root(socket):
    made = Connection(socket, database=None)
    for name in (OTHER, DB):
        made.sql(f"DROP DATABASE IF EXISTS {name}")
        made.sql(f"CREATE DATABASE {name}")
    made.sql(f"USE {DB}")
    for statement in TABLES.strip().split(";"):
        made.sql(statement)
    yield made
    for name in (OTHER, DB):
        made.sql(f"DROP DATABASE {name}")


@pytest.fixture
def user(root, socket):
    """A function that makes a role with grants, and a session of it."""
    made = []

    def make(*grants):
        made.append(f"catalogue_{len(made)}")
        root.sql(f"CREATE USER {made[-1]}@localhost")
        for grant in grants:
            root.sql(f"GRANT {grant} TO {made[-1]}@localhost")
        return Connection(socket, made[-1], None)
    yield make
    for name in made:
        root.sql(f"DROP USER {name}@localhost")


def describe(connection, table, schema=DB):
    return connection.json("describe", schema, table)


def columns(document, *members):
    return {c["name"]: tuple(c[m] for m in members) if len(members) > 1 else c[members[0]] for c in document["columns"]}


def indexes(document):
    return {i["name"]: [(c["name"], c["prefix"], c["descending"]) for c in i["columns"]] for i in document["indexes"]}


def test_the_server(root):
    server = root.json("resolve", DB, "plain")
    assert server["mariadb"] is root.mariadb
    assert server["version_number"] >= (100600 if root.mariadb else 80000) and server["version_number"] % 100 == 0
    assert (server["schema"], server["database"], server["role"]) == (DB, DB, "'root'@'localhost'")
    assert (server["read_only"], server["session_read_only"], server["log_bin"], server["wsrep"]) == (False, False, True, False)
    assert server["binlog_format"] in ("ROW", "MIXED") and server["control_tables_elsewhere"] is None
    # Without a schema it is the session's database, and names keep their case.
    assert root.json("resolve", None, "plain")["schema"] == DB
    missing = root.json("resolve", None, "PLAIN")
    assert missing["schema"] is None and sorted(missing["similar"].split(", ")) == [DB + ".Plain", DB + ".plain"]
    assert root.json("resolve", "no_such_schema", "plain")["schema"] is None


def test_a_server_that_takes_no_writes(root):
    root.sql("SET GLOBAL read_only = 1")
    try:
        assert root.json("resolve", DB, "plain")["read_only"] is True
    finally:
        root.sql("SET GLOBAL read_only = 0")
    root.sql(f"SET SESSION {'tx_read_only' if root.mariadb else 'transaction_read_only'} = 1")
    try:
        assert root.json("resolve", DB, "plain")["session_read_only"] is True
    finally:
        root.sql(f"SET SESSION {'tx_read_only' if root.mariadb else 'transaction_read_only'} = 0")


def test_columns_of_every_kind(root):
    plain = describe(root, "plain")
    assert columns(plain, "auto_increment", "on_update", "not_null") == {
        "id": (True, False, True), "v": (False, False, False), "at": (False, True, True)}
    assert (plain["type"], plain["engine"], plain["kind"]) == ("BASE TABLE", "InnoDB", "r")
    texts = describe(root, "texts")
    assert columns(texts, "collation")["a"] == "utf8mb4_bin" and columns(texts, "collation")["b"] is None
    assert columns(texts, "type")["c"] == "decimal(30,10)" and columns(texts, "type")["d"] == "enum('z','y')"
    assert columns(texts, "data_type")["e"] == "bit"
    # A default that is computed is no generated column.
    assert [name for name, generated in columns(texts, "generated").items() if generated] == ["w"]
    assert not any(columns(plain, "generated").values())
    nokey = describe(root, "nokey")
    assert nokey["indexes"] == [] and columns(nokey, "data_type")["g"] in ("geometry",)


def test_unique_keys_in_the_order_of_their_columns(root):
    texts = describe(root, "texts")
    assert indexes(texts) == {"PRIMARY": [("c", None, False), ("a", None, False), ("b", None, False)],
                              "begins": [("a", 5, False), ("d", None, False)], 'weird`"name': [("d", None, False), ("e", None, False)]}
    assert texts["indexes"][0]["primary"] is True and texts["indexes"][1]["primary"] is False
    assert all(i["btree"] and not i["hidden"] and not i["expressions"] for i in texts["indexes"])
    assert indexes(describe(root, "backwards")) == {"PRIMARY": [("a", None, True), ("b", None, False)]}


def test_an_index_that_no_statement_is_led_to(root):
    root.sql("CREATE TABLE hidden (id INT PRIMARY KEY, u INT NOT NULL, UNIQUE KEY u (u) " + ("IGNORED" if root.mariadb else "INVISIBLE") + ")")
    assert [(i["name"], bool(i["hidden"])) for i in describe(root, "hidden")["indexes"]] == [("PRIMARY", False), ("u", True)]
    if not root.mariadb:
        root.sql("CREATE TABLE functional (id INT PRIMARY KEY, u INT NOT NULL, UNIQUE KEY f ((u + 1)))")
        assert [bool(i["expressions"]) for i in describe(root, "functional")["indexes"]] == [False, True]


def test_what_is_no_table_of_ours(root):
    assert describe(root, "a_view")["type"] == "VIEW" and describe(root, "a_view")["engine"] is None
    assert describe(root, "aria")["engine"] == "MyISAM"
    assert describe(root, "no_such_table") is None
    if root.mariadb:
        root.sql("CREATE TABLE versioned (id INT PRIMARY KEY) WITH SYSTEM VERSIONING")
        assert describe(root, "versioned")["type"] == "SYSTEM VERSIONED"


def test_a_leaf_for_each_partition(root):
    (leaf,) = describe(root, "plain")["leaves"]
    assert (leaf["schema"], leaf["name"], leaf["partition"]) == (DB, "plain", None)
    assert 800 <= leaf["estimated_rows"] <= 1000 and leaf["row_bytes"] >= 1
    parts = describe(root, "parts")
    assert parts["kind"] == "p" and [(p["name"], p["partition"]) for p in parts["leaves"]] == [("parts", "low"), ("parts", "Hi-gh")]
    other_case = describe(root, "Plain")["leaves"][0]
    oids = {p["oid"] for p in parts["leaves"] + [leaf, other_case]}
    assert len(oids) == 4 and min(oids) > 0
    assert parts["leaves"][0]["estimated_rows"] < parts["leaves"][1]["estimated_rows"] <= 1000
    hashed = describe(root, "hashed")["leaves"]
    assert len(hashed) == 4 and all(f"p{i // 2}sp" in p["partition"] for i, p in enumerate(hashed))
    # What is built anew has another number.
    root.sql("ALTER TABLE hashed REBUILD PARTITION p0")
    assert [a["oid"] == b["oid"] for a, b in zip(hashed, describe(root, "hashed")["leaves"])] == [False, False, True, True]


def test_triggers_and_what_they_could_reach(root):
    parent = describe(root, "parent")
    assert [(t["name"], t["insert"], t["update"], t["delete"], t["timing"]) for t in parent["triggers"]] == [
        ("first", False, True, False, "BEFORE"), ("second", True, False, False, "AFTER")]
    assert "aria" in parent["triggers"][1]["statement"] and parent["sees_triggers"] is True
    assert parent["not_transactional"] == [{"name": "aria", "engine": "MyISAM"}]
    assert describe(root, "plain")["triggers"] == [] and describe(root, "plain")["not_transactional"] == []


def test_foreign_keys_that_write_elsewhere(root, user):
    far = {"name": "far", "table": OTHER + ".kid", "update": False, "delete": True, "columns": ["c"]}
    near = {"name": "both_of", "table": DB + ".kid", "update": True, "delete": False, "columns": ["a", "b"]}
    assert sorted(describe(root, "parent")["cascades"], key=lambda f: f["name"]) == [near, far]
    # One who may read the table alone is told of them all the same.
    assert len(describe(user(f"SELECT ON {DB}.parent", "PROCESS ON *.*"), "parent")["cascades"]) == 2
    with pytest.raises(pymysql.Error, match="PROCESS"):
        describe(user(f"SELECT ON {DB}.parent"), "parent")


def test_privileges_by_column_table_pattern_and_role(root, user):
    may = "may_select", "may_update", "may_insert"
    by_column = user(f"SELECT (id), UPDATE (v) ON {DB}.plain", "PROCESS ON *.*")
    assert columns(describe(by_column, "plain"), *may) == {"id": (True, False, False), "v": (False, True, False)}
    by_table = user(f"SELECT, UPDATE ON {DB}.plain", "PROCESS ON *.*")
    assert columns(describe(by_table, "plain"), *may)["v"] == (True, True, False)
    by_pattern = user(f"SELECT, INSERT, TRIGGER ON `{DB[:-1]}_`.*", "PROCESS ON *.*")
    assert columns(describe(by_pattern, "plain"), *may)["v"] == (True, False, True)
    root.sql("CREATE ROLE catalogue_role")
    try:
        root.sql(f"GRANT SELECT, UPDATE, TRIGGER ON {DB}.* TO catalogue_role")
        by_role = user("catalogue_role", "PROCESS ON *.*")
        by_role.sql("SET ROLE catalogue_role")
        assert columns(describe(by_role, "plain"), *may)["v"] == (True, True, False)
        # Of a table with triggers those that are seen are proof enough; of another nothing tells what the role lets us see.
        assert describe(by_role, "parent")["sees_triggers"] is True and describe(by_role, "plain")["sees_triggers"] is False
    finally:
        root.sql("DROP ROLE catalogue_role")
    assert describe(by_pattern, "plain")["sees_triggers"] is True
    blind = describe(user(f"SELECT, UPDATE ON {DB}.parent", "PROCESS ON *.*"), "parent")
    # Some releases of MariaDB show that there are triggers, without what they do.
    assert [t["statement"] for t in blind["triggers"]] in ([], [None, None])
    assert blind["sees_triggers"] is bool(blind["triggers"])


def test_no_other_table_is_opened(root):
    for i in range(50):
        root.sql(f"CREATE TABLE {OTHER}.t{i} (id INT PRIMARY KEY, p INT)")
    root.sql("FLUSH TABLES")

    def opened():
        return int(root.sql("SHOW SESSION STATUS LIKE 'Opened_table_definitions'")[0][1])
    before = opened()
    root.json("resolve", OTHER, "t7")
    assert describe(root, "t7", OTHER)["name"] == "t7"
    assert opened() - before < 40  # MySQL opens those that its views are made of


def test_plans_can_be_asked_for(root):
    root.text("begin_plan")
    ask = [s for s in text_of("explain").split(";") if s.strip()]
    try:
        for statement in ("SELECT id FROM plain FORCE INDEX (PRIMARY) WHERE id > CAST(CAST($1 AS CHAR) AS UNSIGNED) ORDER BY id LIMIT 2",
                          "UPDATE plain FORCE INDEX (PRIMARY) SET v = 1 WHERE id > CAST(CAST($1 AS CHAR) AS UNSIGNED)",
                          "INSERT INTO aria SELECT id FROM plain FORCE INDEX (PRIMARY) WHERE id > CAST(CAST($1 AS CHAR) AS UNSIGNED)"):
            root.sql(ask[0])
            (answer,) = root.sql(ask[1] + statement, "100")
            assert json.loads(answer[0])["query_block"], statement
        assert root.sql("SELECT count(*) FROM aria") == ((0,),)
        # What row_check relies on: nothing but the row is known in a WHERE.
        for expression in ("max(id)", "row_number() OVER ()"):
            with pytest.raises(pymysql.Error, match="group function|[Ww]indow function"):
                root.sql(ask[1] + f"SELECT 1 FROM plain WHERE ({expression}) IS NULL")
    finally:
        root.sql("ROLLBACK")
