"""The exchange port at its limits: every one at its exact edge, and clients that mean no good."""

from __future__ import annotations

import asyncio
import gzip
import zlib

import pytest

from bidder.outcome import Outcome
from bidder.web import connection
from bidder.web.call import Call
from tests.bidder.web.exchange_client import ANSWER, BODY, Client, Held, Running, chunked, echo, post, serving

AMPLE_MS = 60_000
"""A tick budget that sheds nothing."""


def head_of(size: int) -> bytes:
    """A request without a body whose head is exactly `size` bytes."""
    head = post(b"", b"X-Fill: ")
    return head.replace(b"X-Fill: ", b"X-Fill: " + b"x" * (size - len(head)))


async def test_head_at_its_edge() -> None:
    """A head of the limit passes, one byte more is 431 and the end of the connection."""
    async with serving(max_head_bytes=300) as running:
        client = await running.client()
        assert len(head_of(300)) == 300
        assert (await client.ask(head_of(300))).status == 400  # the decider's: no body
        answer = await client.ask(head_of(301))
        assert (answer.status, answer.body, answer.closes) == (431, b"", True)
        assert await client.ended() == b""
        assert running.outcomes("prebid") == {"malformed": 1, "head_too_large": 1}


async def test_head_without_end() -> None:
    """A head that never ends is refused as soon as it is too long, whatever it is made of."""
    async with serving(max_head_bytes=300) as running:
        for start in (
            b"POST /" + b"x" * 300,
            post()[:25] + b"\r\nX: " + b"x" * 300,
            b"POST / HTTP/1.1\r\n" * 30,
        ):
            client = await running.client()
            assert (await client.ask(start)).status in (400, 431)
            await client.ended()
        assert running.outcomes("none")["head_too_large"] == 2


@pytest.mark.parametrize("make", [post, lambda body: chunked(body, size=50)], ids=["length", "chunked"])
async def test_body_at_its_edge(make: object) -> None:
    """A body of the limit passes, one byte more is 413 and the end of the connection."""
    assert callable(make)
    async with serving(max_body_bytes=200) as running:
        client = await running.client()
        assert (await client.ask(make(b"x" * 200))).body == b"x" * 200
        answer = await client.ask(make(b"x" * 201))
        assert (answer.status, answer.body, answer.closes) == (413, b"", True)
        assert await client.ended() == b""


async def test_a_body_too_large_is_refused_by_its_length() -> None:
    """413 does not wait for the body, and what is still sent does not cost the client its answer."""
    async with serving(max_body_bytes=200) as running:
        client = await running.client()
        answer = await client.ask(post(b"x" * 1_000_000)[:200])
        assert answer.status == 413
        client = await running.client()
        client.writer.write(post(b"x" * 1_000_000))
        assert (await client.answer()).status == 413


@pytest.mark.parametrize("length", [b"0" * 5_000 + b"2", b"0" * 30 + b"201"])
async def test_padded_length(length: bytes) -> None:
    """Zeros in front of a length change nothing."""
    async with serving(max_body_bytes=200) as running:
        client = await running.client()
        request = post(b"{}").replace(b"Content-Length: 2", b"Content-Length: " + length)
        assert (await client.ask(request)).status == (200 if length.endswith(b"02") else 413)


async def test_framing_of_chunks_is_bounded() -> None:
    """Chunk extensions and trailers may not be larger than a head: the body is refused."""
    async with serving(max_head_bytes=1_000) as running:
        for end in (b"2;" + b"x" * 3_000, b"0\r\nX: " + b"x" * 3_000):
            client = await running.client()
            await client.send(chunked(b"")[:-20])
            assert (await client.ask(end)).status in (400, 413)
            await client.ended()


async def test_inflated_size_at_its_edge() -> None:
    """A gzip body that inflates to the limit passes, one byte more is 413; the connection goes on."""
    async with serving(max_inflated_bytes=10_000) as running:
        client = await running.client()
        for coding, pack in ((b"gzip", gzip.compress), (b"deflate", zlib.compress)):
            field = b"Content-Encoding: " + coding
            assert (await client.ask(post(pack(b"x" * 10_000), field))).body == b"x" * 10_000
            answer = await client.ask(post(pack(b"x" * 10_001), field))
            assert (answer.status, answer.closes) == (413, False)
        two = gzip.compress(b"x" * 5_000) + gzip.compress(b"x" * 5_001)
        assert (await client.ask(post(two, b"Content-Encoding: gzip"))).status == 413


