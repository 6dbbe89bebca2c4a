"""How the daemon comes to a MySQL or MariaDB server: passwords, TLS and certificates; and what it says when it can't. PostgreSQL's
ways are libpq's own."""

import contextlib
import itertools
import os
import socket
import struct
import threading

import pytest

from server import WORKER, run
from tap import Tap
from waiting import wait_for

pytestmark = pytest.mark.engine("mariadb", "mysql")

PASSWORD = "sesame"
ACCOUNTS = {
    "secret": f"IDENTIFIED BY '{PASSWORD}'",  # on MySQL caching_sha2_password, which is the default there
    "expired": f"IDENTIFIED BY '{PASSWORD}' PASSWORD EXPIRE",
    "locked": f"IDENTIFIED BY '{PASSWORD}' ACCOUNT LOCK",
    "careful": f"IDENTIFIED BY '{PASSWORD}' REQUIRE SSL",
}
ANSWERS = ("cannot connect", "(1820)")  # the second comes after the log-in


def make_certificate(directory, name, host, authority=None):
    """DIRECTORY/NAME.crt and .key; signed by the authority, or by itself."""
    path = os.path.join(directory, name)
    signed = ["-CA", f"{path[:-len(name)]}{authority}.crt", "-CAkey", f"{path[:-len(name)]}{authority}.key"] if authority else []
    run(["openssl", "req", "-new", "-nodes", "-subj", f"/CN={host}", "-keyout", path + ".key", "-out", path + ".csr"])
    run(["openssl", "x509", "-req", "-in", path + ".csr", "-out", path + ".crt", *(signed or ["-signkey", path + ".key"])])


@pytest.fixture(scope="module")
def certificates(server):
    """The folder; the server shows the one of localhost."""
    make_certificate(server.directory, "authority", "the authority")
    make_certificate(server.directory, "another", "the authority")
    make_certificate(server.directory, "host", "localhost", "authority")
    server.primary.options = tuple(f"ssl-{kind}={server.directory}/{name}"
                                   for kind, name in (("ca", "authority.crt"), ("cert", "host.crt"), ("key", "host.key")))
    server.primary.restart()
    server.heal()
    yield server.directory
    server.primary.options = ()
    server.primary.restart()


@pytest.fixture
def accounts(server, certificates, db):
    for name, how in ACCOUNTS.items():
        server.sql(db, f"CREATE USER {name} {how}")
        server.sql(db, f"GRANT SELECT ON {db}.* TO {name}")
    yield
    for name in ACCOUNTS:
        server.sql(server.system, f"DROP USER {name}")


@pytest.fixture
def seen(server, make_daemon, accounts):
    """A function of {name: url}: what `targets` says of each of them, as soon as it has something to say."""
    count = itertools.count()

    def see(urls):
        daemon = make_daemon(f"d{next(count)}")
        daemon.settings["targets"] = [{"name": name, "url": url} for name, url in urls.items()]
        daemon.start()

        def known():
            targets = {target["name"]: target for target in daemon.ctl_json("targets")}
            assert PASSWORD not in str(targets)
            return targets if all(target["version"] or any(word in target["reason"] for word in ANSWERS) for target in targets.values()) else None
        found = wait_for(known, 30, lambda: f"all targets: {daemon.ctl('targets').stdout}")
        assert PASSWORD not in daemon.log()
        return found
    return see


def tcp(server, db, user, options="", port=None, host="127.0.0.1"):
    return f"mysql://{user}:{PASSWORD}@{host}:{port or server.primary.port}/{db}?{options}"


def over_socket(server, db, user):
    return server.url(db, f"{user}:{PASSWORD}")


def assert_all_up(targets):
    assert {name: target["state"] for name, target in targets.items()} == {name: "up" for name in targets}, targets


def test_a_password_goes_every_way_and_none_shows_it(server, db, seen, certificates):
    """The first log-in of caching_sha2_password sends the password itself: over TLS or a Unix socket as it is, else encrypted with
    the server's public key. https://dev.mysql.com/doc/refman/9.4/en/caching-sha2-pluggable-authentication.html"""
    ways = {
        "plain": lambda port: tcp(server, db, "secret", "ssl_mode=disabled", port),
        "plain, remembered": lambda port: tcp(server, db, "secret", "ssl_mode=disabled", port),
        "by itself": lambda port: tcp(server, db, "secret", "", port),
        "tls": lambda port: tcp(server, db, "secret", "ssl_mode=required", port),
        "verified": lambda port: tcp(server, db, "secret", f"ssl_mode=verify_identity&ssl_ca={certificates}/authority.crt", port, "localhost"),
        "an account that wants tls": lambda port: tcp(server, db, "careful", "", port),
        "socket": lambda port: over_socket(server, db, "secret"),
    }
    for name, url in ways.items():
        tap = Tap(server.primary.port)
        if "remembered" not in name:
            server.forget_passwords()
        assert_all_up(seen({"main": url(tap.port)}))
        tap.close()
        assert bool(tap.sent) == (name != "socket")
        assert (b"secret" in tap.sent) == name.startswith("plain"), "TLS, or not"
        assert PASSWORD.encode() not in tap.sent


