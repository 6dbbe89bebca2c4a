"""The network between the daemon and its server fails: connections are cut at every byte, fall silent, stutter. Nothing is
lost, nothing is done twice, and the job goes on by itself. BACKFILLD_SOAK=1: at every byte instead of a sample of them."""

import random
import time

import pytest

from jobs import Job, increment
from proxy import ACCEPT, DOWN, FIN, HALF_CLOSE, NOBODY, RESET, SILENCE, UP, Exchange
from results import WHOLE, draw_seed, record
from waiting import holds_for, wait_for
from wire import CONNECT
from writers import Writers, assert_exactly_once, create_counted_table

GOES_ON_WITHIN_S = 15
LATER = 4  # behind the round, the first batch, and the first that begins behind a row: each has texts of its own
SAMPLE, TAIL = 7, 20
ROWS_PER_CUT = 200  # one batch that is let pass, one that is cut
CUTS = [RESET, FIN, HALF_CLOSE]


@pytest.fixture
def proxy(make_proxy, server):
    return make_proxy(server.primary.port)


@pytest.fixture
def daemon(make_daemon, server, db, proxy):
    return make_daemon(target={"url": proxy.url(server.url(db, tcp=True))}).start().init()


class Sweep:
    """What is chosen, and what a soak leaves behind: what gets there was exact."""

    def __init__(self, server, name, kind="update"):
        self.server, self.name, self.kind, self.begin, self.seed = server, name, kind, time.monotonic(), draw_seed()
        self.rng = random.Random(self.seed)

    def over(self, strikes, rows, **more):
        print(f"{self.name}, {self.kind}: {strikes} strikes")
        record(self.server, self.name, self.kind, self.begin, self.seed, strikes, rows, **more)


def application(job):
    return f"backfilld {job.id}"


def await_exchange(proxy, daemon, job, exchange):
    """For the batch after the next one, unless told otherwise: that proves that the job has gone on."""
    proxy.watch(application(job), exchange)
    assert exchange.over.wait(GOES_ON_WITHIN_S), f"{exchange}: no such batch; {daemon.show(job)}\nlog:\n{daemon.log()}"
    return exchange


def batch_to_commit(proxy, daemon, job):
    """The bytes of a batch up to the answer to its COMMIT."""
    dialect = daemon.server.dialect
    return await_exchange(proxy, daemon, job, Exchange(dialect.batch, nth=LATER, last=dialect.batch_commits)).counted


def running(server, db, daemon, rows=20_000, **batch):
    """A job that has begun."""
    create_counted_table(server, db, rows)
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


def assert_copied_once(server, db, rows):
    """There is no key on the copy: whatever was inserted is there."""
    doubled = server.sql(db, "SELECT id, count(*) FROM copy GROUP BY id HAVING count(*) > 1 ORDER BY 1 LIMIT 10")
    lost = server.sql(db, f"SELECT i FROM {server.dialect.series(1, rows)} EXCEPT SELECT id FROM copy LIMIT 10")
    assert (doubled, lost) == ([], []), f"doubled {doubled}, lost {lost}"


def cuts_of(rng, sizes, committed):
    """(direction, bytes) to cut after. A later batch may have some digits more. It matters most within COMMIT and its answer."""
    every = [(direction, k) for direction in (UP, DOWN) for k in range(sizes[direction] + 8)]
    if WHOLE:
        return every
    tails = [(direction, committed[direction] - rng.randrange(TAIL)) for direction in (UP, DOWN) for _ in range(3)]
    return [(UP, committed[UP])] + tails + rng.sample(every, 2 * SAMPLE)


