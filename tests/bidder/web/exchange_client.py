"""A raw HTTP client and a running exchange port for the tests of bidder/web/exchange.py.

Shapes: `serving` ends by closing the server and checking that requests and outcomes add up.
"""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from bidder.clock import SystemClock
from bidder.exchanges import SHIPPED, Exchange
from bidder.metrics import Tally
from bidder.outcome import Outcome
from bidder.settings import ExchangePort
from bidder.web.exchange import Call, Deciders, ExchangeServer

GET_READY = b"GET /ready HTTP/1.1\r\nHost: a\r\n\r\n"
BODY = b'{"id":"r1","imp":[{"id":"1"}]}'
ANSWER = b'{"id":"r1","seatbid":[]}'
PROFILES = (*SHIPPED, Exchange(name="plain", gzip_answers=False))


class Held:
    """A decider that keeps its calls until the test answers them."""

    def __init__(self) -> None:
        self.batches: list[list[Call]] = []
        self.calls: asyncio.Queue[Call] = asyncio.Queue()

    def __call__(self, batch: list[Call]) -> None:
        self.batches.append(batch)
        for call in batch:
            self.calls.put_nowait(call)

    async def take(self, count: int) -> list[Call]:
        """The next calls, once they are there."""
        return [await self.calls.get() for _ in range(count)]


def echo(batch: list[Call]) -> None:
    """A decider that answers each call with its own body; an empty one is malformed."""
    for call in batch:
        call.answer(Outcome.BID if call.body else Outcome.MALFORMED, call.body)


def no_bid(batch: list[Call]) -> None:
    """A decider that never bids."""
    for call in batch:
        call.answer(Outcome.NO_CANDIDATE)


class Answer:
    """One answer off the wire."""

    def __init__(self, status: int, fields: dict[str, str], body: bytes) -> None:
        self.status, self.fields, self.body = status, fields, body

    @property
    def closes(self) -> bool:
        """Whether the client is told that the connection ends."""
        return self.fields.get("connection") == "close"


class Client:
    """A connection that sends bytes and reads answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, head_only: bool = False) -> Answer:
        """Read one answer."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("ascii")
        first, *lines = head.strip().split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = 0 if head_only else int(fields.get("content-length", "0"))
        return Answer(int(first.split()[1]), fields, await self.reader.readexactly(length))

    async def ask(self, data: bytes) -> Answer:
        """Send and read one answer."""
        await self.send(data)
        return await self.answer()

    async def ended(self) -> bytes:
        """Wait for the server to close; what it still said."""
        try:
            return await self.reader.read()
        except ConnectionError:
            return b""

    async def close(self) -> None:
        """Hang up."""
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


class Running:
    """A server under test."""

    def __init__(self, server: ExchangeServer, tally: Tally) -> None:
        self.server, self.tally = server, tally
        self.clients: list[Client] = []

    async def client(self) -> Client:
        """A new connection."""
        client = Client(*await asyncio.open_connection("127.0.0.1", self.server.port))
        self.clients.append(client)
        return client

    async def alone(self) -> None:
        """Wait until the server has no connection left."""
        await self.server.empty()

    def value(self, name: str, *labels: str) -> int:
        """A counter or gauge by its labels."""
        return self.tally.cells[self.tally.slot(name, *labels)]

    def outcomes(self, exchange: str = "prebid") -> dict[str, int]:
        """The counted outcomes of an exchange that are not zero."""
        return {
            cell.labels[1]: value
            for cell, value in self.tally.samples()
            if cell.name == "paceline_outcomes_total" and cell.labels[0] == exchange and value
        }

    def conserved(self) -> None:
        """Requests in = sum of outcomes, for each exchange."""
        for exchange in ("none", *(profile.name for profile in PROFILES)):
            requests = self.value("paceline_requests_total", exchange)
            assert requests == sum(self.outcomes(exchange).values()), exchange


@asynccontextmanager
async def serving(decide: Deciders = echo, **limits: Any) -> AsyncIterator[Running]:
    """A server on a free port with the given limits; at the end it is closed and its counts checked."""
    tally = Tally()
    config = ExchangePort(host="127.0.0.1", port=0, **limits)
    server = ExchangeServer(config, PROFILES, decide, tally, SystemClock())
    await server.start()
    running = Running(server, tally)
    try:
        yield running
    finally:
        await server.close()
        for client in running.clients:
            await client.close()
    assert server.connections == 0
    assert server.in_flight == 0, "every call must be answered before the test ends"
    running.conserved()


def reset(client: Client) -> None:
    """Hang up with a reset, as a client that crashed."""
    sock = client.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.writer.transport.abort()


def post(body: bytes = BODY, *fields: bytes, path: bytes = b"/bid/prebid", version: bytes = b"1.1") -> bytes:
    """A POST with a Content-Length."""
    lines = [b"POST " + path + b" HTTP/" + version, b"Host: bidder.example", *fields]
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", body])


def chunked(body: bytes, *fields: bytes, size: int = 7) -> bytes:
    """A POST in chunks with a trailer."""
    lines = [
        b"POST /bid/prebid HTTP/1.1",
        b"Host: bidder.example",
        b"Transfer-Encoding: chunked",
        *fields,
        b"",
    ]
    parts = [body[i : i + size] for i in range(0, len(body), size)]
    framed = b"".join(b"%x;note=1\r\n%b\r\n" % (len(part), part) for part in parts)
    return b"\r\n".join(lines) + b"\r\n" + framed + b"0\r\nX-Trailer: t\r\n\r\n"


def zipped(body: bytes = BODY) -> bytes:
    """A POST with a gzip body."""
    return post(gzip.compress(body), b"Content-Encoding: gzip")
