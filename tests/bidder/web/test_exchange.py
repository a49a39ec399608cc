"""The exchange port on real sockets: what is asked, what is answered, what is counted."""

from __future__ import annotations

import asyncio
import gzip
import logging
import ssl
import subprocess
import zlib
from pathlib import Path
from shutil import which

import pytest
import uvloop

from bidder.clock import SystemClock
from bidder.metrics import Tally
from bidder.outcome import Outcome
from bidder.settings import ExchangePort, Tls
from bidder.web.answers import GZIP_FROM_BYTES
from bidder.web.exchange import METRICS, Call, ExchangeServer
from bidder.web.tls import PortTls
from tests.bidder.web.exchange_client import (
    ANSWER,
    BODY,
    GET_READY,
    PROFILES,
    Client,
    Held,
    chunked,
    echo,
    post,
    serving,
    zipped,
)


async def test_bid() -> None:
    """A bid is 200 with JSON, its length, and the protocol version; the connection goes on."""
    async with serving() as running:
        client = await running.client()
        for _ in range(3):
            answer = await client.ask(post(BODY, b"Content-Type: application/json"))
            assert (answer.status, answer.body) == (200, BODY)
            assert answer.fields["content-type"] == "application/json"
            assert answer.fields["x-openrtb-version"] == "2.6"
            assert "connection" not in answer.fields
        assert running.outcomes() == {"bid": 3}
        assert running.value("paceline_connections_total") == 1


async def test_no_bid_is_204() -> None:
    """An outcome without a body is 204 without a length; with a body (an nbr answer) it is 200."""
    held = Held()
    async with serving(held) as running:
        client = await running.client()
        await client.send(post())
        (call,) = await held.take(1)
        assert call.answer(Outcome.NO_CANDIDATE)
        answer = await client.answer()
        assert (answer.status, answer.body) == (204, b"")
        assert "content-length" not in answer.fields
        await client.send(post())
        (call,) = await held.take(1)
        call.answer(Outcome.NO_TIME, b'{"nbr":15}')
        assert (await client.answer()).body == b'{"nbr":15}'
        assert running.outcomes() == {"no_candidate": 1, "no_time": 1}


async def test_malformed_is_400_with_an_empty_body() -> None:
    """MALFORMED is 400 without a body, even when one is given, and the connection goes on."""
    held = Held()
    async with serving(held) as running:
        client = await running.client()
        for _ in range(2):
            await client.send(post(b"{"))
            (call,) = await held.take(1)
            call.answer(Outcome.MALFORMED, b"what")
            answer = await client.answer()
            assert (answer.status, answer.body, answer.fields["content-length"]) == (400, b"", "0")


@pytest.mark.parametrize(
    ("request_bytes", "status", "exchange", "outcome"),
    [
        (post(path=b"/bid/nobody"), 404, "none", "not_found"),
        (post(path=b"/"), 404, "none", "not_found"),
        (post(path=b"/bid/prebid/"), 404, "none", "not_found"),
        (b"GET /bid/prebid HTTP/1.1\r\n\r\n", 405, "prebid", "method"),
        (b"PUT /bid/prebid HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", 405, "prebid", "method"),
        (post(path=b"/ready"), 405, "none", "method"),
        (post(BODY, b"Content-Encoding: br"), 415, "prebid", "encoding"),
        (post(BODY, b"Content-Encoding: gzip, gzip"), 415, "prebid", "encoding"),
        (post(BODY, b"Content-Encoding: gzip", b"Content-Encoding: gzip"), 415, "prebid", "encoding"),
        (post(b"not gzip", b"Content-Encoding: gzip"), 400, "prebid", "bad_http"),
        (post(gzip.compress(BODY)[:-3], b"Content-Encoding: gzip"), 400, "prebid", "bad_http"),
        (post(b"", b"Content-Encoding: gzip"), 400, "prebid", "bad_http"),
    ],
    ids=[
        "nobody",
        "root",
        "slash",
        "get",
        "put",
        "post ready",
        "brotli",
        "twice in a list",
        "twice",
        "not gzip",
        "truncated",
        "empty",
    ],
)
async def test_refused_but_framed(request_bytes: bytes, status: int, exchange: str, outcome: str) -> None:
    """A whole request that cannot be a bid gets its status with an empty body, and the connection goes on."""
    async with serving() as running:
        client = await running.client()
        answer = await client.ask(request_bytes)
        assert (answer.status, answer.body) == (status, b"")
        assert ("allow" in answer.fields) == (status == 405)
        assert (await client.ask(post())).status == 200
        assert running.outcomes(exchange)[outcome] == 1


