"""Processes that die, drain and reload under load: what an exchange sees of it."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.bidder.supervisor.serving import until
from tests.service.client import bid_request, load
from tests.service.people import CONTEXTUAL
from tests.service.service import BOOK, Service, started

pytestmark = pytest.mark.process

BODIES = [bid_request(number) for number in range(50)]
DEARER = 3.75
"""What the changed book bids."""


def changed_book() -> str:
    """The book with another price for banners."""
    return BOOK.read_text().replace("goal: {kind: cpm, value: 4}", "goal: {kind: cpm, value: 5}")


def put(path: Path, text: str) -> None:
    """Replace a file whole."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)


def alarm(service: Service) -> int:
    """1 while the campaign files are worse than what is live."""
    return service.scrape().total("paceline_campaigns_reload_failed")


async def test_a_killed_worker_is_replaced_and_its_clients_go_on(tmp_path: Path) -> None:
    """kill -9 of one of two workers: each client loses at most what it had asked; no hang; counters survive."""
    with started(tmp_path / "data", workers=2) as service:
        async with load(service.exchange, BODIES) as crowd:
            await crowd.more(300)
            before = service.workers()
            counted = service.scrape().total("paceline_requests_total")
            os.kill(before[0], signal.SIGKILL)
            await crowd.more(200)
            await asyncio.to_thread(
                until, lambda: len(set(service.workers()) - set(before)) == 1, "another worker"
            )
            await asyncio.to_thread(service.until_ready, 2)
            await crowd.more(300)
        assert set(crowd.statuses) == {200}
        assert crowd.lost <= 8, "one request at most of each client"
        assert crowd.refused == 0
        seen = service.settled()
        assert seen.total("paceline_worker_restarts_total") == 1
        assert seen.total("paceline_requests_total") >= max(counted, crowd.answered)
        unended = seen.total("paceline_requests_total") - seen.total("paceline_outcomes_total")
        assert 0 <= unended <= crowd.lost, "only what died with the worker has no outcome"


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_drain_under_load_leaves_no_request_unanswered(tmp_path: Path, workers: int) -> None:
    """SIGTERM: whatever was sent is answered, keep-alive clients are told to close, nothing is left."""
    with started(tmp_path / "data", workers=workers) as service:
        async with load(service.exchange, BODIES, rate=800) as crowd:
            await crowd.more(300)
            service.look()
            service.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(service.wait) == 0
            await crowd.until(lambda: crowd.refused > 8)
        assert set(crowd.statuses) == {200}
        assert crowd.lost == 0
        service.gone()


async def test_a_killed_supervisor_leaves_no_process(tmp_path: Path) -> None:
    """kill -9 of the supervisor under load: workers drain and end, both stores, bookkeeper and caretaker end."""
    with started(tmp_path / "data", workers=2) as service:
        async with load(service.exchange, BODIES) as crowd:
            await crowd.more(200)
            service.look()
            assert len(service.left()) == 6, (
                "two workers, bookkeeper, caretaker, the people's store, the ledger"
            )
            service.process.kill()
            await asyncio.to_thread(service.wait)
            await asyncio.to_thread(service.gone)
        assert set(crowd.statuses) == {200}
        assert crowd.lost == 0


@pytest.mark.parametrize("told", [False, True], ids=["changed file", "SIGHUP"])
async def test_campaigns_change_under_load_and_bad_ones_do_not(tmp_path: Path, told: bool) -> None:
    """A bad file raises the alarm and changes nothing; a good one is taken over; no request is lost.

    The supervisor sees a changed file by itself; SIGHUP makes it look at once, several times over does no harm.
    """
    book = tmp_path / "book.yaml"
    book.write_text(BOOK.read_text())
    with started(tmp_path / "data", campaigns=book) as service:
        async with load(service.exchange, BODIES) as crowd:
            await crowd.sees(CONTEXTUAL)
            put(book, changed_book().replace("kind: cpm", "kind: cpx"))
            for _ in range(3 if told else 0):
                service.hang_up()
            await asyncio.to_thread(until, lambda: alarm(service) == 1, "the alarm")
            await crowd.sees(CONTEXTUAL, 100)
            assert not crowd.prices[DEARER]
            put(book, changed_book())
            for _ in range(3 if told else 0):
                service.hang_up()
            await crowd.sees(DEARER, 100)
            await asyncio.to_thread(until, lambda: alarm(service) == 0, "the end of the alarm")
        assert set(crowd.statuses) == {200}
        assert set(crowd.prices) == {CONTEXTUAL, DEARER}
        assert crowd.lost == crowd.refused == 0
        assert crowd.connections == 8
        service.settled().conserved()


async def test_sighup_alone_loads_anew(tmp_path: Path) -> None:
    """SIGHUP with files as they were: each worker loads them again, and bids go on."""
    with started(tmp_path / "data", workers=2) as service:

        def reloads() -> int:
            return service.log.read_text().count("campaigns reloaded")

        async with load(service.exchange, BODIES) as crowd:
            await crowd.sees(CONTEXTUAL)
            assert reloads() == 0
            service.hang_up()
            await asyncio.to_thread(until, lambda: reloads() == 2, "a reload of each worker")
            await crowd.sees(CONTEXTUAL, 100)
        assert set(crowd.statuses) == {200}
        assert crowd.lost == 0


async def test_a_missing_file_changes_nothing(tmp_path: Path) -> None:
    """The campaign file is removed: alarm, and bids go on as before."""
    book = tmp_path / "book.yaml"
    book.write_text(BOOK.read_text())
    with started(tmp_path / "data", campaigns=book, workers=2) as service:
        async with load(service.exchange, BODIES) as crowd:
            await crowd.sees(CONTEXTUAL)
            book.unlink()
            await asyncio.to_thread(until, lambda: alarm(service) == 1, "the alarm")
            await crowd.sees(CONTEXTUAL, 100)
        assert set(crowd.statuses) == {200}
