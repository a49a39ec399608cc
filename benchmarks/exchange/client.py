"""A bounded keep-alive HTTP/1.1 client: one request per connection at a time, callbacks instead of futures.

Place: the simulation holds one per exchange for bids and one for notices.
Limits: `connections` open at once, `queue` waiting; what is beyond is refused at once. TIMEOUT_S per request from
    when it is sent: how long it waited for a connection is no fault of the service's answer.
Source: httptools parses; some 40 us of CPU per request beside the service under test.
"""

from __future__ import annotations

import asyncio
import gzip
import time
import zlib
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

import httptools
from msgspec import Struct

TIMEOUT_S: Final = 5.0
_SWEEP_S: Final = 0.25


class Answer(Struct, gc=False):
    """What came back; `status` 0 means that nothing did, and `body` then says why."""

    status: int
    body: bytes
    elapsed_s: float
    """From submission, waiting for a connection included."""
    cookies: tuple[bytes, ...] = ()
    """Values of Set-Cookie."""
    location: bytes = b""


Done = Callable[[Answer], None]


class _Job(Struct, gc=False):
    wire: bytes
    done: Done
    submitted: float
    sent: float = 0.0


class Client:
    """Requests to one address."""

    def __init__(self, host: str, port: int, connections: int, queue: int = 1_000) -> None:
        """Needs a running event loop."""
        self._address = (host, port)
        self._limit, self._queue_limit = connections, queue
        self._loop = asyncio.get_running_loop()
        self.idle: list[_Line] = []
        self.lines: set[_Line] = set()
        self._opening = 0
        self._waiting: deque[_Job] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer = self._loop.call_later(_SWEEP_S, self._sweep)
        self._closed = False

    @property
    def in_flight(self) -> int:
        """Requests without an answer."""
        return len(self._waiting) + sum(line.job is not None for line in self.lines)

    def submit(self, wire: bytes, done: Done) -> bool:
        """Send a request, `done` gets the answer; False when the queue is full."""
        job = _Job(wire, done, time.perf_counter())
        if self.idle:
            self.idle.pop().send(job)
            return True
        if len(self._waiting) >= self._queue_limit:
            return False
        self._waiting.append(job)
        if len(self.lines) + self._opening < self._limit:
            self._opening += 1
            task = self._loop.create_task(self._open())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return True

    def close(self) -> None:
        """Cut every connection; nobody is told."""
        self._closed = True
        self._timer.cancel()
        self._waiting.clear()
        for line in tuple(self.lines):
            line.job = None
            line.transport.abort()

    def free(self, line: _Line) -> None:
        """A connection may be used again."""
        if self._waiting:
            line.send(self._waiting.popleft())
        else:
            self.idle.append(line)

    def lost(self, line: _Line, why: str) -> None:
        """A connection ended; what it was doing fails."""
        self.lines.discard(line)
        if line in self.idle:
            self.idle.remove(line)
        job, line.job = line.job, None
        if job is not None:
            job.done(Answer(0, why.encode(), time.perf_counter() - job.submitted))
        if self._waiting and not self.lines and not self._opening and not self._closed:
            waiting = self._waiting.popleft()
            if not self.submit(waiting.wire, waiting.done):
                waiting.done(Answer(0, why.encode(), 0.0))

    async def _open(self) -> None:
        try:
            await self._loop.create_connection(lambda: _Line(self), *self._address)
        except OSError as error:
            while self._waiting and not self.lines:
                job = self._waiting.popleft()
                job.done(Answer(0, f"no connection: {error}".encode(), time.perf_counter() - job.submitted))
        finally:
            self._opening -= 1

    def _sweep(self) -> None:
        now = time.perf_counter()
        for line in tuple(self.lines):
            if line.job is not None and now - line.job.sent > TIMEOUT_S:
                line.why = "no answer in time"
                line.transport.abort()
        self._timer = self._loop.call_later(_SWEEP_S, self._sweep)


class _Line(asyncio.Protocol):
    """One connection."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.transport: asyncio.Transport
        self.job: _Job | None = None
        self.why = "the connection was closed"
        self._fresh()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._client.lines.add(self)
        self._client.free(self)

    def send(self, job: _Job) -> None:
        """Send one request; the connection must be idle."""
        self.job = job
        job.sent = time.perf_counter()
        self.transport.write(job.wire)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.why = f"not HTTP: {error}"
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.lost(self, str(exc) if exc else self.why)

    # Callbacks of httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        """Three headers matter here."""
        match name.lower():
            case b"content-encoding":
                self._gzip = value.lower() == b"gzip"
            case b"set-cookie":
                self._cookies.append(value)
            case b"location":
                self._location = value

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._body += body

    def on_message_complete(self) -> None:
        """The answer is whole."""
        job, self.job = self.job, None
        if job is None:
            return
        status, keep = self._parser.get_status_code(), self._parser.should_keep_alive()
        elapsed_s = time.perf_counter() - job.submitted
        answer = Answer(status, self._inflated(), elapsed_s, tuple(self._cookies), self._location)
        self._fresh()
        if keep:
            self._client.free(self)
        else:
            self.transport.close()
        job.done(answer)

    def _inflated(self) -> bytes:
        try:
            return gzip.decompress(self._body) if self._gzip and self._body else self._body
        except (OSError, EOFError, zlib.error):
            return b""

    def _fresh(self) -> None:
        self._body = b""
        self._gzip = False
        self._cookies: list[bytes] = []
        self._location = b""
        self._parser: Any = httptools.HttpResponseParser(self)
