"""The ledger of a running service, as an operator reaches it: money in, how much is gone, and the proof of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from bidder.settings import Stores
from bidder.stores.people_writer import open_client
from budget.accounts import WALLET
from budget.audit import Audit, audit
from budget.entries import Entry
from budget.journal import whole_journal
from budget.money import Micros
from budget.redis_store import RedisStore
from budget.store import Books

T = TypeVar("T")


def ask(url: str, question: Callable[[RedisStore], Awaitable[T]]) -> T:
    """One question to a ledger; also from within an event loop, which it holds up meanwhile."""

    async def once() -> T:
        store = RedisStore(open_client(Stores(redis_url=url))) if "," in url else RedisStore.connect(url)
        try:
            return await question(store)
        finally:
            await store.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(once())).result()


def fund(url: str, advertiser: str, amount: Micros, op_id: str = "tests") -> None:
    """Money for a wallet, once for each `op_id`."""
    ask(url, lambda store: store.fund(advertiser, op_id, amount))


def books(url: str, advertiser: str = "shop") -> Books:
    """All that a ledger holds of an advertiser."""
    return ask(url, lambda store: store.books(advertiser))


def spent(url: str, advertiser: str = "shop") -> int:
    """What an advertiser's wallet has paid."""
    return books(url, advertiser).accounts[WALLET].spent


def proof(url: str, journal: Path, advertiser: str = "shop") -> Audit:
    """Every balance rebuilt from the journal and compared."""
    return ask(url, lambda store: audit(store, journal, advertiser))


def journal(url: str, folder: Path, advertiser: str = "shop") -> list[Entry]:
    """Every entry of an advertiser's journal, archived or not."""

    async def read(store: RedisStore) -> list[Entry]:
        return [entry async for entry in whole_journal(store, folder, advertiser)]

    return ask(url, read)
