"""Every kind of key: n = n + 1 over a few hundred rows in batches of 100, and each row exactly once."""

import hashlib

import pytest

from jobs import increment

ROWS = 305

# --- PostgreSQL's types ---

MIXED = """('a' || (i % 7)) || CASE i % 6 WHEN 0 THEN '''' WHEN 1 THEN '"' WHEN 2 THEN E'\\\\' WHEN 3 THEN '😀'
    WHEN 4 THEN E'\\n\\t' ELSE 'Ä' END || i"""
ICU = "CREATE COLLATION insensitive (provider = icu, locale = 'und-u-ks-level2', deterministic = false);"
BIG = """CASE WHEN i <= 150 THEN -9223372036854775808 + i - 1 ELSE 9223372036854775807 - (i - 151) END"""

# name: (type of the key, statements before, expression of i)
POSTGRESQL = {
    "uuid": ("uuid", "", "md5(i::text)::uuid"),
    "text_c": ('text COLLATE "C"', "", MIXED),
    "text_default": ("text", "", MIXED),
    "text_icu": ('text COLLATE "en-x-icu"', "", MIXED),
    "text_icu_nondeterministic": ("text COLLATE insensitive", ICU, MIXED),
    "text_with_empty": ("text", "", "CASE i WHEN 1 THEN '' ELSE repeat(' ', i % 3) || i END"),
    "varchar": ("varchar(40)", "", "'v' || i"),
    "char_padded": ("char(10)", "", "'c' || i"),
    "bytea": ("bytea", "", "decode(md5(i::text), 'hex') || '\\x00'::bytea"),
    "numeric": ("numeric", "", "(i - 150) * 1.0000000000000000000001::numeric"),
    "numeric_nan": ("numeric", "", "CASE i WHEN 1 THEN 'NaN' WHEN 2 THEN '-Infinity' WHEN 3 THEN 'Infinity' ELSE i / 7.0 END::numeric"),
    "timestamptz": ("timestamptz", "", """CASE i WHEN 1 THEN '-infinity' WHEN 2 THEN 'infinity'
        ELSE '2026-01-01 00:00:00.000001+00'::timestamptz + i * interval '1 microsecond' END"""),
    "timestamp_bc": ("timestamp", "", "CASE WHEN i < 100 THEN '0044-03-15 BC'::timestamp + i * interval '1 h' ELSE '2026-01-01'::timestamp + i * interval '1 us' END"),
    "interval": ("interval", "", "i * interval '1 day 01:02:03.000004' - interval '100 days'"),
    "date": ("date", "", "'2026-03-01'::date + i - 150"),
    "time": ("time", "", "'00:00'::time + i * interval '1.5 s'"),
    "bigint_ends": ("bigint", "", BIG),
    "smallint": ("smallint", "", "-32769 + i"),
    "integer_gaps": ("integer", "", "i * i * 1000 - 2147483648 + 2147483"),
    "boolean_like_oid": ("oid", "", "4294967295 - i"),
    "citext": ("ext.citext", "CREATE SCHEMA ext; CREATE EXTENSION citext WITH SCHEMA ext; GRANT USAGE ON SCHEMA ext TO backfill;",
               "(CASE WHEN i % 2 = 0 THEN 'Key' ELSE 'kEY' END || i)::ext.citext"),
    "enum": ("big", "DO $$ BEGIN EXECUTE 'CREATE TYPE big AS ENUM (' || (SELECT string_agg(quote_literal(md5(i::text)), ',')"
             " FROM generate_series(1, 305) i) || ')'; END $$;", "md5(i::text)::big"),
    "domain": ("short", "CREATE DOMAIN short AS text CHECK (length(value) < 20);", "('d' || i)::short"),
    "domain_int": ("positive", "CREATE DOMAIN positive AS bigint CHECK (value > 0);", "i"),
    "inet": ("inet", "", "'10.0.0.0'::inet + i"),
    "bit": ("bit(16)", "", "i::bit(16)"),
    "char_type": ('"char"', "", "chr(i)"),
    "int_array": ("int[]", "", "ARRAY[i % 5, i]"),
    "money_like_jsonb": ("jsonb", "", "to_jsonb(i)"),
}

