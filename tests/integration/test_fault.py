"""The network between the daemon and PostgreSQL fails: connections are cut at every byte, fall silent, stutter. Nothing is lost,
nothing is done twice, and the job goes on by itself. BACKFILLD_SOAK=1 cuts at every byte instead of a sample of them."""

import os
import random

import pytest

from jobs import Job, increment
from proxy import DOWN, FIN, RESET, UP, Exchange
from writers import Writers, assert_exactly_once, create_counted_table

SOAK = os.environ.get("BACKFILLD_SOAK") == "1"
BATCH = b"SET LOCAL synchronous_commit = off"  # only a batch's BEGIN says so
GOES_ON_WITHIN_S = 15
SAMPLE, TAIL = 7, 20
ROWS_PER_CUT = 200  # one batch that is let pass, one that is cut


@pytest.fixture
def proxy(make_proxy, pg):
    return make_proxy(pg.primary.port)


@pytest.fixture
def daemon(make_daemon, pg, db, proxy):
    return make_daemon(target={"url": proxy.url(pg.url(db, tcp=True))}).start().init()


def seeded():
    seed = int(os.environ.get("SEED", random.randrange(1_000_000)))
    print(f"SEED={seed}")
    return random.Random(seed)


def application(job):
    return f"backfilld {job.id}"


def await_exchange(proxy, daemon, job, exchange):
    """For the batch after the next one, unless told otherwise: that proves that the job has gone on."""
    proxy.watch(application(job), exchange)
    assert exchange.over.wait(GOES_ON_WITHIN_S), f"{exchange}: no such batch; {daemon.show(job)}\nlog:\n{daemon.log()}"
    return exchange


def finish(daemon, job):
    daemon.wait_up()
    daemon.ctl("set", job.id, "batch.rows=5000", "batch.delay=0ms", check=0)
    daemon.wait_done(job)


# --- cuts ---

def work_of(kind):
    keys = {"update": {"set": {"n": "n + 1"}},
            "insert": {"into": "public.copy", "columns": {"id": "id"}},
            "statement": {"statement": "UPDATE public.t SET n = n + 1 WHERE {range}", "rollback": {"keep_old_values": False}}}
    return Job(table="public.t", kind=kind, allow_triggers=True, batch={"max_duty": 1.0}, **keys[kind])


def assert_copied_once(pg, db, rows):
    """There is no key on the copy: whatever was inserted is there."""
    doubled = pg.sql(db, "SELECT id, count(*) FROM copy GROUP BY id HAVING count(*) > 1 ORDER BY 1 LIMIT 10")
    lost = pg.sql(db, f"SELECT id FROM generate_series(1, {rows}) id EXCEPT SELECT id FROM copy ORDER BY 1 LIMIT 10")
    assert (doubled, lost) == ([], []), f"doubled {doubled}, lost {lost}"


def cuts_of(rng, sizes):
    """(direction, byte) to cut after. The sizes differ by some digits from batch to batch; the last bytes are COMMIT and its answer,
    where it matters most."""
    every = [(direction, k) for direction in (UP, DOWN) for k in range(sizes[direction] + 8)]
    if SOAK:
        return every
    tails = [(direction, sizes[direction] - rng.randrange(TAIL)) for direction in (UP, DOWN) for _ in range(3)]
    return [(UP, sizes[UP])] + tails + rng.sample(every, 2 * SAMPLE)


@pytest.mark.parametrize("kind", ["update", "insert", "statement"])
def test_cuts(pg, db, proxy, daemon, kind):
    rng = seeded()
    rows = 700_000 if SOAK else 20_000
    create_counted_table(pg, db, rows)
    pg.sql(db, "CREATE TABLE copy (id bigint NOT NULL); GRANT SELECT, INSERT ON copy TO backfill")
    job = work_of(kind)
    daemon.submit(job, "--start")
    with Writers(pg, db, rows, rng.randrange(1000)):
        whole = await_exchange(proxy, daemon, job, Exchange(BATCH, nth=3))
        cuts = cuts_of(rng, whole.counted)
        assert len(cuts) * ROWS_PER_CUT < rows
        struck = 0
        for direction, k in cuts:
            exchange = Exchange(BATCH, direction, k, rng.choice([RESET, FIN]), nth=2)
            struck += await_exchange(proxy, daemon, job, exchange).struck
        finish(daemon, job)
    print(f"{kind}: {struck} cuts of {len(cuts)}, a batch has {whole.counted}")
    assert struck >= len(cuts) - 20
    if kind == "insert":
        assert_copied_once(pg, db, rows)
    else:
        assert_exactly_once(pg, db, rows)