async def test_gzip_bomb() -> None:
    """A body that would inflate a thousandfold is 413 and never stands in memory."""
    bomb = gzip.compress(bytes(100_000_000))
    assert len(bomb) < 131_072
    async with serving() as running:
        client = await running.client()
        assert (await client.ask(post(bomb, b"Content-Encoding: gzip"))).status == 413
        assert (await client.ask(post())).status == 200
        assert running.outcomes() == {"body_too_large": 1, "bid": 1}


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 2\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nContent-Length: 2",
        b"Content-Length: 2\r\nContent-Length: 2",
        b"Content-Length: 2\r\nContent-Length: 3",
        b"Content-Length: 2,2",
        b"Content-Length: +2",
        b"Content-Length: -2",
        b"Content-Length: 0x2",
        b"Content-Length: two",
        b"Content-Length:",
        b"Content-Length: 99999999999999999999999",
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding: chunked, identity",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding : chunked",
        b"Transfer-Encoding: chunked\r\n folded: yes",
        b"X: y\nTransfer-Encoding: chunked",
        b"X: y\r\n\tz",
        b"X\x00: y",
    ],
)
async def test_smuggling_shapes(fields: bytes) -> None:
    """A message whose end two readers could see in two places is 400, and nothing after it is read."""
    async with serving() as running:
        client = await running.client()
        request = b"POST /bid/prebid HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n\r\n0\r\n\r\n"
        await client.send(post() + request + post())
        assert (await client.answer()).status == 200
        answer = await client.answer()
        assert (answer.status, answer.body, answer.closes) == (400, b"", True)
        assert await client.ended() == b""


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /bid/prebid HTTP/2.0\r\n\r\n",
        b"POST /bid/prebid HTTP/0.9\r\n\r\n",
        b"BREW / HTTP/1.1\r\n\r\n",
        b"POST /bid/prebid\r\n\r\n",
        b"POST /bid/prebid HTTP/1.1\nHost: a\n\n",
        chunked(BODY).replace(b"7;note=1", b"g"),
    ],
    ids=["tls", "h2", "2.0", "0.9", "method", "no version", "bare lf", "chunk size"],
)
async def test_not_http(data: bytes) -> None:
    """What is not HTTP/1.x is 400 with an empty body, and the end of the connection."""
    async with serving() as running:
        client = await running.client()
        answer = await client.ask(data)
        assert (answer.status, answer.body, answer.closes) == (400, b"", True)
        assert await client.ended() == b""
        assert running.value("paceline_requests_total", "none") + running.outcomes().get("bad_http", 0) == 1


@pytest.mark.parametrize(
    ("start", "exchange"),
    [(b"POST /bid/prebid HT", "none"), (post()[:-5], "prebid"), (chunked(BODY)[:-9], "prebid")],
    ids=["head", "body", "chunks"],
)
async def test_a_slow_sender_is_cut_and_others_are_served(start: bytes, exchange: str) -> None:
    """A client that stops in the middle of a request gets 408 and is closed; another is served meanwhile."""
    async with serving(head_timeout_s=0.1, body_timeout_s=0.1) as running:
        slow, other = await running.client(), await running.client()
        await slow.send(start)
        ending = asyncio.create_task(slow.answer())
        while not ending.done():
            assert (await other.ask(post())).status == 200
        assert ((await ending).status, (await ending).closes) == (408, True)
        assert await slow.ended() == b""
        assert running.outcomes(exchange)["timeout"] == 1


async def test_a_trickle_does_not_extend_the_time() -> None:
    """A byte now and then does not keep a head alive: its time counts from its first byte."""
    async with serving(head_timeout_s=0.1) as running:
        client = await running.client()
        await client.send(b"POST /bid/prebid HTTP/1.1\r\nX: ")
        answer = asyncio.create_task(client.answer())
        while not answer.done():
            client.writer.write(b"x")
            await asyncio.sleep(0.01)
        assert (await answer).status == 408


async def test_an_idle_connection_is_closed() -> None:
    """After the idle time-out a connection is closed without a word, whether it ever spoke or not."""
    async with serving(idle_timeout_s=0.1) as running:
        silent, client = await running.client(), await running.client()
        assert (await client.ask(post())).status == 200
        assert await client.ended() == b""
        assert await silent.ended() == b""
        assert running.value("paceline_connections_cut_total", "idle") == 2


async def test_waiting_for_a_decision_is_not_idle() -> None:
    """A connection whose request is undecided is never idle."""
    held = Held()
    async with serving(held, idle_timeout_s=0.05) as running:
        other, client = await running.client(), await running.client()
        await client.send(post())
        (call,) = await held.take(1)
        assert await other.ended() == b""
        other = await running.client()
        assert await other.ended() == b""
        assert call.answer(Outcome.BID, ANSWER)
        assert (await client.answer()).status == 200


