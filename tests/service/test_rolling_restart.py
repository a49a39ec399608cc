"""A deploy under traffic: workers are replaced one after the other, and nobody who connects notices."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bidder.supervisor.service import TWICE_S
from tests.bidder.supervisor.serving import until
from tests.service.client import Address, Client, bid_request, load, post
from tests.service.service import BOOK, Service, started

pytestmark = pytest.mark.process

DONE = "paceline_worker_rolling_restarts_total"
FAILED = "paceline_worker_rolling_restart_failures_total"
PICTURE = b"GET /imp?t=x HTTP/1.1\r\nHost: ads.example\r\nConnection: close\r\n\r\n"


class Comers:
    """Clients that come at a steady rate, each with a connection of its own: connect, ask once, hang up."""

    def __init__(self, address: Address, data: bytes, rate: float) -> None:
        self.ends: Counter[str] = Counter()
        """Statuses, and the names of errors."""
        self._address, self._data, self._pause_s = address, data, 1 / rate
        self._calls: set[asyncio.Task[None]] = set()

    async def come(self) -> None:
        """For ever; ends by being cancelled, and then waits for those who came."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        try:
            while True:
                call = asyncio.create_task(self._call())
                self._calls.add(call)
                call.add_done_callback(self._calls.discard)
                due_s += self._pause_s
                await asyncio.sleep(max(0.0, due_s - loop.time()))
        finally:
            while self._calls:
                await asyncio.wait(set(self._calls))

    async def _call(self) -> None:
        client = Client(self._address)
        try:
            answer = await client.ask(self._data)
            self.ends[str(answer.status)] += 1
        except OSError as error:
            self.ends[type(error.__cause__ or error).__name__] += 1
        finally:
            with contextlib.suppress(OSError):
                await client.close()


@contextlib.asynccontextmanager
async def coming(address: Address, data: bytes, rate: float = 100.0) -> AsyncIterator[Comers]:
    """Clients that come until the end of the block."""
    comers = Comers(address, data, rate)
    task = asyncio.create_task(comers.come())
    try:
        yield comers
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def eventually(service: Service, name: str) -> None:
    """Wait until a counter of the service has counted."""
    await asyncio.to_thread(until, lambda: service.metric(name), name)


async def test_a_deploy_loses_no_connection_and_no_count(tmp_path: Path) -> None:
    """Open-loop clients with a connection each, on both ports, and others that keep theirs: all are answered.

    Each worker is another process afterwards, and what the old ones counted is in the sums.
    """
    with started(tmp_path / "data", workers=2) as service:
        before = set(service.workers())
        bodies = [bid_request(number) for number in range(8)]
        async with (
            coming(service.exchange, post(bodies[0])) as asking,
            coming(service.public, PICTURE) as looking,
            load(service.exchange, bodies, rate=100) as crowd,
        ):
            await crowd.more(50)
            service.process.send_signal(signal.SIGUSR2)
            await eventually(service, DONE)
            await crowd.more(50)
        assert set(asking.ends) <= {"200", "204"}, asking.ends
        assert set(looking.ends) == {"200"}, looking.ends
        assert (crowd.lost, crowd.refused) == (0, 0)
        assert len(service.workers()) == 2
        assert not before & set(service.workers())
        scraped = await asyncio.to_thread(service.settled)
        scraped.conserved()
        assert scraped.total("paceline_requests_total") == sum(asking.ends.values()) + crowd.answered
        assert scraped.total(FAILED) == scraped.total("paceline_worker_restarts_total") == 0
        assert service.get("/ready") == (200, b"1")


def test_campaigns_that_cannot_be_used_keep_the_old_workers(tmp_path: Path) -> None:
    """The successor of the first slot ends at once: its worker stays, so do all others; log and metric tell."""
    campaigns = tmp_path / "book.yaml"
    campaigns.write_bytes(BOOK.read_bytes())
    with started(tmp_path / "data", workers=2, campaigns=campaigns) as service:
        before = service.workers()
        campaigns.write_text("advertisers: [{id: 7}]\n")
        service.process.send_signal(signal.SIGUSR2)
        until(lambda: service.metric(FAILED) == 1, "the alarm")
        assert sorted(service.workers()) == sorted(before)
        assert service.metric(DONE) == 0
        assert service.metric("paceline_worker_up") == 2
        assert "worker 0 is not replaced, the rest stays as it is: its successor ended with status 78" in (
            service.log.read_text()
        )


async def test_a_service_that_ends_says_so_first(tmp_path: Path) -> None:
    """After SIGTERM /ready says no, and both ports still take connections for `drain_wait_s`: nobody is refused whom
    a load balancer sends meanwhile."""
    settings = {"exchange": {"drain_wait_s": 600.0}}
    ready = b"GET /ready HTTP/1.1\r\nHost: bidder.example\r\nConnection: close\r\n\r\n"
    with started(tmp_path / "data", settings=settings) as service:
        async with coming(service.exchange, ready) as probing:
            service.process.terminate()
            while not probing.ends["503"]:  # noqa: ASYNC110  what clients count is no event
                await asyncio.sleep(0.01)
            for address, data in ((service.exchange, post(bid_request())), (service.public, PICTURE)):
                client = Client(address)
                assert (await client.ask(data)).status == 200
                await client.close()
            refused = dict(probing.ends)
            assert set(refused) <= {"200", "503"}, refused
            assert service.get("/ready")[0] == 503
        await asyncio.sleep(TWICE_S)  # sooner it is the same order
        service.process.terminate()  # told twice it waits no longer
        assert await asyncio.to_thread(service.wait) == 0
