"""What MySQL and MariaDB do to a statement beyond a limit of theirs, or with a value that does not fit: no row is lost or changed in silence."""

import contextlib

import pytest

from jobs import Job, increment

pytestmark = pytest.mark.engine("mariadb", "mysql")
ROWS = 1000


def make_table(server, db, columns="n int NOT NULL DEFAULT 0", rows=ROWS):
    server.sql(db, f"CREATE TABLE t (id int PRIMARY KEY, {columns}); INSERT INTO t (id) SELECT i FROM {server.dialect.series(1, rows)};"
                   " GRANT SELECT, UPDATE ON t TO backfill")
    server.analyze(db, "t")


def values(server, db, column="n"):
    return {value: count for value, count in server.sql(db, f"SELECT {column}, count(*) FROM t GROUP BY {column}")}


@contextlib.contextmanager
def globally(server, name, value):
    """For sessions that are made from here on."""
    former = server.value(server.system, f"SELECT @@global.{name}")
    server.sql(server.system, f"SET GLOBAL {name} = {value}")
    try:
        yield
    finally:
        server.sql(server.system, f"SET GLOBAL {name} = {former}")


# --- values ---

# name: (columns of t, what makes row 500 another, job's keys, words of the reason)
LOSSES = {
    "truncation": ("note varchar(3)", "note = 'abc'", {"set": {"note": "concat(note, 'd')"}, "where": "id = 500"}, "Data too long"),
    "truncation of a cast": ("note varchar(30)", "note = '12x'", {"set": {"note": "cast(note AS signed)"}}, "Truncated incorrect"),
    "out of range": ("n tinyint NOT NULL DEFAULT 0", "n = 127", {"set": {"n": "n + 1"}}, "Out of range"),
    "below zero": ("n int unsigned NOT NULL DEFAULT 1", "n = 0", {"set": {"n": "n - 1"}}, "out of range"),
    "beyond 64 bits": ("n bigint unsigned NOT NULL DEFAULT 1", "n = 18446744073709551615", {"set": {"n": "n + 1"}}, "out of range"),
    "a date that is none": ("d date", "id = 500", {"set": {"d": "concat('2026-02-', if(id = 500, 30, 10))"}}, "Incorrect date"),
    "a zero date": ("d date", "id = 500", {"set": {"d": "if(id = 500, '0000-00-00', '2026-01-01')"}}, "Incorrect date"),
    "division by zero": ("n int NOT NULL DEFAULT 1", "n = 0", {"set": {"n": "10 / n"}}, "ivision by "),
    "NULL where none may be": ("n int NOT NULL DEFAULT 1", "id = 500", {"set": {"n": "nullif(id, 500)"}}, "cannot be null"),
    "a number that is none": ("n int NOT NULL DEFAULT 1, note varchar(10) NOT NULL DEFAULT '1'", "note = 'x'", {"set": {"n": "note"}}, "Incorrect integer"),
    "a fraction of a text": ("n int NOT NULL DEFAULT 1", "id = 500", {"set": {"n": "if(id = 500, '1x', '1')"}}, "n"),
    "a letter that the column has not": ("note varchar(9) CHARACTER SET latin1", "id = 500", {"set": {"note": "if(id = 500, '€☃', 'a')"}}, "Incorrect string"),
    "a subquery of two rows": ("n int NOT NULL DEFAULT 0", "id = 500",
                               {"set": {"n": "(SELECT 1 AS x UNION ALL SELECT 2 WHERE t.id = 500)"}}, "Subquery returns more than 1 row"),
}


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("name", LOSSES)
def test_a_value_that_does_not_fit_pauses_and_nothing_of_its_batch_is_done(server, db, daemon, name, keep):
    columns, row, keys, word = LOSSES[name]
    make_table(server, db, columns)
    server.sql(db, f"UPDATE t SET {row} WHERE id = 500")
    before = server.sql(db, "SELECT * FROM t WHERE id BETWEEN 401 AND 1000 ORDER BY id")
    job = Job(**{"table": "public.t", "kind": "update", "rollback": {"keep_old_values": keep}, **keys})
    daemon.submit(job, "--start")
    reason = daemon.wait_state(job, "paused", 15)["reason"]
    assert word in reason and 'keys after ["400"] through ["500"]' in reason, reason
    shown = daemon.show(job)
    assert (shown["batches"]["failed"], shown["batches"]["retried"], shown["batches"]["committed"]) == (1, 0, 4)
    assert server.sql(db, "SELECT * FROM t WHERE id BETWEEN 401 AND 1000 ORDER BY id") == before


