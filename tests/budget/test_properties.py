"""Whatever happens to a ledger, in whatever order and however often: no invariant breaks, and the journal proves it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from budget.audit import audit
from budget.journal import JournaledStore, archive
from budget.memory_store import MemoryStore
from budget.redis_store import RedisStore
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
@settings(max_examples=150)
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
