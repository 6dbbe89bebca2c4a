"""Every kind of key: n = n + 1 over a few hundred rows in batches of 100, and each row exactly once."""

import pytest

from jobs import increment

ROWS = 305
MIXED = """('a' || (i % 7)) || CASE i % 6 WHEN 0 THEN '''' WHEN 1 THEN '"' WHEN 2 THEN E'\\\\' WHEN 3 THEN '😀'
    WHEN 4 THEN E'\\n\\t' ELSE 'Ä' END || i"""
ICU = "CREATE COLLATION insensitive (provider = icu, locale = 'und-u-ks-level2', deterministic = false);"
BIG = """CASE WHEN i <= 150 THEN -9223372036854775808 + i - 1 ELSE 9223372036854775807 - (i - 151) END"""

# name: (columns of the key, statements before, expressions of i)
ONE_COLUMN = {
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


def make_table(pg, db, name, columns, before, row, quoted_n="n"):
    """columns: [(quoted name, type)]; row: an expression for each."""
    names = ", ".join(column for column, _ in columns)
    pg.sql(db, f"""{before}
        CREATE TABLE {name} ({', '.join(f'{column} {kind}' for column, kind in columns)}, {quoted_n} int NOT NULL DEFAULT 0,
            PRIMARY KEY ({names}));
        GRANT SELECT, UPDATE ON {name} TO backfill""")
    pg.sql(db, f"INSERT INTO {name} ({names}) SELECT {', '.join(row)} FROM generate_series(1, {ROWS}) i")
    pg.sql(db, f"ANALYZE {name}")


def assert_each_once(pg, db, daemon, name, rows=ROWS, quoted_n="n", **job):
    job_file = increment(**job)
    shown = daemon.run_job(job_file)
    assert pg.sql(db, f"SELECT {quoted_n}, count(*)::int FROM {name} GROUP BY 1") == [(1, rows)]
    assert shown["rows"]["scanned"] == shown["rows"]["changed"] == rows
    assert shown["batches"]["committed"] == -(-rows // 100)


@pytest.mark.parametrize("kind", [k for k in ONE_COLUMN if k != "char_type"])
def test_one_column(pg, db, daemon, kind):
    column_type, before, expression = ONE_COLUMN[kind]
    make_table(pg, db, "public.t", [("id", column_type)], before, [expression])
    assert_each_once(pg, db, daemon, "public.t")


@pytest.mark.parametrize("columns", [2, 3, 8])
def test_several_columns(pg, db, daemon, columns):
    types = ["int", "text", "bigint", "date", "uuid", "numeric", "boolean", "int"][:columns]
    few = ["i % 2", "'g' || i % 3", "i % 2", "'2026-01-01'::date + i % 2", "md5((i % 2)::text)::uuid", "i % 2", "i % 2 = 0", "i"]
    row = few[:columns - 1] + ["i" if types[columns - 1] != "text" else "'z' || i"]
    make_table(pg, db, "public.t", [(f"k{i}", kind) for i, kind in enumerate(types)], "", row)
    assert_each_once(pg, db, daemon, "public.t")


def test_columns_in_another_order_than_the_table_s(pg, db, daemon):
    pg.sql(db, f"""CREATE TABLE t (a int, n int NOT NULL DEFAULT 0, b text, PRIMARY KEY (b, a));
        INSERT INTO t SELECT i, 0, 'b' || i % 4 FROM generate_series(1, {ROWS}) i; GRANT SELECT, UPDATE ON t TO backfill""")
    assert_each_once(pg, db, daemon, "public.t")


def test_mixed_case_and_reserved_names(pg, db, daemon):
    make_table(pg, db, 'public."Order"', [('"select"', "int"), ('"Group"', "text")], "", ["i % 10", "'x' || i"])
    assert_each_once(pg, db, daemon, 'public."Order"', table="public.Order")


def test_reserved_column_is_set(pg, db, daemon):
    make_table(pg, db, 'public."user"', [('"from"', "int")], "", ["i"], quoted_n='"Where"')
    assert_each_once(pg, db, daemon, 'public."user"', quoted_n='"Where"', table="public.user", set={"Where": '"Where" + 1'})


def test_key_columns_named_like_our_own_words(pg, db, daemon):
    make_table(pg, db, "public.t", [("after", "int"), ("through", "int"), ("range", "int")], "", ["i % 3", "i % 5", "i"])
    assert_each_once(pg, db, daemon, "public.t")


def test_schema_with_a_quoted_name(pg, db, daemon):
    pg.sql(db, 'CREATE SCHEMA "Shop"; GRANT USAGE ON SCHEMA "Shop" TO backfill')
    make_table(pg, db, '"Shop".items', [("id", "int")], "", ["i"])
    assert_each_once(pg, db, daemon, '"Shop".items', table="Shop.items")


def test_another_unique_key(pg, db, daemon):
    pg.sql(db, f"""CREATE TABLE t (id float8 PRIMARY KEY, code text NOT NULL, n int NOT NULL DEFAULT 0);
        CREATE UNIQUE INDEX t_code ON t (code);
        INSERT INTO t SELECT i, 'c' || i FROM generate_series(1, {ROWS}) i; GRANT SELECT, UPDATE ON t TO backfill""")
    assert_each_once(pg, db, daemon, "public.t", key=["code"])


def test_descending_key(pg, db, daemon):
    pg.sql(db, f"""CREATE TABLE t (id int NOT NULL, n int NOT NULL DEFAULT 0); CREATE UNIQUE INDEX t_id ON t (id DESC);
        INSERT INTO t SELECT i, 0 FROM generate_series(1, {ROWS}) i; GRANT SELECT, UPDATE ON t TO backfill""")
    assert_each_once(pg, db, daemon, "public.t", key=["id"])
