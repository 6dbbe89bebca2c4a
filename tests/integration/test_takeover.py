"""Owners: a stalled daemon, a second daemon, and transactions that were open before the start."""

import threading
import time

import pytest

from jobs import increment
from server import execute
from waiting import holds_for, wait_for
from writers import assert_exactly_once, create_counted_table

ROWS = 6000


@pytest.fixture
def table(server, db):
    create_counted_table(server, db, ROWS)


def counted(**batch):
    return increment(allow_triggers=True, batch={"delay": "20ms", **batch})


def owner(server, db):
    return server.value(db, "SELECT owner FROM backfill.job")


def test_a_second_daemon_takes_over_a_stalled_one(server, db, daemon, table, make_daemon):
    job = counted()
    other = make_daemon("other").start()
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 2)
    first_owner = owner(server, db)
    daemon.sigstop()
    wait_for(lambda: owner(server, db) not in (first_owner, None), 10, lambda: f"another owner; log:\n{other.log()}")
    stalled_at = daemon.batches(job)
    other.wait_batches(job, stalled_at + 2)
    daemon.sigcont()
    other.wait_done(job)
    assert_exactly_once(server, db, ROWS)
    assert "owner.claimed" in [e["event"] for e in other.ctl_json("events", job.id)]
    wait_for(lambda: daemon.ctl("show", job.id).code == 0, 5, "the first daemon to answer again")
    assert daemon.state(job) == "completed"


def test_another_host_goes_on_when_the_first_one_is_dead(server, db, daemon, table, make_daemon):
    job = counted()
    other = make_daemon("other").start()
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 2)
    daemon.kill9()
    begin, done = time.monotonic(), daemon.batches(job)
    daemon.wait_batches(job, done + 1)
    assert time.monotonic() - begin < 6, "owner_timeout is 2 s"
    other.wait_done(job)
    assert_exactly_once(server, db, ROWS)


def test_a_living_owner_is_left_alone(server, db, daemon, table, make_daemon):
    job = counted(delay="200ms")
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 1)
    first_owner, epoch = owner(server, db), server.value(db, "SELECT epoch FROM backfill.job")
    make_daemon("other").start()
    holds_for(lambda: (owner(server, db), server.value(db, "SELECT epoch FROM backfill.job")) == (first_owner, epoch), 3,
              "the owner stays")
    daemon.ctl("set", job.id, "batch.delay=0ms", "batch.rows=1000", check=0)
    daemon.wait_done(job)
    assert_exactly_once(server, db, ROWS)


def test_a_second_daemon_sees_and_changes_the_first_one_s_jobs(server, db, daemon, table, make_daemon):
    other = make_daemon("other").start()
    job = counted()
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 1)
    other.ctl("pause", job.id, check=0)
    wait_for(lambda: daemon.state(job) == "paused", 5, "the owner to see the pause")
    done = daemon.batches(job)
    holds_for(lambda: daemon.batches(job) == done, 0.5, "no batch after the other one's pause")
    other.ctl("resume", job.id, check=0)
    daemon.ctl("set", job.id, "batch.delay=0ms", "batch.rows=1000", check=0)
    other.wait_done(job)
    assert_exactly_once(server, db, ROWS)


def test_two_targets_that_lead_to_one_database(server, db, daemon, table):
    """A job runs on the target that it names: they do not take it from each other."""
    other = daemon.target_settings("other")
    other["url"] = server.url(db, tcp=True)
    daemon.settings["targets"].append(other)
    daemon.write_conf()
    daemon.ctl("reload", check=0)
    job = counted()
    daemon.submit(job, "--start")
    daemon.wait_done(job)
    assert daemon.log().count("claimed, epoch") == 1
    assert_exactly_once(server, db, ROWS)


