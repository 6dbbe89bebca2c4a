"""What the clients of the two databases say, a message at a time, for a proxy that has to know where each begins and what it is about."""

import struct

CONNECT = b"(connects)"  # what a client's first message says


class PostgresWire:
    """https://www.postgresql.org/docs/current/protocol-message-formats.html"""
    clear = ""  # what a url says for the proxy to understand what is said
    NAME = b"\0application_name\0"  # only the startup packet holds it
    ENCRYPTION_REQUESTS = (80877103, 80877104)

    def __init__(self):
        self.application = ""  # who speaks, once it is known

    async def messages(self, reader):
        code = self.ENCRYPTION_REQUESTS[0]
        while code in self.ENCRYPTION_REQUESTS:
            head = await reader.readexactly(8)
            length, code = struct.unpack("!II", head)
            yield head + await reader.readexactly(length - 8)
        while True:
            head = await reader.readexactly(5)
            yield head + await reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)

    def said(self, message):
        """What markers are looked for in."""
        _, found, rest = message.partition(self.NAME)
        if not found or self.application:
            return message
        self.application = rest.split(b"\0", 1)[0].decode()
        return CONNECT

    def answered(self, data):
        """From the server."""


class MySQLWire:
    """https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html"""
    clear = "?ssl_mode=disabled"
    NAME = b"\x0cprogram_name"  # each as long as the byte before it says
    PREPARE, EXECUTE = 0x16, 0x17

    def __init__(self):
        self.application = ""
        self.prepared = {}  # number → text
        self.preparing = self.fresh = None  # a text without its number yet; a number that was not executed yet

    async def messages(self, reader):
        while True:
            head = await reader.readexactly(4)
            yield head + await reader.readexactly(int.from_bytes(head[:3], "little"))

    def said(self, message):
        """An execution says the text, but for the one right behind it."""
        is_command, command = message[3] == 0, message[4:5]
        _, found, rest = message.partition(self.NAME)
        if found and not self.application:
            self.application = rest[1:1 + rest[0]].decode()
            return CONNECT
        if is_command and command == bytes([self.PREPARE]):
            self.preparing = message
        if not is_command or command != bytes([self.EXECUTE]):
            return message
        number, fresh, self.fresh = message[5:9], self.fresh, None
        return b"" if number == fresh else self.prepared[number]

    def answered(self, data):
        """The number of what was prepared."""
        if self.preparing is not None and data[4] == 0:
            self.fresh = data[5:9]
            self.prepared[self.fresh] = self.preparing
        self.preparing = None


WIRES = {"postgresql": PostgresWire, "mariadb": MySQLWire, "mysql": MySQLWire}
