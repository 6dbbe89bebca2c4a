"""Keys, owners, rounds and control tables by what sql/mysql and its dialect say, on real servers."""

import json
import os
import threading
import time

import pytest

from mysql_fixtures import connect, make_job, numbers, server, t, until  # pylint: disable=unused-import
from mysql_session import Refused, Session
from mysql_texts import DATABASE, Declined, OWNER, ROOT, Texts, init, text

pytestmark = pytest.mark.engine("mariadb", "mysql")

UPDATE = 'kind = "update"; set = { n = "n + 1"; }; rollback = { keep_old_values = %s; };'
PLAIN, KEPT = UPDATE % "false", UPDATE % "true"
# type of the key's column, its i-th value
KEYS = {
    "int": ("INT", "i * 3 - 150"),
    "zerofill": ("INT(9) ZEROFILL", "i * 3"),
    "unsigned beyond 2^63": ("BIGINT UNSIGNED", "18446744073709551615 - i * 3"),
    "decimal": ("DECIMAL(30, 10)", "i * 1.0000000001 - 99999999999999999999"),
    "binary with zeros at the end": ("BINARY(16)", "UNHEX(CONCAT(LPAD(HEX(i), 4, '0'), REPEAT('00', 14)))"),
    "varbinary": ("VARBINARY(8)", "UNHEX(LEFT(HEX(i * 257 + 1), 2 * (LENGTH(HEX(i * 257 + 1)) DIV 2)))"),
    "varchar, ci": ("VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci", "CONCAT(IF(i % 2, 'Key', 'kEY'), i * 7, 'ä')"),
    "varchar, bin": ("VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "CONCAT(IF(i % 2, 'Key', 'kEY'), i DIV 2, '''\\\\\"')"),
    "varchar, padded": ("VARCHAR(40) CHARACTER SET latin1 COLLATE latin1_swedish_ci", "CONCAT('é', i, REPEAT(' ', i % 3))"),
    "varchar, utf8mb3": ("VARCHAR(40) CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci", "CONCAT('ж', i)"),
    "char": ("CHAR(12) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci", "CONCAT('c', i)"),
    "date": ("DATE", "DATE_ADD('1999-12-31', INTERVAL i DAY)"),
    "datetime": ("DATETIME(6)", "DATE_ADD('1969-12-31 23:59:59.999990', INTERVAL i MICROSECOND)"),
    "timestamp": ("TIMESTAMP(6)", "DATE_ADD('2026-10-25 00:59:59.999990', INTERVAL i * 100000001 MICROSECOND)"),
    "time": ("TIME(3)", "SEC_TO_TIME(i * 1.5 - 100)"),
    "year": ("YEAR", "1901 + i"),
    "enum": ("ENUM(%s)" % ", ".join(f"'{chr(97 + (k * 7) % 26)}{k}'" for k in range(200)), "i + 1"),
    "bit": ("BIT(64)", "18446744073709551615 - i"),
}
ROWS = 120


def make_keyed(t, kind, value):
    t.session.query(f"CREATE TABLE k (k {kind} NOT NULL PRIMARY KEY, n INT NOT NULL DEFAULT 0)")
    t.session.query("SET sql_mode = ''")
    t.session.query(f"INSERT INTO k (k) SELECT {value} FROM {numbers(ROWS)}")
    assert t.value("SELECT COUNT(*) FROM k") == str(ROWS)


@pytest.mark.parametrize("rows", [1, 7, ROWS])
@pytest.mark.parametrize("name", KEYS)
def test_every_row_once(t, make_job, name, rows):
    make_keyed(t, *KEYS[name])
    job = make_job(KEPT if rows == 7 else PLAIN, "k")
    job.start()
    assert job.run(rows) == [ROWS, ROWS, 0]
    assert t.session.run("SELECT n, COUNT(*) FROM k GROUP BY n").rows == [["1", str(ROWS)]]
    assert job.batches == -(-ROWS // rows)
    assert t.session.run("SELECT rows_scanned, rows_changed, done FROM backfill.segment").rows == [[str(ROWS), str(ROWS), "1"]]
    if rows == 7:
        assert t.session.run("SELECT SUM(`rows`), SUM(existing), SUM(JSON_LENGTH(`keys`)), SUM(JSON_LENGTH(old_values)), SUM(JSON_LENGTH(new_values)) "
                             "FROM backfill.kept").rows == [[str(ROWS)] * 5]
        assert t.value("SELECT COUNT(*) FROM backfill.kept WHERE JSON_EXTRACT(old_values, '$[6]') <> JSON_ARRAY('0') "
                       "OR JSON_EXTRACT(new_values, '$[6]') <> JSON_ARRAY('1')") == "0"
    assert job.complete() == 1
    assert t.value("SELECT state FROM backfill.job") == "completed"


EIGHT = ["a INT", "b VARCHAR(5) COLLATE utf8mb4_general_ci", "c DATE", "d BINARY(2)", "e BIGINT UNSIGNED", "f DECIMAL(6, 2)", "g DATETIME(3)", "h SMALLINT"]
EIGHT_VALUES = ["i DIV 32", "CONCAT('x', i DIV 16)", "'2020-02-02'", "UNHEX(LPAD(HEX(i DIV 8), 4, '0'))", "18446744073709551615 - i DIV 4",
                "i DIV 2", "'2020-02-02 02:02:02.123'", "-i"]


@pytest.mark.parametrize("columns", [2, 3, 8])
@pytest.mark.parametrize("rows", [1, 11, 64])
def test_composite_keys(t, make_job, columns, rows):
    kinds, values = (EIGHT, EIGHT_VALUES) if columns == 8 else (EIGHT[:columns - 1] + EIGHT[-1:], EIGHT_VALUES[:columns - 1] + EIGHT_VALUES[-1:])
    names = [kind.split()[0] for kind in kinds]
    t.session.query(f"CREATE TABLE k ({', '.join(kind + ' NOT NULL' for kind in kinds)}, n INT NOT NULL DEFAULT 0, PRIMARY KEY ({', '.join(names)}))")
    t.session.query(f"INSERT INTO k ({', '.join(names)}) SELECT {', '.join(values)} FROM {numbers(100)}")
    job = make_job(KEPT, "k")
    job.start()
    assert job.run(rows) == [100, 100, 0]
    assert t.session.run("SELECT n, COUNT(*) FROM k GROUP BY n").rows == [["1", "100"]]


def handler_reads(session):
    return sum(int(value) for name, value in session.run("SHOW SESSION STATUS LIKE 'Handler_read%'").rows)


@pytest.mark.parametrize("columns", [1, 3])
def test_reads_its_range_alone(t, make_job, columns):
    """At the start and at the end of a table with gaps: as many rows as there are in the window, and one look-up for each arm."""
    count, rows = 40000, 500
    if columns == 1:
        t.session.query("CREATE TABLE k (a BIGINT NOT NULL PRIMARY KEY, n INT NOT NULL DEFAULT 0)")
        t.session.query(f"INSERT INTO k (a) SELECT i * 5 + IF(i > 20000, 10000000, 0) FROM {numbers(count)}")
    else:
        t.session.query("CREATE TABLE k (a INT NOT NULL, b VARCHAR(10) NOT NULL, c BIGINT UNSIGNED NOT NULL, n INT NOT NULL DEFAULT 0, PRIMARY KEY (a, b, c))")
        t.session.query(f"INSERT INTO k (a, b, c) SELECT i DIV 2000 * 3, CONCAT('k', i DIV 40 % 50), i FROM {numbers(count)}")
    job = make_job(PLAIN, "k")
    job.start()
    session, segment, read = job.own.session, job.segments[0], {}
    through = json.loads(segment[3])
    next_ = job.texts(0)["next"]
    for place in (10, count - 3 * rows):
        behind = t.session.run(f"SELECT a{', b, c' if columns == 3 else ''} FROM k ORDER BY a{', b, c' if columns == 3 else ''} LIMIT 1 OFFSET {place}").rows[0]
        job.own.run("begin")
        session.run(job.texts(0)["settings"])
        session.run("FLUSH STATUS")
        before = handler_reads(session)
        end = session.run(next_["boundary"], *behind, *through, rows - 1).rows[0]
        looked = handler_reads(session) - before
        assert session.run(next_["work"], *behind, *end).affected == rows
        read[place] = (looked, handler_reads(session) - before - looked)
        job.own.run("rollback")
    assert all(rows <= reads <= rows + 8 for pair in read.values() for reads in pair), read


def test_a_unique_key_by_name_and_a_where(t, make_job):
    t.session.query("CREATE TABLE k (id INT PRIMARY KEY, u VARCHAR(20) NOT NULL, n INT, m INT, UNIQUE KEY by_u (u))")
    t.session.query(f"INSERT INTO k SELECT i, CONCAT('u', 1000 - i), IF(i % 3, NULL, 5), 7 FROM {numbers(100)}")
    job = make_job('kind = "update"; set = { n = "id"; }; where = "n IS NULL";', "k", index="by_u")
    job.start()
    assert job.run(9) == [100, 66, 0]
    assert t.value("SELECT COUNT(*) FROM k WHERE n = IF(id % 3, id, 5)") == "100"
    kept = t.session.run("SELECT `rows`, `keys`, old_values, new_values FROM backfill.kept").rows
    assert sum(int(row[0]) for row in kept) == 66
    for _, keys, old, new in kept:
        assert old is None and [[str(1000 - int(key[0][1:]))] for key in json.loads(keys)] == json.loads(new)


def test_partitions(t, make_job):
    t.session.query("CREATE TABLE k (a INT NOT NULL, b INT NOT NULL, n INT NOT NULL DEFAULT 0, PRIMARY KEY (a, b)) "
                    "PARTITION BY RANGE (b) (PARTITION pLow VALUES LESS THAN (20), PARTITION empty_ VALUES LESS THAN (30), PARTITION rest VALUES LESS THAN MAXVALUE)")
    t.session.query(f"INSERT INTO k (a, b) SELECT i, IF(i % 2, i % 20, 30 + i) FROM {numbers(100)}")
    job = make_job(KEPT, "k")
    job.start()
    assert [segment[1] for segment in job.segments] == ["0", "2"]
    assert job.run(7) == [100, 100, 0]
    assert t.session.run("SELECT n, COUNT(*) FROM k GROUP BY n").rows == [["1", "100"]]
    t.session.query("ALTER TABLE k TRUNCATE PARTITION empty_")
    job.claim()  # all of it is done, or empty
    t.session.query("UPDATE backfill.segment SET done = false")
    t.session.query("ALTER TABLE k TRUNCATE PARTITION rest")
    with pytest.raises(Declined, match="partition rest was built anew, or replaced"):
        job.claim()


def test_zero_dates_are_not_lost(t, make_job):
    """CAST would make NULL of it, and an empty range of what lies behind. MySQL refuses to compare with one."""
    t.session.query("SET sql_mode = ''")
    t.session.query("CREATE TABLE k (k DATETIME NOT NULL PRIMARY KEY, n INT NOT NULL DEFAULT 0)")
    t.session.query("INSERT INTO k (k) VALUES ('0000-00-00 00:00:00'), ('2020-01-01 00:00:00'), ('2021-01-01 00:00:00')")
    job = make_job(PLAIN, "k")
    job.start()
    try:
        assert job.run(1) == [3, 3, 0]
    except Refused as refused:
        assert refused.code == 1525 and t.value("SELECT SUM(n) FROM k") == t.value("SELECT SUM(rows_changed) FROM backfill.segment")


# ---- owners and fences --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def job(t, make_job):
    t.session.query("CREATE TABLE k (id INT NOT NULL PRIMARY KEY, n INT NOT NULL DEFAULT 0)")
    t.session.query(f"INSERT INTO k (id) SELECT i FROM {numbers(100)}")
    made = make_job(KEPT, "k")
    made.start()
    return made


def test_the_fence(t, job):
    segment = job.segments[0]
    job.batch(segment, 10)
    for broken in ("epoch = epoch + 1", "stopped = true", "batch_id = batch_id + 1"):
        t.session.query(f"UPDATE backfill.segment SET {broken}")
        with pytest.raises(Declined, match="fenced"):
            job.batch(segment, 10)
        t.session.query(f"UPDATE backfill.segment SET epoch = {job.epoch}, stopped = false, batch_id = 1")
    job.batch(segment, 10)
    assert t.value("SELECT SUM(n) FROM k") == "20"
    t.session.query("ALTER TABLE k MODIFY id BIGINT NOT NULL")
    with pytest.raises(Declined, match="fenced"):
        job.batch(segment, 10)
    with pytest.raises(Declined, match="has the type bigint"):
        job.claim()


def test_a_second_owner_waits_and_then_ends_the_first(server, t, job):
    other = Texts(server, DATABASE)
    theirs = {"owner": "other|boot|/run/s|2", "prefix": "other|boot|/run/s|"}
    with pytest.raises(Declined):
        job.claim(other, **theirs)
    session, segment = job.own.session, list(job.segments[0])
    job.own.run("begin")
    session.run(job.texts(0)["settings"])
    # It is not the server's time-out that ends it.
    session.query("SET SESSION wait_timeout = 600 /*M!100600 , idle_transaction_timeout = 0, idle_write_transaction_timeout = 0 */")
    assert session.run(job.texts(0)["first"]["work"], "50").affected == 51
    t.session.query("UPDATE backfill.job SET owner_seen_at = '2000-01-01'")
    before = job.epoch
    job.claim(other, **theirs)
    assert job.epoch == before + 1
    with pytest.raises(Refused) as refused:
        session.run("SELECT 1")
    assert refused.value.code in (2006, 2013)
    assert t.value("SELECT SUM(n) FROM k") == "0"  # its transaction has ended, too
    job.own.close()
    job.own = other
    assert job.run(30) == [100, 100, 0]
    assert segment[5] == "0" and t.session.run("SELECT n, COUNT(*) FROM k GROUP BY n").rows == [["1", "100"]]
    assert t.run("poll", OWNER, "host|", 10000, "t").rows == []
    assert other.control(("owner_release", job.id, theirs["owner"], job.epoch))[0].affected == 1
    assert t.run("poll", OWNER, "host|", 10000, "t").rows == [[job.id]]


def test_a_claim_again_keeps_the_connection(job):
    job.batch(job.segments[0], 10)
    job.claim()
    assert job.run(30) == [90, 90, 0]


def test_a_stop_is_seen_by_everyone(t, job):
    job.batch(job.segments[0], 10)
    answers = t.control(("meta_set", "stop:x", "why"), ("stop_lock",), ("stop_jobs", "emergency stop"), ("stop_segments",))
    assert answers[2].rows == [[job.id, "1"]]
    with pytest.raises(Declined, match="fenced"):
        job.batch(job.segments[0], 10)
    with pytest.raises(Declined):
        job.claim()
    assert t.run("job_lock", job.id).rows[0][4] == "stop:x why"
    assert json.loads(t.run("job_list", job.id, "paused").rows[0][0])["reason"] == "emergency stop"
    t.control(("stop_clear", "stop:%"))
    job.set_state("running")
    job.claim()
    assert job.run(30) == [90, 90, 0]


def test_of_a_table_made_long_ago_the_time_is_enough(t, job):
    enough = "true" if "MariaDB" in t.value("SELECT VERSION()") else "false"
    own = job.own
    assert own.run("shape_check", job.id).rows[0][5] == "false"  # it was made just now
    own.session.query("SET timestamp = UNIX_TIMESTAMP() + 60")
    assert own.run("shape_check", job.id).rows[0][5] == enough
    own.session.query("SET timestamp = DEFAULT")


def test_a_look_at_the_table_opens_no_others(t, job):
    for i in range(20):
        t.session.query(f"CREATE TABLE neighbour{i} (id INT)")
    t.session.query("FLUSH TABLES")
    opened = "SHOW SESSION STATUS LIKE 'Opened_table_definitions'"
    before = int(job.own.session.run(opened).rows[0][1])
    job.own.run("shape_check", job.id)
    assert int(job.own.session.run(opened).rows[0][1]) - before < 20


@pytest.mark.engine("mariadb")
@pytest.mark.parametrize("change", [
    "ALTER TABLE k MODIFY id INT UNSIGNED NOT NULL",
    "ALTER TABLE k ADD COLUMN later INT, ALGORITHM = INSTANT",
    "CREATE TABLE other LIKE k; RENAME TABLE k TO former, other TO k",
])
def test_a_change_of_the_definition_fences_by_its_time(t, job, change):
    def batch():
        own, texts = job.own, job.texts(0)
        own.run("begin")
        own.session.run(texts["settings"])
        own.session.run(texts["first"]["work"], "9")
        done = own.session.run(texts["checkpoint_by_time"], job.id, 1, job.epoch, 0, '["9"]', 10, 10, 0, "false", 0, DATABASE, "k", job.key_mark, None)
        own.run("rollback")
        return done.affected
    assert batch() == 1
    until(lambda: t.value(f"SELECT NOW() > create_time + INTERVAL 1 SECOND FROM information_schema.tables "
                          f"WHERE table_schema = '{DATABASE}' AND table_name = 'k'") == "1")
    for statement in change.split("; "):
        t.session.query(statement)
    assert batch() == 0


def test_a_batch_at_its_checkpoint_and_a_change_of_state_are_put_in_order(server, t, job):
    own, texts = job.own, job.texts(0)
    own.run("begin")
    own.session.run(texts["settings"])
    own.session.run(texts["first"]["work"], "9")
    assert own.session.run(texts["checkpoint"], job.id, 1, job.epoch, 0, '["9"]', 10, 10, 0, "false", 0, DATABASE, "k", job.key_mark, None).affected == 1
    done = []
    pause = threading.Thread(target=lambda: (job.set_state("paused", "x"), done.append(1)))
    pause.start()
    pid, user, age, _ = until(lambda: t.run("blockers", job.admin.session.id).rows)[0]  # it waits for the segment's row
    assert (pid, user) == (str(own.session.id), "root") and int(age) >= 0 and not done
    own.run("commit")
    pause.join(30)
    assert done and t.session.run("SELECT batch_id, position_key FROM backfill.segment").rows == [["1", '["9"]']]
    assert json.loads(t.run("job_list", None, None).rows[0][0])["segments"] == [
        {"number": 1, "after": None, "through": ["99"], "position": ["9"], "rows_scanned": 10, "rows_changed": 10, "done": False}]


def test_cancel_ends_the_statement_alone(t, job):
    failed = []

    def sleep():
        try:
            job.own.session.run(f"UPDATE {DATABASE}.k SET n = n + SLEEP(10)")
        except Refused as refused:
            failed.append(refused.code)
    thread = threading.Thread(target=sleep)
    thread.start()
    deadline = time.monotonic() + 30
    while thread.is_alive():
        t.run("cancel_backend", job.id)
        assert time.monotonic() < deadline
    thread.join()
    assert failed == [1317] and job.own.value("SELECT 1") == "1"
    t.run("cancel_backend", "another")


# ---- rounds -------------------------------------------------------------------------------------------------------------------------


def test_a_round_waits_for_older_writers(connect, t, make_job):
    t.session.query("CREATE TABLE k (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, n INT NOT NULL DEFAULT 0)")
    t.session.query("INSERT INTO k (id) VALUES (1), (2)")
    writer, prepared, reader, younger = (connect() for _ in range(4))
    writer.query("BEGIN")
    writer.query("INSERT INTO k VALUES ()")
    prepared.query("XA START 'x'")
    prepared.query("INSERT INTO k VALUES ()")
    prepared.query("XA END 'x'")
    prepared.query("XA PREPARE 'x'")
    reader.query("BEGIN")
    reader.query("SELECT COUNT(*) FROM k")
    t.session.query("INSERT INTO k VALUES ()")
    job = make_job(PLAIN, "k")
    job.submit()
    job.set_state("running")
    job.claim()
    assert job.wait()[0][0] == "2"
    job.begin_round()
    younger.query("BEGIN")
    younger.query("INSERT INTO k VALUES ()")
    count, pid, user, age, *_ = job.open_round()[0]
    assert count == "2" and user in ("root", "unknown user") and int(age) >= 0 and pid
    writer.query("COMMIT")
    until(lambda: job.open_round()[0][0] == "1")
    prepared.query("XA COMMIT 'x'")
    until(lambda: job.open_round() is None)
    assert job.run(2)[1] == 5
    assert t.session.run("SELECT GROUP_CONCAT(n ORDER BY id) FROM k").rows == [["1,1,1,1,1"]]


def test_a_look_releases_the_lock_that_a_failed_one_has_left(t, job):
    job.own.session.query("DO GET_LOCK('backfilld:innodb_trx', 0)")
    job.own.run("round_wait", "1", '{"at": 1, "connections": []}')
    assert t.value("SELECT IS_FREE_LOCK('backfilld:innodb_trx')") == "1"


def test_a_round_waits_for_a_statement_that_has_no_transaction_yet(connect, t, make_job):
    """It may hold an AUTO_INCREMENT value already."""
    t.session.query("CREATE TABLE k (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, n INT NOT NULL DEFAULT 0)")
    t.session.query("INSERT INTO k (id) VALUES (1), (2)")
    slow = connect()
    slow.query("SELECT GET_LOCK('backfill_texts', 0)")
    busy = connect()
    thread = threading.Thread(target=busy.query, args=("INSERT INTO k (n) VALUES (GET_LOCK('backfill_texts', 60))",))
    thread.start()
    job = make_job(PLAIN, "k")
    job.submit()
    job.set_state("running")
    job.claim()
    job.begin_round()
    assert json.loads(job.writers)["connections"] == [busy.id]
    assert job.open_round()[0][:2] == ["1", str(busy.id)]
    slow.query("SELECT RELEASE_LOCK('backfill_texts')")
    thread.join(60)
    until(lambda: job.open_round() is None)


def test_a_marker_is_this_transactions_own_whoever_looks_how_often(server, t, make_job):
    """innodb_trx shows to one who looks what another has seen just before."""
    t.session.query("CREATE TABLE k (id INT NOT NULL PRIMARY KEY, n INT NOT NULL DEFAULT 0)")
    t.session.query("INSERT INTO k (id) VALUES (1), (2)")
    stop = threading.Event()

    def look():
        session = Session(server, None)
        while not stop.wait(0.15):
            session.query("SELECT COUNT(*) FROM information_schema.innodb_trx")
        session.close()
    looker = threading.Thread(target=look)
    looker.start()
    ids = []
    try:
        for i in range(6):
            job = make_job(PLAIN, "k", name=f"20261121_marker{i}")
            job.submit()
            job.set_state("running")
            job.claim()
            for _ in range(20):
                try:
                    job.begin_round()
                    break
                except Declined:
                    job.claim()
            ids += [int(t.value(f"SELECT freeze_marker FROM backfill.job WHERE id = '{job.id}'"))]
    finally:
        stop.set()
        looker.join()
    assert ids == sorted(set(ids)) and max(ids) < 2 ** 47


# ---- the control tables -------------------------------------------------------------------------------------------------------------


def test_init_again_and_behind_a_half_one(server, t, job):
    before = t.session.run("SELECT id, state, epoch FROM backfill.job").rows
    init(server)
    t.session.query("DELETE FROM backfill.meta WHERE name = 'schema_version'")
    t.session.query("DROP TABLE backfill.heartbeat")
    init(server)
    assert t.session.run("SELECT id, state, epoch FROM backfill.job").rows == before
    assert sorted(row[0] for row in t.run("meta").rows) == ["identity", "schema_version"]
    assert t.run("heartbeat_write", "d", 0, "i", 1, 5).affected == 1
    assert t.run("heartbeat_write", "d", 0, "i", 2, 6).affected == 1
    assert t.run("heartbeat_read", "d", "i").rows[0][0] == "6"


def test_the_same_job_twice(t, job):
    assert job.submit() == 0
    assert [json.loads(row[0])["event"] for row in t.run("event_list", job.id, 5).rows] == ["job.submitted", "job.submitted"]
    assert t.run("job_identity", job.id).rows == [["sha", "running"]]


def test_a_stranger_is_not_written_to(t, job):
    here = t.identity()
    t.session.query("UPDATE backfill.meta SET value = 'elsewhere' WHERE name = 'identity'")
    with pytest.raises(Refused, match="made on another server .elsewhere., this is") as refused:
        t.control(("meta_set", "stop:x", "y"))
    assert refused.value.code == 1231
    with pytest.raises(Declined, match="made on another server"):
        job.claim()
    assert t.run("heartbeat_write", "d", 0, "i", 1, 5).affected == 0
    t.session.query("UPDATE backfill.job SET shape = JSON_SET(shape, '$.leaves[0].oid', 4711)")
    t.run("control_begin")
    assert t.run("adopt_bind", here, "another").affected == 0
    assert t.run("adopt_bind", here, "elsewhere").affected == 1
    t.run("adopt_jobs")
    t.run("commit")
    job.claim()
    assert job.run(50) == [100, 100, 0]


def test_settings_are_this_servers_alone(t, job):
    session = job.own.session
    job.own.run("begin")
    session.run(job.texts(0)["settings"])
    maria = "MariaDB" in t.value("SELECT @@version")
    assert session.run("SELECT @@innodb_lock_wait_timeout, @@lock_wait_timeout, @@time_zone, @@collation_connection").rows == [["1", "1", "+00:00", "utf8mb4_general_ci"]]
    assert ("SIMULTANEOUS_ASSIGNMENT" in session.run("SELECT @@sql_mode").rows[0][0]) == maria
    if maria:
        assert session.run("SELECT @@max_statement_time, @@idle_transaction_timeout, @@idle_write_transaction_timeout").rows == [["2.500000", "2", "2"]]
    else:
        assert session.run("SELECT @@max_execution_time, @@wait_timeout").rows == [["2500", "2"]]
    assert session.run("SELECT SUM(n) FROM k").rows == [["0"]]
    t.session.query("UPDATE k SET n = 1 WHERE id = 99")
    assert session.run("SELECT SUM(n) FROM k").rows == [["1"]]  # READ COMMITTED
    job.own.run("commit")
    assert int(session.run("SELECT @@wait_timeout").rows[0][0]) > 2


def test_what_is_idle_in_a_transaction_is_ended(t, job):
    session = job.own.session
    job.own.run("begin")
    session.run(job.texts(0)["settings"])
    session.run(job.texts(0)["first"]["work"], "9")
    deadline = time.monotonic() + 20
    while t.value(f"SELECT COUNT(*) FROM information_schema.processlist WHERE id = {session.id}") != "0":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert t.value("SELECT SUM(n) FROM k") == "0"


def test_levels_answer(t):
    """With a number, why it isn't known, a source, who is behind it and a limit; or with no row."""
    names = sorted(name[:-4] for name in os.listdir(os.path.join(ROOT, "sql", "mysql")) if name.startswith("level_"))
    t.run("level_begin")
    t.run("level_settings")
    answered = {}
    for name in names:
        if name not in ("level_begin", "level_settings", "level_disk"):
            rows = t.run(name).rows
            assert len(rows) <= 1 and all(len(row) == 5 and float(row[0]) >= 0 and row[1] is None for row in rows), (name, rows)
            answered[name] = bool(rows)
    t.run("commit")
    there = {"active", "lock_waiters", "oldest", "history", "binlog"}
    assert answered == {**{name: name[6:] in there for name in answered}} and len(there) == sum(answered.values())


def test_every_text_of_postgresql_has_its_counterpart():
    of = {name: {path[:-4] for path in os.listdir(os.path.join(os.path.dirname(__file__), "..", "..", "sql", name))} for name in ("postgres", "mysql")}
    assert {name for name in of["postgres"] - of["mysql"] if not name.startswith(("describe", "resolve", "explain"))} == set()
    assert "/*M!" in text("identity") and "/*!80000" in text("identity")
