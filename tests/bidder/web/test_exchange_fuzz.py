"""The exchange port and arbitrary bytes, in arbitrary pieces: documented answers only."""

from __future__ import annotations

import asyncio
import gzip
import logging
import re
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from bidder.clock import SystemClock
from bidder.metrics import Tally
from bidder.settings import ExchangePort
from bidder.web.connection import Connection
from bidder.web.exchange import ExchangeServer
from tests.bidder.web.exchange_client import BODY, PROFILES, Running, chunked, echo, post, serving, zipped

DOCUMENTED = {b"100", b"200", b"204", b"400", b"404", b"405", b"408", b"413", b"415", b"431", b"503"}
WHOLE = [
    post(),
    post(b""),
    chunked(BODY),
    zipped(),
    chunked(gzip.compress(BODY), b"Content-Encoding: gzip", size=11),
    post(BODY, b"Accept-Encoding: gzip", b"Connection: keep-alive"),
    post(BODY, b"Connection: Upgrade", b"Upgrade: h2c"),
    post(BODY, b"Expect: 100-continue"),
    post(BODY, b"Connection: keep-alive", version=b"1.0"),
    post(path=b"/nowhere"),
    post(BODY, b"Content-Encoding: br"),
    post(b"junk", b"Content-Encoding: gzip"),
    b"GET /ready HTTP/1.1\r\n\r\n",
    b"HEAD /ready HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /bid/prebid HTTP/1.1\r\n\r\n",
]
FATAL = [
    b"",
    post(b"x" * 5_000),
    chunked(b"x" * 5_000, size=900),
    post(BODY, b"X: " + b"y" * 2_000),
    post(BODY, b"Connection: close"),
    post(version=b"1.0"),
    post(BODY, b"Transfer-Encoding: chunked"),
    b"nonsense\r\n\r\n",
    post()[:40],
]


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closing = False

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Errors(logging.Handler):
    """What the port logged."""

    seen: ClassVar[list[logging.LogRecord]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(record)


@pytest.fixture(autouse=True)
def errors() -> Iterator[None]:
    """Watches the log of the port."""
    handler = Errors()
    logging.getLogger("bidder.web").addHandler(handler)
    yield
    logging.getLogger("bidder.web").removeHandler(handler)


async def fed(pieces: list[bytes]) -> bytes:
    """What one connection writes when it is fed these pieces, each in a tick of its own."""
    config = ExchangePort(max_head_bytes=1_000, max_body_bytes=4_000, max_inflated_bytes=8_000)
    server = ExchangeServer(config, PROFILES, echo, tally := Tally(), SystemClock())
    Errors.seen.clear()
    wire = Wire()
    connection = Connection(server._port)
    connection.connection_made(wire)
    for piece in pieces:
        if piece and not wire.closing:
            connection.data_received(piece)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
    await asyncio.sleep(0)
    connection.connection_lost(None)
    server.flush()
    assert not Errors.seen, "only our own bugs are logged"
    Running(server, tally).conserved()
    return b"".join(wire.written)


def statuses(written: bytes) -> list[bytes]:
    """The statuses in what was written."""
    return re.findall(rb"HTTP/1\.1 (\d\d\d) ", written)


@pytest.mark.parametrize("request_bytes", WHOLE)
def test_split_at_every_byte(request_bytes: bytes) -> None:
    """A request in two pieces, cut at any byte, or in single bytes, is answered as in one."""

    async def scenario() -> None:
        whole = await fed([request_bytes])
        assert statuses(whole)
        for at in range(1, len(request_bytes)):
            assert await fed([request_bytes[:at], request_bytes[at:]]) == whole, at
        assert await fed([request_bytes[i : i + 1] for i in range(len(request_bytes))]) == whole

    uvloop.run(scenario())


@given(st.lists(st.sampled_from(WHOLE), max_size=8), st.sampled_from(FATAL), st.data())
@settings(max_examples=200)
def test_pieces_do_not_matter(messages: list[bytes], last: bytes, data: st.DataObject) -> None:
    """However a pipeline of requests is cut into pieces, the answers are the same bytes."""
    stream = b"".join(messages) + last
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=20)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    async def scenario() -> None:
        assert await fed(pieces) == await fed([stream])

    uvloop.run(scenario())


mutated = st.builds(
    lambda parts, at, junk, cut: b"".join(parts)[: at % 400] + junk + b"".join(parts)[at % 400 + cut :],
    st.lists(st.sampled_from(WHOLE + FATAL), min_size=1, max_size=4),
    st.integers(0, 400),
    st.binary(max_size=12),
    st.integers(0, 30),
)


@given(st.one_of(st.binary(max_size=400), mutated), st.integers(1, 200))
@settings(max_examples=500)
def test_arbitrary_bytes(data: bytes, size: int) -> None:
    """Whatever is sent, only documented statuses come back, and requests equal outcomes."""

    async def scenario() -> None:
        written = await fed([data[i : i + size] for i in range(0, len(data), size)])
        assert set(statuses(written)) <= DOCUMENTED
        assert written == b"" or written.startswith(b"HTTP/1.1 ")

    uvloop.run(scenario())


@given(st.lists(st.one_of(st.binary(max_size=300), mutated), min_size=1, max_size=10))
@settings(max_examples=40)
def test_the_server_survives(junk: list[bytes]) -> None:
    """On real sockets: clients that send junk and hang up leave a server that serves the next one."""

    async def scenario() -> None:
        failures: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
        async with serving() as running:
            for data in junk:
                client = await running.client()
                client.writer.write(data)
                client.writer.write_eof()
                await client.ended()
            assert (await (await running.client()).ask(post())).status == 200
        assert failures == []

    uvloop.run(scenario())