@pytest.mark.parametrize("kind", ["update", "insert", pytest.param("statement", marks=pytest.mark.engine("postgresql"))])
def test_cuts(server, db, proxy, daemon, kind):
    sweep, batch = Sweep(server, "cut behind each byte of a batch", kind), server.dialect.batch
    rng = sweep.rng
    rows = 700_000 if WHOLE else 20_000
    create_counted_table(server, db, rows)
    server.sql(db, "CREATE TABLE copy (id bigint NOT NULL); GRANT SELECT, INSERT ON copy TO backfill")
    job = work_of(kind)
    daemon.submit(job, "--start")
    with Writers(server, db, rows, rng.randrange(1000)):
        committed = batch_to_commit(proxy, daemon, job)
        whole = await_exchange(proxy, daemon, job, Exchange(batch)).counted
        cuts = cuts_of(rng, whole, committed)
        assert len(cuts) * ROWS_PER_CUT < rows
        struck = 0
        for direction, k in cuts:
            exchange = Exchange(batch, direction, k, rng.choice(CUTS), nth=2)
            struck += await_exchange(proxy, daemon, job, exchange).struck
        finish(daemon, job)
    reachable = sum(k <= whole[direction] for direction, k in cuts)
    print(f"{reachable} reachable of {len(cuts)}, a batch has {whole}, its commit ends at {committed}")
    assert struck >= 0.9 * reachable  # a batch that waits for a lock in vain has no COMMIT
    if kind == "insert":
        assert_copied_once(server, db, rows)
    else:
        assert_exactly_once(server, db, rows)
    sweep.over(struck, rows, possible=len(cuts))


def test_cuts_of_a_connection_s_first_batch(server, db, proxy, daemon):
    """Which also prepares what later ones only execute. Each cut gives the next one its new connection."""
    sweep, batch = Sweep(server, "cut behind each byte of a connection's first batch"), server.dialect.batch
    rng = sweep.rng
    rows = 200_000 if WHOLE else 10_000
    create_counted_table(server, db, rows)
    job = work_of("update")
    daemon.submit(job, "--start")
    later = await_exchange(proxy, daemon, job, Exchange(batch, nth=LATER)).counted

    def cut(direction, k):
        return await_exchange(proxy, daemon, job, Exchange(batch, direction, k, rng.choice(CUTS)))

    cut(UP, 1)
    first = await_exchange(proxy, daemon, job, Exchange(batch)).counted
    assert first[UP] > later[UP] + 100, f"{first}, {later}: not a connection's first"
    every = [(direction, k) for direction in (UP, DOWN) for k in range(first[direction])]
    struck = 0
    cut(UP, 1)
    for direction, k in every if WHOLE else rng.sample(every, SAMPLE):
        exchange = cut(direction, k)
        struck += exchange.struck
        if not exchange.struck:  # the pace has changed a number, and it is shorter: another connection is wanted
            cut(UP, 1)
    print(f"a first batch has {first}, a later one {later}")
    assert struck >= 0.9 * (len(every) if WHOLE else SAMPLE)
    finish(daemon, job)
    assert_exactly_once(server, db, rows)
    sweep.over(struck, rows, possible=len(every))


def test_cuts_of_the_look_up_ahead(server, db, proxy, daemon):
    """What it would have said the batches find out themselves."""
    sweep = Sweep(server, "cut in the look-up ahead")
    rng = sweep.rng
    rows = 200_000 if WHOLE else 40_000
    create_counted_table(server, db, rows)
    server.sql(db, server.dialect.dawdle("t", "old.id % 100 = 0", 0.01))
    job = increment(allow_triggers=True, batch={"max_duty": 1.0})  # long, and no rest
    daemon.submit(job, "--start")

    def look_up(*how):
        exchange = Exchange(server.dialect.ahead, *how)
        proxy.watch(f"backfilld ahead {job.id}", exchange)
        assert exchange.over.wait(GOES_ON_WITHIN_S), f"{exchange}: no such look-up; {daemon.show(job)}\nlog:\n{daemon.log()}"
        return exchange

    def cut(direction, k):
        assert look_up(direction, k, rng.choice(CUTS)).struck
        batches = daemon.batches(job)
        daemon.wait_batches(job, batches + 1)

    cut(UP, 1)
    first, later = look_up().counted, look_up().counted
    assert first[UP] > later[UP] + 100, f"{first}, {later}: the first one on a connection prepares"
    cut(UP, 1)
    every, every_later = ([(direction, k) for direction in (UP, DOWN) for k in range(size[direction])] for size in (first, later))
    times = 70 if WHOLE else SAMPLE
    for direction, k in rng.sample(every, times):
        cut(direction, k)
        look_up()  # a whole one: the pause before the next connection is short again
        cut(*rng.choice(every_later))
    finish(daemon, job)
    assert_exactly_once(server, db, rows)
    sweep.over(2 * times, rows)


