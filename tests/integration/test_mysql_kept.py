"""What is kept of the rows that a batch changes, and insertions that meet rows, by what the MySQL dialect writes, on real servers."""

import json

import pytest

from mysql_fixtures import connect, make_job, numbers, server, t  # pylint: disable=unused-import
from mysql_session import Refused
from mysql_texts import DATABASE

pytestmark = pytest.mark.engine("mariadb", "mysql")


@pytest.mark.parametrize("where", ["m > 0", "m > 0 AND id NOT IN (SELECT id FROM others)"])
def test_kept_rows_are_the_changed_ones(connect, t, make_job, where):
    """Rows that come to match between the look and the UPDATE: rolled back and tried again, or not touched at all."""
    t.session.query("CREATE TABLE k (id INT NOT NULL PRIMARY KEY, n INT, m INT, f FLOAT, b BLOB, s VARCHAR(9) CHARACTER SET latin1)")
    t.session.query("CREATE TABLE others (id INT)")
    t.session.query(f"INSERT INTO k SELECT i, i, i % 2, 0.1, UNHEX('00FF'), 'é' FROM {numbers(40)}")
    job = make_job(f'kind = "update"; set = {{ n = "n * 10"; f = "f + 1"; b = "CONCAT(b, UNHEX(\'00\'))"; s = "CONCAT(s, \'\'\'\')"; }}; where = "{where}";', "k")
    job.start()
    other = connect()

    def site():
        job.after_capture = lambda: None
        other.query("UPDATE k SET m = 1 WHERE id = 6")
        other.query("INSERT INTO others VALUES (7)")
    job.after_capture = site
    job.run(10)
    assert job.races == (0 if "SELECT" in where else 1)
    kept = t.session.run("SELECT `keys`, old_values, new_values FROM backfill.kept").rows
    changed = {row[0]: row[1] for row in t.session.run("SELECT id, n FROM k WHERE n <> id").rows}
    found = {}
    for keys, old, new in kept:
        for key, before, after in zip(json.loads(keys), json.loads(old), json.loads(new)):
            assert before == [key[0], "0.10000000149011612", "00FF", "é"] and after[1:] == ["1.100000023841858", "00FF00", "é'"]
            found[key[0]] = after[0]
    assert {key: value for key, value in found.items() if key != "0"} == changed and len(changed) >= 19


def test_captured_rows_are_locked(connect, t, make_job):
    t.session.query("CREATE TABLE k (id INT NOT NULL PRIMARY KEY, n INT)")
    t.session.query(f"INSERT INTO k SELECT i, i FROM {numbers(40)}")
    job = make_job('kind = "update"; set = { n = "n * 10"; };', "k")
    job.start()
    other = connect()
    other.query("SET SESSION innodb_lock_wait_timeout = 1")
    met = []

    def site():
        with pytest.raises(Refused) as refused:
            other.query("UPDATE k SET n = 7 WHERE id = 6")
        met.append(refused.value.code)
    job.after_capture = site
    job.batch(job.segments[0], 10)
    assert met == [1205] and t.value("SELECT n FROM k WHERE id = 6") == "60"


INSERT = 'kind = "insert"; into = "%s.into_"; columns = { id = "id DIV 2"; v = "n"; }; on_conflict = "%%s"; rollback = { keep_old_values = %%s; };' % DATABASE


def make_pair(t, rows=40):
    t.session.query("CREATE TABLE k (id INT NOT NULL PRIMARY KEY, n INT NOT NULL)")
    t.session.query("CREATE TABLE into_ (id BIGINT NOT NULL PRIMARY KEY, v INT, other INT NOT NULL DEFAULT 9)")
    t.session.query(f"INSERT INTO k SELECT i, i + 100 FROM {numbers(rows)}")


