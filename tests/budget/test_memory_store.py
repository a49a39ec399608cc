"""The ledger in memory keeps the contract, and its invariants."""

from __future__ import annotations

import pytest

from budget.memory_store import MemoryStore
from budget.money import Micros
from budget.store import Status
from tests.budget.calls import ADV, FUNDS, leased
from tests.budget.contract import StoreContract


@pytest.fixture
def store() -> MemoryStore:
    """An empty one."""
    return MemoryStore()


class TestMemoryStore(StoreContract):
    """The contract."""


async def test_the_clock_is_the_one_it_was_given() -> None:
    """A verb that is told no moment happens at the store's own."""
    store = MemoryStore(clock_s=lambda: 77.0)
    await store.fund(ADV, "a", FUNDS)
    assert (await store.books(ADV)).clock_s == 77.0


async def test_a_broken_balance_is_found() -> None:
    """`check` names the account."""
    store = MemoryStore()
    await leased(store)
    store.check()
    store.ledger(ADV).balances.accounts["line/l"].leased += 1
    with pytest.raises(AssertionError, match="line/l"):
        store.check()


async def test_without_a_journal_it_does_not_grow() -> None:
    """A long simulated day may drop its entries."""
    store = MemoryStore(keep_journal=False)
    assert await store.fund(ADV, "a", Micros(5)) is Status.DONE
    assert await store.entries(ADV, 0, 10) == []
