"""A TCP proxy between a client and a database that fails by instruction. It knows a connection by the name that the client gives
itself, and strikes it after an exact number of bytes, counted from a chosen message of the client's, or from its beginning."""

import asyncio
import collections
import contextlib
import math
import socket
import struct
import threading

from wire import WIRES

UP, DOWN = "up", "down"  # from the client to the server, and back
RESET, FIN, SILENCE, HALF_CLOSE = "reset", "fin", "silence", "half-close"
EXECUTE, SYNC = b"E", b"S"
SYNC_SIZE = 5
NOBODY, ACCEPT = "", b"(is accepted)"  # a connection before its client has said a word, and how that begins
START_DEADLINE = 10
LINGER_NOT = struct.pack("ii", 1, 0)  # close() sends RST


class Exchange:
    """What a connection carries from a message that says `marker` on (of those that come after the instruction the nth), up to
    the next such message, or the answer to the one that says `last`. `strike` happens once `after` bytes went in `direction`;
    without one the bytes are only counted. SILENCE keeps the bytes of both directions back until heal(); HALF_CLOSE ends
    `direction` alone. `between_statements`: not where the server has begun with a statement and awaits the rest of it."""

    def __init__(self, marker, direction=UP, after=math.inf, strike=None, nth=1, last=None, between_statements=False):
        self.marker, self.direction, self.after, self.strike, self.nth = marker, direction, after, strike, nth
        self.last, self.last_seen = last, False
        self.between_statements, self.begun, self.put_off = between_statements, False, False
        self.counted = {UP: 0, DOWN: 0}
        self.struck = False
        self.over = threading.Event()  # struck, or not to be struck any more

    def __str__(self):
        return f"{self.strike} after {self.after} bytes {self.direction}, counted {self.counted}, struck: {self.struck}"

    def room(self, direction):
        return self.after - self.counted[direction] if direction == self.direction else math.inf

    def comes(self, message):
        """From the client. A strike within a statement is put off until a Sync would be over, if one follows."""
        kind, end = message[:1], self.counted[UP] + len(message)
        if self.between_statements and self.counted[UP] < self.after <= end:
            self.put_off = self.begun or self.after == end or kind == SYNC
        if self.put_off:
            self.after = math.inf if kind not in (EXECUTE, SYNC) else end + (SYNC_SIZE if kind == EXECUTE else 0)
        self.begun = kind not in (EXECUTE, SYNC)
        self.put_off &= self.begun

    def due(self):
        return self.room(self.direction) <= 0


class Ended(Exception):
    """This direction carries nothing more."""


