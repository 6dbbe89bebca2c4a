"""The network between the daemon and PostgreSQL fails: connections are cut at every byte, fall silent, stutter. Nothing is
lost, nothing is done twice, and the job goes on by itself. BACKFILLD_SOAK=1: at every byte instead of a sample of them."""

import os
import random
import time

import pytest

from jobs import Job, increment
from proxy import CONNECT, DOWN, FIN, HALF_CLOSE, RESET, SILENCE, UP, Exchange
from waiting import holds_for, wait_for
from writers import Writers, assert_exactly_once, create_counted_table

SOAK = os.environ.get("BACKFILLD_SOAK") == "1"
BATCH = b"BEGIN ISOLATION LEVEL READ COMMITTED\0"  # a batch's, and a round's
AHEAD = b"READ COMMITTED READ ONLY"  # the look-up of the next end, on a connection of its own
STATE = b"SET state = $2, reason = $3"  # only a change of state says so
COMMIT = b"COMMIT\0"
GOES_ON_WITHIN_S = 15
SAMPLE, TAIL = 7, 20
ROWS_PER_CUT = 200  # one batch that is let pass, one that is cut
CUTS = [RESET, FIN, HALF_CLOSE]


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


def running(pg, db, daemon, rows=20_000, **batch):
    """A job that has begun."""
    create_counted_table(pg, db, rows)
    job = increment(allow_triggers=True, batch=batch)
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 1)
    return job


def finish(daemon, job):
    """Then the network is whole."""
    daemon.wait_up()
    daemon.ctl("set", job.id, "batch.rows=5000", "batch.delay=0ms", check=0)
    daemon.wait_done(job)


# --- cuts ---

def work_of(kind):
    keys = {"update": {"set": {"n": "n + 1"}},
            "insert": {"into": "public.copy", "columns": {"id": "id"}, "rollback": {"keep_old_values": False}},
            "statement": {"statement": "UPDATE public.t SET n = n + 1 WHERE {range}", "rollback": {"keep_old_values": False}}}
    # With a rest each batch looks up its own end, so that each exchange is like the other.
    return Job(table="public.t", kind=kind, allow_triggers=True, batch={"max_duty": 1.0, "delay": "1ms"}, **keys[kind])


def assert_copied_once(pg, db, rows):
    """There is no key on the copy: whatever was inserted is there."""
    doubled = pg.sql(db, "SELECT id, count(*) FROM copy GROUP BY id HAVING count(*) > 1 ORDER BY 1 LIMIT 10")
    lost = pg.sql(db, f"SELECT id FROM generate_series(1, {rows}) id EXCEPT SELECT id FROM copy ORDER BY 1 LIMIT 10")
    assert (doubled, lost) == ([], []), f"doubled {doubled}, lost {lost}"


def cuts_of(rng, sizes):
    """(direction, bytes) to cut after. A later batch may have some digits more. The last bytes are COMMIT and its answer, where
    it matters most."""
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
            exchange = Exchange(BATCH, direction, k, rng.choice(CUTS), nth=2)
            struck += await_exchange(proxy, daemon, job, exchange).struck
        finish(daemon, job)
    reachable = sum(k <= whole.counted[direction] for direction, k in cuts)
    print(f"{kind}: {struck} cuts, {reachable} reachable of {len(cuts)}, a batch has {whole.counted}")
    assert struck >= 0.9 * reachable  # a batch that waits for a lock in vain has no COMMIT
    if kind == "insert":
        assert_copied_once(pg, db, rows)
    else:
        assert_exactly_once(pg, db, rows)


