"""What a worker hears of the ledger before its first notice."""

import asyncio

from bidder.treasury import hear_advertisers
from budget.memory_store import MemoryStore
from budget.money import Micros
from budget.store import LedgerDown


class Moody(MemoryStore):
    """Down for its first so many answers; then it tells to stop, where it shall."""

    def __init__(self, down: int, stopping: asyncio.Event | None = None) -> None:
        super().__init__()
        self.down, self.asked, self.stopping = down, 0, stopping

    async def advertisers(self) -> list[str]:
        self.asked += 1
        if self.asked <= self.down:
            if self.stopping is not None:
                self.stopping.set()
            raise LedgerDown("down")
        return await super().advertisers()


async def test_a_ledger_that_is_down_is_asked_until_it_tells() -> None:
    """Two calls fail, the third is heard, and there is no fourth."""
    store, heard = Moody(down=2), list[str]()
    await store.fund("shop", "fund", Micros(1))
    await hear_advertisers(store, heard.extend, asyncio.Event(), retry_s=0.0)
    assert (heard, store.asked) == (["shop"], 3)


async def test_a_worker_that_stops_asks_no_more() -> None:
    """Told to stop while the ledger is down, it waits for no retry."""
    stopping, heard = asyncio.Event(), list[str]()
    store = Moody(down=9, stopping=stopping)
    await hear_advertisers(store, heard.extend, stopping, retry_s=3_600.0)
    assert (heard, store.asked) == ([], 1)
