"""One day of four workers on a manual clock: bids, notices that come late, twice, never or in the wrong order, and
workers that die.

Everything is drawn from one seed. The workers' own code is real (allowance, treasurer, store); what is simulated is the
market, the exchanges and time.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from bidder.clock import ManualClock
from bidder.metrics import Tally as Counters
from bidder.spending.sizing import Rules
from bidder.spending.treasurer import Treasurer
from budget.accounts import path_at
from budget.allowance import Allowance
from budget.money import Micros
from budget.store import KEEP_S, LedgerDown, Release, Settlement, Status, Store
from tests.day.market import Market
from tests.day.tally import Tally

DAY_S = 86_400
BATCH = 500
HOLD_S = 300.0
WORKERS = 4


class Notice(Struct):
    """A word of an exchange on one bid; amount -1: it was lost."""

    line: int
    bid: bytes
    lease: int
    price: int
    amount: int
    deadline_s: int
    path: tuple[str, ...]


class Mishaps(Struct, frozen=True):
    """What goes wrong, in seconds since the day began."""

    deaths: tuple[tuple[int, int], ...] = ()
    """When, and the worker that is killed then."""
    outage: range = range(0)
    """No ledger."""
    lost_answers: float = 0.0
    """Part of the answers of the ledger that never arrive."""


class Day:
    """Run it, then look at `tally`, `books` and the counters."""

    def __init__(self, market: Market, store: Store, start_s: int, tick_s: int, mishaps: Mishaps) -> None:
        self.market, self.store, self.mishaps, self.tick_s = market, store, mishaps, tick_s
        self.rules = Rules(
            tells_time=True,
            hold_s=HOLD_S,
            horizon_s=3.0 * tick_s,
            look_s=60.0,
            idle_s=20.0 * tick_s,
            patience_s=1_800.0,
        )
        self.clock = ManualClock(start_s)
        self.start_s = start_s
        self.random = random.Random(market.random.random())
        self.tally = Tally()
        self.down, self.pretends = False, True
        """Whether there is no ledger just now, and whether the simulator plays that (or somebody really killed it)."""
        self.bids = self.refused = self.unreserved = self.repeated = 0
        self.lines = {item.key: (item.advertiser, item.limits) for item in market.items}
        self.counters = Counters()
        """Of all workers together."""
        self.workers = [self._worker() for _ in range(WORKERS)]
        self._seed, self._chances = self.random.random(), dict[str, random.Random]()
        self._notices: list[tuple[float, int, Notice]] = []
        self._paths: dict[tuple[int, int], tuple[str, ...]] = {}
        self.outage: Callable[[bool], None] = lambda _: None
        """Told when the ledger goes (True) and comes back."""
        self.each_hour: Callable[[], None] = lambda: None

    async def run(self) -> None:
        """The day, then a time without bids in which all notices arrive, then everybody leaves."""
        for advertiser, amount in self.market.funds.items():
            await self.store.fund(advertiser, "first", Micros(amount), self.start_s)
            self.tally.limits[advertiser, "wallet"] = amount
        while self.clock.now_s() < self.start_s + DAY_S:
            await self._tick(trading=True)
        while self._notices or self.clock.now_s() < self.start_s + DAY_S + 2 * HOLD_S:
            await self._tick(trading=False)
        await self._leave()

    async def _tick(self, trading: bool) -> None:
        since_s = int(self.clock.now_s()) - self.start_s
        self._befall(range(since_s, since_s + self.tick_s))
        if trading:
            for line, price in self.market.opportunities(int(self.clock.now_s()), self.tick_s):
                self._bid(line, price)
        self.clock.advance(self.tick_s)
        await self._deliver()
        for _, treasurer in self.workers:
            await treasurer.step(self.clock.now_s())
        if since_s % 3_600 < self.tick_s:
            for allowance, _ in self.workers:
                allowance.check()
            self.each_hour()

    def _befall(self, tick: range) -> None:
        """What goes wrong in this tick."""
        for at_s, worker in self.mishaps.deaths:
            if at_s in tick:
                self._kill(worker)
        down = tick[0] in self.mishaps.outage
        if down != self.down:
            self.down = down
            self.outage(down)

    # Bids

    def _bid(self, line: int, price: int) -> None:
        draw, item = self.random, self.market.items[line]
        now_s = int(self.clock.now_s()) + int(draw.random() * self.tick_s)
        deadline_s = now_s + draw.choice((60, 120, 240, 300))
        allowance = draw.choice(self.workers)[0]
        path = self._path(line, now_s)
        lease = allowance.reserve(item.key, Micros(price), now_s, deadline_s)
        self.bids += 1
        self.refused += not lease
        if not self.down:
            self.tally.tried(line, item, path, now_s, self.start_s + DAY_S, not lease)
        if not lease:
            return
        if draw.random() < 0.02:  # it never left the house
            allowance.unreserve(lease, Micros(price), deadline_s)
            self.unreserved += 1
            return
        bid = self.bids.to_bytes(12)
        amount = (
            int(price * draw.choice((1.0, 1.0, draw.uniform(0.3, 1.0)))) if draw.random() < item.wins else -1
        )
        self._announce(Notice(line, bid, lease, price, amount, deadline_s, path), now_s)

    def _announce(self, notice: Notice, now_s: float) -> None:
        """When its notices come, if they do."""
        draw = self.random
        if draw.random() < (0.2 if notice.amount < 0 else 0.03):
            return  # lost on the way
        times = 2 if draw.random() < 0.1 else 1
        for _ in range(times):
            kind = draw.random()
            if kind < 0.9:
                at_s = now_s + draw.uniform(0, 30)
            elif kind < 0.97:
                at_s = now_s + draw.uniform(30, 300)
            else:
                at_s = notice.deadline_s + draw.uniform(1, 3_000)
            heapq.heappush(self._notices, (at_s, draw.getrandbits(30), notice))
        self.repeated += times - 1
        if notice.amount < 0 and draw.random() < 0.005:  # an exchange that says lost, then bills
            billed = Notice(*[getattr(notice, name) for name in Notice.__struct_fields__])
            billed.amount = notice.price
            heapq.heappush(self._notices, (now_s + draw.uniform(0, 60), draw.getrandbits(30), billed))

    def _path(self, line: int, now_s: int) -> tuple[str, ...]:
        """The accounts, computed once per line item and quarter of an hour; their limits are noted."""
        key = line, now_s // 900
        path = self._paths.get(key)
        if path is None:
            item = self.market.items[line]
            levels = path_at(item.limits, now_s)
            path = self._paths[key] = tuple(level.account for level in levels)
            for level in levels:
                if level.limit is not None:
                    self.tally.limits[item.advertiser, level.account] = level.limit
        return path

    # Notices

    async def _deliver(self) -> None:
        """What arrived is queued durably, and applied as soon as there is a ledger; any worker may do it."""
        if self.down:
            return
        arrived: dict[str, list[Notice]] = {}
        while self._notices and self._notices[0][0] <= self.clock.now_s():
            notice = heapq.heappop(self._notices)[2]
            arrived.setdefault(self.market.items[notice.line].advertiser, []).append(notice)
        for advertiser, notices in sorted(arrived.items()):
            self.random.shuffle(notices)
            for start in range(0, len(notices), BATCH):
                batch = notices[start : start + BATCH]
                await self._release(advertiser, [notice for notice in batch if notice.amount < 0])
                await self._settle(advertiser, [notice for notice in batch if notice.amount >= 0])

    async def _release(self, advertiser: str, notices: list[Notice]) -> None:
        if notices:
            releases = [Release(n.bid, n.lease, Micros(n.price), n.deadline_s) for n in notices]
            statuses = await self.store.release(advertiser, releases, self.clock.now_s())
            for notice, status in zip(notices, statuses, strict=True):
                if status is Status.RELEASED:
                    self.tally.released.add(notice.bid)

    async def _settle(self, advertiser: str, notices: list[Notice]) -> None:
        if not notices:
            return
        settlements = [
            Settlement(n.bid, n.lease, Micros(n.price), Micros(n.amount), n.deadline_s, n.path)
            for n in notices
        ]
        now_s = self.clock.now_s()
        for _ in range(2 if self.random.random() < self.mishaps.lost_answers else 1):  # asked again, same ids
            statuses = await self.store.settle(advertiser, settlements, now_s)
            for notice, status in zip(notices, statuses, strict=True):
                item = self.market.items[notice.line]
                on_time = now_s <= notice.deadline_s
                self.tally.settled(item, notice.bid, notice.amount, notice.path, status, on_time)

    def draw(self, subject: str) -> random.Random:
        """Chance of its own for each subject, so that the order of answers changes nothing."""
        return self._chances.setdefault(subject, random.Random(f"{self._seed} {subject}"))

    # Workers

    def _worker(self) -> tuple[Allowance, Treasurer]:
        allowance = Allowance()
        allowance.adopt(self.lines)
        ledger: Any = Unreliable(self)
        return allowance, Treasurer(ledger, allowance, self.clock, self.counters, self.rules)

    def _kill(self, worker: int) -> None:
        """All that it knew is gone; what it had leased comes home when it is taken for dead."""
        allowance, _ = self.workers[worker]
        held = {
            tuple(level.account for level in piece.path)
            for book in allowance.books.values()
            for piece in book.slices.values()
        }
        self.tally.bereave(held)
        self.workers[worker] = self._worker()

    async def _leave(self) -> None:
        """One after the other; the last one sees to it that the others' leases are home."""
        for allowance, treasurer in reversed(self.workers[1:]):
            await treasurer.close()
            allowance.check()
        self.mishaps = Mishaps()
        allowance, treasurer = self.workers[0]
        for _ in range(int((KEEP_S + HOLD_S) / self.tick_s) + 3):
            self.clock.advance(self.tick_s)
            await treasurer.step(self.clock.now_s())
        await treasurer.close()
        allowance.check()

    def counted(self, name: str, *labels: str) -> int:
        """What all workers counted together."""
        return self.counters.cells[self.counters.slot(name, *labels)]


class Unreliable:
    """The ledger as a treasurer meets it: sometimes away, sometimes its answer is lost on the way."""

    def __init__(self, day: Day) -> None:
        self._day = day

    def __getattr__(self, name: str) -> Any:
        verb, day = getattr(self._day.store, name), self._day

        async def call(*arguments: Any) -> Any:
            if day.down and day.pretends:
                raise LedgerDown("away")
            lost = day.draw(str(arguments[:1])).random() < day.mishaps.lost_answers  # before others may draw
            answer = await verb(*arguments)
            if lost:
                raise LedgerDown(f"the answer to {name} was lost")
            return answer

        return call
