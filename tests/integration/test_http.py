"""What a URL tells: the site's own P95, and own probes. Whatever else it answers holds at once, says why, and lets go by itself."""

import contextlib
import http.server
import json
import threading

import pytest

from jobs import increment
from waiting import holds_for, wait_for

pytestmark = pytest.mark.engine("postgresql")  # the kind of database has no part in it

ROWS = 200000
SECRET = "sesame"


class Site:
    """A web server that answers as the test says."""

    def __init__(self):
        self.status, self.body, self.hang, self.asked, self.paths = 200, "0.010", False, 0, []
        self.ended = threading.Event()
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                site.asked += 1
                site.paths.append((self.path, self.headers.get("Authorization")))
                if site.hang:
                    site.ended.wait(30)
                    return
                body = site.body.encode()
                self.send_response(site.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass
        self.handler, self.server, self.port = Handler, None, 0
        self.listen()

    def listen(self):
        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, address):  # who asked has gone
                pass
        self.server = Server(("127.0.0.1", self.port), self.handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def refuse(self):
        self.server.shutdown()
        self.server.server_close()

    def prometheus(self, value):
        self.body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1700000000.1, str(value)]}]}})

    def url(self, path="/", user=""):
        return f"http://{user}127.0.0.1:{self.port}{path}"

    @contextlib.contextmanager
    def spoilt(self, **how):
        before = {name: getattr(self, name) for name in how}
        self.ended.clear()
        vars(self).update(how)
        try:
            yield
        finally:
            vars(self).update(before)
            self.ended.set()


@pytest.fixture
def site():
    site = Site()
    yield site
    site.ended.set()
    site.refuse()


@pytest.fixture(autouse=True)
def table(server, db):
    server.sql(db, f"""CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0);
        INSERT INTO t SELECT i, 0 FROM {server.dialect.series(1, ROWS)}""")
    server.grant_on_all_tables(db, "SELECT, UPDATE")


@pytest.fixture
def start(make_daemon):
    def start(latency=None, **throttle):
        if latency is not None:
            throttle["latency"] = {"source": "http", "learn": "2s", "every": "200ms", "window": "0ms", **latency}
        settings = {"initial_rate": 500, "max_p95_increase": 0.5, "replicas": ["!r1"], "latency": {"source": "none"}, **throttle}
        daemon = make_daemon(target={"throttle": settings}).start().init()
        job = increment(batch={"adaptive": True}, guards={"p95_increase": 99.0})
        daemon.submit(job, "--start")
        return daemon, job
    return start


def readings(daemon, job):
    return {one["probe"]: one for one in daemon.ctl_json("throttle", job.id)}


def hold_reason(daemon, job):
    throttle = daemon.show(job)["throttle"]
    return (throttle["reason"] if throttle["held"] else None) or ""


def wait_held(daemon, job, *words, deadline=10):
    def held():
        reason = hold_reason(daemon, job)
        return reason if reason and all(word in reason for word in words) else None
    return wait_for(held, deadline, lambda: f"a hold with {words}; {daemon.show(job)['throttle']}\n{readings(daemon, job)}\n{daemon.log()}")


def wait_works(daemon, job, deadline=30):
    done = daemon.batches(job)
    wait_for(lambda: not hold_reason(daemon, job) and daemon.batches(job) > done + 1, deadline,
             lambda: f"work; {daemon.show(job)['throttle']}\n{readings(daemon, job)}\n{daemon.log()}")


def assert_stands_still(daemon, job):
    before = daemon.batches(job)
    holds_for(lambda: daemon.batches(job) <= before + 1, 0.5, "no batch while held")
    assert daemon.state(job) == "running"


# --- the site's latency ---

def test_the_rate_follows_what_the_site_tells(server, db, site, start):
    site.prometheus(0.010)
    daemon, job = start({"url": site.url("/api/v1/query?query=p95")})
    assert "to go" in wait_held(daemon, job, "latency", "learning what it is without us")
    assert daemon.batches(job) == 0
    wait_works(daemon, job)
    latency = wait_for(lambda: (lambda one: one if one["samples"] >= 5 else None)(readings(daemon, job)["latency"]), 10, "values at work")
    assert (latency["value"], latency["baseline"], latency["limit"], latency["unit"]) == (10, 10, 15, "ms")
    assert latency["source"] == f"http 127.0.0.1:{site.port}"
    before = wait_for(lambda: readings(daemon, job)["rate"]["value"], 10, "a rate")
    site.prometheus(0.030)
    slowed = wait_for(lambda: (lambda rate: rate if rate["value"] is not None and rate["value"] <= before / 2 else None)(
        readings(daemon, job)["rate"]), 60, lambda: f"a lower rate than {before}: {readings(daemon, job)}")
    assert "latency" in slowed["reason"], slowed
    assert readings(daemon, job)["latency"]["state"] == "high" and daemon.state(job) == "running"
    site.prometheus(0.010)
    wait_for(lambda: readings(daemon, job)["latency"]["state"] == "ok" and (readings(daemon, job)["rate"]["value"] or 0) > slowed["value"], 90,
             lambda: f"a higher rate than {slowed}: {readings(daemon, job)}")