# --- those of MariaDB and MySQL ---

MIXED_MYSQL = """concat('a', i % 7, CASE i % 6 WHEN 0 THEN '''' WHEN 1 THEN '"' WHEN 2 THEN '\\\\' WHEN 3 THEN '😀' WHEN 4 THEN '\\n\\t'
    ELSE 'Ä' END, i)"""
ENUM = "enum(" + ", ".join(f"'{hashlib.md5(str(i).encode()).hexdigest()}'" for i in range(ROWS)) + ")"  # its order is not the texts'
BOTH = ("mariadb", "mysql")

# name: (type of the key, expression of i, whose it is)
MYSQL = {
    "bigint_ends": ("bigint", "CASE WHEN i <= 150 THEN -9223372036854775808 + i - 1 ELSE 9223372036854775807 - (i - 151) END", BOTH),
    "bigint_unsigned_ends": ("bigint unsigned", "CASE WHEN i <= 150 THEN i - 1 ELSE 18446744073709551615 - (i - 151) END", BOTH),
    "smallint": ("smallint", "-32769 + i", BOTH),
    "mediumint_unsigned": ("mediumint unsigned", "16777216 - i", BOTH),
    "integer_gaps": ("int", "i * i * 1000 - 2147483648 + 2147483", BOTH),
    "decimal": ("decimal(40,20)", "(i - 150) * 1.00000000000000000001", BOTH),
    "varchar_general_ci": ("varchar(40) COLLATE utf8mb4_general_ci", MIXED_MYSQL, BOTH),
    "varchar_unicode_ci": ("varchar(40) COLLATE utf8mb4_unicode_520_ci", MIXED_MYSQL, BOTH),
    "varchar_bin": ("varchar(40) COLLATE utf8mb4_bin", MIXED_MYSQL, BOTH),
    "varchar_0900": ("varchar(40) COLLATE utf8mb4_0900_as_cs", MIXED_MYSQL, ("mysql",)),
    "varchar_nopad": ("varchar(400) COLLATE utf8mb4_nopad_bin", "concat('k', repeat(' ', i))", ("mariadb",)),
    "varchar_no_pad": ("varchar(400) COLLATE utf8mb4_0900_bin", "concat('k', repeat(' ', i))", ("mysql",)),
    "varchar_latin1": ("varchar(40) CHARACTER SET latin1 COLLATE latin1_swedish_ci", "concat(CASE i % 3 WHEN 0 THEN 'Ä' ELSE 'z' END, i)", BOTH),
    "varchar_with_empty": ("varchar(40)", "CASE i WHEN 1 THEN '' ELSE concat(repeat(' ', i % 3), i, repeat(' ', i % 2)) END", BOTH),
    "char_padded": ("char(10)", "concat('c', i)", BOTH),
    "binary_with_trailing_zeros": ("binary(16)", "unhex(rpad(substr(sha2(i, 256), 1, 16), 32, '0'))", BOTH),
    "varbinary": ("varbinary(40)", "concat(unhex(substr(sha2(i, 256), 1, 16)), repeat(X'00', i % 3))", BOTH),
    "bit": ("bit(16)", "i", BOTH),
    "enum": (ENUM, "i", BOTH),
    "date": ("date", "CAST('2026-03-01' AS date) + INTERVAL (i - 150) DAY", BOTH),
    "datetime": ("datetime(6)", "CAST('2026-01-01 00:00:00.000001' AS datetime(6)) + INTERVAL i MICROSECOND", BOTH),
    "timestamp": ("timestamp(6)", "CAST('2026-01-01 00:00:00.000001' AS datetime(6)) + INTERVAL i MICROSECOND", BOTH),
    "time": ("time(6)", "sec_to_time((i - 150) * 5000.25)", BOTH),
}

