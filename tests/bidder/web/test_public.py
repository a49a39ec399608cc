"""The public port over real sockets: what it answers, what it counts, and that nothing makes it fail."""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator
from typing import Self

import aiohttp
import pytest

from bidder.clock import ManualClock
from bidder.exchanges import SHIPPED
from bidder.metrics import Tally
from bidder.notices.apply import Notices
from bidder.notices.clearing import terms_of
from bidder.notices.urls import notice_urls, url_parts
from bidder.settings import PublicPort
from bidder.web import http_connection, public
from bidder.web.public import GIF, PublicServer, notice_routes, public_app
from bidder.web.routes import MAX_QUERY
from bidder.web.sockets import shared_socket
from openrtb import macros
from tests.bidder.notices.support import LANDING, NOW_S, RING, Kept, OneLineItem, sealed

LINE = ("campaign-1", "line-1")


class Port:
    """A public port on a free port of this machine, and a browser for it."""

    def __init__(self, max_per_address: int = 512) -> None:
        self.tally = Tally()
        self.clock = ManualClock(NOW_S)
        self.queue = Kept()
        notices = Notices(self.tally, OneLineItem(), RING, terms_of(SHIPPED), self.clock, self.queue)
        self.routes = notice_routes(notices, PublicPort(max_body_bytes=1_000))
        self.app = public_app(self.routes, self.tally)
        self.server = PublicServer(self.app, self.tally, max_per_address)

    async def __aenter__(self) -> Self:
        bound = shared_socket("127.0.0.1", 0)
        self.number = bound.getsockname()[1]
        await self.server.start(bound)
        self.base = f"http://127.0.0.1:{self.number}"
        self.browser = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.browser.close()
        await self.server.stop()

    async def call(self, path: str, method: str = "GET", **options: object) -> tuple[int, bytes]:
        url = path if path.startswith("http") else self.base + path
        async with self.browser.request(method, url, allow_redirects=False, **options) as answer:  # type: ignore[arg-type]  # handed through
            return answer.status, await answer.read()

    async def raw(self, data: bytes) -> bytes:
        """All that comes back for these bytes until the port closes the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.number)
        writer.write(data)
        try:
            return await reader.read()
        except ConnectionResetError:  # closed while bytes of ours were still unread
            return b""
        finally:
            writer.close()

    def urls(self, **changes: object) -> dict[str, str]:
        """The five URLs of a bid as an exchange calls them."""
        urls = notice_urls(url_parts(self.base, "burl"), sealed(**changes))
        filled = {"AUCTION_PRICE": "1.20", "AUCTION_CURRENCY": "USD", "AUCTION_LOSS": "102"}
        expanded = {name: macros.expand(getattr(urls, name), filled) for name in urls.__struct_fields__}
        return expanded | {"event": expanded["event"] + "start"}

    def count(self, name: str, *labels: str) -> int:
        return {cell.labels: value for cell, value in self.tally.samples() if cell.name == name}.get(
            labels, 0
        )


@pytest.fixture
async def port() -> AsyncIterator[Port]:
    async with Port() as running:
        yield running


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_notices_by_get_and_post(port: Port, method: str) -> None:
    """Each kind answers as documented and counts, whichever method the exchange chose."""
    urls = port.urls()
    assert await port.call(urls["win"], method) == (204, b"")
    assert await port.call(urls["bill"], method) == (204, b"")
    assert await port.call(urls["loss"], method) == (204, b"")
    assert await port.call(urls["imp"], method) == (200, GIF)
    assert (await port.call(urls["click"], method))[0] == 302
    assert await port.call(urls["event"], method) == (204, b"")
    for kind in urls:
        assert port.count("paceline_notices_total", kind, "accepted") == 1
    assert [order.amount for order in port.queue.orders] == [1_080]
    assert port.count("paceline_loss_reasons_total", "generic", "102") == 1


async def test_head_looks_and_changes_nothing(port: Port) -> None:
    """A link checker's HEAD counts nothing and moves no money."""
    before = list(port.tally.samples())
    for url in port.urls().values():
        assert (await port.call(url, "HEAD"))[0] in (200, 204, 404)
    counted = {cell.name for cell, value in port.tally.samples() if (cell, value) not in before}
    assert counted == {"paceline_public_responses_total"}