def test_a_job_that_another_daemon_pauses_first_and_then_resumes(server, db, daemon, table):
    """Ours finds its own pause done already. It must let go, so that it can claim the job again later."""
    job = counted()
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 1)
    with server.connect(db, autocommit=False) as other:
        execute(other, "UPDATE backfill.job SET state = 'paused', epoch = epoch + 1, owner = NULL, owner_seen_at = NULL, paused_at = now()")
        server.sql(db, "REVOKE UPDATE ON t FROM backfill")
        wait_for(lambda: "pauses:" in daemon.log(), 10, "the pause")
        other.commit()
    server.sql(db, "GRANT UPDATE ON t TO backfill")
    wait_for(lambda: "let go" in daemon.log(), 10, "the daemon to let go")
    server.sql(db, "UPDATE backfill.job SET state = 'running', epoch = epoch + 1;"
               "UPDATE backfill.segment SET epoch = (SELECT j.epoch FROM backfill.job j WHERE j.id = job_id)")
    daemon.wait_done(job)


def test_a_stalled_daemon_in_mid_batch_blocks_the_site_for_3_s_at_most(server, db, daemon, table):
    """Its batch has locked the rows when the process stands still; the server ends the idle transaction."""
    job = counted(delay="200ms", time="5s")
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 1)
    first = (daemon.batches(job) + 1) * 100 + 1  # the batch after the next one: rows first … first + 99
    with server.connect(db, autocommit=False) as blocker:
        # that batch waits in its UPDATE, on a row in its middle, until the daemon stands still
        execute(blocker, "SELECT 1 FROM t WHERE id = %s FOR UPDATE", (first + 50,))
        wait_for(lambda: server.waits_for_lock(db), 10, lambda: f"the batch to wait; log:\n{daemon.log()}")
        daemon.sigstop()
        blocker.rollback()
    begin = time.monotonic()
    with server.connect(db) as site:
        execute(site, server.dialect.waits_at_most(20))
        execute(site, "UPDATE t SET note = 'site' WHERE id BETWEEN %s AND %s", (first, first + 99))
    blocked = time.monotonic() - begin
    daemon.sigcont()
    assert blocked <= 3, f"blocked for {blocked:.1f} s"
    daemon.wait_done(job)
    assert_exactly_once(server, db, ROWS)


def test_many_stalls(server, db, daemon, table, make_daemon):
    """Two daemons, one of them standing still in turn: nothing is done twice."""
    other = make_daemon("other").start()
    job = counted(delay="10ms")
    daemon.submit(job, "--start")
    for stalled, working in ((daemon, other), (other, daemon)):
        daemon.wait_batches(job, daemon.batches(job) + 1)
        stalled.sigstop()
        before = daemon.batches(job)
        wait_for(lambda: daemon.batches(job) >= before + 3 or daemon.progress(job)[0] == "completed", 10,
                 lambda: f"the other one to go on; log:\n{working.log()}")
        stalled.sigcont()
    daemon.wait_done(job)
    assert_exactly_once(server, db, ROWS)


def test_a_second_daemon_on_the_same_socket_is_refused(daemon, make_daemon):
    second = make_daemon("second")
    second.settings["control"] = {"socket": daemon.socket}
    second.launch()
    code = second.wait_exit(10)
    assert code not in (0, None)
    assert daemon.socket in second.log() and "another" in second.log()
    daemon.ctl("list", check=0)


def hold_of(daemon, job):
    shown = daemon.show(job)["throttle"]
    return shown["reason"] if shown["held"] else None


@pytest.mark.parametrize("kind", ["open", "prepared"])
def test_an_older_writer_is_waited_for_and_named(server, db, daemon, table, kind):
    """Its row has a key below the frozen one and is committed after the start."""
    job = counted(delay="0ms", rows=1000)
    daemon.submit(job)
    with server.connect(db, autocommit=False) as writer:
        pid = server.backend_pid(writer)
        if kind == "prepared":
            execute(writer, server.dialect.begin_to_prepare("gid_of_the_test"))
        execute(writer, "INSERT INTO t (id) VALUES (0), (-7)")
        if kind == "prepared":
            execute(writer, server.dialect.prepare("gid_of_the_test"))
            writer.close()
        daemon.ctl("start", job.id, check=0)
        reason = wait_for(lambda: hold_of(daemon, job), 10, lambda: f"a hold; {daemon.show(job)}")
        assert ("gid_of_the_test" if kind == "prepared" else str(pid)) in reason, reason
        holds_for(lambda: daemon.batches(job) == 0, 0.5, "no batch while the writer is open")
        if kind == "prepared":
            server.sql(db, server.dialect.commit_prepared("gid_of_the_test"))
        else:
            writer.commit()
    daemon.wait_done(job)
    assert server.sql(db, "SELECT n FROM t WHERE id IN (0, -7)") == [(1,), (1,)]
    assert_exactly_once(server, db, ROWS)