SEVERAL = {
    "postgresql": ["int", "text", "bigint", "date", "uuid", "numeric", "boolean", "int"],
    "mysql": ["int", "varchar(20)", "bigint unsigned", "date", "binary(16)", "decimal(20,5)", "boolean", "int"],
}
FEW = {
    "postgresql": ["i % 2", "'g' || i % 3", "i % 2", "'2026-01-01'::date + i % 2", "md5((i % 2)::text)::uuid", "i % 2", "i % 2 = 0", "i"],
    "mysql": ["i % 2", "concat('g', i % 3)", "i % 2", "CAST('2026-01-01' AS date) + INTERVAL (i % 2) DAY", "unhex(rpad(i % 2, 32, '0'))", "i % 2",
              "i % 2 = 0", "i"],
}


def make_table(server, db, name, columns, before, row, quoted_n="n"):
    """columns: [(quoted name, type)]; row: an expression for each."""
    names = ", ".join(column for column, _ in columns)
    server.sql(db, f"""{before}
        CREATE TABLE {name} ({', '.join(f'{column} {kind}' for column, kind in columns)}, {quoted_n} int NOT NULL DEFAULT 0,
            PRIMARY KEY ({names}));
        GRANT SELECT, UPDATE ON {name} TO backfill""")
    server.sql(db, f"INSERT INTO {name} ({names}) SELECT {', '.join(row)} FROM {server.dialect.series(1, ROWS)}")
    server.analyze(db, name)


def assert_each_once(server, db, daemon, name, rows=ROWS, quoted_n="n", **job):
    job_file = increment(**job)
    shown = daemon.run_job(job_file)
    assert server.sql(db, f"SELECT {quoted_n}, count(*) FROM {name} GROUP BY 1") == [(1, rows)]
    assert shown["rows"]["scanned"] == shown["rows"]["changed"] == rows
    assert shown["batches"]["committed"] == -(-rows // 100)


@pytest.mark.parametrize("kind", [k for k in POSTGRESQL if k != "char_type"])
def test_one_column(pg, db, daemon, kind):
    column_type, before, expression = POSTGRESQL[kind]
    make_table(pg, db, "public.t", [("id", column_type)], before, [expression])
    assert_each_once(pg, db, daemon, "public.t")


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=pytest.mark.engine(*engines)) for kind, (_, _, engines) in MYSQL.items()])
def test_one_column_of_mysql(server, db, daemon, kind):
    column_type, expression, _ = MYSQL[kind]
    make_table(server, db, "public.t", [("id", column_type)], "", [expression])
    assert_each_once(server, db, daemon, "public.t")


@pytest.mark.parametrize("columns", [2, 3, 8])
def test_several_columns(server, db, daemon, columns):
    types, few = SEVERAL[server.dialect.name][:columns], FEW[server.dialect.name]
    row = few[:columns - 1] + ["concat('z', i)" if columns == 2 else "i"]
    make_table(server, db, "public.t", [(f"k{i}", kind) for i, kind in enumerate(types)], "", row)
    assert_each_once(server, db, daemon, "public.t")


ENDS = {  # types whose ends, or whose order, a cast could lose: (type, the few values that are not the last column's)
    "bigint_unsigned": ("bigint unsigned", "18446744073709551615 - i % 3"),
    "decimal": ("decimal(30,10)", "(i % 3 - 1) * 12345678901234567890.0123456789"),
    "varchar_ci": ("varchar(20) COLLATE utf8mb4_general_ci", "concat(substr('bAc', 1 + i % 3, 1), repeat(' ', i % 2))"),
    "varchar_bin": ("varchar(20) COLLATE utf8mb4_bin", "concat(substr('bAc', 1 + i % 3, 1), repeat(' ', i % 2))"),
    "char": ("char(4)", "substr('bac', 1 + i % 3, 1)"),
    "binary": ("binary(16)", "unhex(rpad(i % 3, 32, '0'))"),
    "varbinary": ("varbinary(16)", "unhex(rpad('', 2 * (i % 3), '0'))"),
    "datetime": ("datetime(6)", "CAST('2026-01-01 00:00:00.000001' AS datetime(6)) + INTERVAL (i % 3) MICROSECOND"),
    "enum": ("enum('z', 'it''s', 'a,b', '', 'm')", "1 + i % 5"),
    "bit": ("bit(40)", "1099511627775 - i % 3"),
}


