"""Whatever happens to a ledger, in whatever order and however often: no invariant breaks, and the journal proves it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from budget.accounts import WALLET, Level
from budget.audit import audit
from budget.journal import JournaledStore, archive
from budget.memory_store import MemoryStore
from budget.money import Micros
from budget.redis_store import RedisStore
from budget.store import KEEP_S, LeaseRequest, Release, Settlement, Status
from tests.budget.world import ACTIONS, ADV, SHIFTS_S, Step, World
from tests.servers import RealServer

STEPS = st.lists(
    st.tuples(
        st.integers(0, ACTIONS - 1),
        st.integers(0, 40),
        st.integers(0, 40),
        st.integers(0, 40),
        # mostly small moves of the clock
        st.one_of(st.integers(0, 3), st.integers(0, len(SHIFTS_S) - 1)),
    ),
    min_size=10,
    max_size=60,
)


async def _proven(store: JournaledStore, folder: Path) -> None:
    proof = await audit(store, folder, ADV)
    assert proof.findings == ()
    assert not any(proof.overspend.values())
    assert proof.spent + proof.leased <= proof.funded


async def _play(world: World, store: JournaledStore, steps: list[Step]) -> None:
    await world.start()
    with TemporaryDirectory() as name:
        folder = Path(name)
        for i, step in enumerate(steps):
            await world.play(step)
            if i == len(steps) // 2:
                await archive(store, folder)
        await _proven(store, folder)
        await archive(store, folder)
        await _proven(store, folder)


@given(steps=STEPS)
@settings(max_examples=200)
def test_in_memory_no_order_of_events_breaks_an_invariant(steps: list[Step]) -> None:
    """After each step every invariant holds; at the end the journal rebuilds the books."""
    store = MemoryStore()
    asyncio.run(_play(World(store), store, steps))


@given(steps=STEPS)
@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # the test in memory finds the small example
)
def test_on_a_real_server_every_answer_and_every_balance_is_the_same(
    redis_server: RealServer, steps: list[Step]
) -> None:
    """After each step both stores answered alike and hold the same books; the server's journal proves its own."""

    async def run() -> None:
        redis_server.flush()
        real = RedisStore.connect(redis_server.url)
        try:
            await _play(World(MemoryStore(), real), real, steps)
        finally:
            await real.close()

    asyncio.run(run())


class Careful:
    """Workers that keep the rules: they reserve before they bid, and free only what they were told of."""

    def __init__(self, store: MemoryStore, random: Random) -> None:
        self.store, self.random = store, random
        self.now_s = 1_790_000_000.0
        self.charged = 0
        self.free: dict[int, int] = {}
        self.until_s: dict[int, float] = {}
        self.cursors: dict[int, str] = {}
        self.flying: list[Settlement] = []

    async def hire(self) -> None:
        """One more worker, with a lease."""
        worker = await self.store.incarnation()
        self.free[worker << 32 | 1] = 0
        self.cursors[worker] = ""
        await self.top_up(worker << 32 | 1)

    async def top_up(self, lease_id: int) -> None:
        """The reply is lost half of the time: asked again with the same id, it grants the same."""
        path = (Level(WALLET), Level("campaign/c", Micros(6_000)), Level("line/l", Micros(5_000)))
        op = f"{self.random.random()}"
        request = LeaseRequest(op, lease_id >> 32, lease_id, path, Micros(300), Micros(50), 120.0)
        for _ in range(self.random.choice((1, 2))):
            (grant,) = await self.store.lease(ADV, [request], self.now_s)
        self.free[lease_id] += grant.granted
        self.until_s[lease_id >> 32] = grant.until_s

    async def bid(self, lease_id: int) -> None:
        """Only what is free, and only as long as the worker is promised to live."""
        price = self.random.randrange(1, 60)
        deadline_s = int(self.now_s) + self.random.randrange(1, 120)
        if price <= self.free[lease_id] and deadline_s <= self.until_s[lease_id >> 32]:
            self.free[lease_id] -= price
            bid_id, amount = self.random.randbytes(12), Micros(self.random.randrange(price + 1))
            path = (WALLET, "campaign/c", "line/l")
            self.flying.append(Settlement(bid_id, lease_id, Micros(price), amount, deadline_s, path))

    async def notice(self) -> None:
        """One bid in flight is billed or lost, on time: that always finds its money."""
        bid = self.flying.pop(self.random.randrange(len(self.flying)))
        if self.now_s > bid.deadline_s:
            return
        if self.random.random() < 0.7:
            assert await self.store.settle(ADV, [bid] * 2, self.now_s) == [Status.SETTLED, Status.DUPLICATE]
            self.charged += bid.amount
        else:
            lost = Release(bid.bid_id, bid.lease_id, bid.price, bid.deadline_s)
            assert await self.store.release(ADV, [lost], self.now_s) == [Status.RELEASED]

    async def listen(self, lease_id: int) -> None:
        """What was not spent of a bid that is done is free again; some of it goes home."""
        worker = lease_id >> 32
        poll = await self.store.poll(ADV, worker, self.cursors[worker], 120.0, self.now_s)
        self.cursors[worker], self.until_s[worker] = poll.cursor, poll.until_s
        self.free[lease_id] += sum(entry.price - entry.amount for entry in poll.entries)
        if self.random.random() < 0.2 and self.free[lease_id] > 10:
            back = self.random.randrange(1, self.free[lease_id])
            op = f"{self.random.random()}"
            assert await self.store.give_back(ADV, op, lease_id, Micros(back), self.now_s) is Status.DONE
            self.free[lease_id] -= back
        for other in poll.dead:
            assert await self.store.reclaim(ADV, f"dead-{other}", other, self.now_s) is Status.DONE

    async def crash(self, lease_id: int) -> None:
        """Its bids are still in flight, and will be settled by others."""
        del self.free[lease_id]
        await self.hire()

    async def end(self) -> None:
        """Much later all that was not spent is home."""
        self.now_s += KEEP_S + 500.0
        await self.hire()
        (lease_id,) = [lease_id for lease_id in self.free if lease_id >> 32 == max(self.cursors)]
        await self.listen(lease_id)
        await self.store.give_back(ADV, "last", lease_id, Micros(self.free[lease_id]), self.now_s)
        books = await self.store.books(ADV)
        assert books.leases == {}
        assert {balance.leased for balance in books.accounts.values()} == {0}
        assert {balance.spent for balance in books.accounts.values()} == {self.charged}
        assert {(balance.late, balance.absorbed) for balance in books.accounts.values()} == {(0, 0)}


@given(seed=st.integers(0, 2**32))
@settings(max_examples=40)
def test_who_reserves_before_bidding_is_never_short(seed: int) -> None:
    """A notice on time always finds its money, crashes or not; in the end what was not spent is home."""

    async def run() -> None:
        random, store = Random(seed), MemoryStore()
        careful = Careful(store, random)
        await store.fund(ADV, "start", Micros(7_000), careful.now_s)
        for _ in range(3):
            await careful.hire()
        for _ in range(400):
            careful.now_s += random.choice((0.0, 0.01, 1.0, 9.0))
            lease_id = random.choice(list(careful.free))
            choice = random.random()
            if choice < 0.5:
                await careful.bid(lease_id)
            elif choice < 0.8 and careful.flying:
                await careful.notice()
            elif choice < 0.9:
                await careful.listen(lease_id)
            elif choice < 0.98:
                await careful.top_up(lease_id)
            else:
                await careful.crash(lease_id)
            store.check()
        await careful.end()

    asyncio.run(run())
