"""Bytes that no exchange should send: documented answers or a clean end, and the service lives on.

Shapes: every mutant is made from a seed that stands in the test's id, so that it can be made again.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import re
import zlib
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.corpus import compact, request_bodies, rows
from tests.service.client import bid_request, connected, post
from tests.service.service import Service, started
from tests.service.verdict import send_all, wrong

pytestmark = pytest.mark.process

DOCUMENTED: Final = {100, 200, 204, 400, 404, 405, 408, 413, 415, 431, 503}
"""503 is what /ready may say; a bid request is never answered with it."""
DOCUMENTED_PUBLIC: Final = {100, 200, 204, 302, 400, 404, 405, 408, 413, 414, 417, 431}
MUTANTS: Final = 1_500
PARALLEL: Final = 100
JUNK: Final = (
    b"\x00", b"\r", b"\n", b"\r\n", b"\r\n\r\n", b" ", b"\t", b":", b";", b"%00", b"\xff\xfe", b"\x80", b"HTTP/9.9",
    b"GET ", b"chunked", b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n", b"Content-Length: -1\r\n",
    b"Content-Encoding: gzip\r\n", b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\nConnection: upgrade\r\n",
    b"Connection: close\r\n", b"X: " + b"y" * 9_000 + b"\r\n", b"0\r\n\r\n", b"ffffffffffffffff\r\n",
)  # fmt: skip
JSON_JUNK: Final = (
    b"null", b"true", b"-1", b"1e999", b"-0", b"9" * 400, b'""', b"[]", b"{}", b"[[[[[[[[", b"{" * 2_000,
    b'"\\ud800"', b'"\\u0000"', b"\xff", b"\xc3\x28", b'"' + b"a" * 5_000 + b'"', b"NaN", b",", b":", b'"', b"\\",
    b'"id":"x",', b"0.1", b"1" + b"0" * 30, b"99999999999999999999", b"-2147483649", b"1.7976931348623157e308",
)  # fmt: skip


ODD_VALUES: Final = (
    None, True, False, 0, 1, -1, 2**31, 2**63, 2**64, 1e308, -0.5, 1.5, "", "x", "1", "\u0000", "\ud83d", "a" * 5_000,
    [], {}, [None], [[]], [{}], {"id": None}, "USD", "XXX", ["EUR", "JPY"], "IAB1", 7, 600, 3, [1, 2, 3], "-1", "NaN",
    [0] * 300,
)  # fmt: skip
ODD_NAMES: Final = (
    "id", "pmp", "private_auction", "wseat", "bcat", "cattax", "cur", "at", "tmax", "dsa", "regs", "secure",
)  # fmt: skip


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all the fuzz: it must outlive it, and its sums must add up at the end."""
    limits = {"head_timeout_s": 0.3, "body_timeout_s": 0.3, "idle_timeout_s": 0.4}
    with started(tmp_path_factory.mktemp("fuzz") / "data", settings={"exchange": limits}) as running:
        (worker,) = running.workers()
        yield running
        seen = running.settled()
        assert running.workers() == [worker], "the worker that began still runs"
        assert not seen.total("paceline_outcomes_total", outcome="fault")
        seen.conserved()