async def test_a_body_is_read_and_dropped(port: Port) -> None:
    """Whatever stands in a notice's body, gzip or not, the query alone speaks; a large body is a 413."""
    urls = port.urls()
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    assert (await port.call(urls["bill"], "POST", data=b"not gzip", headers=headers))[0] == 204
    assert (await port.call(urls["win"], "POST", data=b"x" * 1_001))[0] == 413
    assert port.count("paceline_notices_total", "bill", "accepted") == 1
    assert port.count("paceline_notices_total", "win", "accepted") == 0


async def test_the_pixel_is_small_and_never_cached(port: Port) -> None:
    """The beacon is a 43-byte transparent GIF that no cache may keep and any page may show."""
    async with port.browser.get(port.urls()["imp"]) as answer:
        assert len(await answer.read()) == 43
        assert answer.headers["Content-Type"] == "image/gif"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"


async def test_a_click_leads_to_the_landing_page_alone(port: Port) -> None:
    """The redirect goes where the line item says, whatever else the URL asks for."""
    url = port.urls()["click"] + "&url=https://evil.example&u=https://evil.example&p=//evil.example"
    async with port.browser.get(url, allow_redirects=False) as answer:
        assert answer.status == 302
        assert answer.headers["Location"] == LANDING
        assert answer.headers["Referrer-Policy"] == "strict-origin"
        assert answer.headers["Cache-Control"] == "no-store"


async def test_forgeries_learn_nothing_and_click_nowhere(port: Port) -> None:
    """Forged, malformed and missing tokens get the usual 204 or pixel and are counted; a click is a 404."""
    for kind, expected in {
        "win": 204,
        "bill": 204,
        "loss": 204,
        "imp": 200,
        "click": 404,
        "event": 204,
    }.items():
        other = sealed().exchange_token if kind in ("imp", "click", "event") else sealed().browser_token
        for query in (f"?t={other}", "?t=x", "?t=", "", "?t=%00%ff", f"?t={'é' * 96}"):
            status, body = await port.call(f"/{kind}{query}")
            assert status == expected
            assert b"http" not in body
        assert port.count("paceline_notices_total", kind, "forged") == 1
        assert port.count("paceline_notices_total", kind, "malformed") == 5
    assert not port.queue.orders


async def test_security_headers_stand_on_every_answer(port: Port) -> None:
    """Good, bad and unknown paths alike carry the headers, and none tells what serves them."""
    for path in ("/healthz", "/imp", "/click", "/nothing", "/win"):
        async with port.browser.get(port.base + path) as answer:
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
            assert answer.headers["Server"] == "paceline"