def test_cuts_of_a_connection_s_first_batch(pg, db, proxy, daemon):
    """Which also prepares what later ones only execute. Each cut gives the next one its new connection."""
    rng = seeded()
    rows = 100_000 if SOAK else 10_000
    create_counted_table(pg, db, rows)
    job = work_of("update")
    daemon.submit(job, "--start")
    later = await_exchange(proxy, daemon, job, Exchange(BATCH, nth=3)).counted

    def cut(direction, k):
        return await_exchange(proxy, daemon, job, Exchange(BATCH, direction, k, rng.choice(CUTS)))

    cut(UP, 1)
    first = await_exchange(proxy, daemon, job, Exchange(BATCH)).counted
    assert first[UP] > 1.5 * later[UP], f"{first}, {later}: not a connection's first"
    every = [(direction, k) for direction in (UP, DOWN) for k in range(first[direction])]
    struck = 0
    cut(UP, 1)
    for direction, k in every if SOAK else rng.sample(every, SAMPLE):
        exchange = cut(direction, k)
        struck += exchange.struck
        if not exchange.struck:  # the pace has changed a number, and it is shorter: another connection is wanted
            cut(UP, 1)
    print(f"{struck} cuts, a first batch has {first}, a later one {later}")
    assert struck >= 0.9 * (len(every) if SOAK else SAMPLE)
    finish(daemon, job)
    assert_exactly_once(pg, db, rows)


def test_cuts_of_the_look_up_ahead(pg, db, proxy, daemon):
    """What it would have said the batches find out themselves."""
    rng = seeded()
    rows = 200_000 if SOAK else 40_000
    create_counted_table(pg, db, rows)
    job = increment(allow_triggers=True, where="(SELECT true FROM pg_sleep(0.02))", batch={"max_duty": 1.0})  # long, and no rest
    daemon.submit(job, "--start")

    def look_up(*how):
        exchange = Exchange(AHEAD, *how)
        proxy.watch(f"backfilld ahead {job.id}", exchange)
        assert exchange.over.wait(GOES_ON_WITHIN_S), f"{exchange}: no such look-up; {daemon.show(job)}\nlog:\n{daemon.log()}"
        return exchange

    def cut(direction, k):
        assert look_up(direction, k, rng.choice(CUTS)).struck
        batches = daemon.batches(job)
        daemon.wait_batches(job, batches + 1)

    cut(UP, 1)
    first, later = look_up().counted, look_up().counted
    assert first[UP] > 1.5 * later[UP], f"{first}, {later}: the first one on a connection prepares"
    cut(UP, 1)
    every, every_later = ([(direction, k) for direction in (UP, DOWN) for k in range(size[direction])] for size in (first, later))
    for direction, k in rng.sample(every, 70 if SOAK else SAMPLE):
        cut(direction, k)
        look_up()  # a whole one: the pause before the next connection is short again
        cut(*rng.choice(every_later))
    finish(daemon, job)
    assert_exactly_once(pg, db, rows)


def test_cuts_in_a_short_job_s_life(pg, db, proxy, daemon):
    """From the first byte of its connection: authentication, claim, freeze, both batches, completion. The next connection is
    cut, too."""
    rng = seeded()
    rows, jobs = 150, 200 if SOAK else 10
    create_counted_table(pg, db, rows)

    def run(*exchanges):
        job = increment(allow_triggers=True)
        for exchange in exchanges:
            proxy.watch(application(job), exchange)
        daemon.run_job(job, GOES_ON_WITHIN_S)

    whole = Exchange(CONNECT)
    run(whole)
    for done in range(1, jobs + 1):
        assert pg.sql(db, "SELECT DISTINCT n FROM t") == [(done,)]
        cuts = [(direction, rng.randrange(whole.counted[direction])) for direction in rng.choices([UP, DOWN], k=2)]
        print(f"{done}: {cuts}")
        run(*[Exchange(CONNECT, direction, k, rng.choice(CUTS)) for direction, k in cuts])
    assert pg.sql(db, "SELECT DISTINCT n FROM t") == [(jobs + 1,)]


