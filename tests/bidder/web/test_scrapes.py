"""Scrapes: shared by all who wait, never older than the call, not too often, and not for everybody at once."""

from __future__ import annotations

import asyncio
import threading

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from bidder.web import scrapes
from bidder.web.ops import ops_app
from bidder.web.scrapes import Scrapes
from tests.bidder.web.operators import Service, access


class Slow:
    """A scrape that ends when it is let go, and counts."""

    def __init__(self) -> None:
        self.begun, self.let_go = threading.Semaphore(0), threading.Semaphore(0)
        self.count = 0

    def __call__(self) -> bytes:
        self.count += 1
        number = self.count
        self.begun.release()
        assert self.let_go.acquire(timeout=60)
        return b"%d" % number


async def test_all_who_come_meanwhile_share_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """One is made for the first, one more for all that come while it runs: none of them is told what was before its
    call."""
    monkeypatch.setattr(scrapes, "FRESH_S", 0.0)
    slow = Slow()
    shared = Scrapes(slow)
    first = asyncio.create_task(shared.text())
    await asyncio.to_thread(slow.begun.acquire)
    others = [asyncio.create_task(shared.text()) for _ in range(20)]
    await asyncio.sleep(0)
    slow.let_go.release(2)
    assert await first == b"1"
    assert set(await asyncio.gather(*others)) == {b"2"}
    assert slow.count == 2


async def test_who_hangs_up_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that were given up, however many, leave one scrape to be made, and the next caller has its own."""
    monkeypatch.setattr(scrapes, "FRESH_S", 0.0)
    slow = Slow()
    shared = Scrapes(slow)
    for _ in range(10):
        given_up = [asyncio.create_task(shared.text()) for _ in range(scrapes.MAX_WAITING)]
        await asyncio.sleep(0)
        for call in given_up:
            call.cancel()
        await asyncio.wait(given_up)
    slow.let_go.release(2)
    assert await shared.text() is not None
    assert slow.count <= 2


async def test_a_dear_one_is_not_made_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one waits until the last has cost no more than its share, and then tells what is then."""
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(scrapes, "asyncio", _Loop(pause))
    monkeypatch.setattr(Scrapes, "_timed", lambda self: (b"x", 0.05))
    shared = Scrapes(lambda: b"x")
    assert [await shared.text() for _ in range(2)] == [b"x", b"x"]
    assert pauses[0] == 0.0
    assert 0.0 < pauses[1] <= 0.05 / scrapes.COST_SHARE


class _Loop:
    """asyncio, but for the pause."""

    def __init__(self, sleep: object) -> None:
        self.sleep = sleep

    def __getattr__(self, name: str) -> object:
        return getattr(asyncio, name)


async def test_too_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more has the last figures while they are fresh, then 503 with a time to come again."""
    slow = Slow()
    service = Service()
    monkeypatch.setattr(service, "scrape", slow)
    async with TestServer(ops_app(service, access())) as server, aiohttp.ClientSession() as client:
        monkeypatch.setattr(scrapes, "FRESH_S", 0.0)
        monkeypatch.setattr(scrapes, "MAX_WAITING", 0)
        async with client.get(server.make_url("/metrics")) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        monkeypatch.setattr(scrapes, "MAX_WAITING", 1)
        slow.let_go.release()
        async with client.get(server.make_url("/metrics")) as answer:
            assert await answer.read() == b"1"
        waiting = asyncio.create_task(client.get(server.make_url("/metrics")))
        await asyncio.to_thread(slow.begun.acquire)
        await asyncio.to_thread(slow.begun.acquire)
        monkeypatch.setattr(scrapes, "FRESH_S", 3_600.0)
        async with client.get(server.make_url("/metrics")) as answer:
            assert (answer.status, await answer.read()) == (200, b"1")
        slow.let_go.release()
        async with await waiting as answer:
            assert await answer.read() == b"2"


async def test_one_that_fails_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing to tell, said in the log; the next one is made anew."""
    monkeypatch.setattr(scrapes, "FRESH_S", 0.0)
    made = iter([RuntimeError("no files")])

    def scrape() -> bytes:
        for problem in made:
            raise problem
        return b"x"

    shared = Scrapes(scrape)
    assert await shared.text() is None
    assert await shared.text() == b"x"
