"""How many TLS handshakes a port has under way, and who gives way to whom; on uvloop."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Self

import pytest

from bidder.web import handshakes, listener
from tests.bidder.web.test_tls import FAILED, Served, heard, of, serve, trusting
from tests.certificates import Authority
from tests.servers import eventually


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """One of the test's own."""
    return Authority(tmp_path / "certificates")


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever goes, goes because somebody else comes."""
    monkeypatch.setattr(listener, "HANDSHAKE_S", 600.0)


class Clients:
    """Who connects, from addresses of their own."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for writer in self._writers:
            writer.transport.abort()
        await eventually(lambda: len(self._served.listener._handshakes) == 0)

    async def silent(self, address: str) -> asyncio.StreamReader:
        """One who connects and says nothing; it is under way."""
        before = len(self._served.listener._handshakes)
        place = ("127.0.0.1", self._served.listener.port)
        reader, writer = await asyncio.open_connection(*place, local_addr=(address, 0))
        self._writers.append(writer)
        await eventually(lambda: len(self._served.listener._handshakes) == before + 1)
        return reader

    async def echo(self, address: str, context: ssl.SSLContext) -> bytes:
        """What one hears who connects and says hello."""
        place = ("127.0.0.1", self._served.listener.port)
        reader, writer = await asyncio.open_connection(*place, ssl=context, local_addr=(address, 0))
        self._writers.append(writer)
        writer.write(b"hello")
        return await reader.readexactly(5)


async def _closed(reader: asyncio.StreamReader) -> bool:
    async with asyncio.timeout(10.0):
        return await heard(reader) == b""


def test_handshakes_at_once_are_bounded(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are as many as there may be, the oldest of the caller with most is closed and counted, and whoever
    comes next is served; nobody else is given up."""
    monkeypatch.setattr(handshakes, "MAX_HANDSHAKES", 4)

    async def story(served: Served) -> None:
        async with Clients(served) as clients:
            modest = await clients.silent("127.0.0.2")
            greedy = [await clients.silent("127.0.0.1") for _ in range(3)]
            assert await clients.echo("127.0.0.3", trusting(authority)) == b"hello"
            assert await _closed(greedy[0])
            assert served.value(FAILED, "busy") == 1
            assert len(served.listener._handshakes) == 3
            assert not any(each.at_eof() for each in (modest, *greedy[1:]))

    serve(of(authority.sign("server")), story)


def test_one_caller_gives_way_to_itself(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller has so many handshakes at once; one more costs its own oldest, and it is served."""
    monkeypatch.setattr(handshakes, "MAX_OF_CALLER", 2)

    async def story(served: Served) -> None:
        async with Clients(served) as clients:
            other = await clients.silent("127.0.0.2")
            own = [await clients.silent("127.0.0.1") for _ in range(2)]
            assert await clients.echo("127.0.0.1", trusting(authority)) == b"hello"
            assert await _closed(own[0])
            assert served.value(FAILED, "busy") == 1
            assert not any(each.at_eof() for each in (other, own[1]))

    serve(of(authority.sign("server")), story)
