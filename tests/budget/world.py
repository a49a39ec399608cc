"""Everything that can happen to a ledger, drawn as small numbers and played on two stores at once.

Place: test_properties plays it on a memory store and, in fewer examples, on a real server beside it.
Shapes: a step is (action, a, b, c, shift): which one, three choices, and how the clock of the caller moves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from budget.accounts import WALLET, Level
from budget.journal import JournaledStore
from budget.memory_store import MemoryStore
from budget.money import Micros
from budget.store import LeaseRequest, Release, Settlement, Status, Store

ADV = "shop"
LINES = 3
HOLD_S = 120.0
Step = tuple[int, int, int, int, int]
Verb = Callable[[Store], Awaitable[Any]]

SHIFTS_S = (0.0, 0.001, 0.5, 3.0, 30.0, 61.0, -45.0, -0.5, 119.0, 700.0, -4_000.0, 3_700.0, 15_000.0)
LIMITS = (None, None, 100, 700, 5_000)


class World:
    """A few workers, their leases, the bids in flight, and all calls ever made."""

    def __init__(self, memory: MemoryStore, real: JournaledStore | None = None) -> None:
        self.memory, self.real = memory, real
        self.now_s = 1_790_000_000.0
        self.calls: list[Verb] = []
        self.workers: list[int] = []
        self.cursors: dict[int, str] = {}
        self.slices: dict[tuple[int, int, int], tuple[int, tuple[Level, ...]]] = {}
        self.sequences: dict[int, int] = {}
        self.bids: list[Settlement] = []
        self.count = 0

    async def start(self) -> None:
        """Two workers, some money."""
        for _ in range(2):
            await self.hire()
        await self.call(lambda store, now=self.now_s: store.fund(ADV, "start", Micros(9_000), now))

    async def play(self, step: Step) -> None:
        """One step; then both stores must agree, and every invariant hold."""
        action, a, b, c, shift = step
        self.now_s = max(1.0, self.now_s + SHIFTS_S[shift % len(SHIFTS_S)])
        await _ACTIONS[action % len(_ACTIONS)](self, a, b, c)
        await self.compare()

    async def call(self, verb: Verb) -> Any:
        """Ask both; the answers are the same."""
        self.calls.append(verb)
        answer = await verb(self.memory)
        if self.real is not None:
            assert await verb(self.real) == answer
        return answer

    async def compare(self) -> None:
        """The invariants, and balance for balance the same books."""
        self.memory.check()
        if self.real is not None:
            assert await self.real.books(ADV) == await self.memory.books(ADV)

    async def hire(self) -> None:
        """A worker starts: nothing of an earlier one is known to it."""
        worker = await self.memory.incarnation()
        if self.real is not None:
            await self.real.incarnation()
        self.workers.append(worker)
        self.cursors[worker] = ""

    async def crash(self, a: int, b: int, c: int) -> None:
        """A worker forgets everything, and another takes its place."""
        del self.workers[a % len(self.workers)]
        await self.hire()

    async def fund(self, a: int, b: int, c: int) -> None:
        """More money, or money back."""
        op, amount, now = self._op(), Micros(b * 7), self.now_s
        if a % 2:
            await self.call(lambda store: store.fund(ADV, op, amount, now))
        else:
            await self.call(lambda store: store.withdraw(ADV, op, amount, now))

    async def lease(self, a: int, b: int, c: int) -> None:
        """A worker opens or tops up slices, now and then under new limits; sometimes asks twice."""
        worker = self._worker(a)
        line, day = b % LINES, (b // LINES) % 2
        old = self.slices.get((worker, line, day))
        path = tuple(
            Level(level.account, level.limit if c % 3 else _limit(c // 3 + i))
            for i, level in enumerate(old[1] if old else _path(line, day, c))
        )
        if old is None:
            self.sequences[worker] = self.sequences.get(worker, 0) + 1
        lease_id = old[0] if old else worker << 32 | self.sequences[worker]
        self.slices[worker, line, day] = (lease_id, path)
        wanted, useful = Micros(1 + c * 11), Micros(b % 5 * 20)
        op, now = self._op(), self.now_s
        request = LeaseRequest(op, worker, lease_id, path, wanted, useful, HOLD_S)
        grant = (await self.call(lambda store: store.lease(ADV, [request], now)))[0]
        if grant.granted and c % 2:
            again = (await self.call(lambda store: store.lease(ADV, [request], now + 1.0)))[0]
            assert again.granted == grant.granted

    async def give_back(self, a: int, b: int, c: int) -> None:
        """Some of a lease goes home, by its owner or by one that should have known better."""
        op, lease_id, amount, now = self._op(), self._lease(a), Micros(b * 5), self.now_s
        await self.call(lambda store: store.give_back(ADV, op, lease_id, amount, now))

    async def bid(self, a: int, b: int, c: int) -> None:
        """Bids leave the house; nothing is written."""
        lease_id = self._lease(a)
        for i in range(1 + c % 3):
            self.count += 1
            price = b * 3 + i
            names = next((path for held, path in self.slices.values() if held == lease_id), _path(0, 0, 2))
            deadline_s = int(self.now_s + (c % 5) * 40)
            path = tuple(level.account for level in names)
            amount = Micros(price * (c % 4) // 3)
            bid_id = self.count.to_bytes(12, "big")
            self.bids.append(Settlement(bid_id, lease_id, Micros(price), amount, deadline_s, path))

    async def settle(self, a: int, b: int, c: int) -> None:
        """Notices of any bids ever made come in, in any order, some of them twice."""
        if b % 2:
            await self.bid(a, b, c)
        if self.bids:
            batch = [self._bid(a, i * b) for i in range(1 + c % 4)]
            now = self.now_s
            statuses = await self.call(lambda store: store.settle(ADV, batch, now))
            again = await self.call(lambda store: store.settle(ADV, batch, now))
            assert set(again) == {Status.DUPLICATE}
            assert len(statuses) == len(batch)

    async def release(self, a: int, b: int, c: int) -> None:
        """Losses of any bids ever made."""
        if self.bids:
            chosen = [self._bid(a, i * b) for i in range(1 + c % 3)]
            batch = [Release(bid.bid_id, bid.lease_id, bid.price, bid.deadline_s) for bid in chosen]
            now = self.now_s
            await self.call(lambda store: store.release(ADV, batch, now))

    async def poll(self, a: int, b: int, c: int) -> None:
        """A worker listens; the reply may be lost, and it asks again from where it was."""
        worker, now = self._worker(a), self.now_s
        cursor = self.cursors[worker]
        poll = await self.call(lambda store: store.poll(ADV, worker, cursor, HOLD_S, now))
        if b % 3:
            self.cursors[worker] = poll.cursor

    async def reclaim(self, a: int, b: int, c: int) -> None:
        """Somebody tries to reclaim any worker that ever was."""
        op, worker, now = self._op(), 1 + a % (max(self.workers) + 1), self.now_s
        await self.call(lambda store: store.reclaim(ADV, op, worker, now))

    async def goodbye(self, a: int, b: int, c: int) -> None:
        """A worker shuts down in order."""
        op, worker, now, hold_s = self._op(), self._worker(a), self.now_s, float(b % 200)
        await self.call(lambda store: store.goodbye(ADV, op, worker, hold_s, now))

    async def pause(self, a: int, b: int, c: int) -> None:
        """An account is paused or resumed."""
        op, now, account = self._op(), self.now_s, (WALLET, "campaign/c", f"line/{b % LINES}")[a % 3]
        await self.call(lambda store: store.pause(ADV, op, account, c % 4 == 0, now))

    async def close(self, a: int, b: int, c: int) -> None:
        """Days are over."""
        op, now = self._op(), self.now_s
        names = [f"line/{i}/day/{day}" for i in range(LINES) for day in range(2)]
        await self.call(lambda store: store.close_periods(ADV, op, [*names, "line/0"], now))

    async def repeat(self, a: int, b: int, c: int) -> None:
        """A call made long ago arrives once more, after all that came since."""
        verb = self.calls[-1 - (a * 16 + b) % len(self.calls)]
        await self.call(verb)

    async def race(self, a: int, b: int, c: int) -> None:
        """Several calls at once; the order is the server's, so only what holds in any order is asked."""
        if self.real is None or not self.bids:
            return
        bid, now = self.bids[a % len(self.bids)], self.now_s
        both = await asyncio.gather(*(self.real.settle(ADV, [bid], now) for _ in range(3)))
        first = await self.memory.settle(ADV, [bid], now)
        duplicates = [status for (status,) in both].count(Status.DUPLICATE)
        assert duplicates == (3 if first == [Status.DUPLICATE] else 2)

    def _op(self) -> str:
        self.count += 1
        return f"op-{self.count}"

    def _bid(self, a: int, further: int) -> Settlement:
        """Mostly one of the last few."""
        back = a % 4 if a % 3 else a
        return self.bids[-1 - (back + further) % len(self.bids)]

    def _worker(self, a: int) -> int:
        return self.workers[a % len(self.workers)]

    def _lease(self, a: int) -> int:
        """A lease, mostly one that was opened."""
        held = list(self.memory.ledger(ADV).balances.leases) if a % 4 else []
        held = held or [lease_id for lease_id, _ in self.slices.values()]
        return held[-1 - a % len(held)] if held and a % 16 else 1 << 32 | 999


def _limit(choice: int) -> Micros | None:
    limit = LIMITS[choice % len(LIMITS)]
    return None if limit is None else Micros(limit)


def _path(line: int, day: int, choice: int) -> tuple[Level, ...]:
    return (
        Level(WALLET),
        Level("campaign/c", _limit(choice)),
        Level(f"line/{line}"),
        Level(f"line/{line}/day/{day}", _limit(choice // 5)),
    )


_ACTIONS: tuple[Callable[[World, int, int, int], Awaitable[None]], ...] = (
    World.lease,
    World.lease,
    World.lease,
    World.bid,
    World.bid,
    World.settle,
    World.settle,
    World.settle,
    World.release,
    World.poll,
    World.give_back,
    World.reclaim,
    World.repeat,
    World.repeat,
    World.fund,
    World.crash,
    World.goodbye,
    World.pause,
    World.close,
    World.race,
)
ACTIONS = len(_ACTIONS)
