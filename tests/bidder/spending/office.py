"""One ledger in memory, and workers with a treasurer each, driven by hand."""

from __future__ import annotations

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from bidder.clock import ManualClock
from bidder.metrics import Tally
from bidder.spending.sizing import Rules
from bidder.spending.treasurer import Treasurer
from budget.accounts import Limits
from budget.allowance import Allowance
from budget.memory_store import MemoryStore
from budget.money import Micros
from budget.store import Release, Settlement
from tests.bidder.spending.flaky import FlakyStore

UTC = ZoneInfo("UTC")
SHOP = "shop"


def limits(line: str = "1", **bounds: int) -> Limits:
    """Of a line item of one campaign, in UTC."""
    return Limits("c", line, UTC, **{name: Micros(amount) for name, amount in bounds.items()})


class Worker:
    """An allowance, and who fills it."""

    def __init__(self, office: Office, interval_s: float = 0.2) -> None:
        self.office = office
        self.allowance = Allowance()
        self.tally = Tally()
        self.store = FlakyStore(office.store)
        rules = Rules(interval_s=interval_s, tells_time=True, hold_s=600.0, patience_s=120.0)
        self.treasurer = Treasurer(self.store, self.allowance, office.clock, self.tally, rules)
        self.allowance.adopt(office.lines)

    async def step(self, seconds: float = 0.0) -> None:
        """Let time pass, then one round; the invariants hold."""
        self.office.clock.advance(seconds)
        await self.treasurer.step(self.office.clock.now_s())
        self.allowance.check()
        self.office.store.check()

    def reserve(self, cost: int, line: int = 1, exp_s: int = 60) -> int:
        """A bid's lease, or 0."""
        now_s = int(self.office.clock.now_s())
        return self.allowance.reserve(line, Micros(cost), now_s, now_s + exp_s)

    def counted(self, name: str, *labels: str) -> int:
        """A counter's value."""
        return self.tally.cells[self.tally.slot(name, *labels)]


class Office:
    """The ledger's side."""

    def __init__(self, lines: Mapping[int, tuple[str, Limits]] | None = None) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock.now_s)
        self.lines = lines or {1: (SHOP, limits())}
        self.bids = 0

    async def fund(self, amount: int) -> None:
        """Money for the one advertiser."""
        self.bids += 1
        await self.store.fund(SHOP, f"fund/{self.bids}", Micros(amount), self.clock.now_s())

    async def settle(self, lease_id: int, price: int, amount: int, deadline_s: int, bid: bytes = b"") -> None:
        """A notice came."""
        self.bids += 1
        bid_id = bid or self.bids.to_bytes(12)
        settlement = Settlement(bid_id, lease_id, Micros(price), Micros(amount), deadline_s, ("wallet",))
        await self.store.settle(SHOP, [settlement], self.clock.now_s())

    async def release(self, lease_id: int, price: int, deadline_s: int) -> None:
        """A loss notice came."""
        self.bids += 1
        release = Release(self.bids.to_bytes(12), lease_id, Micros(price), deadline_s)
        await self.store.release(SHOP, [release], self.clock.now_s())

    def left(self) -> int:
        """What all live leases hold."""
        return sum(lease.left for lease in self.store.ledger(SHOP).balances.leases.values())

    def balance(self, account: str = "wallet") -> tuple[int, int]:
        """Leased and spent."""
        held = self.store.ledger(SHOP).balances.accounts[account]
        return held.leased, held.spent