class Connection:
    def __init__(self, proxy, reader, writer):
        self.proxy = proxy
        self.wire = proxy.wire()
        self.readers, self.writers = {UP: reader}, {DOWN: writer}
        self.gate = asyncio.Event()  # shut: whatever arrives is kept, and not passed on
        self.ended = set()  # directions
        self.exchange = None

    async def run(self):
        try:
            self._hear(ACCEPT)
            await self.gate.wait()
            self.readers[DOWN], self.writers[UP] = await asyncio.open_connection("127.0.0.1", self.proxy.server_port)
            for writer in self.writers.values():
                writer.transport.set_write_buffer_limits(0)  # drain() waits until the kernel has it all
            async with asyncio.TaskGroup() as flows:
                flows.create_task(self._flow(UP, self._upward))
                flows.create_task(self._flow(DOWN, self._downward))
        except* OSError:
            pass  # one end is gone: so is the other
        finally:
            self.close(reset=False)

    async def _flow(self, direction, carry):
        try:
            with contextlib.suppress(Ended, asyncio.IncompleteReadError):
                await carry()
            await self.gate.wait()  # in a silence nobody hears of an end, either
            self._end(direction)
        except OSError:
            await self.gate.wait()
            raise

    def _end(self, direction):
        if direction not in self.ended and not self.writers[direction].transport.is_closing():
            self.writers[direction].write_eof()
        self.ended.add(direction)

    async def _upward(self):
        async for message in self.wire.messages(self.readers[UP]):
            self._hear(self.wire.said(message))
            if self.exchange is not None:
                self.exchange.comes(message)
            await self._forward(UP, message)

    def _hear(self, said):
        wanted = self.proxy.wanted[self.wire.application]
        if self.exchange is not None and (self.exchange.last_seen or self.exchange.marker in said):
            self._forget_exchange()
        if self.exchange is None and wanted and wanted[0].marker in said:
            wanted[0].nth -= 1
            if wanted[0].nth == 0:
                self.exchange = wanted.popleft()
        if self.exchange is not None and self.exchange.last is not None:
            self.exchange.last_seen = self.exchange.last in said

    async def _downward(self):
        while data := await self.readers[DOWN].read(65536):
            self.wire.answered(data)
            await self._forward(DOWN, data)

    async def _forward(self, direction, data):
        size, delay_s = self.proxy.manner
        while data:
            if delay_s is not None:
                await asyncio.sleep(delay_s)
            await self.gate.wait()
            exchange = self.exchange
            size_now = min(size, len(data), exchange.room(direction) if exchange else math.inf)
            await self._send(direction, data[:size_now])
            data = data[size_now:]
            if exchange is not None:
                exchange.counted[direction] += size_now
                if exchange.due():
                    await self._strike(exchange)

    async def _send(self, direction, data):
        if direction in self.ended:
            raise Ended
        if self.writers[direction].transport.is_closing():
            raise ConnectionError
        if data:
            self.writers[direction].write(data)
            await self.writers[direction].drain()

    async def _strike(self, exchange):
        exchange.struck = True
        if exchange.strike == SILENCE:
            self.gate.clear()
        elif exchange.strike == HALF_CLOSE:
            self._end(exchange.direction)
        else:
            self.close(reset=exchange.strike == RESET)
        self._forget_exchange()
        if exchange.strike in (RESET, FIN):
            raise ConnectionError

    def _forget_exchange(self):
        if self.exchange is not None:
            self.exchange.over.set()
        self.exchange = None

    def close(self, reset):
        self._forget_exchange()
        for writer in self.writers.values():
            if reset and not writer.transport.is_closing():
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
                writer.transport.abort()
            writer.close()


class Proxy:
    """Forwards to the server's port on this host, in a thread of its own. Everything public may be called from the test."""

    def __init__(self, server_port, engine="postgresql"):
        self.server_port, self.wire = server_port, WIRES[engine]
        self.port = None
        self.errors = []
        self.manner = (math.inf, None)
        self.wanted = collections.defaultdict(collections.deque)  # who connects → exchanges to come
        self._open = True
        self._connections = {}  # → task
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()
        self._server = self._await(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    def _await(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(START_DEADLINE)

    def _do(self, change):
        async def in_the_loop():
            change()
        self._await(in_the_loop())

    async def _accept(self, reader, writer):
        connection = Connection(self, reader, writer)
        if self._open:
            connection.gate.set()
        self._connections[connection] = asyncio.current_task()
        try:
            await connection.run()
        except Exception as error:  # told by close()
            self.errors.append(error)
        finally:
            del self._connections[connection]

    def url(self, url):
        """The same database as `url` says, through here; in clear, to be read."""
        assert f":{self.server_port}/" in url and "?" not in url, url
        return url.replace(f":{self.server_port}/", f":{self.port}/") + self.wire.clear

    def watch(self, application, exchange):
        """Several for one application happen one after the other."""
        self._do(lambda: self.wanted[application].append(exchange))
        return exchange

    def carry(self, size=math.inf, delay_s=None):
        """From now on in pieces of this size, with a pause before each."""
        self._do(lambda: setattr(self, "manner", (size, delay_s)))

    def silence(self, application=None):
        """Nothing passes any more, in both directions; new connections are accepted and get no answer, either."""
        def shut():
            self._open = self._open and application is not None
            for connection in self._connections:
                if application in (None, connection.wire.application):
                    connection.gate.clear()
        self._do(shut)

    def hang_up(self):
        """All connections end; new ones are accepted and get no answer."""
        def shut():
            self._open = False
            for connection in self._connections:
                connection.close(reset=True)
        self._do(shut)

    def heal(self):
        """What was kept back arrives now, late."""
        def open_all():
            self._open = True
            for connection in self._connections:
                connection.gate.set()
        self._do(open_all)

    async def _end(self):
        self._server.close()
        tasks = list(self._connections.values())
        for connection, task in list(self._connections.items()):
            connection.close(reset=True)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def close(self):
        self._await(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_DEADLINE)
        assert not self._thread.is_alive(), "the proxy hangs"
        assert not self.errors, self.errors[:3]
