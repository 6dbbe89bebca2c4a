"""binlog_row_image: how much of a row a batch writes to the binary log."""

import pytest

from jobs import increment

mysql_only = pytest.mark.engine("mariadb", "mysql")
ROWS = 5000


@pytest.fixture
def table(server, db):
    server.sql(db, f"""CREATE TABLE public.t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, note varchar(400) NOT NULL);
        INSERT INTO public.t SELECT i, 0, repeat('x', 400) FROM {server.dialect.series(1, ROWS)}""")
    server.grant_on_all_tables(db, "SELECT, UPDATE")


@mysql_only
@pytest.mark.parametrize("image", ["minimal", "full"])
def test_a_job_chooses_its_row_image(server, db, table, make_daemon, image):
    server.grant_row_image()
    daemon = make_daemon().start().init()
    before = server.binlog_bytes()
    daemon.run_job(increment(batch={"rows": 1000}, binlog_row_image=image, rollback={"keep_old_values": False}))
    written = server.binlog_bytes() - before
    assert server.sql(db, "SELECT n, count(*) FROM public.t GROUP BY n") == [(1, ROWS)]
    assert (written < ROWS * 100) == (image == "minimal"), written


@mysql_only
def test_without_the_privilege_it_is_refused(server, db, table, daemon):
    error = daemon.submit(increment(binlog_row_image="minimal"), check=65).stderr
    assert "privilege" in error and "ADMIN" in error, error
    assert daemon.ctl_json("list") == []


@pytest.mark.engine("postgresql")
def test_where_there_is_no_binary_log_it_is_refused(server, db, table, daemon):
    assert "binlog_row_image" in daemon.submit(increment(binlog_row_image="minimal"), check=65).stderr
