"""Money on real processes while they are killed under load: nothing is overspent, nothing accepted is lost.

Rule of each: an exchange keeps its own books (market.py); what it is owed, and no more, stands in the ledger, once.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from budget.accounts import WALLET
from budget.entries import Entry, Verb
from budget.money import Micros
from tests.bidder.supervisor.serving import until
from tests.servers import RealServer
from tests.service import money
from tests.service.market import Account, Fate, Market, Sale
from tests.service.service import Service, started

pytestmark = pytest.mark.process

BUDGETS: Final = Path(__file__).parent / "data" / "budgets.yaml"
ADVERTISERS: Final = ("small", "levels", "hasty", "free")
SMALL: Final = 300_000
"""What the smaller wallets have."""
MORE: Final = 100_000
"""What one of them gets when the service is started anew."""
UNIT: Final = 1_000_000
BOUNDS: Final = {
    "campaign/total": 400_000,
    "line/total-2": 150_000,
    "campaign/period/day": 250_000,
    "line/daily/day": 200_000,
    "line/hourly/day": 400_000,
    "line/hourly/hour": 150_000,
}
"""What the book says, days and hours left out."""
BINDING: Final = BOUNDS.keys() - {"line/hourly/day"}
"""Those that are reached."""
SITES: Final = {
    "small1.example": "xandr",
    "small2.example": "index",
    "total1.example": "xandr",
    "total2.example": "magnite",
    "daily.example": "prebid",
    "hourly.example": "generic",
    "period1.example": "google",
    "hasty.example": "quick",
    "free.example": "prebid",
}
SETTINGS: Final = {
    "ledger": {"lease_bids": 4},
    "exchanges": [{"name": "quick", "exp_s": 1, "notice_delay_s": 1}],
}
RATE: Final = 160.0
LATE_SHARE: Final = 0.01
"""See test_corpus_http."""
CHARGES: Final = (Verb.SETTLE, Verb.LATE, Verb.ABSORB)


def kind_of(account: str) -> str:
    """An account without its day or hour."""
    return "/".join(account.split("/")[:3])


class Reckoning:
    """The market's books held against the ledger's journal."""

    def __init__(self, market: Market, ledger_url: str, journal: Path) -> None:
        self.market, self._url, self._journal = market, ledger_url, journal
        self.look()

    def look(self) -> None:
        """Read the journals."""
        self.charges: dict[str, list[Entry]] = {}
        self.released: set[str] = set()
        for advertiser in ADVERTISERS:
            for entry in money.journal(self._url, self._journal, advertiser):
                if entry.verb in CHARGES:
                    self.charges.setdefault(entry.bid_id, []).append(entry)
                elif entry.verb is Verb.RELEASE and entry.bid_id not in self.charges:
                    self.released.add(entry.bid_id)

    @property
    def missing(self) -> list[Sale]:
        """Bills that were accepted and are not charged."""
        return [s for s in self.market.sales.values() if s.billed and s.bid_id not in self.charges]

    def settled(self) -> None:
        """Wait until everything accepted is charged."""

        def all_there() -> bool:
            self.look()
            return not self.missing

        until(all_there, "every accepted bill")

    def prove(self) -> None:
        """Each bill once and as told, nothing else, nothing beyond any limit, every balance by the journal."""
        sales = self.market.sales
        assert not self.missing
        assert all(len(entries) == 1 for entries in self.charges.values()), "a bid is charged once"
        told = {bid_id for bid_id, sale in sales.items() if sale.billed or sale.unsure}
        assert set(self.charges) <= told, "nobody pays for what was not billed"
        for bid_id, (entry,) in self.charges.items():
            assert entry.amount == sales[bid_id].owed
            patient = sales[bid_id].accounts[0][0] != "hasty"
            assert entry.verb is Verb.SETTLE or not patient or bid_id in self.released
        self._prove_levels()
        assert not self.market.beyond, "no bid beyond what there was"
        assert not self.market.wrong, "every notice is answered as documented"
        for advertiser in ADVERTISERS:
            audit = money.proof(self._url, self._journal, advertiser)
            assert not audit.findings
            assert not any(audit.overspend.values())

    def _prove_levels(self) -> None:
        """Each balance is what the market owes, within its limit; absorbed money is nobody's."""
        spent: Counter[Account] = Counter()
        for bid_id, (entry,) in self.charges.items():
            for account in self.market.sales[bid_id].accounts if entry.verb is not Verb.ABSORB else ():
                spent[account] += self.market.sales[bid_id].owed
        for advertiser in ADVERTISERS:
            for name, balance in money.books(self._url, advertiser).accounts.items():
                assert balance.spent == spent[advertiser, name], name
                assert name == WALLET or balance.limit == BOUNDS.get(kind_of(name)), name
                assert balance.limit is None or balance.spent + balance.leased <= balance.limit

    def bound(self) -> set[str]:
        """Limits that were reached: not a bid's cost is left for each worker."""
        found = set()
        for advertiser in ADVERTISERS:
            for name, balance in money.books(self._url, advertiser).accounts.items():
                if balance.available is not None and balance.available < 20_000:
                    found.add(kind_of(name) if name != WALLET else advertiser)
        return found

    def verbs(self, advertiser: str) -> Counter[Verb]:
        """How its bills were charged."""
        return Counter(
            entries[0].verb
            for bid_id, entries in self.charges.items()
            if self.market.sales[bid_id].accounts[0][0] == advertiser
        )


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