def mutate(rng: random.Random, data: bytes, junk: tuple[bytes, ...]) -> bytes:
    """A few cuts, swaps, doublings and insertions."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at, to = sorted(rng.randrange(len(out) + 1) for _ in range(2))
        kind = rng.randrange(6)
        if kind == 0:
            del out[at : min(to, at + 30)]
        elif kind == 1:
            out[at:at] = rng.choice(junk)
        elif kind == 2:
            out[at : min(to, at + 8)] = rng.choice(junk)
        elif kind == 3:
            out[at:at] = out[at : min(to, at + 200)]
        elif kind == 4 and at < len(out):
            out[at] ^= 1 << rng.randrange(8)
        else:
            out = out[: to + 1]
        out = out or bytearray(b"x")
    return bytes(out)


async def provoke(service: Service, data: bytes) -> list[int]:
    """Send bytes on a connection of their own and wait until the service ends it: the statuses of the answers.

    It always does: what is whole is answered, what is not is timed out, and what is idle is closed.
    """
    reader, writer = await asyncio.open_connection(*service.exchange)
    try:
        writer.write(data)
        async with asyncio.timeout(60):
            said = await reader.read()
    finally:
        writer.close()
    return statuses(said)


def statuses(said: bytes) -> list[int]:
    """The statuses of whole answers; nothing else may stand between them."""
    found = []
    while said:
        head, end, rest = said.partition(b"\r\n\r\n")
        assert end, f"half an answer: {said[:80]!r}"
        assert re.match(rb"HTTP/\d\.\d \d{3} ", head), head[:80]
        found.append(int(head[9:12]))
        length = [
            int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
        ]
        said = rest[length[0] if length else 0 :]
    return found


async def provoke_all(service: Service, mutants: list[bytes]) -> set[int]:
    """All of them, some at once; the statuses seen."""
    seen: set[int] = set()
    todo = iter(mutants)

    async def work() -> None:
        for data in todo:
            seen.update(await provoke(service, data))

    await asyncio.gather(*[work() for _ in range(PARALLEL)])
    return seen


async def provoke_public(service: Service, data: bytes) -> list[int]:
    """The same at the public port, which closes what it does not understand and keeps what it waits for."""
    reader, writer = await asyncio.open_connection(*service.public)
    try:
        writer.write(data + b"\r\n\r\n")
        writer.write_eof()
        async with asyncio.timeout(60):
            return statuses(await reader.read())
    except ConnectionError:
        return []
    finally:
        writer.close()


async def alive(service: Service) -> None:
    """A good request is still answered with a bid."""
    async with connected(service.exchange) as client:
        assert (await client.ask(post(bid_request()))).status == 200


@pytest.mark.parametrize("seed", range(3))
async def test_bytes_of_http(service: Service, seed: int) -> None:
    """Heads and framing in every disorder: documented statuses or a clean close."""
    rng = random.Random(seed)
    body = bid_request()
    sound = [
        post(body),
        post(gzip.compress(body), "prebid", "Content-Encoding: gzip"),
        b"POST /bid/index HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
        % (len(body), body),
        post(body) + post(body, "google"),
        b"GET /ready HTTP/1.1\r\nHost: b\r\n\r\n",
    ]
    mutants = [mutate(rng, rng.choice(sound), JUNK) for _ in range(MUTANTS)]
    assert await provoke_all(service, mutants) <= DOCUMENTED
    await alive(service)


@pytest.mark.parametrize("seed", range(2))
async def test_bytes_of_http_at_the_public_port(service: Service, seed: int) -> None:
    """Notices in every disorder: documented statuses or the end of the connection, and never a fault of ours."""
    rng = random.Random(seed)
    sound = [
        b"GET /win?t=abc&p=1 HTTP/1.1\r\nHost: b",
        b"POST /imp?t=%s HTTP/1.1\r\nHost: b\r\nContent-Length: 3\r\n\r\nabc" % (b"A" * 96),
        b"GET /click?t=AQHoOrl4p3IHG9QrXCDPWleKkMEp HTTP/1.1\r\nHost: b\r\nCookie: a=b; c=d",
        b"POST /bill?t=x HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0",
        b"GET /loss?r=102&t=%s HTTP/1.0\r\nHost: b" % (b"z" * 96),
    ]
    seen: set[int] = set()
    for _ in range(MUTANTS):
        seen.update(await provoke_public(service, mutate(rng, rng.choice(sound), JUNK)))
    assert seen <= DOCUMENTED_PUBLIC, seen
    assert service.scrape().total("paceline_public_faults_total") == 0
    await alive(service)


@pytest.mark.parametrize("seed", range(3))
async def test_bytes_of_json(service: Service, seed: int) -> None:
    """Bodies in every disorder, on connections that go on: 200, 204 or 400, and nothing else."""
    rng = random.Random(seed)
    sound = [bid_request(), *[compact(row["body"]) for row in rows("pbjs_requests")]]
    async with connected(service.exchange) as client:
        for _ in range(2 * MUTANTS):
            answer = await client.ask(post(mutate(rng, rng.choice(sound), JSON_JUNK)))
            assert answer.status in (200, 204, 400)
        assert client.connections == 1
    await alive(service)


def disturbed(rng: random.Random, body: bytes) -> bytes:
    """A real request, sound as JSON, some of whose values are of another kind, swapped, doubled or gone."""
    value = json.loads(body)
    for _ in range(rng.randint(1, 5)):
        holder, key = rng.choice(list(places(value)))
        kind = rng.randrange(5)
        if kind < 3:
            holder[key] = json.loads(json.dumps(rng.choice(ODD_VALUES)))
        elif kind == 3 and isinstance(holder, dict):
            holder[rng.choice(ODD_NAMES)] = json.loads(json.dumps(rng.choice(ODD_VALUES)))
        elif isinstance(holder, list):
            holder.append(json.loads(json.dumps(holder[key])))
        else:
            del holder[key]
        if not isinstance(value, dict) or not value:
            break
    return json.dumps(value).encode()


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (holder, key or index) of a JSON value."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from places(value[key])


@pytest.mark.parametrize("seed", range(2))
async def test_odd_values_in_real_requests(service: Service, seed: int) -> None:
    """Sound JSON, odd values: 200, 204 or 400; whatever is bid would still be accepted by its exchange."""
    rng = random.Random(seed)
    sound = [body for _, body in request_bodies() if body.startswith(b"{")]
    before = service.settled().by("paceline_outcomes_total", "outcome")
    odd = [disturbed(rng, rng.choice(sound)) for _ in range(4 * MUTANTS)]
    todo = [(str(seed), "prebid", body, post(body, "prebid")) for body in odd]
    done = await send_all(service, todo)
    assert {sent.answer.status for sent in done} <= {200, 204, 400}
    assert not [(wrong(sent), sent.body) for sent in done if sent.answer.status == 200 and wrong(sent)]
    outcomes = service.settled().by("paceline_outcomes_total", "outcome")
    assert outcomes.get("self_check", 0) == before.get("self_check", 0)
    assert outcomes.get("fault", 0) == 0


async def test_bytes_of_gzip(service: Service) -> None:
    """Broken, cut, doubled and false gzip: 200, 204 or 400 (413 where it grows too large)."""
    rng = random.Random(7)
    packed = gzip.compress(bid_request())
    bodies = [mutate(rng, packed, JUNK) for _ in range(MUTANTS)]
    async with connected(service.exchange) as client:
        for body in bodies:
            assert (await client.ask(post(body, "generic", "Content-Encoding: gzip"))).status in (
                200,
                204,
                400,
                413,
            )
    await alive(service)


def bomb(size: int) -> bytes:
    """Zeros that inflate to `size` bytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)), packer.flush()])


async def test_gzip_bombs_cost_no_memory(service: Service) -> None:
    """64 MB in 64 KB, many times over: 413 each, and the worker grows by less than one of them."""
    body = bomb(64 << 20)
    assert len(body) < 131_072
    await alive(service)
    before = service.resident_bytes()
    for coding in ("gzip", "deflate"):
        packed = body if coding == "gzip" else zlib.compress(bytes(64 << 20), 9)
        async with connected(service.exchange) as client:
            for _ in range(20):
                assert (
                    await client.ask(post(packed, "generic", f"Content-Encoding: {coding}"))
                ).status == 413
    assert service.resident_bytes() - before < 32 << 20
    await alive(service)


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"id":' * 10_000, b'{"id":"1","imp":[' + b'{"id":"1"},' * 9_000 + b"{}]}"]
)
async def test_deep_and_long_json(service: Service, body: bytes) -> None:
    """Nesting and lists beyond reason: 204 or 400, quickly enough to go on."""
    async with connected(service.exchange) as client:
        assert (await client.ask(post(body))).status in (204, 400)
        assert (await client.ask(post(bid_request()))).status == 200
        assert client.connections == 1