EXACT = {
    "unsigned beyond int64": ("n bigint unsigned NOT NULL DEFAULT 18446744073709551613", "n + 1", "18446744073709551614"),
    "unsigned down to zero": ("n int unsigned NOT NULL DEFAULT 1", "n - 1", "0"),
    "decimal": ("n decimal(65, 30) NOT NULL DEFAULT 12345678901234567890123456789012345.123456789012345678901234567891",
                "n + 0.000000000000000000000000000001", "12345678901234567890123456789012345.123456789012345678901234567892"),
    "a product of decimals": ("n decimal(30, 10) NOT NULL DEFAULT 1.1", "n * 3", "3.3000000000"),
}


@pytest.mark.parametrize("name", EXACT)
def test_numbers_are_exact(server, db, daemon, name):
    columns, expression, value = EXACT[name]
    make_table(server, db, columns)
    daemon.run_job(Job(table="public.t", kind="update", set={"n": expression}))
    assert values(server, db, "CAST(n AS char)") == {value: ROWS}
    assert server.value(db, "SELECT JSON_EXTRACT(new_values, '$[0]') FROM backfill.kept LIMIT 1") == f'["{value}"]'


@pytest.mark.parametrize("expression", ["n + (note = BINARY 'a')", "n + (note LIKE 'a')", "n + (note = _utf8mb3'a')", "n + (convert(note USING utf8) = 'a')",
                                        "n + (cast(note AS nchar(3)) = 'a')"])
def test_that_a_form_is_deprecated_ends_no_job(server, db, daemon, expression):
    """MySQL warns of some of these in each statement."""
    make_table(server, db, "n int NOT NULL DEFAULT 0, note varchar(10) NOT NULL DEFAULT 'a'")
    daemon.run_job(Job(table="public.t", kind="update", set={"n": expression}))
    assert values(server, db) == {1: ROWS}


# --- sizes ---

def test_more_than_the_binary_log_s_cache_makes_smaller_batches_that_grow_back(server, db, daemon):
    """1197. A row's image is 2 x 2 KB: a batch of a thousand does not fit, one of a hundred does."""
    make_table(server, db, "n int NOT NULL DEFAULT 0, note varchar(2000) NOT NULL DEFAULT ''", 6000)
    server.sql(db, "UPDATE t SET note = repeat('x', 2000) WHERE id <= 3000")
    job = increment(batch={"rows": 1000, "max_rows": 2000, "adaptive": True, "time": "2s"}, rollback={"keep_old_values": False})
    with globally(server, "binlog_cache_size", 4096), globally(server, "max_binlog_cache_size", 1048576):
        server.terminate_backends_of(db)
        daemon.wait_up()
        daemon.submit(job, "--start")
        daemon.wait_done(job)
        shown = daemon.show(job)
    assert shown["batches"]["retried"] > 0 and shown["batches"]["failed"] == 0
    assert values(server, db) == {1: 6000}
    assert shown["batch"]["rows"] is None or shown["batch"]["rows"] > 260
    server.wait_replica_is_current()


def test_a_batch_whose_size_is_fixed_and_too_large_pauses(server, db, daemon):
    make_table(server, db, "n int NOT NULL DEFAULT 0, note varchar(2000) NOT NULL DEFAULT ''", 3000)
    server.sql(db, "UPDATE t SET note = repeat('x', 2000)")
    job = increment(batch={"rows": 1000}, rollback={"keep_old_values": False})
    with globally(server, "binlog_cache_size", 4096), globally(server, "max_binlog_cache_size", 1048576):
        server.terminate_backends_of(db)
        daemon.wait_up()
        daemon.submit(job, "--start")
        reason = daemon.wait_state(job, "paused", 30)["reason"]
        assert "max_binlog_cache_size" in reason and "(1197)" in reason, reason
        assert values(server, db) == {0: 3000}
        daemon.ctl("set", job.id, "batch.rows=100", check=0)
        daemon.ctl("resume", job.id, check=0)
        daemon.wait_done(job)
    assert values(server, db) == {1: 3000}


def test_kept_values_beyond_max_allowed_packet_make_smaller_batches(server, db, daemon):
    """1260 or 1301: the texts that are put together of a batch's values would be cut."""
    make_table(server, db, "note varchar(1000) NOT NULL DEFAULT ''", 2000)
    server.sql(db, "UPDATE t SET note = repeat('x', 900)")
    job = Job(table="public.t", kind="update", set={"note": "concat(note, 'y')"}, batch={"rows": 1000, "adaptive": True, "time": "2s"})
    with globally(server, "max_allowed_packet", 65536):
        server.terminate_backends_of(db)
        daemon.wait_up()
        daemon.submit(job, "--start")
        daemon.wait_done(job)
        shown = daemon.show(job)
    assert shown["batches"]["failed"] == 0
    assert values(server, db, "char_length(note)") == {901: 2000}
    assert server.value(db, "SELECT sum(k.rows) FROM backfill.kept k") == 2000
    assert server.value(db, "SELECT count(*) FROM backfill.kept k WHERE json_length(k.old_values) <> k.rows OR json_length(k.new_values) <> k.rows") == 0