def test_auto_takes_the_url_and_reads_json(server, db, site, start):
    site.body = '{"p95": {"ms": [7.5]}}'
    daemon, job = start({"source": "auto", "url": site.url("/stats", "u:p%40ss@"), "path": "p95.ms[0]", "unit": "ms"})
    wait_works(daemon, job)
    latency = readings(daemon, job)["latency"]
    assert (latency["value"], latency["baseline"]) == (7.5, 7.5) and latency["source"].startswith("http ")
    assert site.paths[-1] == ("/stats", "Basic dTpwQHNz")


SPOILT = [
    ({"hang": True}, "timed out after 1s"),
    ({"body": "<html>"}, "no number"),
    ({"body": ""}, "no number"),
    ({"body": "NaN"}, '"NaN", not a number'),
    ({"body": "0"}, "0 s, which is no latency"),
    ({"status": 429}, "HTTP 429"),
    ({"status": 503}, "HTTP 503 (service unavailable)"),
    ({"status": 401}, "HTTP 401 (the URL's user or password is refused)"),
]


@pytest.mark.parametrize("how, word", SPOILT, ids=[next(iter(how)) + str(next(iter(how.values()))) for how, word in SPOILT])
def test_without_a_latency_it_holds_at_once(server, db, site, start, how, word):
    daemon, job = start({"url": site.url()})
    wait_works(daemon, job)
    with site.spoilt(**how):
        wait_held(daemon, job, "latency P95 unknown: ", word, deadline=5)
        assert_stands_still(daemon, job)
        one = readings(daemon, job)["latency"]
        assert one["state"] == "unknown" and word in one["reason"]
    wait_works(daemon, job)


def test_a_server_that_is_away_holds_until_it_is_back(server, db, site, start):
    daemon, job = start({"url": site.url()})
    wait_works(daemon, job)
    site.refuse()
    assert wait_held(daemon, job, "latency P95 unknown: ", f"127.0.0.1:{site.port}: Connection refused", deadline=5)
    assert_stands_still(daemon, job)
    site.listen()
    wait_works(daemon, job)


def test_a_restarted_daemon_goes_on_with_its_baseline(server, db, site, start):
    daemon, job = start({"url": site.url("/?token=" + SECRET), "learn": "8s"})
    wait_works(daemon, job)
    kept = wait_for(lambda: server.sql(db, "SELECT value FROM backfill.meta WHERE name LIKE 'throttle:%'"), 15, "what is kept")
    (name, baseline), = json.loads(kept[0][0])["p95_ms"].items()
    assert name.startswith(f"http 127.0.0.1:{site.port} ") and SECRET not in name and baseline == 10
    daemon.kill9()
    daemon.start()
    before = daemon.batches(job)
    wait_for(lambda: daemon.batches(job) > before, 6, lambda: f"a batch without learning: {daemon.show(job)['throttle']}")


def test_one_request_at_a_time(server, db, site, start):
    site.hang = True
    daemon, job = start({"url": site.url()})
    wait_held(daemon, job, "latency P95 unknown: ", "timed out after 1s", deadline=5)
    before = site.asked
    holds_for(lambda: site.asked <= before + 4, 3, "a request each second, not five")
    assert site.asked > before


def test_a_source_without_its_url_is_refused(server, db, site, start, make_daemon):
    daemon = make_daemon(target={"throttle": {"latency": {}}}).start().init()
    error = daemon.ctl_error("submit", increment(throttle={"latency": {"source": "http"}}).write(daemon.directory), check=65)
    assert "http needs throttle.latency.url" in error["message"]
    job = increment(throttle={"latency": {"source": "http", "url": f"ftp://u:{SECRET}@h"}})
    error = daemon.ctl_error("validate", job.write(daemon.directory), check=65)
    assert "throttle.latency.url" in error["message"] and "http:// or https://" in error["message"] and SECRET not in json.dumps(error)
    daemon.settings["targets"][0]["throttle"]["latency"] = {"source": "http"}
    daemon.write_conf()
    assert "it needs throttle.latency.url" in daemon.ctl("reload").stderr


