"""What notices cost, on real processes: answered while the ledger stands still, and charged once whoever is killed."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Iterator

import pytest

from tests.bidder.supervisor.serving import until
from tests.service.client import bid_request, bids, connected, post
from tests.service.money import spent
from tests.service.service import Service, started

pytestmark = pytest.mark.process

COST = 250
"""A clearing price of 0.25 per thousand: below any bid here, whatever its pace."""


@pytest.fixture
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Two workers with an embedded ledger."""
    with started(tmp_path_factory.mktemp("money") / "data", workers=2) as running:
        yield running


def bills(service: Service, count: int) -> list[str]:
    """The billing URLs of so many bids, a price filled in, once the workers have money."""
    found: list[str] = []

    async def ask() -> bool:
        async with connected(service.exchange) as client:
            answer = await client.ask(post(bid_request(), "xandr"))
        found.extend(bid["burl"] for bid in (bids(answer) if answer.status == 200 else ()))
        return len(found) >= count

    until(lambda: asyncio.run(ask()), f"{count} bids")
    urls = [url.replace("${AUCTION_PRICE}", "0.25").replace("${AUCTION_CURRENCY}", "USD") for url in found]
    return [re.sub(r"^https?://[^/]+", "", url) for url in urls]


async def send(service: Service, targets: list[str]) -> list[int]:
    """Call each, one after another on one connection; the statuses."""
    async with connected(service.public) as client:
        return [(await client.ask(f"GET {t} HTTP/1.1\r\nHost: a\r\n\r\n".encode())).status for t in targets]


def test_accepted_and_killed_before_it_was_charged_nothing_is_lost(service: Service) -> None:
    """The ledger stands still, bills are accepted all the same, all workers are killed by -9, the ledger goes on: every
    accepted bill is charged, once, and counted as spent; sent again, they change nothing."""
    targets = bills(service, 40)
    ledger = service.server("ledger").pid
    os.kill(ledger, signal.SIGSTOP)
    try:
        assert asyncio.run(send(service, targets)) == [204] * 40
        for pid in service.workers():
            os.kill(pid, signal.SIGKILL)
    finally:
        os.kill(ledger, signal.SIGCONT)
    until(lambda: spent(service.ledger_url) == 40 * COST, "every accepted bill")
    service.ready()
    until(
        lambda: service.scrape().total("paceline_line_item_spend_micros_total") == 40 * COST, "its counters"
    )
    assert asyncio.run(send(service, targets)) == [204] * 40
    until(lambda: service.scrape().total("paceline_charges_total", result="duplicate") == 40, "the repeats")
    assert spent(service.ledger_url) == 40 * COST
    until(lambda: service.scrape().total("paceline_spool_bytes") == 0, "empty spools")


def test_an_orderly_end_charges_what_was_accepted(service: Service) -> None:
    """SIGTERM right behind the last answer: all is charged before the end, for what is not would still lie there."""
    targets = bills(service, 20)
    assert asyncio.run(send(service, targets)) == [204] * 20
    assert service.stop() == 0
    assert not list(service.data_dir.rglob("*.spool"))
