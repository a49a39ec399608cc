"""A worker's notices end to end: tokens in, a durable spool, a ledger in memory, all on one clock moved by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from bidder.clock import ManualClock
from bidder.exchanges import SHIPPED
from bidder.metrics import Tally
from bidder.notices.apply import Directory, Kind, Notice, Notices, Receipt
from bidder.notices.clearing import terms_of
from bidder.notices.orders import OF_MONEY, SETTLE, Order
from bidder.notices.series import LineSeries
from bidder.spending.charges import Charges
from bidder.spending.drain import Drain
from bidder.spending.sightings import Sighting, Sightings
from bidder.spending.spools import Spools
from budget.accounts import Level
from budget.memory_store import MemoryStore
from budget.money import Micros
from budget.store import Balance, LeaseRequest, LedgerDown, Release, Settlement, Status
from tests.bidder.notices.support import NOW_S, RING, OneLineItem

SHOP = "shop-1"
PATH = ("wallet", "campaign/campaign-1", "line/line-1", "line/line-1/day/2026-09-21")
WORKER = 7
LEASE = WORKER << 32 | 1
FUNDED = 1_000_000


class Ledger(MemoryStore):
    """A ledger that can be down, hang, or lose its answers after it acted."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock.now_s)
        self.down = False
        self.loses = 0
        """So many answers, from now on."""
        self.hangs = False
        self.open = asyncio.Event()
        self.calls = 0

    async def settle(
        self, advertiser: str, settlements: Sequence[Settlement], now_s: float = 0.0
    ) -> list[Status]:
        await self._trouble()
        return self._heard(await super().settle(advertiser, settlements, now_s))

    async def release(self, advertiser: str, releases: Sequence[Release], now_s: float = 0.0) -> list[Status]:
        await self._trouble()
        return self._heard(await super().release(advertiser, releases, now_s))

    async def _trouble(self) -> None:
        self.calls += 1
        if self.hangs:
            await self.open.wait()
        if self.down:
            raise LedgerDown("down")

    def _heard(self, answer: list[Status]) -> list[Status]:
        if self.loses:
            self.loses -= 1
            raise LedgerDown("the answer was lost")
        return answer


class Seen:
    """The people's logs as a list; down where told."""

    def __init__(self) -> None:
        self.sightings: list[Sighting] = []
        self.down = False

    async def apply(self, sightings: Sequence[Sighting]) -> None:
        if self.down:
            raise ConnectionError
        self.sightings += sightings


class House:
    """One shop, one ledger, and as many workers as are opened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.clock = ManualClock(NOW_S)
        self.ledger = Ledger(self.clock)
        self.seen = Seen()
        self.directory: Directory = OneLineItem()
        """Of workers that are opened from now on."""

    async def fund(self, lease: int = 500_000) -> None:
        """FUNDED in the wallet, and a lease on the path of line-1 at NOW_S."""
        await self.ledger.fund(SHOP, "fund", Micros(FUNDED))
        path = tuple([Level(account, None) for account in PATH])
        wanted = Micros(lease)
        request = LeaseRequest("lease", WORKER, LEASE, path, wanted, wanted, hold_s=3_600.0)
        (grant,) = await self.ledger.lease(SHOP, [request])
        assert grant.granted == lease

    def worker(self, slot: int = 0, max_bytes: int = 1 << 20, sync_ms: float = 0.0) -> Worker:
        return Worker(self, slot, max_bytes, sync_ms)

    def wallet(self) -> Balance:
        """The advertiser's."""
        self.ledger.check()
        return self.ledger.ledger(SHOP).balances.accounts["wallet"].balance()

    @property
    def spent(self) -> int:
        return self.wallet().spent


class Worker:
    """Notices over a drain over the house's ledger."""

    def __init__(self, house: House, slot: int, max_bytes: int, sync_ms: float) -> None:
        self.tally = Tally()
        self.spools = Spools(house.folder, slot, self.tally, max_bytes)
        self.charges = charges = Charges(house.ledger, self.tally, LineSeries(), house.clock)
        sightings = Sightings(house.seen, self.tally, house.clock)
        self.drain = Drain(self.spools, charges.plan, sightings.plan, sync_ms)
        self.notices = Notices(self.tally, house.directory, RING, terms_of(SHIPPED), house.clock, self.drain)

    def send(self, kind: Kind, token: str, price: str = "1.20", **fields: str) -> Receipt:
        return self.notices.receive(Notice(kind, token, price, **fields))

    def die(self) -> None:
        """As kill -9 does: nothing is finished, the kernel lets go of the lock."""
        self.spools.own.abandon()
        for spool in self.spools.adopted:
            spool.abandon()

    def count(self, name: str, *labels: str) -> int:
        """A counter, summed over the labels that are not given."""
        return sum(
            value
            for cell, value in self.tally.samples()
            if cell.name == f"paceline_{name}"
            and not cell.part
            and cell.labels[-len(labels) or 99 :] == labels
        )

    def lag(self) -> int:
        """Notices whose lag was measured."""
        return sum(
            value
            for cell, value in self.tally.samples()
            if cell.name == "paceline_notice_lag_seconds" and cell.part != "sum"
        )


def order(number: int = 0, verbs: int = SETTLE, **changes: object) -> Order:
    """An order of a bid that cost 1,000 and was reserved at 1,500."""
    money = bool(verbs & OF_MONEY)
    fields: dict[str, object] = {
        "verbs": verbs,
        "advertiser_id": SHOP,
        "campaign_id": "campaign-1",
        "line_item_id": "line-1",
        "bid_id": number.to_bytes(12, "big"),
        "lease": LEASE,
        "price": 1_500 if money else 0,
        "amount": 1_000 if verbs & SETTLE else 0,
        "path": PATH if verbs & SETTLE else (),
        "issued_s": NOW_S,
        "deadline_s": NOW_S + 900,
        "accepted_s": float(NOW_S),
        "window_s": 3_600,
    }
    return Order(**{**fields, **changes})  # type: ignore[arg-type]  # a table of fields for tests