@pytest.mark.parametrize(
    "path", [b"/bid/prebid?x=1", b"http://bidder.example/bid/prebid", b"HTTPS://h/bid/prebid?"]
)
async def test_path_forms(path: bytes) -> None:
    """A query and the absolute form lead where the path leads."""
    async with serving() as running:
        assert (await (await running.client()).ask(post(path=path))).status == 200


async def test_allow_names_the_methods() -> None:
    """405 says what would be allowed."""
    async with serving() as running:
        client = await running.client()
        assert (await client.ask(b"GET /bid/prebid HTTP/1.1\r\n\r\n")).fields["allow"] == "POST"
        assert (await client.ask(post(path=b"/ready"))).fields["allow"] == "GET, HEAD"


@pytest.mark.parametrize("field", [b"Content-Type: text/plain", b"Content-Type: nonsense", b"X: y"])
async def test_content_type_never_rejects(field: bytes) -> None:
    """Whatever the Content-Type, or none: the body decides."""
    async with serving() as running:
        assert (await (await running.client()).ask(post(BODY, field))).status == 200


async def test_ready_check() -> None:
    """Ready is 200 with `1`; not ready is 503 whose body holds no `1`; HEAD has the same head and no body."""
    async with serving() as running:
        client = await running.client()
        answer = await client.ask(GET_READY)
        assert answer.status == 503
        assert answer.body
        assert b"1" not in answer.body
        running.server.set_ready(True)
        answer = await client.ask(GET_READY)
        assert (answer.status, answer.body) == (200, b"1")
        await client.send(GET_READY.replace(b"GET", b"HEAD"))
        head = await client.answer(head_only=True)
        assert (head.status, head.fields) == (200, answer.fields)
        assert (await client.ask(post())).status == 200
        assert running.value("paceline_ready_checks_total", "ready") == 2
        assert running.value("paceline_ready_checks_total", "not_ready") == 1


@pytest.mark.parametrize("size", [1, 7, 1_000])
async def test_chunked(size: int) -> None:
    """A chunked body with extensions and trailers is put together."""
    async with serving() as running:
        client = await running.client()
        for _ in range(2):
            assert (await client.ask(chunked(BODY, size=size))).body == BODY


@pytest.mark.parametrize(
    ("field", "body"),
    [
        (b"content-encoding: gzip", gzip.compress(BODY)),
        (b"Content-Encoding: X-GZIP", gzip.compress(BODY)),
        (b"Content-Encoding: identity, gzip", gzip.compress(BODY)),
        (b"Content-Encoding: gzip", gzip.compress(BODY[:9]) + gzip.compress(BODY[9:])),
        (b"Content-Encoding: gzip", gzip.compress(BODY) + bytes(7)),
        (b"Content-Encoding: deflate", zlib.compress(BODY)),
        (b"Content-Encoding: deflate", zlib.compress(BODY)[2:-4]),
        (b"Content-Encoding: identity", BODY),
        (b"Content-Encoding:", BODY),
    ],
    ids=["gzip", "x-gzip", "list", "members", "padded", "zlib", "bare deflate", "identity", "empty"],
)
async def test_codings(field: bytes, body: bytes) -> None:
    """The deciders see the inflated body, by length or in chunks."""
    async with serving() as running:
        client = await running.client()
        assert (await client.ask(post(body, field))).body == BODY
        assert (await client.ask(chunked(body, field))).body == BODY


async def test_gzip_answers_when_asked_for() -> None:
    """A long answer is compressed for who accepts gzip, by the exchange's profile, and from one byte on."""
    long, short = b"a" * (GZIP_FROM_BYTES + 1), b"a" * GZIP_FROM_BYTES
    async with serving() as running:
        client = await running.client()
        answer = await client.ask(post(long, b"Accept-Encoding: br, gzip"))
        assert answer.fields["content-encoding"] == "gzip"
        assert gzip.decompress(answer.body) == long
        for body, fields, path in (
            (short, b"Accept-Encoding: gzip", b"/bid/prebid"),
            (long, b"Accept-Encoding: gzip", b"/bid/plain"),
            (long, b"Accept-Encoding: gzip;q=0", b"/bid/prebid"),
            (long, b"Accept-Encoding: br", b"/bid/prebid"),
            (long, b"X: y", b"/bid/prebid"),
        ):
            answer = await client.ask(post(body, fields, path=path))
            assert "content-encoding" not in answer.fields
            assert answer.body == body


