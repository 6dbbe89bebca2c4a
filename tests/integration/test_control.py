"""The control socket against clients that don't behave."""

import json
import os
import random
import socket
import stat

import psycopg2.errors
import pytest

from jobs import increment
from waiting import wait_for


class Client:
    def __init__(self, daemon, timeout=10):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(daemon.socket)
        self.socket.settimeout(timeout)
        self.file = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data)
        return self

    def call(self, method, **params):
        self.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode() + b"\n")
        return json.loads(self.file.readline())

    def answer(self):
        return json.loads(self.file.readline())

    def closed(self):
        try:
            return self.file.readline() == b""
        except ConnectionResetError:
            return True

    def close(self):
        self.socket.close()
        self.file.close()


@pytest.fixture
def client(daemon):
    client = Client(daemon)
    yield client
    client.close()


def assert_alive(daemon):
    client = Client(daemon)
    assert "version" in client.call("daemon.version")["result"]
    client.close()


@pytest.mark.parametrize("line, code", [
    (b"hello\n", -32700),
    (b"\x00\xff\xfe\n", -32700),
    (b"[]\n", -32600),
    (b"{}\n", -32600),
    (b'{"jsonrpc": "1.0", "id": 1, "method": "job.list"}\n', -32600),
    (b'{"jsonrpc": "2.0", "id": 1, "method": 7}\n', -32600),
    (b'{"jsonrpc": "2.0", "id": 1, "method": "job.explode"}\n', -32601),
    (b'{"jsonrpc": "2.0", "id": 1, "method": "job.list", "params": [1]}\n', -32602),
    (b"[" * 100000 + b"\n", -32700),
])
def test_garbage_is_answered_with_the_standard_s_code(daemon, client, line, code):
    assert client.send(line).answer()["error"]["code"] == code
    assert_alive(daemon)


@pytest.mark.parametrize("method, params", [
    ("job.show", {"job": 7}), ("job.show", {}), ("job.set", {"job": "x", "settings": "no"}), ("job.list", {"state": 3}),
    ("job.submit", {"text": None}), ("job.submit", {"text": "\x01" * 100}), ("events.list", {"limit": -1, "job": []}),
    ("job.pause", {"all": "yes"}), ("target.init", {"target": {}}), ("job.show", {"job": "x" * 100000}),
    ("job.show", {"job": "a'; DROP SCHEMA backfill CASCADE; --"}), ("job.list", {"state": "\ud83d"}),
])
def test_wrong_parameters_do_no_harm(daemon, client, method, params):
    answer = client.call(method, **params)
    assert ("error" in answer) != ("result" in answer)
    assert_alive(daemon)
    assert daemon.ctl_json("list") == []


def test_random_bytes(daemon):
    rng = random.Random(int(os.environ.get("SEED", 1)))
    for _ in range(50):
        client = Client(daemon)
        try:
            client.send(rng.randbytes(rng.randint(1, 5000)) + b"\n")
        except (BrokenPipeError, ConnectionResetError):
            pass
        client.close()
    assert_alive(daemon)


def test_half_a_request_waits_for_the_rest_and_disturbs_nobody(daemon, client):
    client.send(b'{"jsonrpc": "2.0", "id": 5, "me')
    assert_alive(daemon)
    assert client.send(b'thod": "daemon.version"}\n').answer()["id"] == 5


def test_half_a_request_and_away(daemon):
    for _ in range(20):
        Client(daemon).send(b'{"jsonrpc": "2.0", "id": 5, "me').close()
    assert_alive(daemon)


def test_a_request_byte_by_byte(client):
    for byte in b'{"jsonrpc": "2.0", "id": 5, "method": "daemon.version"}\n':
        client.send(bytes([byte]))
    assert "result" in client.answer()


def test_many_requests_at_once_are_all_answered(client):
    client.send(b"".join(b'{"jsonrpc": "2.0", "id": %d, "method": "daemon.version"}\n' % i for i in range(500)))
    assert sorted(client.answer()["id"] for _ in range(500)) == list(range(500))