async def test_one_connection_too_many() -> None:
    """With max_connections open, one more is closed at once; when one leaves, the next is served."""
    async with serving(max_connections=1_000, tick_budget_ms=AMPLE_MS) as running:
        clients = [await running.client() for _ in range(1_000)]
        for client in clients:
            client.writer.write(post())
        assert [(await client.answer()).status for client in clients] == [200] * 1_000
        assert await (await running.client()).ended() == b""
        assert running.value("paceline_connections_refused_total") == 1
        await clients.pop().close()
        answer = None
        while answer is None:
            answer = await _try(running)
        assert answer == 200
        assert (await clients[0].ask(post())).status == 200


async def _try(running: Running) -> int | None:
    client = await running.client()
    try:
        return (await client.ask(post())).status
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


async def test_in_flight_bound_sheds() -> None:
    """Above max_in_flight a request is 204 at once, unread; when an answer leaves, the next is taken."""
    held = Held()
    async with serving(held, max_in_flight=2) as running:
        clients = [await running.client() for _ in range(3)]
        for client in clients[:2]:
            await client.send(post())
        first, second = await held.take(2)
        assert running.server.in_flight == 2
        assert (await clients[2].ask(post(b"not gzip", b"Content-Encoding: gzip"))).status == 204
        assert running.outcomes() == {"shed": 1}
        first.answer(Outcome.BID, ANSWER)
        assert (await clients[0].answer()).status == 200
        await clients[2].send(post())
        (third,) = await held.take(1)
        for call in (second, third):
            call.answer(Outcome.BID, ANSWER)
        assert running.outcomes() == {"shed": 1, "bid": 1}
        assert (await clients[2].answer()).status == 200


async def test_in_flight_bound_within_a_batch() -> None:
    """Of one batch only what fits is taken, and each exchange gets its share of it."""
    held = Held()
    async with serving(held, max_in_flight=4) as running:
        client = await running.client()
        await client.send(post() * 8 + post(path=b"/bid/google") * 2)
        calls = await held.take(4)
        assert [call.profile.name for call in calls] == ["prebid", "prebid", "google", "google"]
        for call in calls:
            call.answer(Outcome.BID, ANSWER)
        statuses = [(await client.answer()).status for _ in range(10)]
        assert statuses == [200, 200, *[204] * 6, 200, 200]


async def test_reading_pauses_above_max_pipelined() -> None:
    """A client is not read any further while it has too many unanswered requests; no request is lost."""
    held = Held()
    sent = 5_000
    async with serving(held, max_pipelined=8, tick_budget_ms=AMPLE_MS) as running:
        client = await running.client()
        for _ in range(sent):
            client.writer.write(post())
        statuses = 0
        most = 0
        for _ in range(sent):
            (call,) = await held.take(1)
            most = max(most, held.calls.qsize() + 1)
            call.answer(Outcome.NO_CANDIDATE)
            statuses += (await client.answer()).status == 204
        assert statuses == sent
        assert most <= 8 + 1 + connection.SLICE_BYTES // len(post())


async def test_a_client_that_never_reads_is_cut() -> None:
    """Answers that nobody reads stop the reading of requests, and after the time-out the connection."""
    async with serving(body_timeout_s=0.2, max_body_bytes=131_072) as running:
        client, other = await running.client(), await running.client()
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio's own, untyped here
        request = post(b"x" * 100_000)
        sender = asyncio.create_task(_send_for_ever(client, request))
        await sender
        assert (await other.ask(post())).status == 200
        assert running.value("paceline_connections_cut_total", "unread") == 1


async def _send_for_ever(client: Client, request: bytes) -> None:
    try:
        while True:
            await client.send(request)
    except ConnectionError:
        pass


async def test_a_call_that_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that the deciders forget ends as FAULT; their answer after all is ignored."""
    monkeypatch.setattr(connection, "DECIDE_TIMEOUT_S", 0.05)
    held = Held()
    async with serving(held, head_timeout_s=0.1) as running:
        client = await running.client()
        await client.send(post())
        (call,) = await held.take(1)
        assert (await client.answer()).status == 204
        assert not call.answer(Outcome.BID, ANSWER)
        assert running.outcomes() == {"fault": 1}


async def test_a_dear_tick_sheds_the_rest() -> None:
    """When deciding costs more than a tick's budget allows, what waits beyond the minimum is shed."""

    def dear(batch: list[Call]) -> None:
        running.server.spent(10**10)
        echo(batch)

    async with serving(dear) as running:
        client = await running.client()
        await client.ask(post())
        await client.send(post() * 60)
        statuses = [(await client.answer()).status for _ in range(60)]
        assert statuses.count(200) == 16
        assert statuses.count(204) == 44