def test_a_writer_that_began_after_the_start_is_waited_for_if_its_key_is_below_the_end(server, db, daemon, table):
    """While the start waits, it takes an id; another one takes the next and commits: that is the end."""
    job = counted(delay="0ms", rows=1000)
    daemon.submit(job)
    with server.connect(db, autocommit=False) as older, server.connect(db, autocommit=False) as younger:
        execute(older, "INSERT INTO t (id) VALUES (0)")
        daemon.ctl("start", job.id, check=0)
        wait_for(lambda: hold_of(daemon, job), 10, lambda: f"a hold; {daemon.show(job)}")
        execute(younger, "INSERT INTO t (id) VALUES (%s)", (ROWS + 1,))
        server.sql(db, "INSERT INTO t (id) VALUES (%s)", (ROWS + 2,))
        older.commit()
        pid = str(server.backend_pid(younger))
        wait_for(lambda: pid in (hold_of(daemon, job) or ""), 10, lambda: f"a hold that names {pid}; {daemon.show(job)}")
        younger.commit()
    daemon.wait_done(job)
    assert_exactly_once(server, db, ROWS + 2)


def give_up_to_wait(server, daemon, job, writer, query):
    daemon.submit(job)
    execute(writer, query)
    daemon.ctl("start", job.id, check=0)
    wait_for(lambda: hold_of(daemon, job), 10, "a hold")
    daemon.ctl("set", job.id, "wait_for_writers=false", check=0)


@pytest.mark.parametrize("keep", [False, True])
def test_wait_for_writers_can_be_given_up(server, db, daemon, table, keep):
    server.sql(db, "CREATE TABLE other (id int)")
    job = increment(allow_triggers=True, batch={"rows": 1000}, rollback={"keep_old_values": keep})
    with server.connect(db, autocommit=False) as writer:
        give_up_to_wait(server, daemon, job, writer, "INSERT INTO other VALUES (0)")
        daemon.wait_done(job)
    assert "wait_for_writers=false" in str(daemon.ctl_json("events", job.id))
    assert_exactly_once(server, db, ROWS)


def test_a_row_of_a_writer_that_is_not_waited_for_is_left_alone(server, db, daemon, table):
    """It may come to light behind us: that is what the operator has said."""
    job = increment(allow_triggers=True, batch={"rows": 1000}, rollback={"keep_old_values": server.dialect.reading_for_update_skips_new_rows})
    with server.connect(db, autocommit=False) as writer:
        give_up_to_wait(server, daemon, job, writer, "INSERT INTO t (id) VALUES (0)")
        daemon.wait_done(job)
        writer.commit()
    assert server.sql(db, "SELECT n FROM t WHERE id = 0") == [(0,)]


@pytest.mark.engine("mariadb", "mysql")
def test_reading_for_update_waits_for_a_row_that_is_not_committed_yet(server, db, daemon, table):
    """So it does for old values, whatever the operator has said: the row is done."""
    job = counted(delay="0ms", rows=1000)
    with server.connect(db, autocommit=False) as writer:
        give_up_to_wait(server, daemon, job, writer, "INSERT INTO t (id) VALUES (0)")
        pid = f"rows are locked by pid {server.backend_pid(writer)}"
        wait_for(lambda: pid in (hold_of(daemon, job) or ""), 30, lambda: f"a hold that names it; {daemon.show(job)}")
        writer.commit()
    daemon.wait_done(job)
    assert server.sql(db, "SELECT n FROM t WHERE id = 0") == [(1,)]
    assert_exactly_once(server, db, ROWS)


def locked_row_is_named(server, db, daemon, job):
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 1)  # a writer from before the start would be waited for
    with server.connect(db, autocommit=False) as writer:
        execute(writer, "UPDATE t SET note = 'mine' WHERE id = %s", (ROWS,))
        pid = server.backend_pid(writer)
        reason = wait_for(lambda: (hold_of(daemon, job) or "") if f"pid {pid}" in (hold_of(daemon, job) or "") else None, 30,
                          lambda: f"a hold that names pid {pid}; {daemon.show(job)['throttle']}")
        assert "locked" in reason
        assert daemon.show(job)["batches"]["failed"] == 0
        writer.commit()
    daemon.wait_done(job)
    assert_exactly_once(server, db, ROWS)


