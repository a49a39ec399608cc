"""Calls that mean harm, to the running public port: each is answered as documented or cut, and nothing of what honest
callers sent before, meanwhile and afterwards is lost."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import pytest
import redis
from msgspec import json as wire

from bidder.shop.receive import MAX_BATCHES_OF_SHOP
from bidder.shop.tokens import sign
from bidder.shop.wire import MAX_BATCH
from bidder.stores.keys import person_key, person_tag
from bidder.web.openapi import described
from tests.service.bazaar import CHILDREN, MARKET, SHOP, Bazaar, opened
from tests.service.raw import all_said, call, said

pytestmark = pytest.mark.process

MEGABYTE: Final = 1 << 20
BIG: Final = 10 * MEGABYTE
GROWTH: Final = 96 * MEGABYTE
"""What a worker may grow by in a storm of bodies: its largest route's bound, times the lines of the storm, and as much
again for what Python keeps."""
POSTS: Final = tuple(
    path.replace("{exchange}", MARKET) for path, found in described().items() if "post" in found
)
STATUSES: Final = {200, 202, 204, 302, 303, 400, 401, 403, 404, 405, 408, 413, 414, 415, 417, 429}
PERSON: Final = "5d" * 16


class House:
    """The service, and what honest callers told it."""

    def __init__(self, bazaar: Bazaar) -> None:
        self.bazaar = bazaar
        self.told: set[str] = set()

    @property
    def at(self) -> tuple[str, int]:
        """The public port."""
        return self.bazaar.service.public

    def batch(self, *events: dict[str, Any]) -> bytes:
        """A batch of the shop's server."""
        return self.post("/v1/events", json.dumps({"events": events}).encode())

    def post(self, path: str, body: bytes, *fields: str) -> bytes:
        """A call with all that an honest server of the shop or of the exchange would say."""
        at = str(int(time.time()))
        signed = f"X-Paceline-Timestamp: {at}", f"X-Paceline-Signature: {sign(self.bazaar.secret, at, body)}"
        return call("POST", path, f"Authorization: Bearer {self.bazaar.token}", *signed, *fields, body=body)

    async def honest(self) -> None:
        """An event, a page, an ad and a notice, as if nothing had been; the event is to be found at the end."""
        id_ = f"honest-{len(self.told)}"
        self.told.add(id_)
        answer = await said(
            self.at, self.batch({"event": "product_view", "id": id_, "items": [{"product": "p1"}]})
        )
        assert (answer.status, wire.decode(answer.body)["accepted"]) == (200, 1)
        links = await asyncio.to_thread(self.bazaar.links)
        calls = [
            call("GET", path) for path in ("/healthz", "/privacy", f"/render?t={links['render']}", "/tag.js")
        ]
        answers = await all_said(self.at, [*calls, call("GET", f"/bill?p=1&c=EUR&t={links['bill']}")])
        assert [each.status for each in answers] == [200, 200, 200, 200, 204]
        assert b"<li" in answers[2].body


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One service for all storms. At its end every honest event is in a file once, and it is sound."""
    with opened(tmp_path_factory.mktemp("hostile")) as bazaar:
        house = House(bazaar)
        yield house
        bazaar.recorded(house.told)
        bazaar.service.settled().conserved()


@pytest.fixture
async def house(running: House) -> AsyncIterator[House]:
    """Honest callers are served before and after every storm."""
    await running.honest()
    yield running
    await running.honest()
    running.bazaar.sound()


def chunked(size: int) -> Iterator[bytes]:
    """A body in chunks of 64 KB."""
    for _ in range(size // 65_536):
        yield b"10000\r\n" + b"a" * 65_536 + b"\r\n"
    yield b"0\r\n\r\n"


async def test_ten_megabytes_are_refused(house: House) -> None:
    """On every POST, told by length or in chunks, by several at once: 413, and the memory stays bounded."""
    service = house.bazaar.service
    before = service.resident_bytes()
    whole = [b"a" * 65_536] * (BIG // 65_536)
    calls = []
    for path in POSTS:
        length = call("POST", path, f"Content-Length: {BIG}")
        pieces = call("POST", path, "Transfer-Encoding: chunked")
        calls += [said(house.at, length), said(house.at, length, more=whole)]
        calls += [said(house.at, pieces, more=chunked(BIG)) for _ in range(2)]
    answers = await asyncio.gather(*calls)
    assert {answer.status for answer in answers} == {413}
    assert service.resident_bytes() - before < GROWTH


async def test_slow_bodies_hold_nobody_up(house: House) -> None:
    """Half a body on many lines to every POST: each is a 408 in the end, and others are served meanwhile."""
    slow = [call("POST", path, "Content-Length: 1000", body=b"{") for path in POSTS for _ in range(8)]
    waiting = asyncio.ensure_future(all_said(house.at, slow, at_once=len(slow)))
    await house.honest()
    assert not waiting.done()
    await house.honest()
    assert {answer.status for answer in await waiting} == {408}


async def test_bombs_stay_closed(house: House) -> None:
    """A body of 50 KB that would be 50 MB: no route inflates it, whatever it is called."""
    service = house.bazaar.service
    before = service.resident_bytes()
    for coding in ("gzip", "deflate", "GZIP", "br", "zstd", "gzip, gzip", "identity, gzip"):
        packed = (zlib if "deflate" in coding else gzip).compress(b" " * 50 * MEGABYTE)
        calls = [house.post(path, packed, f"Content-Encoding: {coding}") for path in POSTS]
        answers = await all_said(house.at, calls, at_once=4)
        statuses = dict(zip(POSTS, [answer.status for answer in answers], strict=True))
        assert statuses["/v1/events"] == statuses[f"/v1/matches/{MARKET}"] == 415
        assert {statuses["/dsr"], statuses["/privacy/choice"], statuses["/privacy/erase"]} <= {303, 400, 413}
    assert service.resident_bytes() - before < GROWTH


async def test_calls_that_smuggle_or_swamp(house: House) -> None:
    """Two lengths, lengths and chunks, broken chunks, thousands of headers, cookies and parameters, methods and
    versions that are none: refused, and a line that was lied on carries no second call."""
    second = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    swamps = [
        call("POST", "/v1/events", "Content-Length: 5", "Content-Length: 6", body=b"{}   "),
        call("POST", "/v1/events", "Content-Length: 4", "Transfer-Encoding: chunked", body=b"0\r\n\r\n" + second),
        call("POST", "/v1/events", "Transfer-Encoding: chunked", "Transfer-Encoding: identity", body=b"0\r\n\r\n"),
        call("POST", "/v1/events", "Transfer-Encoding: xchunked", body=second),
        call("POST", "/v1/events", "Content-Length: -1", body=b"x"),
        call("POST", "/v1/events", "Content-Length: +1", body=b"x"),
        call("POST", "/v1/events", "Content-Length: 99999999999999999999", body=b"x"),
        call("POST", "/v1/events", "Transfer-Encoding: chunked", body=b"ffffffffffffffffff\r\nx"),
        call("POST", "/v1/events", "Transfer-Encoding: chunked", body=b"5;" + b"e" * 20_000 + b"\r\nhello"),
        call("GET", "/pixel", *[f"X-{n}: y" for n in range(5_000)]),
        call("GET", "/pixel", "X: " + "y" * 60_000),
        call("GET", "/pixel", "Y" * 60_000 + ": x"),
        call("GET", "/pixel", " folded: x"),
        call("GET", "/pixel", b"X\x00: y"),
        call("GET", "/pixel", b"X: y\x00z"),
        call("GET", "/pixel", b"X: y\rSet-Cookie: a=b"),
        call("GET", "/pixel", "Cookie: " + "; ".join(f"pl_id{n}={PERSON}" for n in range(180))),
        call("GET", "/pixel?" + "&".join(f"a{n}=" for n in range(1_500))),
        call("GET", f"/pixel?advertiser={SHOP}&event=cart" + "&product=x" * 700),
        call("GET", "/pixel?" + "x" * 100_000),
        call("GET", "/" + "../" * 600 + "etc/passwd"),
        call("GET", "/%2e%2e/%2e%2e/etc/passwd"),
        call("GET", "*"),
        call("OPTIONS", "*"),
        call("CONNECT", "evil.example:443"),
        call("PRI", "*"),
        call("GET", "/healthz", "Upgrade: websocket", "Connection: upgrade"),
        call("GET", "/healthz", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
        b"GET /healthz HTTP/9.9\r\nHost: a\r\n\r\n",
        b"GET /healthz\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\r\n" * 2_000 + second.replace(b"Host", b"Connection: close\r\nHost"),
    ]  # fmt: skip
    answers = await all_said(house.at, swamps)
    for data, answer in zip(swamps, answers, strict=True):
        assert answer.status in STATUSES | {0}, data[:80]
        assert not answer.all("set-cookie"), data[:80]
        if b"chunked" in data[:200] and second in data:
            assert answer.status == 400
        assert answer.status == 0 or answer.one("x-content-type-options") == "nosniff", data[:80]


DEEP: Final = b"[" * 10_000 + b"]" * 10_000
NUMBERS: Final = (
    b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"1e-999999999", b"1e999999999", b"-0", b"0.1e1", b"1.5",
    b"9" * 5_000, b"-" + b"9" * 400, b"1e308", b"18446744073709551616", b'"1e5"', b'"NaN"', b'"sNaN"', b'"Infinity"',
    b'"1_000"', b'"\xd9\xa3"', b'"1e1000000000000"', b"true", b"null", b"[]", b"{}", b'"9999-12-31T23:59:59Z"',
    b'"0001-01-01T00:00:00+23:59"', b'"9999-12-31T23:59:59-23:59"', b'"2026-02-30T00:00:00Z"', b'""', b'" "',
)  # fmt: skip


async def test_numbers_that_are_none(house: House) -> None:
    """NaN, infinities, numbers of 5,000 digits and dates at the ends of time, in every field that holds a number: each
    event is accepted or refused on its own, and what is recorded of it is a number within bounds."""
    fields = (
        b'"at":%b', b'"value":%b', b'"currency":"EUR","value":%b', b'"items":[{"product":"a","price":%b}]',
        b'"items":[{"product":"a","quantity":%b}]', b'"person":{"lmt":%b}', b'"consent":{"gdpr":%b}',
        b'"consent":{"gpc":%b}', b'"consent":{"coppa":%b}', b'"consent":{"gpp_sid":%b}', b'"consent":{"gpp_sid":[%b]}',
    )  # fmt: skip
    calls, ids = [], []
    for place, field in enumerate(fields):
        for at, number in enumerate(NUMBERS):
            ids.append(f"number-{place}-{at}")
            event = b'{"event":"cart","id":"%b",%b}' % (ids[-1].encode(), field % number)
            calls.append(house.post("/v1/events", b'{"events":[%b]}' % event))
    answers = await all_said(house.at, calls, at_once=MAX_BATCHES_OF_SHOP)
    assert {answer.status for answer in answers} == {200, 400}
    taken = {id_ for id_, answer in zip(ids, answers, strict=True) if answer.status == 200}
    await asyncio.to_thread(house.bazaar.recorded, taken)
    for row in house.bazaar.rows():
        assert row.event in taken or not row.event.startswith("number-")
        assert abs(row.at_ms / 1_000 - time.time()) < 8 * 86_400


async def test_deep_wide_and_strange_json(house: House) -> None:
    """Ten thousand levels anywhere, one event too many, keys that stand twice, fields of other places: 400, or each
    event on its own; accepted ones are kept."""
    view = b'{"event":"product_view","id":"%d","items":[{"product":"p1"}]}'
    many = b",".join(view % n for n in range(MAX_BATCH + 1))
    bodies = {
        DEEP: 400,
        b'{"events":%b}' % DEEP: 400,
        b'{"events":[%b]}' % DEEP: 400,
        b'{"events":[{"event":"cart","id":"d","items":%b}]}' % DEEP: 400,
        b'{"events":[{"event":"cart","id":"d","person":{"exchanges":%b}}]}' % (b'{"a":' * 10_000): 400,
        b'{"events":[{"event":"cart","id":"d","x":%b}]}' % DEEP: 400,
        b'{"events":[%b]}' % many: 400,
        b'{"events":[]}': 400,
        b'{"events":null}': 400,
        b"[]": 400,
        b"": 400,
        b'\xef\xbb\xbf{"events":[]}': 400,
        '{"events":[]}'.encode("utf-16"): 400,
        b'{"events":[{"event":"cart","id":"\xff"}]}': 400,
        b'{"events":[{"event":"cart","id":"\\ud800"}]}': 400,
        b'{"events":[{"event":"cart","id":"\\u0000"}]}': 400,
        b'{"events":[{"event":"cart","id":"a","__proto__":{"admin":1}}]}': 400,
        b'{"events":[{"event":"cart","id":"a"}],"advertiser":"toys"}': 400,
        b'{"events":[{"event":"cart","id":"a","id":"b"}]}{"events":[]}': 400,
    }
    answers = await all_said(
        house.at, [house.post("/v1/events", body) for body in bodies], at_once=MAX_BATCHES_OF_SHOP
    )
    assert [answer.status for answer in answers] == list(bodies.values())
    assert all(set(wire.decode(answer.body)) & {"error"} for answer in answers)
    lines = b"\n".join(
        [DEEP, b'{"uid":"u","id":"%b"}' % PERSON.encode(), b'{"uid":%b}' % DEEP, b"NaN", b"1e999"]
    )
    matched = await said(house.at, house.post(f"/v1/matches/{MARKET}", lines))
    assert (matched.status, wire.decode(matched.body)["refused"]) == (200, 4)
    for body in (
        DEEP,
        b'{"rqJWT":%b}' % DEEP,
        b'{"rqJWT":"a.b.c"}',
        b'"' + b"a." * 8_000 + b'"',
        b"\xff" * 100,
    ):
        assert (await said(house.at, house.post("/dsr", body))).status in (400, 413)


async def test_ids_that_look_like_others_keys(house: House) -> None:
    """Ids made of the store's own keys, patterns and sources, in every field that holds one: nothing of another shop's
    people is reached, changed or made, and no key but of known forms appears."""
    store = house.bazaar.store
    other = "77" * 16
    key = person_key(person_tag(bytes.fromhex(other)))
    store.hset(key, "a:toys", b"untouched")
    before = store.hgetall(key)
    odd = [
        f"p:{{{other}}}",
        f"h:{{{other}}}",
        "*",
        f"p:{{{PERSON}}}",
        "a:toys",
        "FLUSHALL",
        "\r\nFLUSHALL\r\n",
        "{}",
        "../toys",
        "s",
    ]
    sources = [f"shop.{CHILDREN}", f"shop.{SHOP}", "ifa", "m:", "*", "..", "", "market/../toys", MARKET]
    person: list[dict[str, Any]] = [{"fp": text} for text in odd] + [{"login": text} for text in odd]
    person += [{"exchanges": {source: text}} for source in sources for text in odd]
    events = [{"event": "cart", "id": f"odd-{n}", "person": each} for n, each in enumerate(person)]
    events += [{"event": "cart", "id": text} for text in odd]
    events += [
        {"event": "product_view", "id": f"o-{n}", "items": [{"product": t}]} for n, t in enumerate(odd)
    ]
    answers = await all_said(house.at, [house.batch(event) for event in events], at_once=MAX_BATCHES_OF_SHOP)
    assert {answer.status for answer in answers} <= {200, 400}
    lines = "\n".join(json.dumps({"uid": text, "id": PERSON}) for text in odd)
    assert (await said(house.at, house.post(f"/v1/matches/{MARKET}", lines.encode()))).status == 200
    targets = [f"/sync/{source or 'x'}?uid={text.strip()}" for source in sources[4:] for text in odd[:4]]
    assert {
        answer.status for answer in await all_said(house.at, [call("GET", each) for each in targets])
    } <= STATUSES
    assert store.hgetall(key) == before
    assert store.delete(key) == 1
    assert strange_keys(store) == []


def strange_keys(store: redis.Redis) -> list[bytes]:
    """Keys of no form that the store's own modules write."""
    known = (b"p:{", b"h:{", b"f:{", b"b:{", b"m:", b"c:", b"g:", b"l:", b"erasures", b"deletions", b"d:")
    return [key for key in store.scan_iter(count=1_000) if not key.startswith(known)]