@pytest.mark.engine(*BOTH)
@pytest.mark.parametrize("place", ["first", "last"])
@pytest.mark.parametrize("kind", ENDS)
def test_each_type_beside_another_column(server, db, daemon, kind, place):
    column_type, few = ENDS[kind]
    columns, row = [("a", column_type), ("b", "int")], [few, "i"]
    if place == "last":
        columns, row = [("b", "int"), ("a", column_type)], ["i", few]
    make_table(server, db, "public.t", columns, "", row)
    assert_each_once(server, db, daemon, "public.t")


@pytest.mark.engine(*BOTH)
def test_enum_of_a_value_that_is_no_member(server, db, daemon):
    """As it came in when the mode was not strict: its number is 0."""
    make_table(server, db, "public.t", [("a", "enum('x', 'y')"), ("b", "int")], "", ["1 + i % 2", "i"])
    server.sql(db, "SET sql_mode = ''; UPDATE t SET a = 'none' WHERE b % 5 = 0; SET sql_mode = DEFAULT")
    assert_each_once(server, db, daemon, "public.t")


def test_columns_in_another_order_than_the_table_s(server, db, daemon):
    server.sql(db, f"""CREATE TABLE t (a int, n int NOT NULL DEFAULT 0, b varchar(20), PRIMARY KEY (b, a));
        INSERT INTO t SELECT i, 0, concat('b', i % 4) FROM {server.dialect.series(1, ROWS)}; GRANT SELECT, UPDATE ON t TO backfill""")
    assert_each_once(server, db, daemon, "public.t")


def test_mixed_case_and_reserved_names(server, db, daemon):
    quote = server.dialect.quote
    name = "public." + quote("Order")
    make_table(server, db, name, [(quote("select"), "int"), (quote("Group"), "varchar(20)")], "", ["i % 10", "concat('x', i)"])
    assert_each_once(server, db, daemon, name, table="public.Order")


def test_reserved_column_is_set(server, db, daemon):
    quote = server.dialect.quote
    name, where = "public." + quote("user"), quote("Where")
    make_table(server, db, name, [(quote("from"), "int")], "", ["i"], quoted_n=where)
    assert_each_once(server, db, daemon, name, quoted_n=where, table="public.user", set={"Where": where + " + 1"})


def test_key_columns_named_like_our_own_words(server, db, daemon):
    columns = [(server.dialect.quote(word), "int") for word in ("after", "through", "range")]
    make_table(server, db, "public.t", columns, "", ["i % 3", "i % 5", "i"])
    assert_each_once(server, db, daemon, "public.t")


def test_schema_with_a_quoted_name(server, db, daemon):
    shop = server.dialect.quote("Shop")
    server.create_schema(db, shop)
    make_table(server, db, f"{shop}.items", [("id", "int")], "", ["i"])
    assert_each_once(server, db, daemon, f"{shop}.items", table="Shop.items")


def test_another_unique_key(server, db, daemon):
    server.sql(db, f"""CREATE TABLE t (id double precision PRIMARY KEY, code varchar(20) NOT NULL, n int NOT NULL DEFAULT 0);
        CREATE UNIQUE INDEX t_code ON t (code);
        INSERT INTO t (id, code) SELECT i, concat('c', i) FROM {server.dialect.series(1, ROWS)}; GRANT SELECT, UPDATE ON t TO backfill""")
    assert_each_once(server, db, daemon, "public.t", key=["code"])


def test_descending_key(server, db, daemon):
    server.sql(db, f"""CREATE TABLE t (id int NOT NULL, n int NOT NULL DEFAULT 0); CREATE UNIQUE INDEX t_id ON t (id DESC);
        INSERT INTO t SELECT i, 0 FROM {server.dialect.series(1, ROWS)}; GRANT SELECT, UPDATE ON t TO backfill""")
    assert_each_once(server, db, daemon, "public.t", key=["id"])
