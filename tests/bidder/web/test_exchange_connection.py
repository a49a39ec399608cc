"""One connection to the exchange port: the order of its answers, how it goes on and how it ends."""

from __future__ import annotations

import asyncio

import pytest

from bidder.outcome import Outcome
from bidder.web.exchange import Call
from tests.bidder.web.exchange_client import (
    ANSWER,
    BODY,
    GET_READY,
    Held,
    chunked,
    echo,
    no_bid,
    post,
    reset,
    serving,
    zipped,
)


async def test_pipelined_answers_keep_their_order() -> None:
    """Requests sent together are one batch; decided in any order, answered in their own."""
    held = Held()
    async with serving(held) as running:
        client = await running.client()
        await client.send(b"".join(post(b"%d" % i) for i in range(8)))
        calls = await held.take(8)
        assert [len(batch) for batch in held.batches] == [8]
        for call in (calls[i] for i in (7, 3, 0, 1, 6, 2, 5, 4)):
            call.answer(Outcome.BID, call.body)
            await asyncio.sleep(0)
        assert [(await client.answer()).body for _ in range(8)] == [b"%d" % i for i in range(8)]


async def test_errors_keep_the_order_of_pipelined_requests() -> None:
    """A 404, a ready check and a fatal error wait for the undecided request before them."""
    held = Held()
    async with serving(held) as running:
        client = await running.client()
        await client.send(post() + post(path=b"/no") + GET_READY + b"nonsense\r\n\r\n")
        (call,) = await held.take(1)
        call.answer(Outcome.BID, ANSWER)
        assert [(await client.answer()).status for _ in range(4)] == [200, 404, 503, 400]
        assert await client.ended() == b""


async def test_answers_of_a_batch_leave_in_one_write() -> None:
    """Pipelined answers decided together arrive together."""
    async with serving(no_bid) as running:
        client = await running.client()
        await client.send(post() * 20)
        assert await client.reader.read(65_536) == b"HTTP/1.1 204 No Content\r\n\r\n" * 20


async def test_a_batch_is_what_arrived_together() -> None:
    """Requests of several connections that are readable in one tick are handed over together."""
    sizes: list[int] = []

    def decide(batch: list[Call]) -> None:
        sizes.append(len(batch))
        echo(batch)

    async with serving(decide) as running:
        clients = [await running.client() for _ in range(10)]
        for client in clients:
            await client.ask(post())
        sizes.clear()
        for client in clients:
            client.writer.write(post())
        for client in clients:
            await client.answer()
        assert sum(sizes) == 10
        assert len(sizes) < 10


async def test_expect_continue() -> None:
    """100 Continue is sent before the body; what the head rules out is answered at once, and closed."""
    async with serving() as running:
        client = await running.client()
        request = post(BODY, b"Expect: 100-continue")
        await client.send(request[: -len(BODY)])
        assert (await client.answer()).status == 100
        assert (await client.ask(BODY)).body == BODY
        answer = await client.ask(post(BODY, b"Expect: 100-continue", path=b"/no")[: -len(BODY)])
        assert (answer.status, answer.closes) == (404, True)
        assert await client.ended() == b""


async def test_connection_close() -> None:
    """A client that asks for it is closed after its answer, and told so."""
    async with serving() as running:
        client = await running.client()
        answer = await client.ask(post(BODY, b"Connection: close"))
        assert answer.closes
        assert await client.ended() == b""


async def test_http_1_0() -> None:
    """HTTP/1.0 is closed after one answer; where it asks to keep the connection, it is told that it may."""
    async with serving() as running:
        client = await running.client()
        answer = await client.ask(post(BODY, b"Connection: keep-alive", version=b"1.0"))
        assert (answer.status, answer.fields["connection"]) == (200, "keep-alive")
        answer = await client.ask(post(BODY, b"Expect: 100-continue", version=b"1.0"))
        assert (answer.status, answer.closes) == (200, True)
        assert await client.ended() == b""


async def test_an_upgrade_is_declined() -> None:
    """Clients that offer HTTP/2 by Upgrade (Java's does by default) are answered in HTTP/1.1, body and all."""
    fields = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAEAAEAA")
    async with serving() as running:
        client = await running.client()
        await client.send(post(BODY, *fields) + chunked(BODY, *fields) + zipped())
        assert [(await client.answer()).body for _ in range(3)] == [BODY] * 3
        answer = await client.ask(post(BODY, b"Connection: close, Upgrade", b"Upgrade: h2c"))
        assert (answer.body, answer.closes) == (BODY, True)


async def test_many_upgrades_are_declined() -> None:
    """A pipeline of hundreds of such requests in one piece is answered as any other."""
    request = b"GET /ready HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h\r\n\r\n"
    async with serving() as running:
        client = await running.client()
        await client.send(request * 300)
        assert [(await client.answer()).status for _ in range(300)] == [503] * 300


async def test_connect_is_refused() -> None:
    """CONNECT leads nowhere and ends the connection."""
    async with serving() as running:
        client = await running.client()
        answer = await client.ask(b"CONNECT a.example:443 HTTP/1.1\r\nHost: a\r\n\r\nGET")
        assert (answer.status, answer.closes) == (404, True)
        assert await client.ended() == b""


@pytest.mark.parametrize("abruptly", [True, False])
async def test_a_client_that_hung_up(abruptly: bool) -> None:
    """A call whose client closed says so, and counts as DISCONNECTED whatever the decision was."""
    held = Held()
    async with serving(held) as running:
        client = await running.client()
        await client.send(post() * 2)
        first, second = await held.take(2)
        assert second.answer(Outcome.BID, ANSWER)  # it waits for the first
        if abruptly:
            reset(client)
        else:
            client.writer.close()
        await running.alone()
        assert not first.answer(Outcome.BID, ANSWER)
        await asyncio.sleep(0)
        assert running.outcomes() == {"disconnected": 2}


async def test_a_request_broken_off_is_counted() -> None:
    """A client that hangs up in the middle of a request ends it as DISCONNECTED."""
    async with serving() as running:
        for data in (post()[:20], post()[:-3]):
            client = await running.client()
            await client.ask(post())
            await client.send(data)
            client.writer.write_eof()
            await client.ended()
        assert running.outcomes("none") == {"disconnected": 1}
        assert running.outcomes("prebid") == {"bid": 2, "disconnected": 1}
