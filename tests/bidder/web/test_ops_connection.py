"""Connections of the operators' port: bounds of number and of time, and what comes in a body that is packed."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from bidder.clock import SystemClock
from bidder.console.page import Console
from bidder.deeds import FILE_NAME
from bidder.metrics import Tally
from bidder.web import admin as admin_module
from bidder.web import http_connection, ops_connection
from bidder.web.admin import Admin
from bidder.web.listener import Listener
from bidder.web.ops import ops_app
from bidder.web.ops_connection import OpsConnections
from tests.bidder.console.support import Nothing
from tests.bidder.web.operators import Service, access, token

LIVE = b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n"
Pipe = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Port:
    """The port as the supervisor serves it."""

    def __init__(self, number: int, connections: OpsConnections, folder: Path) -> None:
        self.number, self.connections, self.folder = number, connections, folder
        self._clients: list[asyncio.StreamWriter] = []

    async def connected(self, said: bytes = b"") -> Pipe:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.number)
        self._clients.append(writer)
        writer.write(said)
        return reader, writer

    def leave(self) -> None:
        """Close the clients' ends."""
        for client in self._clients:
            client.close()

    def lines(self) -> list[dict[str, str]]:
        """The audit file."""
        return [json.loads(line) for line in (self.folder / FILE_NAME).read_text().splitlines()]


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Port]:
    door = access()
    admin = Admin(door, Nothing(), Tally(), folder)
    console = Console(dict, dict, door, admin, SystemClock())
    app = ops_app(Service(), door, [*admin.routes(), *console.routes()])
    app.on_cleanup.append(admin.close)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    connections = OpsConnections(runner)
    listener = Listener(bound, connections, 64)
    port = Port(listener.port, connections, folder)
    try:
        yield port
    finally:
        port.leave()
        listener.close()
        await listener.opened()
        await runner.cleanup()


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[Port]:
    async with opened(tmp_path) as serving:
        yield serving


async def cut(pipe: Pipe) -> bytes:
    """All that comes until the other side ends it."""
    async with asyncio.timeout(60):
        try:
            told = await pipe[0].read()
        except ConnectionResetError:
            told = b""
    return told


async def answered(pipe: Pipe) -> bytes:
    """The answer's first line."""
    async with asyncio.timeout(60):
        return (await pipe[0].readuntil(b"\r\n\r\n")).partition(b"\r\n")[0]


@pytest.mark.parametrize("said", [b"", b"GET /live HTTP/1.1\r\nHo"])
async def test_who_does_not_go_on_is_cut(port: Port, monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    """Who says nothing at all, and who begins a head."""
    monkeypatch.setattr(http_connection, "HEAD_S", 0.05)
    await cut(await port.connected(said))
    assert len(port.connections) == 0


async def test_the_next_head_is_timed_too(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was answered once and begins another head."""
    monkeypatch.setattr(http_connection, "HEAD_S", 0.2)
    pipe = await port.connected(LIVE)
    assert b" 200 " in await answered(pipe)
    await pipe[0].readexactly(len(b"alive\n"))
    pipe[1].write(b"GET /live HTTP/1.1\r\nHo")
    assert await cut(pipe) == b""


async def test_who_comes_back_is_not_cut(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of a head ends with it: a connection that is kept for the next call stays open."""
    monkeypatch.setattr(http_connection, "HEAD_S", 3_600.0)
    pipe = await port.connected(LIVE)
    assert b" 200 " in await answered(pipe)
    (connection,) = port.connections._open
    assert connection._head is None


@pytest.mark.parametrize(
    ("path", "line", "status"), [("/login", "malformed", b" 400 "), ("/admin/pause", "slow", b" 408 ")]
)
async def test_a_body_that_does_not_come(
    port: Port, monkeypatch: pytest.MonkeyPatch, path: str, line: str, status: bytes
) -> None:
    """Is not waited for: an answer, a line, and the connection ends, instead of being held for ever."""
    monkeypatch.setattr(admin_module, "BODY_S", 0.05)
    monkeypatch.setattr(ops_connection, "BODY_S", 0.05)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token('operator')}\r\n"
    told = await cut(await port.connected(head.encode() + b"Content-Length: 100\r\n\r\ntok"))
    assert status in told.partition(b"\r\n")[0]
    assert [each["result"] for each in port.lines()] == [line]


async def test_a_body_that_is_not_asked_for(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is refused before the body is read is answered at once, and cut when the rest does not come."""
    monkeypatch.setattr(ops_connection, "BODY_S", 0.05)
    head = b"POST /admin/pause HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"
    assert b" 401 " in (await cut(await port.connected(head))).partition(b"\r\n")[0]


async def test_one_too_many(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that was silent longest goes, and the newcomer is answered: silence keeps nobody out; so do half a head
    and half a body."""
    monkeypatch.setattr(ops_connection, "MAX_CONNECTIONS", 3)
    half = b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\ntok"
    held = []
    for number, said in enumerate((half, b"GET /li", b""), 1):
        held.append(await port.connected(said))
        async with asyncio.timeout(60):
            while len(port.connections) < number:  # noqa: ASYNC110  what is looked at has no event
                await asyncio.sleep(0.01)
    for pipe in held:
        newcomer = await port.connected(LIVE)
        assert b" 200 " in await answered(newcomer)
        await cut(pipe)
        assert len(port.connections) == 3


async def test_who_is_being_answered_stays(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all are, one more is closed again."""
    monkeypatch.setattr(ops_connection, "MAX_CONNECTIONS", 1)
    feed = await port.connected(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b" 200 " in await answered(feed)
    assert await cut(await port.connected(LIVE)) == b""
    assert await feed[0].read(1)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("path", ["/admin/pause", "/admin/reload", "/login"])
async def test_what_is_packed_is_not_unpacked(port: Port, path: str, whole: bool) -> None:
    """A body in gzip, or one that only says so, is malformed as any other that is no text: with a line, no fault of
    ours, and nothing done."""
    good = {
        "/admin/pause": '{"advertiser":"a"}',
        "/admin/reload": "{}",
        "/login": f"token={token('viewer')}",
    }
    body = gzip.compress(good[path].encode()) if whole else b"x\xffx"
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token('operator')}\r\n"
        f"Content-Encoding: gzip\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    told = await cut(await port.connected(head.encode() + body))
    assert b" 400 " in told.partition(b"\r\n")[0]
    assert [line["result"] for line in port.lines()] == ["malformed"]


async def test_chunks_that_are_none(port: Port) -> None:
    """What cannot be read is malformed, with a line, even where the head was good."""
    head = f"POST /admin/pause HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token('operator')}\r\n"
    told = await cut(
        await port.connected(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab\r\nzz\r\n")
    )
    assert b" 400 " in told.partition(b"\r\n")[0]