def test_cuts_while_an_operator_pauses_and_resumes(pg, db, proxy, daemon):
    """What exits 0 is done. What was not known can be asked again, and happens once."""
    rng = seeded()
    job = running(pg, db, daemon, delay="10ms")
    whole = proxy.watch("backfilld control", Exchange(STATE, last=COMMIT))
    daemon.ctl("pause", job.id, check=0)
    assert whole.over.wait(GOES_ON_WITHIN_S), whole
    size = whole.counted
    codes = []
    for number in range(100 if SOAK else 12):
        request, state = ("pause", "paused") if number % 2 else ("resume", "running")
        direction = rng.choice([UP, DOWN])
        exchange = Exchange(STATE, direction, rng.randrange(size[direction] + 1), rng.choice(CUTS), last=COMMIT)
        proxy.watch("backfilld control", exchange)
        codes.append(daemon.ctl(request, job.id).code)
        wait_for(lambda: daemon.ctl(request, job.id).code == 0, GOES_ON_WITHIN_S,
                 lambda: f"{request}; {exchange}\nlog:\n{daemon.log()}")
        assert daemon.progress(job)[0] == state
        if state == "paused":
            batches = daemon.batches(job)
            holds_for(lambda: daemon.batches(job) == batches, 0.1, "no batch while paused")
    assert set(codes) <= {0, 75} and 75 in codes, codes
    daemon.ctl("resume", job.id, check=0)
    finish(daemon, job)
    events = pg.sql(db, "SELECT event FROM backfill.event WHERE event IN ('job.paused', 'job.resumed') ORDER BY seq")
    assert [event for event, in events] == ["job.paused", "job.resumed"] * (len(events) // 2), events
    assert_exactly_once(pg, db, 20_000)


# --- silence ---

def site_waits(pg, db, daemon, job):
    """Seconds for which the site can't have the rows of the batch in flight."""
    first = daemon.batches(job) * 100 + 1
    begin = time.monotonic()
    pg.sql(db, "UPDATE t SET note = 'site' WHERE id BETWEEN %s AND %s", (first, first + 99))
    return time.monotonic() - begin


CHECKPOINT_ENDS = range(75, 200)  # so many bytes before COMMIT's end the checkpoint is under way, behind another statement of its flight


def silences_of(rng, size):
    """(direction, bytes): behind COMMIT; within the checkpoint, when the rows are locked; and anywhere."""
    anywhere = [(direction, rng.randrange(size[direction])) for direction in [UP, DOWN] * (15 if SOAK else 1)]
    locked = [(UP, size[UP] - before) for before in rng.sample(CHECKPOINT_ENDS, 30 if SOAK else 1)]
    return [(UP, size[UP])] + locked + (anywhere if SOAK else rng.sample(anywhere, 1))


def test_a_connection_that_falls_silent_in_mid_batch(pg, db, proxy, daemon):
    """The connection alone. Not within a statement: no time-out of the server's runs between its Parse and its Sync."""
    rng = seeded()
    job = running(pg, db, daemon)
    size = await_exchange(proxy, daemon, job, Exchange(BATCH, nth=2)).counted
    for direction, k in silences_of(rng, size):
        silence = Exchange(BATCH, direction, k, SILENCE, nth=2, between_statements=direction == UP)
        exchange = await_exchange(proxy, daemon, job, silence)
        assert exchange.struck, exchange
        blocked = site_waits(pg, db, daemon, job)
        assert blocked <= 3, f"{exchange}: blocked for {blocked:.1f} s"
        daemon.wait_batches(job, daemon.batches(job) + 1, GOES_ON_WITHIN_S)
    proxy.heal()  # what was on its way arrives late
    finish(daemon, job)
    assert_exactly_once(pg, db, 20_000)


def test_a_network_that_falls_silent_and_comes_back(pg, db, proxy, daemon):
    """All of it, in mid-batch, until the daemon has noticed."""
    job = running(pg, db, daemon)
    proxy.watch(application(job), Exchange(BATCH, DOWN, 300, SILENCE))
    proxy.silence()
    wait_for(lambda: "held: connection lost: no answer within 7000 ms" in daemon.log(), 12,
             lambda: f"a hold; log:\n{daemon.log()}")
    batches = daemon.batches(job)
    assert daemon.ctl("show", job.id).code == 75
    holds_for(lambda: daemon.batches(job) == batches, 1, "no batch")
    proxy.heal()
    daemon.wait_batches(job, batches + 1, GOES_ON_WITHIN_S)
    finish(daemon, job)
    assert_exactly_once(pg, db, 20_000)


def test_silence_while_connecting(pg, db, proxy, daemon):
    """Before the server's first word, and within it. The daemon itself goes on answering."""
    jobs = []
    for number, (direction, after) in enumerate([(UP, 0), (DOWN, 40)]):
        pg.sql(db, f"""CREATE TABLE t{number} (id int PRIMARY KEY, n int NOT NULL DEFAULT 0);
            INSERT INTO t{number} SELECT generate_series(1, 250); GRANT SELECT, UPDATE ON t{number} TO backfill""")
        jobs.append(increment(f"public.t{number}"))
        exchange = proxy.watch(application(jobs[-1]), Exchange(CONNECT, direction, after, SILENCE))
        daemon.submit(jobs[-1], "--start")
        assert exchange.over.wait(5) and exchange.struck
    begin = time.monotonic()
    assert [daemon.state(job) for job in jobs] == ["running"] * 2
    assert time.monotonic() - begin < 2
    for number, job in enumerate(jobs):
        daemon.wait_done(job, 20)
        assert pg.sql(db, f"SELECT DISTINCT n FROM t{number}") == [(1,)]


def test_a_silent_way_to_the_replica_is_blind(pg, db, make_proxy, make_daemon):
    """Held within the limit of lag and a look, and no guard takes the silence for lag."""
    way = make_proxy(pg.replica.port)
    url = way.url(f"postgresql://backfill@127.0.0.1:{pg.replica.port}/{db}")
    daemon = make_daemon(target={"replicas": [{"name": "r1", "url": url}]}).start().init()
    create_counted_table(pg, db, 20_000)
    job = increment(allow_triggers=True, batch={"delay": "10ms"}, throttle={"max_lag": "500ms"})
    daemon.submit(job, "--start")
    daemon.wait_batches(job, 1)
    way.silence()
    begin = time.monotonic()
    wait_for(lambda: daemon.show(job)["throttle"]["held"], 5, lambda: f"a hold; {daemon.ctl_json('throttle')}")
    assert time.monotonic() - begin < 1.5
    batches = daemon.batches(job)
    holds_for(lambda: daemon.batches(job) <= batches + 1, 2, "no batch in the dark")
    assert daemon.state(job) == "running"
    way.heal()
    daemon.wait_batches(job, batches + 2, GOES_ON_WITHIN_S)
    finish(daemon, job)
    assert_exactly_once(pg, db, 20_000)


def test_a_successor_of_one_that_the_network_cut_off(pg, db, proxy, daemon, make_daemon):
    """Cut off within COMMIT. The rest of it arrives when the job has another owner."""
    job = running(pg, db, daemon, delay="10ms")
    size = await_exchange(proxy, daemon, job, Exchange(BATCH, nth=2)).counted
    other = make_daemon("other").start()
    exchange = await_exchange(proxy, daemon, job, Exchange(BATCH, UP, size[UP] - 5, SILENCE))
    proxy.silence()
    assert exchange.struck, exchange
    batches = other.batches(job)
    other.wait_batches(job, batches + 3, GOES_ON_WITHIN_S)
    proxy.heal()
    other.wait_batches(job, batches + 6)
    assert f"job {job.id}: claimed" in other.log()
    finish(other, job)
    assert_exactly_once(pg, db, 20_000)


# --- a slow network ---

def test_one_byte_at_a_time(pg, db, proxy, daemon):
    create_counted_table(pg, db, 2000)
    proxy.carry(size=1)
    job = increment(allow_triggers=True)
    daemon.run_job(job)
    assert "lost" not in daemon.log()
    assert_exactly_once(pg, db, 2000)


def test_delay(pg, db, proxy, daemon):
    """A slow way is no fault. One on which a heartbeat takes longer than the lag may be holds the job between two batches."""
    job = running(pg, db, daemon, max_duty=1.0)
    daemon.ctl("set", job.id, "throttle.max_lag=500ms", check=0)
    proxy.carry(delay_s=0.02)
    daemon.wait_batches(job, daemon.batches(job) + 3)
    assert "lost" not in daemon.log()
    proxy.carry(delay_s=0.6)
    wait_for(lambda: "held: " in daemon.log(), 2 * GOES_ON_WITHIN_S, lambda: f"a hold; log:\n{daemon.log()}")
    batches = daemon.batches(job)
    holds_for(lambda: daemon.batches(job) == batches, 1, "no batch in the dark")
    proxy.carry()
    daemon.wait_batches(job, batches + 1, GOES_ON_WITHIN_S)
    finish(daemon, job)
    assert_exactly_once(pg, db, 20_000)
