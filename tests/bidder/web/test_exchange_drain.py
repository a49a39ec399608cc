"""The exchange port going down: what is in is answered, and keep-alive clients are told."""

from __future__ import annotations

import asyncio

import pytest

from bidder.outcome import Outcome
from bidder.web import exchange
from tests.bidder.web.exchange_client import ANSWER, BODY, Client, Held, Running, chunked, post, serving


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is recognised sooner than in production."""
    monkeypatch.setattr(exchange, "DRAIN_QUIET_S", 0.1)


async def test_what_is_in_is_answered() -> None:
    """Undecided requests of a draining server get their answers; the last of a connection says close."""
    held = Held()
    async with serving(held) as running:
        client = await running.client()
        await client.send(post() * 3)
        calls = await held.take(3)
        draining = asyncio.create_task(running.server.drain(20))
        await asyncio.sleep(0)
        for call in calls:
            call.answer(Outcome.BID, ANSWER)
        answers = [await client.answer() for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 200]
        assert [answer.closes for answer in answers] == [False, False, True]
        assert await client.ended() == b""
        assert await draining


async def test_a_request_that_has_begun_is_finished() -> None:
    """What was half read when draining began is read to its end, answered and closed."""
    async with serving() as running:
        clients = [await running.client() for _ in range(2)]
        requests = [post(), chunked(BODY)]
        for client, request in zip(clients, requests, strict=True):
            assert (await client.ask(post() + request[:-12])).status == 200
        draining = asyncio.create_task(running.server.drain(20))
        await asyncio.sleep(0)
        for client, request in zip(clients, requests, strict=True):
            answer = await client.ask(request[-12:])
            assert (answer.body, answer.closes) == (BODY, True)
        assert await draining


async def _talk(client: Client, started: asyncio.Event) -> int:
    """Ask until told to stop; every request must be answered. Returns how many were."""
    answered = 0
    while True:
        answer = await client.ask(post())
        assert answer.status == 200
        answered += 1
        if answered == 5:
            started.set()
        if answer.closes:
            assert await client.ended() == b""
            return answered


async def test_drain_under_load() -> None:
    """Busy keep-alive clients lose no request: each is told to close by an answer."""
    async with serving(tick_budget_ms=60_000) as running:
        events = [asyncio.Event() for _ in range(40)]
        talks = [asyncio.create_task(_talk(await running.client(), event)) for event in events]
        for event in events:
            await event.wait()
        assert await running.server.drain(20)
        answered = sum(await asyncio.gather(*talks))
        assert running.outcomes() == {"bid": answered}


async def test_idle_connections_are_closed_and_none_is_accepted() -> None:
    """Silent connections are closed, new ones refused, and the ready check says no."""
    async with serving() as running:
        running.server.set_ready(True)
        silent, busy = await running.client(), await running.client()
        number = running.server.port
        assert (await busy.ask(post())).status == 200
        draining = asyncio.create_task(running.server.drain(20))
        await asyncio.sleep(0)
        answer = await busy.ask(b"GET /ready HTTP/1.1\r\n\r\n")
        assert (answer.status, answer.closes) == (503, True)
        with pytest.raises(ConnectionError):
            await asyncio.open_connection("127.0.0.1", number)
        assert await silent.ended() == b""
        assert await draining


async def test_drain_ends_at_its_timeout() -> None:
    """What is not answered in time is cut and counts as DISCONNECTED; the drain says that it was not clean."""
    held = Held()
    async with serving(held) as running:
        client = await running.client()
        await client.send(post())
        (call,) = await held.take(1)
        assert not await running.server.drain(0.05)
        assert await client.ended() == b""
        assert not call.answer(Outcome.BID, ANSWER)
        await _settled(running)
        assert running.outcomes() == {"disconnected": 1}


async def _settled(running: Running) -> None:
    running.server.flush()
    assert running.server.in_flight == 0
