"""A small HTTP/1.1 server on asyncio's protocol layer.

Benchmarks run it on the same two cores as the engine, so a request costs one parse, one callback and one
write: no task, no stream object. It can also misbehave on purpose: reset, stall or never end an answer.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Iterable
from urllib.parse import unquote

from tests.services.messages import End, Request, Response, chunk, slices, unchunk

MAX_HEAD = 64 * 1024
ENDLESS_CHUNK = b"x" * 16_384
ENDLESS_PAUSE = 0.02
DRIP_PAUSE = 0.02

Handler = Callable[["Exchange"], None]


class Exchange:
    """One request and the way to answer it. Ends once: answered, spoilt by a fault, or the client left."""

    __slots__ = ("_connection", "_ended", "_spoilt", "_timer", "on_end", "request")

    def __init__(self, connection: Connection, request: Request) -> None:
        self.request = request
        self.on_end: Callable[[End], None] | None = None
        self._connection = connection
        self._timer: asyncio.TimerHandle | None = None
        self._ended = False
        self._spoilt = False

    @property
    def ended(self) -> bool:
        """Whether nothing more can be sent."""
        return self._ended

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Run `call` after `seconds`, unless the client has left by then. Now, where seconds is 0."""
        if seconds <= 0:
            call()
        else:
            self._timer = self._connection.loop.call_later(seconds, call)

    def send(self, response: Response) -> None:
        """Send the answer in its manner."""
        if self._ended:
            return
        connection, manner = self._connection, response.manner
        if manner in ("whole", "chunked"):
            self._send_well(response)
            return
        self._spoilt = manner != "drip"
        if manner == "reset_early":
            connection.reset()
        elif manner in ("endless", "drip"):
            connection.write(response.head(chunked=True, keep=True))
            pieces = iter(slices(response.body, 64)) if manner == "drip" else None
            self._trickle(pieces)
        elif manner != "hang_silent":
            half = response.body[: len(response.body) // 2]
            connection.write(response.head(chunked=False, keep=True) + half)
            # A reset must not overtake the half body, so it waits a little.
            if manner == "reset":
                connection.loop.call_later(0.005, connection.reset)
            elif manner == "cut":
                connection.close()

    def _send_well(self, response: Response) -> None:
        keep = self.request.headers.get("connection", "").lower() != "close"
        chunked = response.manner == "chunked"
        head = response.head(chunked=chunked, keep=keep)
        if self.request.method == "HEAD" or response.status in (204, 304):
            self._connection.write(head)
        elif chunked:
            self._connection.write(head + b"".join(map(chunk, slices(response.body, 8192))) + b"0\r\n\r\n")
        else:
            self._connection.write(head + response.body)
        self._end("answered", free=keep)
        if not keep:
            self._connection.close()

    def _trickle(self, pieces: Iterable[bytes] | None) -> None:
        """Send a little now and then: the given pieces and the end, or chunks for ever."""
        if self._ended:
            return
        if pieces is None:
            self._connection.write(chunk(ENDLESS_CHUNK))
            self.later(ENDLESS_PAUSE, lambda: self._trickle(None))
            return
        piece = next(iter(pieces), None)
        if piece is None:
            self._connection.write(b"0\r\n\r\n")
            self._end("answered")
            return
        self._connection.write(chunk(piece))
        self.later(DRIP_PAUSE, lambda: self._trickle(pieces))

    def leave(self) -> None:
        """The connection is gone: the client left, or a fault broke it or wore the client out."""
        self._end("fault" if self._spoilt else "gone", free=False)

    def _end(self, how: End, *, free: bool = True) -> None:
        if self._ended:
            return
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        if self.on_end is not None:
            self.on_end(how)
        if free:
            self._connection.free()


class Connection(asyncio.Protocol):
    """One client's connection; requests on it are answered one after the other."""

    def __init__(self, loop: asyncio.AbstractEventLoop, handler: Handler, alive: set[Connection]) -> None:
        self.loop = loop
        self._handler = handler
        self._alive = alive
        self._buffer = bytearray()
        self._exchange: Exchange | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._alive.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._alive.discard(self)
        if self._exchange is not None:
            self._exchange.leave()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._exchange is None:
            self._next()

    def free(self) -> None:
        """The exchange is over; take the next request."""
        self._exchange = None
        if self._buffer:
            self.loop.call_soon(self._next)

    def write(self, data: bytes) -> None:
        """Send bytes, unless the client has left."""
        if self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        """Close once everything is sent."""
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """Break the connection with a TCP reset."""
        if self._transport is None:
            return
        raw = self._transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def _next(self) -> None:
        if self._exchange is not None or self._transport is None:
            return
        try:
            request = self._parse()
        except (ValueError, IndexError):
            self.write(Response(400).head(chunked=False, keep=False))
            self.close()
            return
        if request is not None:
            self._exchange = Exchange(self, request)
            self._handler(self._exchange)

    def _parse(self) -> Request | None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD:
                raise ValueError("head too long")
            return None
        first, *rest = self._buffer[:end].decode("latin-1").split("\r\n")
        method, target, _version = first.split(" ")
        headers: dict[str, str] = {}
        for line in rest:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        start = end + 4
        if headers.get("transfer-encoding", "").lower() == "chunked":
            chunked = unchunk(self._buffer, start)
            if chunked is None:
                return None
            body, stop = chunked
        else:
            stop = start + int(headers.get("content-length", "0"))
            if len(self._buffer) < stop:
                self._continue(headers)
                return None
            body = bytes(self._buffer[start:stop])
        del self._buffer[:stop]
        return Request(method, unquote(target.partition("?")[0]), target, headers, body)

    def _continue(self, headers: dict[str, str]) -> None:
        if headers.get("expect", "").lower() == "100-continue":
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")


class Server:
    """Listens on a free port of 127.0.0.1 and hands every request to `handler`, in the loop's thread."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._alive: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self.url = ""

    async def start(self, port: int = 0) -> None:
        """Listen; `url` is known afterwards."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(loop, self._handler, self._alive), "127.0.0.1", port, backlog=512
        )
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Stop listening and break every open connection."""
        if self._server is not None:
            self._server.close()
            for connection in list(self._alive):
                connection.reset()
            await asyncio.sleep(0)
            await self._server.wait_closed()
            self._server = None
