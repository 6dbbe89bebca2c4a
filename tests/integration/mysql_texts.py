"""The life of a job by the texts of sql/mysql and the dialect alone, step by step as the daemon takes them."""

import json
import os
import subprocess
import tempfile

from mysql_session import Refused, Session

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("BACKFILLD_BUILD", os.path.join(ROOT, "build", "failpoint"))
OWNER, PREFIX = "host|boot|/run/s|1", "host|boot|/run/s|"
DATABASE = "backfill_texts"


def text(name):
    with open(os.path.join(ROOT, "sql", "mysql", name + ".sql"), encoding="utf-8") as file:
        return file.read()


class Declined(Exception):
    pass


class Texts:
    """One connection, and what is done on it."""

    def __init__(self, socket, database=None):
        self.socket = socket
        self.session = Session(socket, database)
        self.session.query("SET time_zone = '+00:00'")

    def run(self, name, *params):
        return self.session.run(text(name), *params)

    def control(self, *steps):
        """A transaction on the control tables: [(text, parameters…)], a function of the last answer may say no."""
        self.run("control_begin")
        try:
            self.run("identity")
            answers = [self.run(name, *params) for name, *params in steps]
        except Refused:
            self.run("rollback")
            raise
        self.run("commit")
        return answers

    def value(self, sql):
        rows = self.session.run(sql).rows
        return rows[0][0] if rows else None

    def identity(self):
        return self.run("status").rows[0][5]

    def close(self):
        self.session.close()


def init(socket):
    with_worker = text("control_tables").replace('TO :"worker"', "TO 'root'@'localhost'")
    t = Texts(socket)
    t.session.run(with_worker)
    t.close()


def columns_of(t, table):
    rows = t.session.run("SELECT column_name, column_type, collation_name FROM information_schema.columns "
                         f"WHERE table_schema = '{DATABASE}' AND table_name = '{table}' ORDER BY ordinal_position").rows
    return [{"name": name, "type": kind, "collation": collation} for name, kind, collation in rows]


def shape_of(t, table, into=None, index="PRIMARY"):
    """What a preflight would have found."""
    columns = {column["name"]: column for column in columns_of(t, table)}
    key = [row[0] for row in t.session.run(
        f"SELECT column_name FROM information_schema.statistics WHERE table_schema = '{DATABASE}' AND table_name = '{table}' "
        f"AND index_name = '{index}' ORDER BY seq_in_index").rows]
    innodb = "innodb_sys_tables" if "MariaDB" in t.value("SELECT @@version") else "innodb_tables"
    leaves = [{"schema": DATABASE, "name": table, "partition": part, "estimated_rows": 1, "row_bytes": 30, "oid": int(t.value(
        f"SELECT table_id FROM information_schema.{innodb} WHERE LOWER(name) = LOWER('{DATABASE}/{table}{'#p#' + part if part else ''}')"))}
        for part, in t.session.run(f"SELECT partition_name FROM information_schema.partitions WHERE table_schema = '{DATABASE}' "
                                   f"AND table_name = '{table}' ORDER BY partition_ordinal_position").rows]
    written = columns_of(t, into or table)
    conflict = [row[0] for row in t.session.run(
        f"SELECT column_name FROM information_schema.statistics WHERE table_schema = '{DATABASE}' AND table_name = '{into}' "
        "AND index_name = 'PRIMARY' ORDER BY seq_in_index").rows]
    return {"schema": DATABASE, "name": table, "oid": leaves[0]["oid"], "partitioned": leaves[0]["partition"] is not None,
            "key": [columns[name] for name in key], "key_index": index, "search_path": [], "conflict_key": conflict, "written": written,
            "leaves": leaves, "estimated_rows": 1}


