"""What every ledger store does: one suite, run on memory and on a real server; here funds and leases.

Place: test_memory_store and test_redis_store give the fixture `store`.
"""

from __future__ import annotations

import pytest

from budget.accounts import WALLET, Level
from budget.journal import JournaledStore
from budget.money import Micros
from budget.store import (
    KEEP_S,
    LEASE_OPS,
    MAX_AMOUNT,
    MAX_FUNDED,
    SHARES,
    Grant,
    LeaseRequest,
    Status,
)
from tests.budget.calls import (
    ADV,
    CAMPAIGN,
    DAY,
    FUNDS,
    HOLD_S,
    LINE,
    PATH,
    T0,
    leased,
    levels,
    request,
    settlement,
    split,
)
from tests.budget.contract_settling import SettlingContract


class StoreContract(SettlingContract):
    """The suite."""

    async def test_incarnations_are_never_given_twice(self, store: JournaledStore) -> None:
        """Each call brings another number, which fits in 32 bits."""
        numbers = [await store.incarnation() for _ in range(3)]
        assert sorted(set(numbers)) == numbers
        assert 0 < numbers[0] <= numbers[-1] < 1 << 32

    async def test_an_unknown_advertiser_has_an_empty_wallet(self, store: JournaledStore) -> None:
        """Books can be asked for before anything happened."""
        assert (await store.books(ADV)).accounts[WALLET].limit == 0

    async def test_funds_are_added_once(self, store: JournaledStore) -> None:
        """The same op twice is one funding; the advertiser is then known."""
        assert await store.fund(ADV, "a", FUNDS, T0) is Status.DONE
        assert await store.fund(ADV, "a", FUNDS, T0) is Status.DUPLICATE
        assert (await store.books(ADV)).accounts[WALLET].limit == FUNDS
        assert await store.advertisers() == [ADV]

    async def test_a_wallet_holds_no_more_than_is_counted_exactly(self, store: JournaledStore) -> None:
        """Up to MAX_FUNDED to the micro, and not one more."""
        for i in range(8):
            assert await store.fund(ADV, str(i), Micros(MAX_AMOUNT), T0) is Status.DONE
        assert await store.fund(ADV, "8", Micros(MAX_AMOUNT - 1), T0) is Status.DONE
        assert await store.fund(ADV, "9", Micros(2), T0) is Status.REFUSED
        assert await store.fund(ADV, "9", Micros(1), T0) is Status.DONE
        lease_id = (await store.incarnation()) << 32 | 1
        grant = (await store.lease(ADV, [request("a", MAX_AMOUNT, lease_id, None)], T0))[0]
        assert grant.remaining == MAX_FUNDED - MAX_AMOUNT
        one = settlement(lease_id, MAX_AMOUNT - 1)
        assert await store.settle(ADV, [one], T0) == [Status.SETTLED]
        assert split(await store.books(ADV), WALLET) == (1, MAX_AMOUNT - 1, 0)

    async def test_what_is_leased_cannot_be_withdrawn(self, store: JournaledStore) -> None:
        """A withdrawal takes what is available, to the last micro."""
        await leased(store, 1_000)
        assert await store.withdraw(ADV, "w", Micros(FUNDS - 999), T0) is Status.REFUSED
        assert await store.withdraw(ADV, "w", Micros(FUNDS - 1_000), T0) is Status.DONE
        assert await store.withdraw(ADV, "w", Micros(FUNDS - 1_000), T0) is Status.DUPLICATE
        assert (await store.books(ADV)).accounts[WALLET].available == 0

    async def test_a_lease_is_debited_on_every_level(self, store: JournaledStore) -> None:
        """What a worker holds is leased from the wallet, the campaign, the day and the line item."""
        lease_id = await leased(store, 1_000)
        books = await store.books(ADV)
        assert [split(books, account) for account in PATH] == [(1_000, 0, 0)] * 4
        lease = books.leases[lease_id]
        assert (lease.worker, lease.path) == (lease_id >> 32, PATH)
        assert (lease.granted, lease.left, lease.settled) == (1_000, 1_000, 0)
        assert books.accounts[DAY].limit == 400_000
        assert books.accounts[LINE].limit is None

    async def test_a_repeated_lease_grants_nothing_more(self, store: JournaledStore) -> None:
        """The last LEASE_OPS ops of a lease are answered as they were."""
        await store.fund(ADV, "funds", FUNDS, T0)
        lease_id = (await store.incarnation()) << 32 | 1
        requests = [request(f"op-{i}", 100 + i, lease_id) for i in range(LEASE_OPS)]
        first = await store.lease(ADV, requests, T0)
        again = await store.lease(ADV, requests, T0 + 1)
        assert [grant.granted for grant in first] == [grant.granted for grant in again]
        assert {grant.status for grant in again} == {Status.DONE}
        assert (await store.books(ADV)).leases[lease_id].left == sum(grant.granted for grant in first)

    async def test_a_lease_shrinks_with_what_is_left(self, store: JournaledStore) -> None:
        """remaining / (SHARES x workers), but never below what is useful, nor above what is there."""
        await store.fund(ADV, "funds", Micros(8_000), T0)
        one, two = [(await store.incarnation()) << 32 | 1 for _ in range(2)]
        path = levels(None)
        await store.poll(ADV, two >> 32, "", HOLD_S, T0)

        async def lease(op_id: str, lease_id: int, useful: int) -> Grant:
            asked = LeaseRequest(op_id, lease_id >> 32, lease_id, path, Micros(5_000), Micros(useful), HOLD_S)
            return (await store.lease(ADV, [asked], T0))[0]

        first = await lease("a", one, 1)
        assert (first.granted, first.workers, first.remaining) == (8_000 // (SHARES * 2), 2, 7_000)
        assert first.until_s == T0 + KEEP_S + HOLD_S
        assert (await lease("b", two, 4_000)).granted == 4_000
        assert (await lease("c", one, 4_000)).granted == 3_000
        last = await lease("d", one, 4_000)
        assert (last.status, last.granted, last.remaining) == (Status.EMPTY, 0, 0)

    async def test_no_level_is_ever_leased_above_its_limit(self, store: JournaledStore) -> None:
        """The tightest level decides, also after its limit was lowered under what is gone."""
        await store.fund(ADV, "funds", FUNDS, T0)
        lease_id = (await store.incarnation()) << 32 | 1
        assert (await store.lease(ADV, [request("a", 700, lease_id, 500)], T0))[0].granted == 500
        lower = (await store.lease(ADV, [request("b", 700, lease_id, 300)], T0))[0]
        assert (lower.status, lower.remaining) == (Status.EMPTY, -200)
        assert (await store.books(ADV)).accounts[DAY].limit == 300
        assert (await store.lease(ADV, [request("c", 700, lease_id, 600)], T0))[0].granted == 100
        assert (await store.lease(ADV, [request("d", 700, lease_id, None)], T0))[0].granted == 700
        assert (await store.books(ADV)).accounts[DAY].limit is None

    async def test_a_lease_keeps_its_path(self, store: JournaledStore) -> None:
        """Another path under the same id is our bug, and changes nothing."""
        lease_id = await leased(store, 1_000)
        other = LeaseRequest(
            "x", lease_id >> 32, lease_id, (Level(WALLET), Level(LINE)), Micros(1), Micros(1), 1.0
        )
        with pytest.raises(ValueError, match="keeps its path"):
            await store.lease(ADV, [other], T0)
        assert (await store.books(ADV)).leases[lease_id].left == 1_000

    async def test_what_is_given_back_is_available_again(self, store: JournaledStore) -> None:
        """Once; a lease with nothing left is forgotten, and can be opened again."""
        lease_id = await leased(store, 1_000)
        assert await store.give_back(ADV, "g", lease_id, Micros(400), T0) is Status.DONE
        assert await store.give_back(ADV, "g", lease_id, Micros(400), T0) is Status.DUPLICATE
        books = await store.books(ADV)
        assert (books.leases[lease_id].left, books.accounts[DAY].available) == (600, 399_400)
        assert await store.give_back(ADV, "h", lease_id, Micros(601), T0) is Status.DONE
        assert await store.give_back(ADV, "h", lease_id, Micros(601), T0) is Status.DUPLICATE
        assert await store.give_back(ADV, "i", lease_id, Micros(1), T0) is Status.GONE
        books = await store.books(ADV)
        assert (books.leases, split(books, WALLET)) == ({}, (0, 0, 0))
        assert (await store.lease(ADV, [request("again", 50, lease_id)], T0))[0].granted == 50

    async def test_nothing_can_be_given_back(self, store: JournaledStore) -> None:
        """Of a lease that holds something nothing moves; one that is spent is forgotten by it."""
        lease_id = await leased(store, 1_000)
        assert await store.give_back(ADV, "g", lease_id, Micros(0), T0) is Status.DONE
        assert (await store.books(ADV)).leases[lease_id].left == 1_000
        await store.settle(ADV, [settlement(lease_id, 1_000)], T0)
        assert await store.give_back(ADV, "h", lease_id, Micros(0), T0) is Status.DONE
        assert (await store.books(ADV)).leases == {}

    async def test_accounts_are_those_of_the_books(self, store: JournaledStore) -> None:
        """The short look and the whole one say the same."""
        assert await store.accounts(ADV) == (await store.books(ADV)).accounts
        lease_id = await leased(store, 1_000)
        await store.settle(ADV, [settlement(lease_id, 10)], T0 + 100)
        assert await store.accounts(ADV) == (await store.books(ADV)).accounts

    async def test_no_calls_are_no_round_trip(self, store: JournaledStore) -> None:
        """An empty batch has an empty answer."""
        for verb in (store.lease, store.settle, store.release):
            assert await verb(ADV, [], T0) == []

    async def test_a_paused_account_leases_nothing(self, store: JournaledStore) -> None:
        """On any level of the path; what is leased already stays, and workers hear of it."""
        lease_id = await leased(store, 1_000)
        assert await store.pause(ADV, "p", CAMPAIGN, True, T0) is Status.DONE
        assert await store.pause(ADV, "p", CAMPAIGN, True, T0) is Status.DUPLICATE
        grant = (await store.lease(ADV, [request("a", 5, lease_id)], T0))[0]
        assert (grant.status, grant.granted, grant.until_s > T0) == (Status.PAUSED, 0, True)
        assert (await store.poll(ADV, lease_id >> 32, "", HOLD_S, T0)).paused == {CAMPAIGN}
        assert (await store.books(ADV)).paused == {CAMPAIGN}
        assert await store.pause(ADV, "r", CAMPAIGN, False, T0) is Status.DONE
        assert (await store.lease(ADV, [request("a", 5, lease_id)], T0))[0].granted == 5