def ask_in_clear(listener, got):
    """A server without TLS that wants the password as it is."""
    def packet(number, payload):
        return struct.pack("<I", len(payload))[:3] + bytes([number]) + payload
    with contextlib.suppress(OSError):  # the listener is closed
        while True:
            client = listener.accept()[0]
            with client:
                client.sendall(packet(0, b"\x0a9.9.9\0" + bytes(4) + b"saltsalt\0" + struct.pack("<HBHHB", 0xa20f, 45, 2, 0x0008, 21) + bytes(10) +
                                      b"saltsaltsalt\0mysql_native_password\0"))
                client.recv(65536)
                client.sendall(packet(2, b"\xfemysql_clear_password\0"))
                got.append(client.recv(65536))


@pytest.mark.parametrize("options", ["", "ssl_mode=disabled"])
def test_who_asks_for_it_in_clear_is_not_given_it(seen, db, server, options):
    got = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=ask_in_clear, args=(listener, got), daemon=True).start()
        reason = seen({"main": tcp(server, db, "secret", options, listener.getsockname()[1])})["main"]["reason"]
        listener.shutdown(socket.SHUT_RDWR)
    assert got and PASSWORD.encode() not in b"".join(got)
    assert "in a way that shows it to others; ssl_mode=required allows that (5010)" in reason


def test_why_not(server, db, seen, certificates):
    """All at once, and beside a server that never says a word."""
    hole = socket.create_server(("127.0.0.1", 0))
    tls = "ssl_mode={}&ssl_ca={}/{}.crt"
    wanted = {
        "wrong": (tcp(server, db, "secret").replace(PASSWORD, "wrong"), ["Access denied for user 'secret'@", "(1045)"]),
        "none": (f"mysql://secret@127.0.0.1:{server.primary.port}/{db}", ["(using password: NO) (1045)"]),
        "nobody": (tcp(server, db, "nobody"), ["Access denied for user 'nobody'@", "(1045)"]),
        "locked": (tcp(server, db, "locked"), ["is locked"]),
        "nowhere": (tcp(server, "nowhere", "secret"), ["'nowhere'", "(1044)"]),
        "plain": (tcp(server, db, "careful", "ssl_mode=disabled"), ["(1045)", "may require TLS, which the url's ssl_mode forbids"]),
        "authority": (tcp(server, db, "secret", tls.format("verify_ca", certificates, "another")), ["certificate", "(2026)"]),
        "name": (tcp(server, db, "secret", tls.format("verify_identity", certificates, "authority")),
                 ["(2026)", "the certificate has to name the url's host and to be signed by ssl_ca"]),
        "file": (tcp(server, db, "secret", tls.format("verify_ca", "/nonexistent", "ca")), ["/nonexistent/ca.crt cannot be read"]),
        "socket": (f"mysql://{WORKER}@localhost/{db}?unix_socket=/nonexistent", [f'"{db}" at /nonexistent: ']),
    }
    targets = seen({**{name: url for name, (url, _) in wanted.items()}, "good": over_socket(server, db, "secret")} | {
        "silent": f"mysql://{WORKER}@127.0.0.1:{hole.getsockname()[1]}/{db}"})
    hole.close()
    assert targets["good"]["state"] == "up"
    for name, (_, words) in wanted.items():
        assert targets[name]["state"] == "down"
        for word in words:
            assert word in targets[name]["reason"], name
    assert "no answer within 10 s" in targets["silent"]["reason"]


def test_an_expired_password(server, db, seen):
    """MySQL says so at the log-in, MariaDB lets it in to change it, and refuses whatever else it asks."""
    reason = seen({"main": tcp(server, db, "expired")})["main"]["reason"]
    assert "password" in reason.lower() and ("(1862)" in reason or "(1820)" in reason)


def test_a_server_that_requires_tls(server, db, seen):
    server.sql(db, "SET GLOBAL require_secure_transport = ON")
    try:
        targets = seen({"plain": tcp(server, db, "secret", "ssl_mode=disabled"), "tls": tcp(server, db, "secret"),
                        "socket": over_socket(server, db, "secret")})
    finally:
        server.sql(db, "SET GLOBAL require_secure_transport = OFF")
    assert [targets[name]["state"] for name in ("plain", "tls", "socket")] == ["down", "up", "up"]
    assert "may require TLS, which the url's ssl_mode forbids" in targets["plain"]["reason"] or "(3159)" in targets["plain"]["reason"]