async def test_paths_methods_and_lengths_have_their_codes(port: Port) -> None:
    """404, 405 with Allow, 414 over the limit of the query, and 400 over the limit of a line."""
    assert (await port.call("/healthz")) == (200, b"ok\n")
    assert (await port.call("/nothing"))[0] == 404
    assert (await port.call("/bill", "DELETE"))[0] == 405
    assert (await port.call("/imp?t=" + "x" * (MAX_QUERY - 7)))[0] == 200
    assert (await port.call("/imp?t=" + "x" * MAX_QUERY))[0] == 414
    assert (await port.raw(b"GET /imp?t=" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"))[9:12] == b"400"


async def test_a_client_too_slow_with_its_body_is_cut(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that does not come is a 408, and the connection closes."""
    monkeypatch.setattr(public, "BODY_S", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
    writer.write(b"POST /win HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nab")
    assert (await reader.readline()).startswith(b"HTTP/1.1 408")
    writer.close()


async def test_a_client_that_never_asks_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a head, and then nothing: the connection is closed after the idle time."""
    monkeypatch.setattr(http_connection, "IDLE_S", 0.05)
    async with Port() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
        writer.write(b"GET /win HTTP/1.1\r\nHost:")
        assert await reader.read() == b""
        writer.close()


async def test_half_a_head_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head that has begun has HEAD_S to end, however often a byte of it comes, on a new connection and on one that
    was served; one that asks no more waits as long as it may."""
    monkeypatch.setattr(http_connection, "HEAD_S", 0.1)
    asking, half = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /win HTTP/1.1\r\nHost:"
    async with Port() as port:
        idle_reader, idle = await asyncio.open_connection("127.0.0.1", port.number)
        idle.write(asking)
        assert (await idle_reader.readuntil(b"ok\n")).startswith(b"HTTP/1.1 200")
        assert await port.raw(half) == b""
        reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
        writer.write(asking)
        await reader.readuntil(b"ok\n")
        writer.write(half)
        with contextlib.suppress(ConnectionError):
            while not reader.at_eof():
                writer.write(b"a")
                with contextlib.suppress(TimeoutError):
                    assert await asyncio.wait_for(reader.read(), 0.02) == b""
        assert port.count("paceline_public_slow_heads_total") == 2
        idle.write(asking)
        assert (await idle_reader.readuntil(b"ok\n")).startswith(b"HTTP/1.1 200")
        for each in (idle, writer):
            each.close()


async def test_who_says_nothing_from_the_start_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection without a single byte is closed after HEAD_S, and counted nowhere; one that was served may be silent
    for longer."""
    monkeypatch.setattr(http_connection, "HEAD_S", 0.1)
    asking = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    async with Port() as port:
        idle_reader, idle = await asyncio.open_connection("127.0.0.1", port.number)
        idle.write(asking)
        await idle_reader.readuntil(b"ok\n")
        assert await asyncio.wait_for(port.raw(b""), 30) == b""
        assert port.count("paceline_public_slow_heads_total") == 0
        idle.write(asking)
        assert (await idle_reader.readuntil(b"ok\n")).startswith(b"HTTP/1.1 200")
        idle.close()


async def test_an_address_has_so_many_connections() -> None:
    """One more is closed at once and counted; when one of them ends, there is room again."""
    async with Port(max_per_address=2) as port:
        first = [await asyncio.open_connection("127.0.0.1", port.number) for _ in range(2)]
        for reader, writer in first:
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            await reader.readuntil(b"ok\n")
        assert await port.raw(b"") == b""
        assert port.count("paceline_public_refused_total") == 1
        reader, writer = first[0]
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        await reader.read()
        writer.close()
        assert b"200" in await port.raw(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        first[1][1].close()
    assert port.server._open.counts == {}


async def test_too_many_connections_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit a connection is closed at once and counted; the ones before it are served."""
    monkeypatch.setattr(public, "MAX_CONNECTIONS", 2)
    async with Port() as port:
        first = [await asyncio.open_connection("127.0.0.1", port.number) for _ in range(2)]
        for reader, writer in first:
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        for _, other in (*first, (reader, writer)):
            other.close()
        assert port.count("paceline_public_refused_total") == 1


async def test_our_own_error_is_counted_and_no_5xx(
    port: Port, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An error of ours becomes a 404, a count and a log line that names neither the path nor the client."""

    def fail(_: object, __: object) -> None:
        raise RuntimeError("our bug")

    monkeypatch.setattr(Notices, "receive", fail)
    assert (await port.call(port.urls()["imp"]))[0] == 404
    assert port.count("paceline_public_faults_total") == 1
    assert "our bug" in caplog.text
    assert "127.0.0.1" not in caplog.text
    assert "/imp" not in caplog.text


async def test_fuzz_never_makes_a_5xx_nor_a_log_of_the_client(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Broken and mutated HTTP gets a 2xx, 3xx or 4xx, or a closed connection; no log names the client."""
    monkeypatch.setattr(http_connection, "IDLE_S", 0.2)
    monkeypatch.setattr(public, "BODY_S", 0.1)
    rng = random.Random(2)
    with caplog.at_level(logging.DEBUG, "bidder.web"):
        async with Port() as port:
            good = [
                f"{method} {url[len(port.base) :]} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{{}}"
                for method in ("GET", "POST", "HEAD", "PUT")
                for url in port.urls().values()
            ]
            bad = [_mutated(rng.choice(good).encode(), rng) for _ in range(400)]
            answers = await asyncio.gather(*map(port.raw, bad))
    assert {answer[9:10] for answer in answers if answer} <= {b"2", b"3", b"4"}
    assert sum(map(bool, answers)) > 300
    assert "127.0.0.1" not in caplog.text


def _mutated(text: bytes, rng: random.Random) -> bytes:
    data = bytearray(text)
    for _ in range(rng.randint(0, 6)):
        at = rng.randrange(len(data))
        data[at : at + rng.randint(0, 3)] = rng.randbytes(rng.randint(0, 3))
    return bytes(data)
