"""How the public port lets its connections go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bidder.metrics import Tally
from bidder.web import departure, http_connection
from bidder.web.public import PublicServer, public_app
from bidder.web.sockets import shared_socket
from tests.servers import eventually

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def served() -> AsyncIterator[tuple[PublicServer, int]]:
    """A public port without routes of its own, and where it listens."""
    tally = Tally()
    server = PublicServer(public_app([], tally), tally)
    bound = shared_socket("127.0.0.1", 0)
    port: int = bound.getsockname()[1]
    await server.start(bound)
    yield server, port
    await server.stop()


async def connected(port: int) -> Streams:
    """A connection on which one answer came, so that it is surely accepted."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HEALTH)
    assert (await head(reader)).startswith("HTTP/1.1 200 OK")
    return reader, writer


async def head(reader: asyncio.StreamReader) -> str:
    """The head of an answer; its body is read, too."""
    text = (await reader.readuntil(b"\r\n\r\n")).decode()
    await reader.readexactly(3)
    return text


async def test_the_next_answer_is_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks while the port drains is answered, told to close, and closed; nobody else is let in."""
    monkeypatch.setattr(departure, "QUIET_S", 600)
    monkeypatch.setattr(departure, "DEPART_S", 600)
    async with served() as (server, port):
        reader, writer = await connected(port)
        draining = asyncio.create_task(server.drain())
        await eventually(lambda: server._departure.begun)
        writer.write(HEALTH)
        assert "Connection: close" in await head(reader)
        assert await reader.read() == b""
        await draining
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        writer.close()


async def test_who_never_said_a_word_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection without a single byte is closed as soon as one that was served, before its first head is overdue."""
    monkeypatch.setattr(departure, "QUIET_S", 1e-6)
    monkeypatch.setattr(departure, "DEPART_S", 600)
    monkeypatch.setattr(http_connection, "HEAD_S", 600)
    async with served() as (server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        draining = asyncio.create_task(server.drain())
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        await draining
        writer.close()


async def test_the_silent_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection on which nothing comes is closed soon."""
    monkeypatch.setattr(departure, "QUIET_S", 0.0)
    monkeypatch.setattr(departure, "DEPART_S", 600)
    async with served() as (server, port):
        reader, writer = await connected(port)
        await server.drain()
        assert await reader.read() == b""
        writer.close()


async def test_it_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that never ends holds nobody up."""
    monkeypatch.setattr(departure, "QUIET_S", 0.0)
    monkeypatch.setattr(departure, "DEPART_S", 0.05)
    async with served() as (server, port):
        reader, writer = await connected(port)
        writer.write(b"GET /heal")
        await writer.drain()
        await eventually(lambda: next(iter(server._runner.server.connections)).silent_s(1e12) == 0)  # type: ignore[union-attr]  # it is set up
        await server.drain()
        writer.close()
        await server.stop()
        assert await reader.read() == b""


async def test_what_waits_is_left_to_a_successor() -> None:
    """The socket of a slot stays open for the next process: a connection that nobody accepted yet waits on."""
    async with served() as (server, port):
        listener = server._listener
        assert listener is not None
        successor = listener._sock.dup()
        await server.drain(succeeded=True)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        accepted, _ = successor.accept()
        accepted.sendall(b"hello")
        assert await reader.readexactly(5) == b"hello"
        for sock in (accepted, successor):
            sock.close()
        writer.close()
