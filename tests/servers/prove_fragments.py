"""prove_fragments.py [--random N] [--seed S] SOCKET…: what backfillctl takes for a fragment of MySQL's stays in its place on real servers.

Every string of tests/unit/test_sqlcheck_mysql*.c, every input of the fuzzer's corpus, and N random ones made of their pieces go through
`backfillctl validate --engine mysql`. Those that pass are run as a batch would run them, with statements allowed to follow each
other so that one that begins a second shows: as the value and the predicate of an UPDATE over a range, and as a column and the
predicate of an INSERT … SELECT, in one batch and in two. Nothing else may change than what is in the range, and the two batches must write
what the one does. By hand: it needs servers, and makes and drops the database `lexer` on them. Exit code 1 if a fragment left its place."""

import argparse
import concurrent.futures
import glob
import os
import random
import re
import subprocess
import sys

import pymysql
from pymysql.constants import CLIENT

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MODE = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE,NO_ENGINE_SUBSTITUTION"
SYNTAX, LOST = 1064, (2006, 2013)
# What two runs of one text may tell differently: of these the two ways to insert are not compared.
VOLATILE = re.compile(r"(?i)rand|uuid|now|sys|current|time|date|connection|status|@@")

TABLES = """
CREATE DATABASE IF NOT EXISTS lexer CHARACTER SET utf8mb4; USE lexer;
DROP TABLE IF EXISTS t, u, s, other;
DROP FUNCTION IF EXISTS f; CREATE FUNCTION f(x longtext) RETURNS int DETERMINISTIC RETURN LENGTH(x);
DROP FUNCTION IF EXISTS g; CREATE FUNCTION g(x longtext) RETURNS int DETERMINISTIC RETURN 1;
DROP FUNCTION IF EXISTS a; CREATE FUNCTION a(x longtext) RETURNS int DETERMINISTIC RETURN 2;
CREATE TABLE other (id int PRIMARY KEY, a int, b int, c int);
CREATE TABLE t (id int PRIMARY KEY, n int, s varchar(40), d datetime, data json, a int, b int, x int, `a``b` int, `a'b` int, `)` int,
 `a"b` int, `a\\\\` int, `--` int, count int, sum int, sleep int, year int, `end` int, start int, value int, `offset` int, status int, user int,
 `day` int, c int, `from` int, `select` int, `between` int, überschrift int, 日本 int, FULLTEXT (s)) ENGINE=InnoDB;
CREATE TABLE u (id int PRIMARY KEY, n int) ENGINE=InnoDB;
CREATE TABLE s (n longtext, id int) ENGINE=InnoDB;
INSERT INTO other VALUES (1, 1, 1, 1);
INSERT INTO u VALUES (1, 10), (2, 20), (3, NULL);
"""
ROWS = ", ".join(f"({i}, {i % 4 if i % 5 else 'NULL'}, '{'ab'[i % 2] * (i % 3)}', '2020-01-{i:02}', '{{\"a\": {i}}}', {i}, {i % 2}, {i % 7})"
                 for i in range(1, 21))


def strings_of(path):
    """The C strings of a file, adjacent ones apart."""
    with open(path, encoding="utf-8") as f:
        for text in re.findall(r'"((?:[^"\\\n]|\\.)*)"', f.read()):
            yield text.encode().decode("unicode_escape").encode("latin-1")


def corpus():
    for path in glob.glob(os.path.join(ROOT, "tests/fuzz/corpus/sqlcheck_mysql/*")):
        with open(path, "rb") as f:
            yield f.read().split(b"\0")[0]


def random_fragments(texts, count, dice):
    """Pieces of the known ones, cut between tokens or anywhere, put together anew."""
    pieces = [piece for text in texts for piece in re.findall(rb"\w+|\s+|.", text, re.S)]
    pieces += [b"'", b'"', b"`", b"\\", b"(", b")", b"''", b"\\'", b") OR (", b"\n", b" ", b",", b"--", b"/*", b"*/", b"#", b";"] * 40
    for _ in range(count):
        text = dice.choice(texts)
        if dice.random() < 0.5:
            other = dice.choice(texts)
            text = text[:dice.randint(0, len(text))] + other[dice.randint(0, len(other)):]
        for _ in range(dice.randint(0, 3)):
            at = dice.randint(0, len(text))
            text = text[:at] + dice.choice(pieces) + text[at + dice.randint(0, 2):]
        yield text


