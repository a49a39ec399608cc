"""The people store in trouble while bids go on: killed, paused, slowed; what is remembered over restarts.

Rule of each: no 5xx, no connection dropped, contextual bids in time, people again without a restart of ours.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.servers import RealServer
from tests.service.client import Crowd, bids, connected, load, post
from tests.service.people import CONTEXTUAL, PERSONAL, remember, slow_line, stranger_request, visitor_request
from tests.service.service import Service, started

pytestmark = pytest.mark.process

BOTH = [visitor_request(), stranger_request()]
LATE_SHARE = 0.01
"""See test_corpus_http."""


def contextual(crowd: Crowd, count: int) -> bool:
    """Whether the visitor got so many contextual bids by now."""
    return crowd.by_body[0, CONTEXTUAL] >= count


async def undisturbed(
    service: Service,
    crowd: Crowd,
    harm: Callable[[], None],
    heal: Callable[[], None],
    contextual_bids: int = 100,
) -> None:
    """Harm the store and heal it while a crowd asks: bids go from personal to contextual and back.

    `contextual_bids` must be seen before it is healed.
    """
    workers = service.workers()
    await crowd.sees(PERSONAL)
    harm()
    await crowd.until(partial(contextual, crowd, crowd.by_body[0, CONTEXTUAL] + contextual_bids))
    heal()
    await crowd.sees(PERSONAL, 100)
    await crowd.stop()
    assert set(crowd.by_body) == {(0, PERSONAL), (0, CONTEXTUAL), (1, CONTEXTUAL)}, (
        "replies are never mixed up"
    )
    assert set(crowd.statuses) == {200}, crowd.statuses
    assert crowd.lost == crowd.refused == 0
    assert service.workers() == workers, "no worker was started anew"
    seen = service.settled()
    late = seen.total("paceline_late_answers_total")
    assert late <= LATE_SHARE * crowd.answered
    assert seen.total("paceline_requests_total") == crowd.answered
    seen.conserved()


async def test_a_killed_store_costs_people_and_no_bid(tmp_path: Path, own_server: RealServer) -> None:
    """kill -9 of the store and a start on the same port: contextual bids meanwhile, then people again."""
    await remember(own_server.url)
    with started(tmp_path / "data", redis_url=own_server.url) as service:
        async with load(service.exchange, BOTH) as crowd:
            await undisturbed(service, crowd, own_server.kill, own_server.restart)
        assert service.scrape().total("paceline_people_reads_total", status="down") > 0


async def test_a_paused_store_costs_people_and_no_bid(tmp_path: Path, own_server: RealServer) -> None:
    """A store that hangs (SIGSTOP) is waited for no longer than a read may take; the breaker opens."""
    await remember(own_server.url)
    with started(tmp_path / "data", redis_url=own_server.url) as service:
        async with load(service.exchange, BOTH) as crowd:
            await undisturbed(service, crowd, own_server.pause, own_server.resume)
        seen = service.scrape()
        assert seen.total("paceline_people_reads_total", status="late") > 0
        assert seen.total("paceline_people_breaker_opened_total") > 0


async def test_a_slow_store_costs_people_and_no_bid(tmp_path: Path, own_server: RealServer) -> None:
    """Replies that come 80 ms later are not waited for, nor mistaken for later ones when they come."""
    await remember(own_server.url)
    async with slow_line(own_server.port) as line:
        url = f"redis://127.0.0.1:{line.port}/0"
        with started(tmp_path / "data", redis_url=url) as service:

            def slow() -> None:
                line.delay_s = 0.08

            def quick() -> None:
                line.delay_s = 0.0

            async with load(service.exchange, BOTH) as crowd:
                await undisturbed(service, crowd, slow, quick)
            assert service.scrape().total("paceline_people_reads_total", status="late") > 0


async def test_a_killed_embedded_store_is_started_again_with_its_people(tmp_path: Path) -> None:
    """kill -9 of the embedded store: the supervisor starts another, which remembers (append-only file)."""
    with started(tmp_path / "data") as service:
        await remember((service.data_dir / "redis.url").read_text().strip())
        async with load(service.exchange, BOTH) as crowd:
            killed = service.store_pid
            # The supervisor may start another at once: the outage lasts from a tenth of a second to one.
            await undisturbed(service, crowd, lambda: os.kill(killed, signal.SIGKILL), lambda: None, 1)
        assert service.store_pid != killed
        assert service.scrape().total("paceline_store_restarts_total") == 1


async def test_a_read_ends_before_the_deadline_of_its_request(tmp_path: Path, own_server: RealServer) -> None:
    """A read that may take a minute is given up in time to bid: contextual bids, and nobody waits for it."""
    stores = {"read_timeout_ms": 60_000, "breaker_failures": 100_000}
    with started(tmp_path / "data", redis_url=own_server.url, settings={"stores": stores}) as service:
        own_server.pause()
        bodies = [visitor_request(tmax=100), visitor_request(tmax=60)]
        async with load(service.exchange, bodies, rate=80) as crowd:
            await crowd.more(160)
        assert set(crowd.statuses) <= {200, 204}
        assert crowd.statuses[200] > 0.75 * crowd.answered, "few decisions miss their deadline"
        assert set(crowd.prices) == {CONTEXTUAL}
        seen = service.settled()
        assert seen.total("paceline_people_reads_total", status="late") > 0
        assert seen.total("paceline_outcomes_total", outcome="late") == crowd.statuses[204]
        seen.conserved()


@pytest.mark.parametrize("how", ["told", "killed"])
async def test_people_outlive_a_restart(tmp_path: Path, how: str) -> None:
    """Stopped by SIGTERM, or all of its processes killed at once: the next start knows the visitor."""
    with started(tmp_path / "data") as service:
        await remember((service.data_dir / "redis.url").read_text().strip())
        if how == "told":
            assert service.stop() == 0
        else:
            service.look()
            for process in [*service.descendants(), psutil.Process(service.process.pid)]:
                process.kill()
            service.wait()
            service.gone()
    with started(tmp_path / "data") as service:
        async with connected(service.exchange) as client:
            (bid,) = bids(await client.ask(post(visitor_request())))
        assert bid["price"] == PERSONAL
