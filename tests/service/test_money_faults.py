"""Money on real processes while they are killed under load: nothing is overspent, nothing accepted is lost.

Rule of each: an exchange keeps its own books (market.py); what it is owed, and no more, stands in the ledger, once.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from budget.accounts import WALLET
from budget.entries import Verb
from budget.money import Micros
from tests.bidder.supervisor.serving import until
from tests.servers import RealServer
from tests.service import money
from tests.service.market import Fate, Market
from tests.service.reckoning import (
    BINDING,
    BUDGETS,
    LATE_SHARE,
    MORE,
    RATE,
    SETTINGS,
    SITES,
    SMALL,
    UNIT,
    Reckoning,
)
from tests.service.service import Service, started

pytestmark = pytest.mark.process


def kill(pid: int) -> None:
    """kill -9."""
    os.kill(pid, signal.SIGKILL)


def stop(service: Service) -> int:
    """The ledger stands still: what is accepted from now on waits on disk. Returns its process."""
    ledger = service.server("ledger").pid
    os.kill(ledger, signal.SIGSTOP)
    return ledger


async def storm(service: Service, market: Market) -> None:
    """A worker is killed; the ledger, and a worker whose notices waited for it; the bookkeeper; the supervisor."""
    await market.more(300)
    kill(service.workers()[0])
    await market.more(300)
    ledger = stop(service)
    await market.more(50)
    kill(service.workers()[1])
    kill(ledger)
    await asyncio.to_thread(until, lambda: service.server("ledger").pid != ledger, "another ledger")
    await market.more(200)
    kill(service.bookkeeper)
    kill(service.server("ledger").pid)
    await market.more(200)
    service.look()
    service.process.kill()
    await asyncio.to_thread(service.wait)
    await asyncio.to_thread(service.gone)


async def crash(service: Service, market: Market) -> None:
    """All processes are killed at once, with notices accepted that wait for the ledger."""
    await market.more(200)
    stop(service)
    await market.more(50)
    service.look()
    service.process.kill()
    for process in service.left():
        process.kill()
    await asyncio.to_thread(service.wait)
    await asyncio.to_thread(service.gone)


async def test_kill_9_of_each_process_under_load_overspends_and_loses_nothing(tmp_path: Path) -> None:
    """kill -9 of workers, ledger, bookkeeper and supervisor under load, notices delayed, doubled and repeated to any
    worker, budgets that run out on every level: each accepted bill is charged once, no level is overspent."""
    data_dir = tmp_path / "data"
    with ExitStack() as held:

        def start() -> Service:
            running = started(data_dir, workers=3, campaigns=BUDGETS, settings=SETTINGS, wallet=Micros(SMALL))
            return held.enter_context(running)

        service = start()
        market = Market(service, BUDGETS, seed=1)
        market.fates["hasty"] = Fate(bill=0.7, lose=0.1, both=0.1, delay_s=6.0)
        market.limits["small", WALLET] = SMALL
        for advertiser in ("levels", "free"):
            money.fund(service.ledger_url, advertiser, Micros(100 * UNIT), "more")
        async with market.open(SITES, RATE):
            await storm(service, market)
            service = start()
            market.move(service)
            await crash(service, market)
            service = start()
            market.limits["small", WALLET] += MORE
            money.fund(service.ledger_url, "small", Micros(MORE), "more")
            market.move(service)
            await market.more(300)
            kill(service.workers()[0])
            await market.more(200)
        reckoning = Reckoning(market, service.ledger_url, data_dir / "journal")
        await asyncio.to_thread(reckoning.settled)
        reckoning.prove()
        assert reckoning.bound() >= BINDING | {"small"}, "the budgets were reached"
        assert {status for _, status in market.answers} == {200, 204}
        assert reckoning.verbs("hasty")[Verb.LATE]


async def test_a_ledger_that_stands_still_stops_bids_when_leases_are_used_up(tmp_path: Path) -> None:
    """SIGSTOP of the ledger: bids go on while leases last, then there are none; requests and notices are answered all
    the same and in time; after SIGCONT bids come again and everything accepted is charged, once."""
    with started(tmp_path / "data", workers=2, campaigns=BUDGETS, settings=SETTINGS) as service:
        market = Market(service, BUDGETS, seed=2)
        sites = {"free.example": "prebid", "small1.example": "xandr"}
        async with market.open(sites, RATE):
            await market.more(400)
            ledger, leased = stop(service), len(market.sales)
            try:
                await market.more(100)
                assert len(market.sales) > leased, "there was money for some seconds"
                await market.dries_up(200)
                seen = await asyncio.to_thread(service.scrape)
            finally:
                os.kill(ledger, signal.SIGCONT)
            dry = len(market.sales)
            while len(market.sales) < dry + 100:
                await market.more(20)
        assert {status for _, status in market.answers} == {200, 204}
        assert market.lost == 0
        assert seen.total("paceline_drops_total", reason="budget") >= 200
        seen = service.settled()
        assert seen.total("paceline_late_answers_total") <= LATE_SHARE * market.answered
        assert seen.total("paceline_outcomes_total", outcome="late") <= LATE_SHARE * market.answered
        seen.conserved()
        reckoning = Reckoning(market, service.ledger_url, service.data_dir / "journal")
        await asyncio.to_thread(reckoning.settled)
        reckoning.prove()


@pytest.mark.parametrize("harm", [signal.SIGSTOP, signal.SIGKILL], ids=["hangs", "dead"])
async def test_no_bid_and_no_notice_waits_for_the_ledger(
    tmp_path: Path, own_server: RealServer, harm: signal.Signals
) -> None:
    """A ledger that answers nothing from the first request on: every bid for which there is a lease is made, in time,
    and every notice answered; what was accepted meanwhile is charged when the ledger is back."""
    with started(tmp_path / "data", workers=2, campaigns=BUDGETS, ledger_url=own_server.url) as service:
        market = Market(service, BUDGETS, seed=3)
        os.kill(own_server.pid, harm)
        async with market.open({"free.example": "prebid", "small1.example": "xandr"}, RATE):
            await market.more(400)
        assert {status for _, status in market.answers} == {200}, "whoever waits for the ledger bids nothing"
        seen = service.settled()
        assert seen.total("paceline_late_answers_total") <= LATE_SHARE * market.answered
        assert set(seen.by("paceline_outcomes_total", "outcome")) == {"bid"}
        assert not market.wrong
        assert sum(sale.billed for sale in market.sales.values()) > 100
        if harm is signal.SIGKILL:
            own_server.kill()
            own_server.restart()
        else:
            own_server.resume()
        reckoning = Reckoning(market, own_server.url, service.data_dir / "journal")
        await asyncio.to_thread(reckoning.settled)
        reckoning.prove()
