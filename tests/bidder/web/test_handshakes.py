"""How many TLS handshakes a port has under way, and who gives way to whom; on uvloop."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bidder.web import handshakes
from tests.bidder.web.test_tls import FAILED, Served, heard, of, serve, trusting
from tests.certificates import Authority
from tests.servers import eventually


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """One of the test's own."""
    return Authority(tmp_path / "certificates")


async def _silent(served: Served, address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", served.listener.port, local_addr=(address, 0))


def test_handshakes_at_once_are_bounded(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are as many as there may be, the oldest of the caller with most is closed and counted, and whoever
    comes next is let in; nobody else is given up."""
    monkeypatch.setattr(handshakes, "MAX_HANDSHAKES", 4)

    async def story(served: Served) -> None:
        modest = await _silent(served, "127.0.0.2")
        greedy = [await _silent(served, "127.0.0.1") for _ in range(3)]
        await eventually(lambda: len(served.listener._handshakes) == 4)
        place = ("127.0.0.1", served.listener.port)
        asked = await asyncio.open_connection(*place, ssl=trusting(authority), local_addr=("127.0.0.3", 0))
        asked[1].write(b"hello")
        assert await asked[0].readexactly(5) == b"hello"
        assert await heard(greedy[0][0]) == b""
        assert served.value(FAILED, "busy") == 1
        assert len(served.listener._handshakes) == 3
        for _, writer in (modest, asked, *greedy):
            writer.close()

    serve(of(authority.sign("server")), story)


def test_one_caller_gives_way_to_itself(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller has so many handshakes at once; one more costs its own oldest, and it is served."""
    monkeypatch.setattr(handshakes, "MAX_OF_CALLER", 2)

    async def story(served: Served) -> None:
        other = await _silent(served, "127.0.0.2")
        own = [await _silent(served, "127.0.0.1") for _ in range(2)]
        await eventually(lambda: len(served.listener._handshakes) == 3)
        assert (await served.ask(trusting(authority)))[0] == b"hello"
        assert await heard(own[0][0]) == b""
        assert served.value(FAILED, "busy") == 1
        for _, writer in (other, *own):
            writer.close()
        await eventually(lambda: len(served.listener._handshakes) == 0)

    serve(of(authority.sign("server")), story)