def test_cuts_in_a_short_job_s_life(server, db, proxy, daemon):
    """From the first byte of its connection: authentication, claim, freeze, both batches, completion. The next connection is
    cut, too."""
    sweep = Sweep(server, "cut in a short job's life")
    rng = sweep.rng
    rows, jobs = 150, 200 if WHOLE else 10
    create_counted_table(server, db, rows)

    def run(*exchanges):
        job = increment(allow_triggers=True)
        for exchange in exchanges:
            proxy.watch(application(job), exchange)
        daemon.run_job(job, GOES_ON_WITHIN_S)

    whole = Exchange(CONNECT)
    run(whole)
    for done in range(1, jobs + 1):
        assert server.sql(db, "SELECT DISTINCT n FROM t") == [(done,)]
        cuts = [(direction, rng.randrange(whole.counted[direction])) for direction in rng.choices([UP, DOWN], k=2)]
        print(f"{done}: {cuts}")
        run(*[Exchange(CONNECT, direction, k, rng.choice(CUTS)) for direction, k in cuts])
    assert server.sql(db, "SELECT DISTINCT n FROM t") == [(jobs + 1,)]
    sweep.over(2 * jobs, rows * jobs)


@pytest.mark.parametrize("remembered", [False, pytest.param(True, marks=pytest.mark.engine("mysql"))])
def test_cuts_of_a_log_in(server, db, make_proxy, make_daemon, remembered):
    """From the first byte that either says, with a password, and beyond the first question. `remembered`: MySQL asks again for a
    proof only, if it has seen the password since its start."""
    sweep = Sweep(server, "cut behind each byte of a log-in", "remembered" if remembered else "full")
    proxy = make_proxy(server.primary.port)
    with server.guarded_role("guarded", "sesame"):
        server.grant_on_all_tables(db, "SELECT", "guarded")
        url = proxy.url(server.url(db, tcp=True).replace("backfill@", "guarded:sesame@"))
        daemon = make_daemon(target={"url": url}).start()

        def log_in(*how):
            daemon.wait_up()
            if not remembered:
                server.forget_passwords()
            exchange = proxy.watch(NOBODY, Exchange(ACCEPT, *how, last=server.dialect.logged_in))
            wait_for(lambda: server.terminate_backends_of(db, "guarded") > 0, 5, "the session that is to be made again")
            assert exchange.over.wait(GOES_ON_WITHIN_S), f"{exchange}\n{daemon.log()}"
            return exchange

        whole = log_in().counted
        every = [(direction, k) for direction in (UP, DOWN) for k in range(whole[direction] + 1)]
        print(f"a log-in has {whole}")
        cuts = every if WHOLE else sweep.rng.sample(every, SAMPLE)
        for direction, k in cuts:
            exchange = log_in(direction, k, sweep.rng.choice(CUTS))
            assert exchange.struck, exchange
        daemon.wait_up()
    assert "sesame" not in daemon.log()
    sweep.over(len(cuts), None)


