"""What answers say about themselves: every route of the public and the operators' port, and the exchange port's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from bidder.clock import SystemClock
from bidder.config import Config, WorkerSetup
from bidder.household import Household
from bidder.metrics import Tally
from bidder.notices.apply import Notices
from bidder.notices.clearing import terms_of
from bidder.settings import PublicPort
from bidder.web import answers
from bidder.web.headers import PERMISSIONS, ops_headers, public_headers
from bidder.web.ops import ops_app
from bidder.web.public import notice_routes, public_app
from tests.bidder.notices.support import RING, Kept, OneLineItem, sealed
from tests.bidder.web.operators import access
from tests.servers import RealServer

BASE = "https://ads.example.com"
CACHED = {"/tag.js", "/tag-1.js", "/openapi.json", "/dsrdelete.json", "/dsr/jwks.json"}
"""What caches may keep, while it is there."""
PATTERN = {"exchange": "generic"}


@pytest.fixture
async def public(tmp_path: Path, redis_server: RealServer) -> AsyncIterator[TestServer]:
    """A worker's whole public port, as it is for a base URL of https."""
    setup = WorkerSetup(
        slot=0, redis_url=redis_server.url, tally_path="", token_keys=RING.keys, exchange_port=1, public_port=1,
        base_url=BASE, announce_fd=0, data_dir=str(tmp_path), events_dir=str(tmp_path / "events"),
    )  # fmt: skip
    tally, clock = Tally(None), SystemClock()
    household = Household(Config(data_dir=str(tmp_path)), setup, RING, tally, clock)
    notices = Notices(tally, OneLineItem(), RING, terms_of(()), clock, Kept())
    routes = [*notice_routes(notices, PublicPort()), *household.routes()]
    async with TestServer(public_app(routes, tally, headers=public_headers(BASE, 365))) as server:
        yield server
    await household.close()


async def answered(server: TestServer, app: Any) -> AsyncIterator[tuple[str, str, aiohttp.ClientResponse]]:
    """Every route's answer to a bare call, and those of what is no route."""
    calls = [(route.method, route.resource.canonical) for route in app.router.routes()]
    async with aiohttp.ClientSession() as client:
        for method, path in [*calls, ("GET", "/nothing"), ("DELETE", calls[0][1])]:
            url = server.make_url(path.format(**PATTERN))
            async with client.request(method, url, allow_redirects=False) as answer:
                yield method, path, answer


async def test_every_answer_of_the_public_port(public: TestServer) -> None:
    """No sniffing, a policy that loads nothing or little, https for a year, nothing in a cache but what is the same for
    all, no frame but for ads, no permissions for pages, and no word of what serves it."""
    seen = set()
    async for method, path, answer in answered(public, public.app):
        seen.add(path)
        headers, what = answer.headers, f"{method} {path} {answer.status}"
        assert headers["X-Content-Type-Options"] == "nosniff", what
        assert headers["Strict-Transport-Security"] == "max-age=31536000", what
        assert headers["Server"] == "paceline", what
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'"), what
        framed = path == "/render" and answer.status == 200
        assert ("frame-ancestors *" if framed else "frame-ancestors 'none'") in policy, what
        assert "script-src" not in policy, what
        assert headers["Referrer-Policy"] in ("strict-origin", "same-origin"), what
        wanted = "cross-origin" if "privacy" not in path else "same-origin"
        assert headers["Cross-Origin-Resource-Policy"] == wanted, what
        kept = path in CACHED and answer.status == 200
        assert headers["Cache-Control"] == ("public, max-age=3600" if kept else "no-store"), what
        if headers.get("Content-Type", "").startswith("text/html"):
            assert "geolocation=()" in headers["Permissions-Policy"], what
        assert "Set-Cookie" not in headers or "privacy" in path, what
    assert len(seen) > 20


async def test_an_ad_stands_in_any_frame(public: TestServer) -> None:
    """What /render draws may be framed by everybody, asks nothing of the browser, and lets no cache keep it."""
    async with (
        aiohttp.ClientSession() as client,
        client.get(public.make_url(f"/render?t={sealed().browser_token}")) as answer,
    ):
        assert answer.status == 200
        assert "frame-ancestors *" in answer.headers["Content-Security-Policy"]
        assert "X-Frame-Options" not in answer.headers
        assert answer.headers["Permissions-Policy"] == PERMISSIONS
        assert answer.headers["Cache-Control"] == "no-store"


def test_https_is_promised_only_where_it_is() -> None:
    """Strict-Transport-Security comes with a base URL of https, for as long as the configuration says; never else."""
    assert "Strict-Transport-Security" not in public_headers("http://127.0.0.1:8081", 365)
    assert "Strict-Transport-Security" not in public_headers(BASE, 0)
    assert public_headers(BASE, 2)["Strict-Transport-Security"] == "max-age=172800"
    assert "Strict-Transport-Security" not in ops_headers()
    assert "Strict-Transport-Security" in ops_headers(tls=True)


async def test_every_answer_of_the_operators_port() -> None:
    """The same there, for its own pages alone."""
    service: Any = SimpleNamespace(ready=lambda: True, scrape=lambda: b"x 1\n")
    app = ops_app(service, access())
    async with TestServer(app) as server:
        async for method, path, answer in answered(server, app):
            headers, what = answer.headers, f"{method} {path} {answer.status}"
            assert headers["X-Content-Type-Options"] == "nosniff", what
            assert headers["Cache-Control"] == "no-store", what
            assert "default-src 'none'" in headers["Content-Security-Policy"], what
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"], what
            assert headers["Cross-Origin-Resource-Policy"] == "same-origin", what
            assert headers["Server"] == "paceline", what


def test_every_answer_of_the_exchange_port() -> None:
    """What has a body says what it is, and that it is nothing else; what has none has nothing to say."""
    replies = [*answers.EMPTY, *answers.READY, *answers.NOT_READY, answers.ONLY_GET, answers.NOT_FOUND]
    for reply in [each for variants in replies for each in variants]:
        head, _, body = reply.partition(b"\r\n\r\n")
        assert not body or b"X-Content-Type-Options: nosniff" in head
        assert b"Server" not in head
    for compress in (False, True):
        for mode in range(3):
            head = answers.bid(b"{}" * 1_000, mode, compress).partition(b"\r\n\r\n")[0]
            assert b"X-Content-Type-Options: nosniff\r\n" in head
            assert b"Content-Type: application/json\r\n" in head
