"""A session on a MySQL or MariaDB server that runs the dialect's texts as the daemon does: split into statements, $n bound as text."""

import ctypes as c
import ctypes.util
import re

FOUND_ROWS, STRING, SOCKET = 2, 254, c.c_char_p
LIBRARY = c.CDLL(ctypes.util.find_library("mariadb") or "libmariadb.so.3")


class Bind(c.Structure):
    """MYSQL_BIND, mariadb_stmt.h"""
    _fields_ = [("length", c.POINTER(c.c_ulong)), ("is_null", c.POINTER(c.c_char)), ("buffer", c.c_void_p), ("error", c.c_void_p),
                ("u", c.c_void_p), ("f1", c.c_void_p), ("f2", c.c_void_p), ("f3", c.c_void_p), ("buffer_length", c.c_ulong),
                ("offset", c.c_ulong), ("length_value", c.c_ulong), ("flags", c.c_uint), ("pack_length", c.c_uint),
                ("buffer_type", c.c_int), ("error_value", c.c_char), ("is_unsigned", c.c_char), ("long_data_used", c.c_char),
                ("is_null_value", c.c_char), ("extension", c.c_void_p)]


def function(name, result, *arguments):
    made = getattr(LIBRARY, name)
    made.restype, made.argtypes = result, arguments
    return made


V, I, U, S = c.c_void_p, c.c_int, c.c_ulonglong, c.c_char_p
init = function("mysql_init", V, V)
options = function("mysql_options", I, V, I, S)
real_connect = function("mysql_real_connect", V, V, S, S, S, S, c.c_uint, S, c.c_ulong)
close = function("mysql_close", None, V)
errno, error = function("mysql_errno", c.c_uint, V), function("mysql_error", S, V)
thread_id = function("mysql_thread_id", c.c_ulong, V)
real_query = function("mysql_real_query", I, V, S, c.c_ulong)
store_result, free_result = function("mysql_store_result", V, V), function("mysql_free_result", None, V)
num_fields = function("mysql_num_fields", c.c_uint, V)
fetch_row = function("mysql_fetch_row", c.POINTER(c.c_char_p), V)
fetch_lengths = function("mysql_fetch_lengths", c.POINTER(c.c_ulong), V)
affected_rows, warning_count = function("mysql_affected_rows", U, V), function("mysql_warning_count", c.c_uint, V)
stmt_init = function("mysql_stmt_init", V, V)
stmt_prepare = function("mysql_stmt_prepare", I, V, S, c.c_ulong)
stmt_bind_param = function("mysql_stmt_bind_param", c.c_char, V, c.POINTER(Bind))
stmt_execute, stmt_store = function("mysql_stmt_execute", I, V), function("mysql_stmt_store_result", I, V)
stmt_errno, stmt_error = function("mysql_stmt_errno", c.c_uint, V), function("mysql_stmt_error", S, V)
stmt_field_count = function("mysql_stmt_field_count", c.c_uint, V)
stmt_bind_result = function("mysql_stmt_bind_result", c.c_char, V, c.POINTER(Bind))
stmt_fetch = function("mysql_stmt_fetch", I, V)
stmt_fetch_column = function("mysql_stmt_fetch_column", I, V, c.POINTER(Bind), c.c_uint, c.c_ulong)
stmt_affected, stmt_close = function("mysql_stmt_affected_rows", U, V), function("mysql_stmt_close", c.c_char, V)

TOKEN = re.compile(r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"|`(?:[^`]|``)*`|--[^\n]*\n?|/\*.*?\*/|\$\d+|;|[^'\"`\-/$;]+|.", re.S)


def statements(text):
    """[(statement, [parameter numbers])]"""
    found, sql, numbers = [], "", []
    for token in TOKEN.findall(text) + [";"]:
        if token.startswith("--"):
            continue
        if token == ";":
            if sql.strip():
                found.append((sql.strip(), numbers))
            sql, numbers = "", []
        elif re.fullmatch(r"\$\d+", token):
            numbers.append(int(token[1:]))
            sql += "?"
        else:
            sql += token
    return found


class Refused(Exception):
    def __init__(self, code, message):
        super().__init__(f"{message} ({code})")
        self.code = code


class Answer:
    def __init__(self):
        self.rows, self.affected = [], 0


