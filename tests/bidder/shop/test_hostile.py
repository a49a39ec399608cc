"""Whatever is sent: documented answers only, nothing of it in a header, no fault of ours."""

from __future__ import annotations

import asyncio
import random
from urllib.parse import urlsplit

import pytest
from yarl import URL

from bidder.shop.tokens import exchange_secret, shop_token, sign
from bidder.web.routes import MAX_QUERY
from bidder.web.shop import PIXEL_QUERY
from tests.bidder.shop.support import AGREED, NOW_S, RING, Stand

OWN = "0123456789abcdef0123456789abcdef"
STATUSES = {200, 204, 302, 304, 400, 401, 403, 404, 405, 413, 414, 415, 429}
PATHS = ("/pixel", "/v1/syncs", "/sync/google", "/sync/quiet", "/tag.js", "/v1/events", "/v1/matches/google")
PIECES = (
    "%00", "%0d%0aSet-Cookie:%20a=b", "%ff%fe", "%ed%a0%80", "%", "%zz", "&", "=", ";", "+", "#", "%23", "[]", "{id}",
    "%7Bid%7D", "..%2f", "//evil.test", "https://evil.test/", "javascript:alert(1)", "<script>", "%3Cscript%3E", "'\"",
    "%C3%A9", "%F0%9F%98%80", "advertiser=boots", "advertiser=hats", "event=cart", "event=product_view", "product=a",
    "price=1", "uid=u1", "uid=", "gdpr=0", "gdpr=1", f"gdpr_consent={AGREED['gdpr_consent']}", "gpp=DBAA", "gpp_sid=6",
    "us_privacy=1---", "us_privacy=1YYY", "fp=" + "a" * 32, "id=x", "currency=USD", "value=1e99", "x" * 200,
)  # fmt: skip


async def test_any_query_has_a_documented_answer(stand: Stand) -> None:
    """Pieces of attacks and of honest calls in any order, on every path, with and without an id."""
    dice = random.Random(7)
    for _ in range(600):
        query = "&".join(
            "".join(dice.choices(PIECES, k=dice.randint(1, 3))) for _ in range(dice.randint(0, 6))
        )
        path = dice.choice(PATHS)
        method = dice.choice(("GET", "GET", "GET", "HEAD", "POST", "OPTIONS", "PUT"))
        url = URL(f"{stand.base}{path}?{query.partition('#')[0]}", encoded=True)
        headers = {"Cookie": dice.choice(("", f"pl_id={OWN}", 'pl_id="; =;;, {}', "pl_optout=1", "a" * 500))}
        async with stand.browser.request(method, url, headers=headers, allow_redirects=False) as reply:
            assert reply.status in STATUSES, (method, str(url))
            assert "evil" not in reply.headers.get("Location", "")
            assert all(line.startswith("pl_") for line in reply.headers.getall("Set-Cookie", []))
            if reply.status >= 400 and reply.content_type == "application/json":
                assert "error" in await reply.json()
    assert stand.count("paceline_public_faults_total") == 0


async def test_any_body_has_a_documented_answer(stand: Stand) -> None:
    """Bytes, cut JSON and deep JSON, on both paths that take a body."""
    dice = random.Random(8)
    good = (
        b'{"events":[{"event":"cart","id":"1","items":[{"product":"a","price":1}],"person":{"fp":"aaaaaaaaaaaaaaaa"}}]}',
        b'{"uid":"u","id":"0123456789abcdef0123456789abcdef","gdpr":0}\n{"uid":"v","id":"0","gpp":"DBAA"}',
    )
    at, secret = str(int(NOW_S)), exchange_secret(RING, "google")
    for _ in range(300):
        which = dice.randrange(2)
        body = bytearray(good[which])
        for _ in range(dice.randint(0, 4)):
            place = dice.randrange(len(body))
            body[place : place + dice.randint(0, 9)] = dice.choice(
                (
                    b"",
                    b"[",
                    b"\xff",
                    b'"',
                    b"null",
                    b"1e999",
                    b"\\ud800",
                    b"{",
                    b"-1",
                    dice.randbytes(3),
                    b"[" * 3_000,
                )
            )
        headers = {
            "Authorization": f"Bearer {shop_token(RING, 'hats')}",
            "X-Paceline-Timestamp": at,
            "X-Paceline-Signature": sign(secret, at, bytes(body)),
        }
        path = ("/v1/events", "/v1/matches/google")[which]
        reply = await stand.call(path, "POST", data=bytes(body), headers=headers)
        assert reply.status in (200, 400)
    assert stand.count("paceline_public_faults_total") == 0


@pytest.mark.parametrize("path", ["/pixel", "/v1/syncs", "/sync/google"])
async def test_queries_have_a_bound(stand: Stand, path: str) -> None:
    """PIXEL_QUERY characters of path and query; the next one is a 414."""
    for length, long in ((PIXEL_QUERY, False), (PIXEL_QUERY + 1, True)):
        url = f"{path}?x={'y' * (length - len(path) - 3)}"
        reply = await stand.call(URL(url, encoded=True).raw_path_qs)
        assert (reply.status == 414) == long
    assert (await stand.call(f"/tag.js?{'y' * MAX_QUERY}")).status == 414


async def test_no_line_of_a_header_can_be_made(stand: Stand) -> None:
    """Raw calls with line breaks, bare and escaped, in each part that an answer may use."""
    host, port = urlsplit(stand.base).hostname, urlsplit(stand.base).port
    injected = "%0d%0aX-Evil:%201%0d%0a%0d%0a<script>"
    for target in (
        f"/sync/google?gdpr=0&uid=u&gdpr_consent={injected}&gpp=DBAA&us_privacy=1---",
        f"/sync/google{injected}?gdpr=0",
        f"/sync/google?gdpr=0&us_privacy={injected}",
        f"/v1/syncs?advertiser=hats{injected}",
    ):
        reader, writer = await asyncio.open_connection(host, port)
        lines = [f"GET {target} HTTP/1.1", f"Host: {host}", "Origin: https://hats.test", "Connection: close"]
        writer.write("\r\n".join([*lines, f"Cookie: pl_id={OWN}", "", ""]).encode())
        answer = await reader.read()
        writer.close()
        head = answer.partition(b"\r\n\r\n")[0]
        assert b"X-Evil" not in head.replace(b"%0D%0AX-Evil", b"")
        assert b"\r\nX-Evil" not in head
