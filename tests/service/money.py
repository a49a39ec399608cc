"""The ledger of a running service, as an operator reaches it: money in, and how much is gone."""

from __future__ import annotations

import asyncio
from typing import Any

from budget.money import Micros
from budget.redis_store import RedisStore
from budget.store import Books
from tests.service.service import Service

FUNDED = 1_000_000_000


def ask_ledger(service: Service, verb: str, *arguments: Any) -> Any:
    """One call of a verb on the service's ledger."""

    async def ask() -> Any:
        store = RedisStore.connect((service.data_dir / "ledger.url").read_text().strip())
        try:
            return await getattr(store, verb)(*arguments)
        finally:
            await store.close()

    return asyncio.run(ask())


def fund(service: Service) -> None:
    """Money for the shop."""
    ask_ledger(service, "fund", "shop", "test", Micros(FUNDED))


def spent(service: Service) -> int:
    """What the shop's wallet has paid."""
    books: Books = ask_ledger(service, "books", "shop")
    return books.accounts["wallet"].spent