async def test_tokens_are_good_for_one_thing(house: House) -> None:
    """An exchange's token in the browser's place, a browser's in the exchange's, a shop's token, an exchange's secret
    and a form's token anywhere else: refused as if they were noise, and no notice is taken."""
    bazaar = house.bazaar
    links = await asyncio.to_thread(bazaar.links)
    page = await said(house.at, call("GET", "/privacy"))
    form = page.body.split(b'name="form" value="')[1].split(b'"')[0].decode()
    before = bazaar.service.scrape()
    for_exchanges, for_browsers = (
        [links["win"], links["bill"], links["loss"]],
        [links["imp"], links["render"]],
    )
    noise = [bazaar.token, bazaar.secret, form, PERSON]
    calls = {
        204: [
            f"/{kind}?p=1&c=EUR&t={token}"
            for kind in ("win", "bill", "loss")
            for token in for_browsers + noise
        ],
        200: [f"/imp?t={token}" for token in for_exchanges + noise],
        404: [
            f"/{kind}?t={t}" for kind in ("click", "render", "render/native") for t in for_exchanges + noise
        ],
    }
    for status, targets in calls.items():
        assert {each.status for each in await all_said(house.at, [call("GET", t) for t in targets])} == {
            status
        }
    body = b'{"events":[{"event":"cart","id":"stolen"}]}'
    forged = bazaar.token.replace(SHOP, CHILDREN)
    bearers = [
        links["win"],
        links["imp"],
        bazaar.secret,
        form,
        forged,
        bazaar.token[:-1],
        bazaar.token + "A",
        f"{SHOP}.",
    ]
    answers = await all_said(
        house.at, [call("POST", "/v1/events", f"Authorization: Bearer {each}", body=body) for each in bearers]
    )
    assert {answer.status for answer in answers} == {401}
    at = str(int(time.time()))
    for secret in (bazaar.token, "", links["win"]):
        fields = f"X-Paceline-Timestamp: {at}", f"X-Paceline-Signature: {sign(secret, at, body)}"
        assert (await said(house.at, call("POST", f"/v1/matches/{MARKET}", *fields, body=body))).status == 401
    moved = house.post(f"/v1/matches/{MARKET}", body).replace(b"/matches/market", b"/matches/google")
    assert (await said(house.at, moved)).status == 401
    after = bazaar.service.scrape()
    drawn = {
        what: after.by("paceline_renders_total", "what")[what]
        for what in before.by("paceline_renders_total", "what")
    }
    assert drawn | {"refused": 0} == before.by("paceline_renders_total", "what") | {"refused": 0}
    accepted = "paceline_notices_total"
    assert after.total(accepted, result="accepted") == before.total(accepted, result="accepted")


async def test_answers_are_all_counted(house: House) -> None:
    """What the port counted by status is what callers were answered, good calls and bad ones."""
    before = house.bazaar.service.scrape().by("paceline_public_responses_total", "status")
    calls = [
        call("GET", "/healthz"), call("GET", "/nowhere"), call("PUT", "/win"), call("GET", "/win?" + "x" * 3_000),
        call("POST", "/dsr", f"Content-Length: {BIG}"), b"NONSENSE\r\n\r\n", call("GET", "/win", b"X\x00: y"),
        call("GET", "/sync/nobody"), call("POST", "/privacy/choice", body=b"x"),
    ]  # fmt: skip
    answers = await all_said(house.at, calls * 10)
    gained: dict[str, int] = {}
    for answer in answers:
        gained[str(answer.status)] = gained.get(str(answer.status), 0) + 1
    after = house.bazaar.service.scrape().by("paceline_public_responses_total", "status")
    counted = {status: count - before.get(status, 0) for status, count in after.items()}
    assert {status: count for status, count in counted.items() if count} == gained
