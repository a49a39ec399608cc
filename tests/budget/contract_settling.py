"""What every ledger store does with bids that ended: the second half of the suite.

Place: contract.py is the first half, and has it in the one suite.
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
    MAX_AMOUNT,
    POLL_ENTRIES,
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


class SettlingContract:
    """Settlements, releases, polls, dead workers, periods, the journal."""

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

    async def test_a_worker_that_heard_what_was_never_told_is_gone(self, store: JournaledStore) -> None:
        """A cursor of an entry that is not there, or is another one, is of another ledger; grants are counted."""
        lease_id = await leased(store)
        worker = lease_id >> 32
        await store.lease(ADV, [request("more", 50, lease_id)], T0)
        await store.settle(ADV, [settlement(lease_id, 10)], T0)
        poll = await store.poll(ADV, worker, "", HOLD_S, T0)
        assert (poll.grants, len(poll.entries), poll.until_s > 0) == (2, 1, True)
        entry, at, bid = poll.cursor.split(" ")
        for cursor in (f"9{entry} {at} {bid}", f"{entry} 1.000 {bid}", f"{entry} {at} {bid[::-1]}"):
            told = await store.poll(ADV, worker, cursor, HOLD_S, T0)
            assert (told.until_s, told.entries) == (0.0, ())
        for _ in range(2):
            told = await store.poll(ADV, worker, poll.cursor, HOLD_S, T0)
            assert (told.until_s, told.entries, told.cursor) == (poll.until_s, (), poll.cursor)

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