def passes(text):
    """What the checker says, through the program; libconfig's own string escapes are undone here."""
    if b"\0" in text or not text:
        return False
    literal = text.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    job = b'id = "20261121_x"; target = "m"; table = "t"; kind = "insert"; into = "s"; columns = { n = "%s"; };' % literal
    command = [os.path.join(os.environ.get("BACKFILLD_BUILD", os.path.join(ROOT, "build")), "backfillctl"), "validate", "--engine", "mysql", "-"]
    return subprocess.run(command, input=job, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0


class Server:
    def __init__(self, socket):
        self.socket = socket
        self.connect()
        for statement in TABLES.split(";"):
            if statement.strip():
                self.rows(statement)
        self.rows(f"INSERT INTO t (id, n, s, d, data, a, b, x) VALUES {ROWS}")
        self.before = self.state()
        self.version = self.rows("SELECT VERSION()")[0][0]

    def connect(self):
        self.conn = pymysql.connect(unix_socket=self.socket, user="root", charset="utf8mb4", client_flag=CLIENT.MULTI_STATEMENTS,
                                    read_timeout=20)
        self.rows(f"SET sql_mode = '{MODE}', time_zone = '+00:00'")
        if self.rows("SHOW DATABASES LIKE 'lexer'"):
            self.rows("USE lexer")

    def rows(self, sql):
        with self.conn.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    def state(self):
        return {table: self.rows(f"SELECT * FROM lexer.{table} ORDER BY id") for table in ("t", "u", "s")}

    def answers(self, sql):
        """How many statements were answered; raises what the server refuses."""
        count = 1
        with self.conn.cursor() as cursor:
            cursor.execute(sql)
            while cursor.nextset():
                count += 1
        return count

    def run(self, *statements):
        """(error number or None, state afterwards, most answers to one text)"""
        most = 0
        try:
            self.rows("BEGIN")
            for sql in statements:
                most = max(most, self.answers(sql))
            return None, self.state(), most
        except pymysql.err.MySQLError as error:
            code = error.args[0]
            if code in LOST or not self.conn.open:
                self.connect()
            return code, None, most
        finally:
            self.rows("ROLLBACK")

    def violations(self, fragment):
        """What it did that it may not; and whether it ran at all."""
        found, ran = [], False
        update = b"UPDATE t SET n = (%s\n) WHERE (id > 0 AND id <= 10) AND (%s\n)"
        for value, predicate in ((fragment, b"1"), (b"-77", fragment), (fragment, fragment)):
            code, after, most = self.run(update % (value, predicate))
            ran |= code is None
            found += [f"{most} statements"] if most > 1 else []
            if after is None:
                continue
            if after["t"][10:] != self.before["t"][10:] or len(after["t"]) != 20:
                found.append("rows outside of the range")
            if [row[:1] + row[2:] for row in after["t"]] != [row[:1] + row[2:] for row in self.before["t"]]:
                found.append("another column")
            if after["u"] != self.before["u"] or after["s"] != self.before["s"]:
                found.append("another table")
        insert = b"INSERT INTO s (n, id) SELECT (%s\n), (id\n) FROM t WHERE (id > %d AND id <= %d) AND (%s\n) ORDER BY id"
        for value, predicate in ((fragment, b"1"), (b"1", fragment)):
            code, one, most = self.run(insert % (value, 0, 10, predicate))
            ran |= code is None
            found += [f"{most} statements"] if most > 1 else []
            if one is None:
                continue
            if one["t"] != self.before["t"] or one["u"] != self.before["u"] or not {row[1] for row in one["s"]} <= set(range(1, 11)):
                found.append("an insert that does more")
            if predicate == b"1" and len(one["s"]) != 10:
                found.append(f"{len(one['s'])} rows of 10 inserted")
            _, two, _ = self.run(insert % (value, 0, 5, predicate), insert % (value, 5, 10, predicate))
            if not VOLATILE.search(fragment.decode()) and (two is None or two["s"] != one["s"]):
                found.append("depends on the size of a batch")
        return found, ran


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sockets", nargs="+")
    parser.add_argument("--random", type=int, default=0)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    known = sorted({text for path in glob.glob(os.path.join(ROOT, "tests/unit/test_sqlcheck_mysql*.c")) for text in strings_of(path)} | set(corpus()))
    texts = list(dict.fromkeys(known + list(random_fragments(known, options.random, random.Random(options.seed)))))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        accepted = [text for text, ok in zip(texts, pool.map(passes, texts)) if ok]
    print(f"{len(texts)} fragments, {len(accepted)} pass, seed {options.seed}")
    bad = 0
    for socket in options.sockets:
        server, ran = Server(socket), 0
        for fragment in accepted:
            found, did = server.violations(fragment)
            ran += did
            bad += bool(found)
            if found:
                print(f"{server.version}: {fragment!r}: {', '.join(sorted(set(found)))}")
        # The same of what was refused: that it matters.
        refused = [text for text in known if text not in accepted and b"\0" not in text and not re.search(rb"(?i)sleep|benchm|lock|drop", text)]
        would = []
        for fragment in refused:
            try:
                fragment.decode()
                found, _ = server.violations(fragment)
            except (UnicodeError, pymysql.err.MySQLError):
                continue
            would += [fragment] if found else []
        print(f"{server.version}: {ran} of the passed ran; of {len(refused)} refused {len(would)} would have left their place: {would}")
        server.rows("DROP DATABASE lexer")
    print(f"{bad} left their place")
    return 1 if bad or not accepted else 0


if __name__ == "__main__":
    sys.exit(main())