def test_a_target_s_url_that_goes_holds_who_insists_on_it(server, db, site, start):
    daemon, _ = start({"source": "auto", "url": site.url()})
    job = increment(id="20261121_insists", throttle={"latency": {"source": "http"}})
    daemon.submit(job, "--start")
    wait_works(daemon, job)
    daemon.settings["targets"][0]["throttle"]["latency"] = {"source": "none"}
    daemon.write_conf()
    daemon.ctl("reload", check=0)
    wait_held(daemon, job, "latency P95 unknown", "throttle.latency.url")


# --- own probes ---

def test_an_own_number_holds_at_its_limit(server, db, site, start):
    site.body = '{"queue": 3}'
    daemon, job = start(http=[{"name": "queue", "url": site.url(), "path": "queue", "limit": 10, "every": "200ms"}])
    wait_works(daemon, job)
    site.body = '{"queue": 12.5}'
    assert wait_held(daemon, job, "http:queue") == "http:queue 12.5 > 10"
    assert_stands_still(daemon, job)
    site.body = '{"queue": 9.5}'
    wait_held(daemon, job, "going on below 9")
    site.body = '{"queue": 3}'
    wait_works(daemon, job)
    one = readings(daemon, job)["http:queue"]
    assert (one["value"], one["limit"], one["pressure"], one["source"]) == (3, 10, 0, f"http 127.0.0.1:{site.port}")
    for how, word in [({"status": 503}, "HTTP 503"), ({"body": "{}"}, "queue"), ({"hang": True}, "timed out after 1s")]:
        with site.spoilt(**how):
            wait_held(daemon, job, "http:queue unknown: ", word, deadline=5)
            assert_stands_still(daemon, job)
        wait_works(daemon, job)
    with site.spoilt(status=429):
        wait_held(daemon, job, "http:queue 10 = 10 (HTTP 429", deadline=5)
    wait_works(daemon, job)


def test_a_status_alone_is_stop_or_go(server, db, site, start):
    site.body = '{"StatusCode": 200, "Value": 0.3, "Threshold": 1}'  # as freno's check
    daemon, job = start(http=[{"name": "freno", "url": site.url("/check/backfilld/mysql/main"), "every": "200ms"}])
    wait_works(daemon, job)
    with site.spoilt(status=429):
        assert "(HTTP 429: it says that there is too much load)" in wait_held(daemon, job, "http:freno 1 = 1")
        assert_stands_still(daemon, job)
    wait_works(daemon, job)
    with site.spoilt(status=404):
        wait_held(daemon, job, "http:freno unknown: HTTP 404 (not found)")
    wait_works(daemon, job)


def test_the_target_s_own_urls_are_asked_for_each_job(server, db, site, make_daemon):
    probe = {"name": "queue", "url": site.url(), "limit": 10, "every": "200ms"}
    daemon = make_daemon(target={"throttle": {"http": [probe]}}).start().init()
    error = daemon.ctl_error("submit", increment(throttle={"http": [probe]}).write(daemon.directory), check=65)
    assert 'throttle.http: its target\'s configuration has a probe named "queue"' in error["message"]
    job = increment(batch={"delay": "50ms"}, throttle={"http": [{**probe, "name": "more"}]})
    daemon.submit(job, "--start")
    wait_works(daemon, job)
    assert {"http:queue", "http:more"} <= set(readings(daemon, job))


# --- secrets ---

def test_a_password_is_never_shown(server, db, site, start):
    user = f"u:{SECRET}@"
    daemon, job = start({"url": site.url(f"/?token={SECRET}", user)},
                        http=[{"name": "queue", "url": site.url(f"/?token={SECRET}", user), "limit": 10, "every": "200ms"}])
    wait_works(daemon, job)

    def nothing_shown():
        shown = daemon.log() + "".join(daemon.ctl(*words).stdout for words in [
            ("throttle", job.id), ("-o", "json", "throttle", job.id), ("throttle",), ("show", job.id), ("-o", "json", "show", job.id),
            ("-o", "json", "events", job.id), ("-o", "json", "targets")])
        assert SECRET not in shown and "http:queue" in shown
    nothing_shown()
    with site.spoilt(status=503, body=f"no {SECRET} here"):
        wait_held(daemon, job, "HTTP 503")
        nothing_shown()
    wait_works(daemon, job)
    site.refuse()
    wait_held(daemon, job, "refused")
    nothing_shown()
    site.listen()
    wait_works(daemon, job)