class Job:
    def __init__(self, socket, definition, table, into=None, index="PRIMARY", name="20261121_texts"):
        self.socket, self.id = socket, name
        self.admin = Texts(socket)
        self.definition = f'id = "{name}"; target = "t"; table = "{DATABASE}.{table}"; {definition}'
        self.keeps = "keep_old_values = false" not in definition
        self.shape = shape_of(self.admin, table, into, index)
        self.own = Texts(socket, DATABASE)
        self.leaf_texts = {}
        self.races = 0
        self.batches = 0
        self.after_capture = lambda: None

    def close(self):
        self.admin.close()
        self.own.close()

    def submit(self):
        kind = "insert" if "insert" in self.definition else "update"
        return self.admin.control(("job_insert", self.id, "t", self.shape["name"], kind, self.definition, "sha", json.dumps(self.shape), None, "me"),
                                  ("event_insert", "job.submitted", self.id, "t", "me", None, None))[0].affected

    def set_state(self, state, reason=None):
        t = self.admin
        t.run("control_begin")
        t.run("identity")
        t.run("job_lock", self.id)
        epoch = t.run("job_set_state", self.id, state, reason).rows[0][0]
        t.run("job_set_segments", self.id, epoch, "false")
        t.run("commit")

    def claim(self, own=None, owner=OWNER, prefix=PREFIX, timeout_ms=10000):
        own = own or self.own
        own.run("control_begin")
        try:
            row = own.run("claim_lock", self.id, owner, prefix, timeout_ms, self.admin.identity()).rows[0]
            if row[8] != "true" or row[9] or row[10]:
                raise Declined(row)
            change = own.run("shape_check", self.id).rows[0]
            if change[0]:
                raise Declined(change[0])
            own.run("claim_end_backend", self.id)
            taken = own.run("claim_take", self.id, owner, own.session.id).rows
            if not taken:
                raise Declined("the former connection is not gone yet")
            assert taken[0][1] == "true"
            self.segments = own.run("claim_segments", self.id, taken[0][0]).rows
        except (Declined, Refused):
            own.run("rollback")
            raise
        own.run("commit")
        self.epoch, self.marker, self.writers, self.round = int(taken[0][0]), row[4], row[13], int(row[11])
        self.leaves_mark, self.key_mark, self.added = change[2], change[3], change[1]

    def texts(self, leaf):
        if leaf not in self.leaf_texts:
            with tempfile.TemporaryDirectory() as directory:
                job, shape = os.path.join(directory, "job"), os.path.join(directory, "shape")
                for path, content in ((job, self.definition), (shape, json.dumps(self.shape))):
                    with open(path, "w", encoding="utf-8") as file:
                        file.write(content)
                printed = subprocess.run([os.path.join(BUILD, "tests", "dialect_texts"), job, shape, str(leaf)], stdout=subprocess.PIPE, check=True)
            self.leaf_texts[leaf] = json.loads(printed.stdout)
        return self.leaf_texts[leaf]

    def wait(self):
        return self.own.run("round_wait", self.marker, self.writers).rows

    def begin_round(self, phase="full"):
        own = self.own
        own.run("begin")
        own.session.run(self.texts(0)["settings"])
        marks = own.run("shape_check", self.id).rows[0]
        assert (marks[2], marks[3]) == (self.leaves_mark, self.key_mark)
        keys = [own.session.run(self.texts(leaf)["first"]["last_key"]).rows for leaf in range(len(self.shape["leaves"]))]
        taken = own.run("round_take", self.id, self.epoch, self.round, phase, "true" if any(keys) else "false", None).rows
        if not taken:
            own.run("rollback")
            raise Declined("fenced")
        self.marker, self.writers = taken[0]
        for leaf, key in enumerate(keys):
            if key:
                self.segments += own.run("round_segment", self.id, len(self.segments) + 1, leaf, self.round + 1, None, json.dumps(key[0]), self.epoch).rows
        own.run("commit")
        self.round += 1

    def open_round(self):
        self.own.run("control_begin")
        older = self.wait()
        if older:
            self.own.run("rollback")
            return older
        assert self.own.run("round_open", self.id, self.epoch, self.round).affected == 1
        self.own.run("commit")
        return None

    def start(self):
        assert self.submit() == 1
        self.set_state("running")
        self.claim()
        self.begin_round()
        assert self.open_round() is None

    def batch(self, segment, rows):
        """One batch, as batch.c runs it; what it did to the segment's row (a list as claim_segments gives it) is noted there."""
        own, texts = self.own, self.texts(int(segment[1]))
        behind, through = json.loads(segment[4] or segment[2] or "[]"), json.loads(segment[3])
        t = texts["next" if behind else "first"]
        own.run("begin")
        try:
            own.session.run(texts["settings"])
            found = own.session.run(t["boundary"], *behind, *through, rows - 1).rows
            if len(found) == 2:
                end, scanned, last = found[0], rows, False
            elif len(found) == 1:
                end, scanned, last = through, rows, True
            else:
                end, scanned, last = through, int(own.session.run(t["count"], *behind, *through, rows).rows[0][0]), True
            ids = (self.id, segment[0], int(segment[5]) + 1)
            changed, conflicted = self.work(t, (*behind, *end), ids)
            leaf = self.shape["leaves"][int(segment[1])]
            fence = own.session.run(texts["checkpoint"], self.id, segment[0], self.epoch, segment[5], json.dumps(end), scanned, changed, conflicted,
                                    "true" if last else "false", leaf["oid"], leaf["schema"], leaf["name"], self.key_mark, None, strict=True)
            if fence.affected != 1:
                raise Declined("fenced")
        except (Declined, Refused):
            own.run("rollback")
            raise
        own.run("commit")
        self.batches += 1
        segment[4], segment[5], segment[6] = json.dumps(end), str(int(segment[5]) + 1), "true" if last else "false"
        return scanned, changed, conflicted

    def work(self, t, range_, ids):
        session = self.own.session
        if self.keeps:
            if t["capture"] is not None:
                captured = session.run(t["capture"], *range_, *ids, strict=True).affected
                self.after_capture()
                if captured == 0:
                    return 0, 0
            answer = session.run(t["work_kept"], *range_, *ids, strict=True)
        else:
            answer = session.run(t["work"], *range_, strict=True)
        if answer.rows:
            changed, conflicted, *exact = answer.rows[0]
            if exact and exact[0] != "true":
                raise Declined("raced")
            return int(changed), int(conflicted)
        return answer.affected, 0

    def run(self, rows):
        """Batches up to the end. [scanned, changed, conflicted]"""
        total = [0, 0, 0]
        for segment in self.segments:
            while segment[6] != "true":
                try:
                    total = [a + b for a, b in zip(total, self.batch(segment, rows))]
                except Declined as why:
                    assert str(why) == "raced"
                    self.races += 1
                    assert self.races < 20
        return total

    def complete(self):
        return self.own.control(("owner_seen", self.id, OWNER, self.epoch, 1, 1, 0, 0, 0), ("job_complete", self.id, OWNER, self.epoch))[1].affected