async def test_a_failing_decider_is_a_fault(caplog: pytest.LogCaptureFixture) -> None:
    """When the deciders raise, what they left open is answered 204, counted as FAULT and logged."""

    def decide(batch: list[Call]) -> None:
        batch[0].answer(Outcome.BID, ANSWER)
        raise RuntimeError("boom")

    async with serving(decide) as running:
        client = await running.client()
        with caplog.at_level(logging.CRITICAL, "bidder.web.tick"):
            await client.send(post() * 3)
            assert [(await client.answer()).status for _ in range(3)] == [200, 204, 204]
        assert running.outcomes() == {"bid": 1, "fault": 2}


async def test_a_call_is_answered_once() -> None:
    """A second answer is our bug."""
    held = Held()
    async with serving(held) as running:
        client = await running.client()
        await client.send(post())
        (call,) = await held.take(1)
        call.answer(Outcome.NO_CANDIDATE)
        with pytest.raises(AssertionError, match="once"):
            call.answer(Outcome.BID, ANSWER)
        assert (await client.answer()).status == 204


async def test_a_late_answer_is_counted() -> None:
    """An answer after the deadline that its decider noted is counted as late; one before it is not."""
    held = Held()
    async with serving(held) as running:
        client = await running.client()
        await client.send(post() * 2)
        first, second = await held.take(2)
        first.deadline_ns = first.received_ns + 1
        second.deadline_ns = second.received_ns + 10**15
        first.answer(Outcome.BID, ANSWER)
        second.answer(Outcome.BID, ANSWER)
        await client.answer()
        await client.answer()
        assert running.value("paceline_late_answers_total", "prebid") == 1


async def test_latency_and_bytes_are_observed() -> None:
    """Every decided request is in the latency histogram of its exchange; bytes add up."""
    async with serving() as running:
        client = await running.client()
        request = post()
        answer = await client.ask(request)
        assert answer.status == 200
        latency = [v for c, v in running.tally.samples() if c.name == "paceline_bid_latency_seconds"]
        parts = {
            c.part: v
            for c, v in running.tally.samples()
            if c.name == "paceline_bid_latency_seconds" and c.labels == ("prebid",)
        }
        assert parts.pop("sum") > 0
        assert sum(parts.values()) == 1
        assert sum(latency) > 0
        assert running.value("paceline_exchange_received_bytes_total") == len(request)
        assert running.value("paceline_exchange_sent_bytes_total") > len(answer.body)


def test_every_series_is_in_the_catalogue() -> None:
    """Nothing is counted that METRICS does not name, and all of METRICS is there from the start."""

    async def scenario() -> set[str]:
        tally = Tally()
        ExchangeServer(ExchangePort(), PROFILES, echo, tally, SystemClock())
        return {cell.name for cell, _ in tally.samples()}

    names = uvloop.run(scenario()) - {"paceline_series_overflow_total"}
    assert names == {metric.name for metric in METRICS}


@pytest.mark.skipif(which("openssl") is None, reason="openssl, which makes the certificate, is not installed")
async def test_tls(tmp_path: Path) -> None:
    """The same port speaks TLS when it is given a context."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    await asyncio.to_thread(
        subprocess.run,
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )  # fmt: skip
    tls = PortTls(Tls(cert_file=str(certificate), key_file=str(key)), "exchange", Tally())
    trust = ssl.create_default_context(cafile=str(certificate))
    server = ExchangeServer(
        ExchangePort(host="127.0.0.1", port=0, max_body_bytes=100), PROFILES, echo, Tally(), SystemClock()
    )
    await server.start(tls=tls)
    client = Client(
        *await asyncio.open_connection("127.0.0.1", server.port, ssl=trust, server_hostname="localhost")
    )
    assert (await client.ask(post())).body == BODY
    assert (await client.ask(zipped())).body == BODY
    assert (await client.ask(post(b"x" * 101))).status == 413
    await client.ended()
    await client.close()
    assert await server.drain(5)
