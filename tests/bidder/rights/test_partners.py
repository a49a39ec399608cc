"""Partners' keys: fetched from where they may be, as seldom as possible, and within bounds."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web

from bidder.catalogue.addresses import Resolver
from bidder.clock import ManualClock
from bidder.rights import partners
from bidder.rights.partners import (
    FAILED_S,
    MAX_BYTES,
    MAX_KEPT_S,
    MIN_KEPT_S,
    REFETCH_S,
    PartnerError,
    Partners,
    Step,
    fetch_https,
)
from bidder.web.sockets import shared_socket
from tests.bidder.rights.conftest import NOW_S
from tests.bidder.rights.partner import PUBLISHER, Internet

DOMAIN = PUBLISHER.domain
FILE = f"https://{DOMAIN}/dsrdelete.json"
WWW = f"https://www.{DOMAIN}/dsrdelete.json"
SET = f"https://{DOMAIN}/jwks.json"


def _partners(internet: Internet, clock: ManualClock | None = None) -> Partners:
    return Partners([DOMAIN], clock or ManualClock(NOW_S), internet.fetch)


async def _step(known: Partners, domain: str = DOMAIN, kid: str = "k1") -> Step:
    with pytest.raises(PartnerError) as raised:
        await known.key(domain, kid)
    return raised.value.step


async def test_a_key_is_fetched_once() -> None:
    """And kept as long as its file says, within our bounds."""
    for told, kept_s in (
        (1, MIN_KEPT_S),
        ("7200", 7_200),
        (10**9, MAX_KEPT_S),
        ("soon", MAX_KEPT_S),
        (None, MAX_KEPT_S),
    ):
        internet, clock = Internet(), ManualClock(NOW_S)
        internet.files[FILE] = PUBLISHER.file(pollFrequency=told)
        known = _partners(internet, clock)
        assert (await known.key(DOMAIN, "k1"))["kid"] == "k1"
        clock.advance(kept_s - 1)
        await known.key(DOMAIN, "k1")
        assert internet.asked == [FILE]
        clock.advance(1)
        await known.key(DOMAIN, "k1")
        assert internet.asked == [FILE, FILE]


async def test_a_new_key_is_found_soon() -> None:
    """An id that is not known is looked for again, but not with every request."""
    internet, clock = Internet(), ManualClock(NOW_S)
    known = _partners(internet, clock)
    assert await _step(known, kid="k2") is Step.KEY
    assert await _step(known, kid="k2") is Step.KEY
    assert len(internet.asked) == 1
    internet.files[FILE] = PUBLISHER.file(publicKey=[{**PUBLISHER.jwk, "kid": "k2"}])
    clock.advance(REFETCH_S)
    assert (await known.key(DOMAIN, "k2"))["kid"] == "k2"


async def test_the_set_of_version_2() -> None:
    """Keys stand behind `jwksUri`, which must be https and there."""
    internet = Internet()
    file = {"endpoint": "https://x.example/", "jwksUri": SET}
    internet.files[FILE] = json.dumps(file).encode()
    internet.files[SET] = json.dumps({"keys": [PUBLISHER.jwk, 7, {"kid": 1}]}).encode()
    assert (await _partners(internet).key(DOMAIN, "k1"))["kty"] == "EC"
    for changes, step in (
        ({"jwksUri": "http://x.example/"}, Step.JWKS_URI),
        ({"jwksUri": None}, Step.JWKS_URI),
        ({"jwksUri": "https://absent.example/"}, Step.JWKS),
        ({"jwksUri": FILE}, Step.JWKS),
    ):
        internet.files[FILE] = json.dumps({**file, **changes}).encode()
        assert await _step(_partners(internet)) is step


async def test_what_cannot_be_had_is_told_and_not_asked_for_at_once() -> None:
    """No answer, no file, no JSON; `www.` is tried, too; a failure stands for a minute."""
    for found, step in (
        (OSError(), Step.CONNECTION),
        (LookupError(), Step.FILE),
        (b"[1]", Step.FILE),
        (b"{" * 9, Step.FILE),
    ):
        internet, clock = Internet(), ManualClock(NOW_S)
        internet.files[FILE] = found
        internet.files[WWW] = OSError()
        known = _partners(internet, clock)
        assert await _step(known) is step
        assert await _step(known) is step
        assert internet.asked == [FILE, WWW]
        internet.files[WWW] = PUBLISHER.file()
        clock.advance(FAILED_S)
        assert (await known.key(DOMAIN, "k1"))["kid"] == "k1"


async def test_nobody_else_is_asked() -> None:
    """A domain that is not configured leads to no call."""
    internet = Internet()
    for domain in ("evil.example", f"x.{DOMAIN}", "169.254.169.254", ""):
        assert await _step(_partners(internet), domain) is Step.CONNECTION
    assert internet.asked == []


@pytest.mark.parametrize(
    "address",
    [
        "https://127.0.0.1/",
        "https://localhost/",
        "https://[::1]/",
        "https://169.254.169.254/latest",
        "https://10.0.0.1/",
        "http://publisher.example/",
        "https://user:word@publisher.example/",
        "file:///etc/passwd",
        "https://",
    ],
)
async def test_our_own_networks_are_never_asked(address: str) -> None:
    """Private, loopback and link-local addresses, other schemes and credentials are refused before a connection."""
    with pytest.raises(OSError, match=r"AddressError|InvalidURL|ValueError"):
        await fetch_https(address)


async def test_what_is_fetched_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file within bounds comes whole; a redirect, an error, a large file and a slow one do not."""

    released = asyncio.Event()

    async def large(request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"a" * (MAX_BYTES + 1))

    async def redirect(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("/good")

    async def good(request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"a" * MAX_BYTES)

    async def slow(request: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.Response()

    app = web.Application()
    for handler in (large, redirect, good, slow):
        app.router.add_get(f"/{handler.__name__}", handler)
    monkeypatch.setattr(partners, "Resolver", lambda _: Resolver(("127.0.0.0/8",)))
    monkeypatch.setattr(partners, "TIMEOUT_S", 0.5)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.SockSite(runner, bound := shared_socket("127.0.0.1", 0)).start()
    base = f"http://127.0.0.1:{bound.getsockname()[1]}"
    assert len(await fetch_https(f"{base}/good")) == MAX_BYTES
    for path, error in (
        ("large", LookupError),
        ("redirect", LookupError),
        ("absent", LookupError),
        ("slow", OSError),
    ):
        with pytest.raises(error):
            await fetch_https(f"{base}/{path}")
    released.set()
    await runner.cleanup()