@pytest.mark.parametrize("keep", ["false", "true"])
def test_insert_skips(t, make_job, keep):
    make_pair(t)
    t.session.query("INSERT INTO into_ VALUES (3, 1, 1), (4, 2, 2)")
    job = make_job(INSERT % ("skip", keep), "k", into="into_")
    job.start()
    assert job.run(7) == [40, 18, 22]
    assert t.value("SELECT COUNT(*) FROM into_ WHERE v = 2 * id + 100 AND other = 9") == "18"
    if keep == "true":
        rows = t.session.run("SELECT `rows`, existing, `keys`, old_values, new_values FROM backfill.kept").rows
        assert sum(int(row[0]) for row in rows) == 18 and all(row[1] == "0" and row[3] is None for row in rows)
        assert sorted(int(key[0]) for row in rows for key in json.loads(row[2])) == [i for i in range(20) if i not in (3, 4)]
        assert all([[key[0], str(2 * int(key[0]) + 100)] for key in json.loads(row[2])] == json.loads(row[4]) for row in rows)


@pytest.mark.parametrize("keep", ["false", "true"])
def test_insert_updates(t, make_job, keep):
    make_pair(t)
    t.session.query("DELETE FROM k WHERE id % 2")
    t.session.query("INSERT INTO into_ VALUES (3, 1, 1), (4, 104, 2), (7, NULL, 7)")
    job = make_job(INSERT % ("update", keep), "k", into="into_")
    job.start()
    assert job.run(7) == [20, 20, 3]
    assert t.value("SELECT COUNT(*) FROM into_ WHERE v = 2 * id + 100") == "20"
    assert t.session.run("SELECT other FROM into_ WHERE id IN (3, 4, 7) ORDER BY id").rows == [["1"], ["2"], ["7"]]
    if keep == "true":
        rows = t.session.run("SELECT `rows`, existing, `keys`, old_values, new_values FROM backfill.kept ORDER BY batch_id").rows
        assert [row[:2] for row in rows] == [["7", "2"], ["7", "1"], ["6", "0"]]
        assert json.loads(rows[0][2])[:2] == [["3"], ["4"]] and json.loads(rows[0][3]) == [["3", "1"], ["4", "104"]]
        assert json.loads(rows[1][3]) == [["7", None]]
        assert all([[key[0], str(2 * int(key[0]) + 100)] for key in json.loads(row[2])] == json.loads(row[4]) for row in rows)


@pytest.mark.parametrize("keep", ["false", "true"])
def test_insert_that_may_not_meet(t, make_job, keep):
    make_pair(t)
    t.session.query("DELETE FROM k WHERE id % 2")
    job = make_job(INSERT % ("error", keep), "k", into="into_")
    job.start()
    job.batch(job.segments[0], 7)
    t.session.query("INSERT INTO into_ (id) VALUES (8)")
    with pytest.raises(Refused) as refused:
        job.batch(job.segments[0], 7)
    assert refused.value.code == 1062
    assert t.value("SELECT COUNT(*) FROM into_") == "8"
    assert t.value("SELECT COALESCE(SUM(`rows`), 0) FROM backfill.kept") == ("7" if keep == "true" else "0")


@pytest.mark.parametrize("keep", ["false", "true"])
def test_two_rows_that_update_one_are_ambiguous(t, make_job, keep):
    make_pair(t)
    job = make_job(INSERT % ("update", keep), "k", into="into_")
    job.start()
    with pytest.raises(Refused) as refused:
        job.batch(job.segments[0], 7)
    assert refused.value.code == 1242  # SQLSTATE 21000
    assert t.value("SELECT COUNT(*) FROM into_") == "0"


def test_a_row_that_comes_between_the_look_and_the_insertion(connect, t, make_job):
    make_pair(t)
    job = make_job(INSERT % ("skip", "true"), "k", into="into_")
    job.start()
    other = connect()
    job.after_capture = lambda: other.query("INSERT IGNORE INTO into_ VALUES (5, 5, 5)")
    assert job.run(20) == [40, 19, 21] and job.races == 1
    job.after_capture = lambda: None
    assert t.value("SELECT SUM(`rows`) FROM backfill.kept") == "19"


def test_insert_cuts_nothing_off(t, make_job):
    make_pair(t)
    t.session.query("ALTER TABLE into_ MODIFY v TINYINT")
    for mode in ("error", "skip", "update"):
        t.session.query("DELETE FROM backfill.job")
        job = make_job(INSERT.replace("id DIV 2", "id") % (mode, "false"), "k", into="into_", name=f"20261121_{mode}")
        job.start()
        with pytest.raises(Refused) as refused:
            job.batch(job.segments[0], 40)
        assert refused.value.code == 1264
    assert t.value("SELECT COUNT(*) FROM into_") == "0"