class Session:
    def __init__(self, socket, database="backfill_texts", user="root"):
        self.handle = init(None)
        options(self.handle, 7, b"utf8mb4")  # MYSQL_SET_CHARSET_NAME
        if not real_connect(self.handle, None, user.encode(), None, database and database.encode(), 0, socket.encode(), FOUND_ROWS):
            raise Refused(errno(self.handle), error(self.handle).decode())
        self.id = thread_id(self.handle)
        self.prepared = {}
        self.strict = False

    def close(self):
        if self.handle:
            for statement in self.prepared.values():
                stmt_close(statement)
            close(self.handle)
        self.handle = None

    def run(self, text, *params, strict=False):
        """The rows of the last statement that returned rows, and the rows affected by the last one."""
        answer = Answer()
        values = [None if p is None else str(p).encode() for p in params]
        for sql, numbers in statements(text):
            rows, answer.affected, warnings = self.execute(sql, [values[n - 1] for n in numbers]) if numbers else self.query(sql)
            if rows is not None:
                answer.rows, answer.affected = rows, len(rows)
            if strict and warnings:
                said = [row for row in self.query("SHOW WARNINGS")[0] if row[0] != "Note" and row[1] not in ("1287", "1681", "3719", "3778")]
                assert not said, (sql, said)
        return answer

    def query(self, sql):
        raw = sql.encode()
        if real_query(self.handle, raw, len(raw)):
            raise Refused(errno(self.handle), error(self.handle).decode() + "\n" + sql)
        warnings, result = warning_count(self.handle), store_result(self.handle)
        if not result:
            if errno(self.handle):
                raise Refused(errno(self.handle), error(self.handle).decode() + "\n" + sql)
            return None, affected_rows(self.handle), warnings
        rows, columns = [], num_fields(result)
        while True:
            row = fetch_row(result)
            if not row:
                break
            lengths = fetch_lengths(result)
            pointers = c.cast(row, c.POINTER(c.c_void_p))
            rows.append([None if not pointers[i] else c.string_at(pointers[i], lengths[i]).decode() for i in range(columns)])
        free_result(result)
        return rows, len(rows), warnings

    def statement(self, sql):
        if sql not in self.prepared:
            statement, raw = stmt_init(self.handle), sql.encode()
            if stmt_prepare(statement, raw, len(raw)):
                raise Refused(stmt_errno(statement), stmt_error(statement).decode() + "\n" + sql)
            self.prepared[sql] = statement
        return self.prepared[sql]

    def execute(self, sql, values):
        statement = self.statement(sql)
        binds, kept = (Bind * len(values))(), []
        for bind, value in zip(binds, values):
            buffer, length, null = c.create_string_buffer(value or b""), c.c_ulong(len(value or b"")), c.c_char(b"\1" if value is None else b"\0")
            kept += [buffer, length, null]
            bind.buffer_type, bind.buffer, bind.buffer_length = STRING, c.cast(buffer, c.c_void_p), len(value or b"")
            bind.length, bind.is_null = c.pointer(length), c.pointer(null)
        stmt_bind_param(statement, binds)
        if stmt_execute(statement):
            raise Refused(stmt_errno(statement), stmt_error(statement).decode() + "\n" + sql)
        warnings, columns = warning_count(self.handle), stmt_field_count(statement)
        if columns == 0:
            return None, stmt_affected(statement), warnings
        results = (Bind * columns)()
        lengths, nulls = (c.c_ulong * columns)(), [c.c_char() for _ in range(columns)]
        for i, bind in enumerate(results):
            bind.buffer_type, bind.length, bind.is_null = STRING, c.cast(c.byref(lengths, i * c.sizeof(c.c_ulong)), c.POINTER(c.c_ulong)), c.pointer(nulls[i])
        stmt_bind_result(statement, results)
        if stmt_store(statement):
            raise Refused(stmt_errno(statement), stmt_error(statement).decode() + "\n" + sql)
        rows = []
        while stmt_fetch(statement) in (0, 101):  # MYSQL_DATA_TRUNCATED: the buffers are empty
            row = []
            for i in range(columns):
                size = lengths[i]
                if nulls[i].value != b"\0":
                    row.append(None)
                    continue
                buffer = c.create_string_buffer(size + 1)
                one, length, null = Bind(), c.c_ulong(), c.c_char()
                one.buffer_type, one.buffer, one.buffer_length = STRING, c.cast(buffer, c.c_void_p), size + 1
                one.length, one.is_null = c.pointer(length), c.pointer(null)
                stmt_fetch_column(statement, c.byref(one), i, 0)
                row.append(buffer.raw[:size].decode())
            rows.append(row)
        return rows, len(rows), warnings