def test_cuts_while_an_operator_pauses_and_resumes(server, db, proxy, daemon):
    """What exits 0 is done. What was not known can be asked again, and happens once."""
    sweep = Sweep(server, "cut while an operator pauses and resumes")
    rng = sweep.rng
    job = running(server, db, daemon, delay="10ms")

    def change(request, *how):
        """The exit code."""
        exchange = proxy.watch("backfilld control", Exchange(server.dialect.state, *how, last=server.dialect.commits))
        code = daemon.ctl(request, job.id).code
        assert exchange.over.wait(GOES_ON_WITHIN_S), exchange
        return code, exchange

    change("pause", UP, 1, RESET)  # a new connection: what comes first there is longer
    daemon.wait_up()
    size = change("pause")[1].counted
    codes = []
    strikes = 100 if WHOLE else 12
    for number in range(strikes):
        request, state = ("pause", "paused") if number % 2 else ("resume", "running")
        direction = rng.choice([UP, DOWN])
        code, exchange = change(request, direction, rng.randrange(size[direction] + 1), rng.choice(CUTS))
        codes.append(code)
        wait_for(lambda: daemon.ctl(request, job.id).code == 0, GOES_ON_WITHIN_S,
                 lambda: f"{request}; {exchange}\nlog:\n{daemon.log()}")
        assert daemon.progress(job)[0] == state
        if state == "paused":
            batches = daemon.batches(job)
            holds_for(lambda: daemon.batches(job) == batches, 0.1, "no batch while paused")
    assert set(codes) <= {0, 75} and 75 in codes, codes
    daemon.ctl("resume", job.id, check=0)
    finish(daemon, job)
    events = server.sql(db, "SELECT event FROM backfill.event WHERE event IN ('job.paused', 'job.resumed') ORDER BY seq")
    assert [event for event, in events] == ["job.paused", "job.resumed"] * (len(events) // 2), events
    assert_exactly_once(server, db, 20_000)
    sweep.over(strikes, 20_000)


# --- silence ---

def site_waits(server, db, daemon, job):
    """Seconds for which the site can't have the rows of the batch in flight."""
    first = daemon.batches(job) * 100 + 1
    begin = time.monotonic()
    server.sql(db, "UPDATE t SET note = 'site' WHERE id BETWEEN %s AND %s", (first, first + 99))
    return time.monotonic() - begin


def silences_of(rng, size, checkpoint_ends):
    """(direction, bytes): within the checkpoint, when the rows are locked; behind COMMIT, and anywhere."""
    anywhere = [(direction, rng.randrange(size[direction])) for direction in [UP, DOWN] * (15 if WHOLE else 1)]
    locked = [(UP, size[UP] - before) for before in rng.sample(checkpoint_ends, 30 if WHOLE else 1)]
    others = [(UP, size[UP])] + anywhere
    return locked + (others if WHOLE else rng.sample(others, 1))


def test_a_connection_that_falls_silent_in_mid_batch(server, db, proxy, daemon):
    """The connection alone. On PostgreSQL not within a statement: no time-out of the server's runs between its Parse and its Sync."""
    sweep, dialect = Sweep(server, "silence in mid-batch"), server.dialect
    job = running(server, db, daemon)
    size = batch_to_commit(proxy, daemon, job)
    silences = silences_of(sweep.rng, size, dialect.checkpoint_ends)
    for direction, k in silences:
        between_statements = direction == UP and dialect.awaits_half_a_statement
        silence = Exchange(dialect.batch, direction, k, SILENCE, nth=2, between_statements=between_statements)
        exchange = await_exchange(proxy, daemon, job, silence)
        assert exchange.struck, exchange
        blocked = site_waits(server, db, daemon, job)
        assert blocked <= 3, f"{exchange}: blocked for {blocked:.1f} s"
        daemon.wait_batches(job, daemon.batches(job) + 1, GOES_ON_WITHIN_S)
    proxy.heal()  # what was on its way arrives late
    finish(daemon, job)
    assert_exactly_once(server, db, 20_000)
    sweep.over(len(silences), 20_000)


def test_a_network_that_falls_silent_and_comes_back(server, db, proxy, daemon):
    """All of it, in mid-batch, until the daemon has noticed."""
    job = running(server, db, daemon)
    await_exchange(proxy, daemon, job, Exchange(server.dialect.batch, DOWN, 50, SILENCE))
    proxy.silence()
    wait_for(lambda: "held: connection lost: no answer within 7000 ms" in daemon.log(), 12,
             lambda: f"a hold; log:\n{daemon.log()}")
    batches = daemon.batches(job)
    assert daemon.ctl("show", job.id).code == 75
    holds_for(lambda: daemon.batches(job) == batches, 1, "no batch")
    proxy.heal()
    daemon.wait_batches(job, batches + 1, GOES_ON_WITHIN_S)
    finish(daemon, job)
    assert_exactly_once(server, db, 20_000)


def test_a_setting_that_is_stored_while_the_claim_s_answer_is_on_its_way(server, db, proxy, daemon):
    """The server lets go of the job's row before it has answered the claim's COMMIT. The claim has read the setting before."""
    job = running(server, db, daemon, delay="60s")
    claim = Exchange(server.dialect.commits, DOWN, 1, SILENCE)
    proxy.watch(application(job), claim)
    daemon.ctl("set", job.id, "batch.rows=200", check=0)
    assert claim.over.wait(GOES_ON_WITHIN_S), f"{claim}: no claim; log:\n{daemon.log()}"
    daemon.ctl("set", job.id, "batch.rows=300", check=0)
    proxy.heal()
    wait_for(lambda: daemon.show(job)["batch"]["rows"] == 300, GOES_ON_WITHIN_S, lambda: f"the setting; {daemon.show(job)}")
    daemon.ctl("set", job.id, "batch.delay=0ms", check=0)
    daemon.wait_batches(job, 2, GOES_ON_WITHIN_S)  # the rest that goes on is cut short, too
    finish(daemon, job)
    assert_exactly_once(server, db, 20_000)


def test_silence_while_connecting(server, db, proxy, daemon):
    """Before the client's first word is heard, within the first answer to it, and within what the server says to somebody whom
    it does not know yet. The daemon itself goes on answering."""
    jobs = [increment(f"public.t{number}") for number in range(3)]
    silences = [(application(jobs[0]), Exchange(CONNECT, UP, 0, SILENCE)), (application(jobs[1]), Exchange(CONNECT, DOWN, 5, SILENCE)),
                (NOBODY, Exchange(ACCEPT, DOWN, 5, SILENCE))]
    for number, (who, exchange) in enumerate(silences):
        server.sql(db, f"""CREATE TABLE t{number} (id int PRIMARY KEY, n int NOT NULL DEFAULT 0);
            INSERT INTO t{number} (id) SELECT i FROM {server.dialect.series(1, 250)}; GRANT SELECT, UPDATE ON t{number} TO backfill""")
        daemon.submit(jobs[number])
        proxy.watch(who, exchange)
        daemon.ctl("start", jobs[number].id, check=0)
        assert exchange.over.wait(5) and exchange.struck
    begin = time.monotonic()
    assert [daemon.state(job) for job in jobs] == ["running"] * 3
    assert time.monotonic() - begin < 2
    for number, job in enumerate(jobs):
        daemon.wait_done(job, 20)
        assert server.sql(db, f"SELECT DISTINCT n FROM t{number}") == [(1,)]


def test_a_silent_way_to_the_replica_is_blind(server, db, make_proxy, make_daemon):
    """Held within the limit of lag and a look, and no guard takes the silence for lag."""
    way = make_proxy(server.replica.port)
    url = way.url(server.url(db, replica=True, tcp=True))
    daemon = make_daemon(target={"replicas": [{"name": "r1", "url": url}]}).start().init()
    create_counted_table(server, db, 20_000)
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
    assert_exactly_once(server, db, 20_000)


def test_a_successor_of_one_that_the_network_cut_off(server, db, proxy, daemon, make_daemon):
    """Cut off within COMMIT. The rest of it arrives when the job has another owner."""
    job = running(server, db, daemon, delay="10ms")
    size = batch_to_commit(proxy, daemon, job)
    other = make_daemon("other").start()
    exchange = await_exchange(proxy, daemon, job, Exchange(server.dialect.batch, UP, size[UP] - 5, SILENCE))
    proxy.silence()
    assert exchange.struck, exchange
    batches = other.batches(job)
    other.wait_batches(job, batches + 3, GOES_ON_WITHIN_S)
    proxy.heal()
    other.wait_batches(job, batches + 6)
    assert f"job {job.id}: claimed" in other.log()
    finish(other, job)
    assert_exactly_once(server, db, 20_000)


# --- a slow network ---

def test_one_byte_at_a_time(server, db, proxy, daemon):
    create_counted_table(server, db, 2000)
    proxy.carry(size=1)
    job = increment(allow_triggers=True)
    daemon.run_job(job)
    assert "lost" not in daemon.log()
    assert_exactly_once(server, db, 2000)


def test_delay(server, db, proxy, daemon):
    """A slow way is no fault. One on which a heartbeat takes longer than the lag may be holds the job between two batches."""
    job = running(server, db, daemon, max_duty=1.0)
    daemon.ctl("set", job.id, "throttle.max_lag=500ms", check=0)
    proxy.carry(delay_s=0.02)
    daemon.wait_batches(job, daemon.batches(job) + 3)
    assert "lost" not in daemon.log()
    proxy.carry(delay_s=0.4)
    wait_for(lambda: "held: " in daemon.log(), 2 * GOES_ON_WITHIN_S, lambda: f"a hold; log:\n{daemon.log()}")
    batches = daemon.batches(job)
    holds_for(lambda: daemon.batches(job) == batches, 1, "no batch in the dark")
    proxy.carry()
    daemon.wait_batches(job, batches + 1, GOES_ON_WITHIN_S)
    finish(daemon, job)
    assert_exactly_once(server, db, 20_000)
