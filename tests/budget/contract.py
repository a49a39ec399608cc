"""What every ledger store does: one suite, run on memory and on a real server.

Place: test_memory_store and test_redis_store give the fixture `store`.
"""

from __future__ import annotations

import pytest

from budget.accounts import WALLET, Level
from budget.entries import Verb
from budget.journal import JournaledStore
from budget.money import Micros
from budget.store import (
    FATE_S,
    FREED_S,
    KEEP_S,
    LEASE_OPS,
    MAX_AMOUNT,
    MAX_FUNDED,
    POLL_ENTRIES,
    SHARES,
    Grant,
    Inbox,
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
    released,
    request,
    settlement,
    split,
)


class StoreContract:
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

    async def test_a_settlement_moves_leased_to_spent_once(self, store: JournaledStore) -> None:
        """On every level; what the bid did not cost stays in the lease."""
        lease_id = await leased(store, 1_000)
        one = settlement(lease_id, 300, 250)
        assert await store.settle(ADV, [one, one], T0) == [Status.SETTLED, Status.DUPLICATE]
        assert await store.settle(ADV, [one], T0 + 30) == [Status.DUPLICATE]
        books = await store.books(ADV)
        assert [split(books, account) for account in PATH] == [(750, 250, 0)] * 4
        assert (books.leases[lease_id].left, books.leases[lease_id].settled) == (750, 250)

    async def test_the_deadline_itself_is_on_time(self, store: JournaledStore) -> None:
        """A settlement at the deadline is out of the lease, a millisecond later it is late money."""
        lease_id = await leased(store, 1_000)
        first, second = settlement(lease_id, 10), settlement(lease_id, 10)
        assert await store.settle(ADV, [first], T0 + 60) == [Status.SETTLED]
        assert await store.settle(ADV, [second], T0 + 60.001) == [Status.LATE]
        books = await store.books(ADV)
        assert [split(books, account) for account in PATH] == [(990, 20, 10)] * 4

    async def test_late_money_needs_room_on_every_level(self, store: JournaledStore) -> None:
        """Without it the operator absorbs it: the advertiser is charged nothing."""
        lease_id = await leased(store, 1_000)
        assert (await store.lease(ADV, [request("tight", 1, lease_id, 1_005)], T0))[0].granted == 1
        fits, not_any_more = settlement(lease_id, 3), settlement(lease_id, 2)
        late = await store.settle(ADV, [fits, not_any_more, not_any_more], T0 + 61)
        assert late == [Status.LATE, Status.ABSORBED, Status.DUPLICATE]
        books = await store.books(ADV)
        assert split(books, DAY) == (1_001, 3, 3)
        assert (books.accounts[WALLET].absorbed, books.accounts[WALLET].spent) == (2, 3)

    async def test_a_settlement_beyond_memory_is_absorbed(self, store: JournaledStore) -> None:
        """FATE_S after its deadline nobody knows whether it was charged before: it never is."""
        lease_id = await leased(store, 1_000)
        end_s = T0 + 60 + FATE_S
        edge, beyond = settlement(lease_id, 3), settlement(lease_id, 4)
        assert await store.settle(ADV, [edge], end_s) == [Status.LATE]
        assert await store.settle(ADV, [beyond], end_s + 0.001) == [Status.ABSORBED]
        assert await store.settle(ADV, [edge, beyond], end_s + FATE_S - 1) == [Status.DUPLICATE] * 2

    async def test_a_released_bid_is_forgotten_when_it_does_not_matter(self, store: JournaledStore) -> None:
        """FREED_S after its deadline nothing can be freed, and a bill is late money, once, known or not."""
        lease_id = await leased(store, 1_000)
        known, forgotten = settlement(lease_id, 3), settlement(lease_id, 4)
        assert await store.release(ADV, [released(known), released(forgotten)], T0) == [Status.RELEASED] * 2
        end_s = T0 + 60 + FREED_S
        assert await store.release(ADV, [released(known)], end_s) == [Status.DUPLICATE]
        assert await store.release(ADV, [released(forgotten)], end_s + 0.001) == [Status.LATE]
        for one in (known, forgotten):
            assert await store.settle(ADV, [one, one], end_s + 0.001) == [Status.LATE, Status.DUPLICATE]

    async def test_a_lease_never_pays_more_than_it_holds(self, store: JournaledStore) -> None:
        """A settlement above what is left is charged from what is available."""
        lease_id = await leased(store, 10)
        assert await store.settle(ADV, [settlement(lease_id, 11)], T0) == [Status.LATE]
        books = await store.books(ADV)
        assert (books.leases[lease_id].left, split(books, WALLET)) == (10, (10, 11, 11))

    async def test_the_owner_of_a_lease_hears_of_its_bids(self, store: JournaledStore) -> None:
        """Once per bid, whoever settled it; the same cursor brings the same entries again."""
        lease_id = await leased(store, 1_000)
        worker = lease_id >> 32
        sold, lost = settlement(lease_id, 30, 20), settlement(lease_id, 40)
        await store.settle(ADV, [sold, sold], T0 + 1)
        assert await store.release(ADV, [released(lost)] * 2, T0 + 2) == [Status.RELEASED, Status.DUPLICATE]
        poll = await store.poll(ADV, worker, "", HOLD_S, T0 + 3)
        assert poll.entries == (
            Inbox(lease_id, sold.bid_id, Micros(30), Micros(20), sold.deadline_s),
            Inbox(lease_id, lost.bid_id, Micros(40), Micros(0), lost.deadline_s),
        )
        assert (poll.clock_s, poll.until_s) == (T0 + 3, T0 + 3 + KEEP_S + HOLD_S)
        assert (await store.poll(ADV, worker, "", HOLD_S, T0 + 3)).entries == poll.entries
        third = settlement(lease_id, 50)
        await store.settle(ADV, [third], T0 + 4)
        after = await store.poll(ADV, worker, poll.cursor, HOLD_S, T0 + 5)
        assert [entry.bid_id for entry in after.entries] == [third.bid_id]
        assert (await store.poll(ADV, worker, after.cursor, HOLD_S, T0 + 5)).entries == ()
        assert (await store.poll(ADV, worker, "", HOLD_S, T0 + 5)).entries == ()

    async def test_a_long_inbox_comes_in_parts(self, store: JournaledStore) -> None:
        """The clock of a part is no later than what it does not tell yet."""
        lease_id = await leased(store, 300_000)
        many = [settlement(lease_id, 1) for _ in range(POLL_ENTRIES)]
        await store.settle(ADV, many, T0 + 1)
        await store.settle(ADV, [settlement(lease_id, 1)], T0 + 2)
        first = await store.poll(ADV, lease_id >> 32, "", HOLD_S, T0 + 9)
        assert (len(first.entries), first.clock_s) == (POLL_ENTRIES, T0 + 1)
        rest = await store.poll(ADV, lease_id >> 32, first.cursor, HOLD_S, T0 + 9)
        assert (len(rest.entries), rest.clock_s) == (1, T0 + 9)

    async def test_a_released_bid_that_is_billed_is_late_money(self, store: JournaledStore) -> None:
        """Its reservation was freed already; it is charged from what is available, once."""
        lease_id = await leased(store, 1_000)
        one = settlement(lease_id, 30)
        assert await store.release(ADV, [released(one)], T0) == [Status.RELEASED]
        assert await store.settle(ADV, [one, one], T0) == [Status.LATE, Status.DUPLICATE]
        assert split(await store.books(ADV), WALLET) == (1_000, 30, 30)

    async def test_a_late_release_frees_nothing(self, store: JournaledStore) -> None:
        """Its reservation has expired by itself."""
        lease_id = await leased(store, 1_000)
        one = settlement(lease_id, 30)
        assert await store.release(ADV, [released(one)], T0 + 61) == [Status.LATE]
        assert (await store.poll(ADV, lease_id >> 32, "", HOLD_S, T0 + 61)).entries == ()
        await store.settle(ADV, [one], T0 + 61)
        assert await store.release(ADV, [released(one)], T0 + 61) == [Status.DUPLICATE]

    async def test_the_clock_never_runs_backward(self, store: JournaledStore) -> None:
        """A worker with a slow clock cannot make late money timely."""
        lease_id = await leased(store, 1_000)
        await store.poll(ADV, lease_id >> 32, "", HOLD_S, T0 + 61)
        assert await store.settle(ADV, [settlement(lease_id, 30)], T0) == [Status.LATE]
        assert (await store.books(ADV)).clock_s == T0 + 61

    async def test_only_a_dead_worker_is_reclaimed(self, store: JournaledStore) -> None:
        """Alive up to its last promise; after it, all that is left goes home, once."""
        lease_id = await leased(store, 1_000)
        worker, end_s = lease_id >> 32, T0 + KEEP_S + HOLD_S
        await store.lease(ADV, [request("b", 500, lease_id + 1)], T0)
        await store.settle(ADV, [settlement(lease_id, 100)], T0)
        assert await store.reclaim(ADV, "r", worker, end_s) is Status.ALIVE
        assert (await store.poll(ADV, worker + 1, "", HOLD_S, end_s + 0.001)).dead == (worker,)
        assert await store.reclaim(ADV, "r", worker, end_s + 0.001) is Status.DONE
        assert await store.reclaim(ADV, "r", worker, end_s + 0.001) is Status.DUPLICATE
        books = await store.books(ADV)
        assert (books.leases, [split(books, account) for account in PATH]) == ({}, [(0, 100, 0)] * 4)
        assert list(books.workers) == [worker + 1]

    async def test_a_reclaimed_worker_learns_that_its_leases_are_gone(self, store: JournaledStore) -> None:
        """It can neither lease nor live under the same incarnation; its bids become late money."""
        lease_id = await leased(store, 1_000)
        worker, now_s = lease_id >> 32, T0 + KEEP_S + HOLD_S + 1
        await store.settle(ADV, [settlement(lease_id, 1)], T0)
        await store.reclaim(ADV, "r", worker, now_s)
        assert (await store.lease(ADV, [request("open", 5, lease_id)], now_s))[0].status is Status.GONE
        assert (await store.lease(ADV, [request("new", 5, lease_id + 1)], now_s))[0].status is Status.GONE
        poll = await store.poll(ADV, worker, "", HOLD_S, now_s)
        assert (poll.until_s, poll.entries, poll.dead) == (0.0, (), ())
        one = settlement(lease_id, 30, deadline_s=now_s + 60)
        assert await store.release(ADV, [released(one)], now_s) == [Status.LATE]
        assert await store.settle(ADV, [one], now_s) == [Status.LATE]
        assert await store.give_back(ADV, "g", lease_id, Micros(5), now_s) is Status.GONE
        assert await store.goodbye(ADV, "bye", worker, HOLD_S, now_s) is Status.DUPLICATE

    async def test_a_worker_that_says_goodbye_can_soon_be_reclaimed(self, store: JournaledStore) -> None:
        """Its last bids are still settled; their deadline over, the rest goes home."""
        lease_id = await leased(store, 1_000)
        worker = lease_id >> 32
        assert await store.goodbye(ADV, "bye", worker, 60.0, T0) is Status.DONE
        assert await store.goodbye(ADV, "bye", worker, 60.0, T0 + 5) is Status.DUPLICATE
        assert await store.settle(ADV, [settlement(lease_id, 30)], T0 + 60) == [Status.SETTLED]
        assert await store.reclaim(ADV, "r", worker, T0 + 60) is Status.ALIVE
        assert await store.reclaim(ADV, "r", worker, T0 + 60.001) is Status.DONE

    async def test_periods_that_are_over_are_forgotten(self, store: JournaledStore) -> None:
        """Only days and hours, only where nothing is leased, and once."""
        lease_id = await leased(store, 1_000)
        names = [*PATH, "line/l/day/2020-01-01"]
        assert await store.close_periods(ADV, "c", names, T0) == 0
        await store.settle(ADV, [settlement(lease_id, 1_000)], T0)
        assert await store.close_periods(ADV, "c", names, T0) == 0
        assert await store.close_periods(ADV, "d", names, T0) == 1
        assert await store.close_periods(ADV, "d", names, T0) == 1
        assert set((await store.books(ADV)).accounts) == {WALLET, CAMPAIGN, LINE}

    async def test_every_change_has_one_journal_entry(self, store: JournaledStore) -> None:
        """Numbered without gaps; what changed nothing has none."""
        lease_id = await leased(store, 1_000)
        worker = lease_id >> 32
        sold, lost, late = (settlement(lease_id, 30) for _ in range(3))
        for _ in range(2):
            await store.fund(ADV, "f", Micros(7), T0)
            await store.withdraw(ADV, "w", Micros(7), T0)
            await store.lease(ADV, [request("open", 1_000, lease_id)], T0)
            await store.settle(ADV, [sold], T0)
            await store.release(ADV, [released(lost)], T0)
            await store.give_back(ADV, "g", lease_id, Micros(10), T0)
            await store.pause(ADV, "p", LINE, True, T0)
            await store.pause(ADV, "q", LINE, False, T0)
            await store.goodbye(ADV, "bye", worker, 1.0, T0)
        for _ in range(2):
            await store.settle(ADV, [late], T0 + 100)
            await store.reclaim(ADV, "r", worker, T0 + 100)
            await store.close_periods(ADV, "c", [DAY], T0 + 100)
        entries = await store.entries(ADV, 0, 100)
        assert [entry.n for entry in entries] == list(range(1, len(entries) + 1))
        assert " ".join(entry.verb.value for entry in entries) == (
            "fund lease fund withdraw settle release give_back pause resume goodbye late reclaim close"
        )
        leases = next(entry for entry in entries if entry.verb is Verb.RECLAIM).leases
        assert leases == ((lease_id, 1_000 - 30 - 10),)
        assert (await store.books(ADV)).sequence == len(entries)
        assert await store.entries(ADV, 3, 2) == entries[3:5]
        await store.trim(ADV, 4)
        assert await store.entries(ADV, 0, 100) == entries[4:]

    async def test_advertisers_do_not_share_a_purse(self, store: JournaledStore) -> None:
        """Funds, ops and clocks are each advertiser's own."""
        await store.fund(ADV, "a", Micros(5), T0)
        await store.fund("other", "a", Micros(6), T0 + 9)
        assert (await store.books(ADV)).clock_s == T0
        assert [(await store.books(name)).accounts[WALLET].limit for name in (ADV, "other")] == [5, 6]

    async def test_what_no_caller_may_ask_is_refused(self, store: JournaledStore) -> None:
        """Amounts below 0, above the price or above MAX_AMOUNT, and paths that are none: our bugs."""
        with pytest.raises(ValueError, match="micros"):
            await store.fund(ADV, "a", Micros(MAX_AMOUNT + 1), T0)
        with pytest.raises(ValueError, match="micros"):
            await store.withdraw(ADV, "a", Micros(-1), T0)
        with pytest.raises(ValueError, match="for a bid of"):
            await store.settle(ADV, [settlement(1 << 32, 5, 6)], T0)
        foreign = LeaseRequest("a", 2, 1 << 32, levels(), FUNDS, FUNDS, 1.0)
        with pytest.raises(ValueError, match="not of worker"):
            await store.lease(ADV, [foreign], T0)
        for path in ((), (Level(LINE),), (Level(WALLET), Level(WALLET)), (Level(WALLET), Level("a|b"))):
            with pytest.raises(ValueError, match=r"path|name"):
                await store.lease(ADV, [LeaseRequest("a", 1, 1 << 32, path, FUNDS, FUNDS, 1.0)], T0)
        assert (await store.books(ADV)).sequence == 0
