"""Workers, notices and one ledger in any order, with crashes, repetitions and lost answers: all money is there, once.

What is compared: the ledger's lease with its worker's slice, after each step. Where nothing is under way,
left = free + reserved - what was settled and is not heard of yet; a question without an answer may make a difference
of its amount.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec import Struct

from bidder.clock import ManualClock
from bidder.metrics import Tally
from bidder.spending.sizing import Rules
from bidder.spending.treasurer import Treasurer
from budget.allowance import Allowance
from budget.memory_store import MemoryStore
from budget.money import Micros
from budget.redis_store import RedisStore
from budget.slices import Slice
from budget.store import LeaseRequest, Release, Settlement, Status, Store
from tests.bidder.spending.flaky import FlakyStore
from tests.bidder.spending.office import limits
from tests.servers import RealServer

FUNDS, DAILY = 400_000, 60_000
HOLD_S = 200.0
PATHS = {key: ("wallet", "campaign/c", f"line/{key}") for key in (1, 2)}
_names = itertools.count(1)


class Bid(Struct):
    """One that left the house."""

    bid: bytes
    lease: int
    line: int
    price: int
    deadline_s: int


class Money(RuleBasedStateMachine):
    """Two workers, two line items, one advertiser."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store: Any = store
        self.loop = asyncio.Runner()
        self.shop = f"shop-{next(_names)}"
        self.clock = ManualClock()
        self.lines = {1: (self.shop, limits("1")), 2: (self.shop, limits("2", line_daily=DAILY))}
        self.settled: dict[int, int] = defaultdict(int)
        self.charged = 0
        self.bids: list[Bid] = []
        self.loop.run(self.store.fund(self.shop, "first", Micros(FUNDS), self.clock.now_s()))
        self.workers = [self._worker(), self._worker()]

    def _worker(self) -> tuple[Allowance, Treasurer, FlakyStore]:
        flaky, allowance = FlakyStore(self.store), Allowance()
        rules = Rules(tells_time=True, hold_s=HOLD_S, look_s=2.0, idle_s=20.0, patience_s=60.0)
        allowance.adopt(self.lines)
        treasurer: Any = Treasurer(flaky, allowance, self.clock, Tally(), rules)  # type: ignore[arg-type]  # by name
        return allowance, treasurer, flaky

    @rule(
        worker=st.sampled_from((0, 1)),
        line=st.sampled_from((1, 2)),
        price=st.integers(1, 3_000),
        exp_s=st.integers(1, 30),
    )
    def bid(self, worker: int, line: int, price: int, exp_s: int) -> None:
        now_s = int(self.clock.now_s())
        lease = self.workers[worker][0].reserve(line, Micros(price), now_s, now_s + exp_s)
        if lease:
            self.bids.append(Bid(next(_names).to_bytes(12), lease, line, price, now_s + exp_s))

    @rule(
        worker=st.sampled_from((0, 1)),
        seconds=st.sampled_from((0.0, 0.2, 1.0, 3.0, 7.5, 11.0)),
        lost=st.sampled_from(("", "", "lease", "poll", "give_back", "reclaim")),
        down=st.booleans(),
    )
    def step(self, worker: int, seconds: float, lost: str, down: bool) -> None:
        """A round, in which the first answer of one verb may be lost, or there may be no ledger."""
        self.clock.advance(seconds)
        _, treasurer, flaky = self.workers[worker]
        losses = iter((True,))
        flaky.loses = lambda name: name == lost and next(losses, False)
        flaky.down = down and not lost
        self.loop.run(treasurer.step(self.clock.now_s()))
        flaky.down, flaky.loses = False, lambda _: False

    @precondition(lambda self: self.bids)
    @rule(data=st.data(), part=st.floats(0, 1), times=st.sampled_from((1, 1, 2)), keeps=st.booleans())
    def settle(self, data: st.DataObject, part: float, times: int, keeps: bool) -> None:
        """A bill comes, once or twice, and may come again later."""
        bid = self._drawn(data, keeps)
        amount = int(bid.price * part)
        settlement = Settlement(
            bid.bid, bid.lease, Micros(bid.price), Micros(amount), bid.deadline_s, PATHS[bid.line]
        )
        for _ in range(times):
            (status,) = self.loop.run(self.store.settle(self.shop, [settlement], self.clock.now_s()))
            self.charged += amount * (status in (Status.SETTLED, Status.LATE))
            self.settled[bid.lease] += amount * (status is Status.SETTLED)

    @precondition(lambda self: self.bids)
    @rule(data=st.data(), keeps=st.booleans())
    def release(self, data: st.DataObject, keeps: bool) -> None:
        """A loss notice comes; a bill may follow nevertheless."""
        bid = self._drawn(data, keeps)
        release = Release(bid.bid, bid.lease, Micros(bid.price), bid.deadline_s)
        self.loop.run(self.store.release(self.shop, [release], self.clock.now_s()))

    @rule(worker=st.sampled_from((0, 1)), kind=st.sampled_from(("", "", "", "", "crash", "leave", "silence")))
    def mishap(self, worker: int, kind: str) -> None:
        """A worker crashes, and its bids are out there, or leaves in order, and another comes; or nobody is there for
        so long that everybody may be taken for dead by the first who is back."""
        if kind == "leave":
            self.loop.run(self.workers[worker][1].close())
        if kind == "silence":
            self.clock.advance(900)
        elif kind:
            self.workers[worker] = self._worker()

    @invariant()
    def all_money_is_somewhere_once(self) -> None:
        books = self.loop.run(self.store.books(self.shop))
        wallet = books.accounts["wallet"]
        assert wallet.spent == self.charged
        assert wallet.leased + wallet.spent <= FUNDS
        assert wallet.leased == sum(lease.left for lease in books.leases.values())
        assert all(b.limit is None or b.leased + b.spent <= b.limit for b in books.accounts.values())
        for allowance, _, _ in self.workers:
            allowance.check()
            for book in allowance.books.values():
                if book.worker not in books.workers:
                    assert book.until_s < books.clock_s, "it could bid with money that went home"
                else:
                    for lease_id, piece in book.slices.items():
                        lease = books.leases.get(lease_id)
                        self._compare(piece, lease.left if lease else 0)

    def _compare(self, piece: Slice, left: int) -> None:
        unheard = self.settled[piece.lease_id] - piece.settled
        more = left - (piece.free + piece.reserved - unheard)
        asked = piece.pending
        if asked is None:
            assert more == 0
        elif isinstance(asked, LeaseRequest):
            assert 0 <= more <= asked.wanted
        else:
            assert more in (0, getattr(asked, "amount"))  # noqa: B009  private to the treasurer

    def _drawn(self, data: st.DataObject, keeps: bool) -> Bid:
        index = data.draw(st.integers(0, len(self.bids) - 1))
        return self.bids[index] if keeps else self.bids.pop(index)

    def teardown(self) -> None:
        """Everybody leaves; what is home then is all that was not charged."""
        try:
            for _ in range(3):
                self.clock.advance(HOLD_S)
                for _, treasurer, _ in self.workers:
                    self.loop.run(treasurer.step(self.clock.now_s()))
            for _, treasurer, _ in self.workers:
                self.loop.run(treasurer.close())
            self.clock.advance(2_000)
            last = self._worker()
            last[0].reserve(1, Micros(1), int(self.clock.now_s()), int(self.clock.now_s()))
            for _ in range(3):
                self.clock.advance(20)
                self.loop.run(last[1].step(self.clock.now_s()))
            self.loop.run(last[1].close())
            books = self.loop.run(self.store.books(self.shop))
            assert {name: b.leased for name, b in books.accounts.items() if b.leased} == {}
        finally:
            self.loop.run(self.close_store())
            self.loop.close()

    async def close_store(self) -> None:
        """Nothing to close in memory."""


class MoneyInMemory(Money):
    """The ledger checks itself too."""

    @invariant()
    def the_ledger_adds_up(self) -> None:
        self.store.check()


def test_in_memory() -> None:
    """Overspend 0, and every micro that is leased is free, reserved or on its way."""
    run_state_machine_as_test(
        lambda: MoneyInMemory(MemoryStore()),
        settings=settings(max_examples=150, stateful_step_count=60, suppress_health_check=list(HealthCheck)),
    )


def test_on_a_real_server(redis_server: RealServer) -> None:
    """The same, with the scripts that production runs."""
    stores: list[Money] = []

    def machine() -> Money:
        stores.append(OnServer(redis_server.url))
        return stores[-1]

    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=40, stateful_step_count=50, suppress_health_check=list(HealthCheck)),
    )


class OnServer(Money):
    """Its client lives as long as its loop."""

    def __init__(self, url: str) -> None:
        super().__init__(RedisStore.connect(url))

    async def close_store(self) -> None:
        await self.store.close()