def test_two_mebibytes_are_refused(daemon, client):
    try:
        client.send(b'{"jsonrpc": "2.0", "id": 1, "method": "job.submit", "params": {"text": "' + b"x" * (2 << 20) + b'"}}\n')
        answer = client.answer()
        assert "error" in answer and client.closed()
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert_alive(daemon)


def test_200_idle_clients(daemon):
    """An operator's command gets through, or is told why not; never a hang."""
    clients = []
    try:
        for _ in range(200):
            clients.append(Client(daemon))
        result = daemon.ctl("version")
        assert result.code == 0
        result = daemon.ctl("list")
        assert result.code in (0, 75), result
    finally:
        for client in clients:
            client.close()
    wait_for(lambda: daemon.ctl("list").code == 0, 5, "an answer once they are gone")


def test_a_slow_reader_is_dropped_and_waited_for_by_nobody(pg, db, daemon):
    """It asks for much and reads nothing."""
    pg.sql(db, "INSERT INTO backfill.event (event, actor, data) SELECT 'job.held', 'test', jsonb_build_object('x', repeat('y', 500))"
               " FROM generate_series(1, 5000)")
    slow = Client(daemon)
    request = b'{"jsonrpc": "2.0", "id": 1, "method": "events.list", "params": {"limit": 5000}}\n'
    slow.socket.setblocking(False)
    for _ in range(100):
        try:
            slow.socket.send(request)
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            break
    assert_alive(daemon)
    assert daemon.ctl("list").code == 0
    rss = resident_mib(daemon)
    assert rss < 600, f"{rss} MiB"
    slow.close()
    assert_alive(daemon)


def resident_mib(daemon):
    with open(f"/proc/{daemon.pid}/status") as f:
        return next(int(line.split()[1]) // 1024 for line in f if line.startswith("VmRSS"))


def test_a_follower_that_reads_nothing_does_not_stop_a_job(pg, db, daemon):
    pg.sql(db, "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT i, 0 FROM"
               " generate_series(1, 1000) i; GRANT SELECT, UPDATE ON t TO backfill")
    followers = [Client(daemon) for _ in range(20)]
    for follower in followers:
        follower.send(b'{"jsonrpc": "2.0", "id": 1, "method": "events.follow"}\n')
    daemon.run_job(increment())
    for follower in followers:
        follower.close()


def test_a_client_that_leaves_before_the_answer(daemon):
    for method in ("job.list", "events.list", "target.list", "throttle.show", "job.show"):
        for _ in range(10):
            client = Client(daemon)
            client.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"job": "20261121_x"}}).encode() + b"\n")
            client.close()
    assert_alive(daemon)


def drop_control_tables(pg, db):
    """The daemon writes to them meanwhile: a deadlock is possible, and harmless."""
    while True:
        try:
            pg.sql(db, "DROP SCHEMA backfill CASCADE")
            return
        except psycopg2.errors.DeadlockDetected:
            pass


def test_init_is_finished_when_it_answers(pg, db, daemon, client):
    """A script says init and submit in one breath."""
    for _ in range(10):
        drop_control_tables(pg, db)
        wait_for(lambda: daemon.ctl_json("targets")[0]["control_tables"] == "missing", 10, "the daemon to notice")
        assert "result" in client.call("target.init", target="main")
        answer = client.call("job.list")["result"]
        assert answer == {"jobs": [], "warnings": []}, answer


def test_the_socket_is_not_for_everybody(daemon):
    mode = stat.S_IMODE(os.stat(daemon.socket).st_mode)
    assert mode & 0o007 == 0, oct(mode)


def test_a_stale_socket_of_a_killed_daemon_is_replaced(daemon):
    daemon.kill9()
    assert os.path.exists(daemon.socket)
    daemon.start()
    assert_alive(daemon)