def test_a_row_lock_of_the_application_is_waited_for_and_named(server, db, daemon, table):
    locked_row_is_named(server, db, daemon, counted(time="50ms"))


def test_a_row_lock_that_the_batch_meets_late_is_named(server, db, daemon, table):
    server.sql(db, server.dialect.dawdle("t", "mod(old.id, 500) = 1", 0.05))
    locked_row_is_named(server, db, daemon, increment(allow_triggers=True, batch={"rows": 500, "time": "400ms"},
                                                      rollback={"keep_old_values": False}))  # else all rows are locked first


def test_what_was_written_before_a_lock_is_waited_for_in_vain_is_not_there_any_more(server, db, daemon, table):
    """A lock's time-out ends a statement; MySQL keeps the transaction, and the next START TRANSACTION would commit it."""
    job = increment(allow_triggers=True, batch={"delay": "20ms", "time": "50ms"}, rollback={"keep_old_values": False})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 1)
    with server.connect(db, autocommit=False) as other:
        execute(other, "SELECT 1 FROM backfill.segment FOR UPDATE")
        wait_for(lambda: daemon.show(job)["batches"]["retried"] > 1, 20, lambda: f"two tries in vain; {daemon.show(job)}")
    daemon.hurry_to_the_end(job)
    assert_exactly_once(server, db, ROWS)


def test_a_table_lock_of_the_application_is_waited_for_in_short_turns(server, db, daemon, table):
    """An open transaction keeps somebody waiting for the whole table, as who changes it is kept, and that keeps us. Both of them live on."""
    job = counted(time="50ms")
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 1)
    with server.connect(db, autocommit=False) as reader, server.connect(db) as changer:
        execute(reader, "SELECT 1 FROM t LIMIT 1")
        change = threading.Thread(target=execute, args=(changer, server.dialect.lock_table.format("t")), daemon=True)
        change.start()
        wait_for(lambda: "lock" in (hold_of(daemon, job) or "").lower(), 30, lambda: f"a hold; {daemon.show(job)}")
        done = daemon.batches(job)
        assert execute(reader, "SELECT 1") == [(1,)]
        reader.rollback()
        change.join(10)
        assert not change.is_alive() and daemon.batches(job) == done
        execute(changer, server.dialect.unlock_table)
    daemon.wait_done(job)
    assert daemon.show(job)["batches"]["failed"] == 0
    assert_exactly_once(server, db, ROWS)


def test_a_claim_does_not_end_a_session_that_only_has_the_former_one_s_pid(server, db, daemon, table):
    job = counted(delay="20ms")
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 1)
    daemon.kill9()
    with server.connect(db, "backfill") as other:
        server.sql(db, "UPDATE backfill.job SET backend_pid = %s", (server.backend_pid(other),))
        daemon.start()
        daemon.wait_done(job)
        assert execute(other, "SELECT 1") == [(1,)]


@pytest.mark.parametrize("fence", ["epoch = epoch + 1", "batch_id = batch_id + 1", "stopped = true"])
def test_a_batch_whose_fence_is_raised_meanwhile_is_rolled_back(server, db, daemon, table, fence):
    """It has read its range already, and waits for a row."""
    job = counted(delay="200ms", time="5s")
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 1)
    with server.connect(db, autocommit=False) as blocker:
        execute(blocker, "SELECT 1 FROM t WHERE id = %s FOR UPDATE", ((daemon.batches(job) + 1) * 100 + 50,))
        wait_for(lambda: server.waits_for_lock(db), 10, lambda: f"the batch to wait; log:\n{daemon.log()}")
        server.sql(db, f"UPDATE backfill.segment SET {fence}")
        blocker.rollback()
    wait_for(lambda: "the fence held a batch back" in daemon.log(), 10, lambda: f"the fence; log:\n{daemon.log()}")
    server.sql(db, "UPDATE backfill.segment SET stopped = false")
    daemon.wait_done(job)
    assert_exactly_once(server, db, ROWS)
