"""The treasurer when something goes wrong or ends: dead workers, other ledgers, limits that change, closing."""

from __future__ import annotations

import asyncio

import pytest

from budget.store import KEEP_S
from tests.bidder.spending.office import SHOP, Office, Worker, limits
from tests.servers import eventually

LINE = 1


@pytest.fixture
async def office() -> Office:
    """One line item without limits, and 10 units in its wallet."""
    office = Office()
    await office.fund(10_000_000)
    return office


async def test_a_dead_workers_money_comes_home_through_another(office: Office) -> None:
    """Once none of its bids can be charged any more."""
    dead, heir = Worker(office), Worker(office)
    for worker in (dead, heir):
        worker.reserve(1_000)
        await worker.step()
    dead.reserve(1_000)
    before = office.left()
    while heir.counted("paceline_leases_reclaimed_total") == 0:
        await heir.step(10)
        assert office.clock.now_s() < 1_790_000_000 + KEEP_S + 600 + 60
    await heir.step(10)
    assert office.left() < before
    assert office.left() == heir.allowance.idle(LINE) + heir.allowance.committed(LINE)


async def test_a_worker_taken_for_dead_begins_anew(office: Office) -> None:
    """It forgets the money that went home, and leases under another number."""
    worker, other = Worker(office), Worker(office)
    for each in (worker, other):
        each.reserve(1_000)
        await each.step()
    old = worker.allowance.worker
    assert worker.reserve(1_000)
    worker.store.down = True
    for _ in range(140):
        await worker.step()
        await other.step(10)
    assert worker.reserve(1_000) == 0, "the ledger may have sent its money home"
    worker.store.down = False
    for _ in range(6):
        worker.reserve(1_000)
        await worker.step(2)
    assert worker.counted("paceline_leases_lost_total") == 1
    assert worker.allowance.worker > old
    assert worker.reserve(1_000)


async def test_a_ledger_put_back_to_an_earlier_state_is_noticed(office: Office) -> None:
    """Leases that it does not know are no money: the worker begins anew, and bids out of what it is lent now."""
    worker = Worker(office)
    for _ in range(5):
        worker.reserve(1_000)
        await worker.step(2)
    old = worker.allowance.worker
    office.store.ledgers.clear()
    await office.fund(5_000)
    worker.reserve(1_000)
    await worker.step(2)
    assert worker.counted("paceline_leases_lost_total") == 1
    for _ in range(5):
        worker.reserve(1_000)
        await worker.step(2)
    assert worker.allowance.worker > old
    assert worker.allowance.idle(LINE) + worker.allowance.committed(LINE) == office.left() <= 5_000


async def test_news_of_a_bid_that_was_never_made_stops_nobody(office: Office) -> None:
    """A lease whose books are not ours is left to be reclaimed; bids go on out of another."""
    worker = Worker(office)
    worker.reserve(1_000)
    await worker.step()
    lease, deadline_s = worker.reserve(1_000), int(office.clock.now_s()) + 60
    await office.settle(lease, 3_000, 2_000, deadline_s)
    await worker.step(1)
    assert worker.counted("paceline_leases_lost_total") == 1
    worker.reserve(1_000)
    await worker.step(1)
    assert worker.reserve(1_000) not in (0, lease)


@pytest.mark.parametrize(("ahead_s", "bids"), [(59, True), (61, False)])
async def test_nothing_is_bid_out_of_a_ledger_from_the_future(
    office: Office, ahead_s: int, bids: bool
) -> None:
    """By its clock bills would be late before they come; when the clocks agree again, bids go on."""
    worker = Worker(office)
    told = worker.treasurer._told
    worker.treasurer._told = lambda now_s: now_s + ahead_s  # type: ignore[method-assign]  # its server's clock is wrong
    worker.reserve(1_000)
    await worker.step()
    assert bool(worker.reserve(1_000)) is bids
    assert worker.counted("paceline_ledger_ahead_seconds") == ahead_s
    await worker.step(5)
    assert bool(worker.reserve(1_000)) is bids
    worker.treasurer._told = told  # type: ignore[method-assign]
    await worker.step(30)
    assert worker.reserve(1_000)
    worker.treasurer._told = lambda now_s: now_s + ahead_s  # type: ignore[method-assign]
    await worker.step(20)
    assert bool(worker.reserve(1_000)) is bids


async def test_a_lowered_limit_stops_bids_at_once() -> None:
    """Below what is spent and leased already: what is free goes home, and nothing more is bid until there is room."""
    office = Office({LINE: (SHOP, limits(line_total=1_000_000))})
    await office.fund(10_000_000)
    worker, other = Worker(office), Worker(office)
    for each in (worker, other):
        each.reserve(1_000)
        await each.step()
    for _ in range(20):
        lease, deadline_s = worker.reserve(1_000), int(office.clock.now_s()) + 60
        await office.settle(lease, 1_000, 1_000, deadline_s)
        worker.reserve(1_000)
        assert other.reserve(1_000)
        await worker.step(1)
        await other.step()
    spent = office.balance("line/1")[1]
    for each in (worker, other):
        each.allowance.adopt({LINE: (SHOP, limits(line_total=spent // 2))})
        await each.step(0.2)
        assert each.reserve(1_000) == 0
    for _ in range(40):
        for each in (worker, other):
            await each.step(4)
            assert each.reserve(1_000) == 0
    assert office.balance("line/1") == (0, spent)
    worker.allowance.adopt({LINE: (SHOP, limits(line_total=spent + 5_000))})
    await worker.step(0.2)
    worker.reserve(1_000)
    await worker.step(1)
    assert worker.reserve(1_000)


async def test_a_line_item_over_its_limit_bids_again_when_there_is_room() -> None:
    """The limit was lowered below what was leased, not below what was spent: released money makes room."""
    office = Office({LINE: (SHOP, limits(line_total=1_000_000))})
    await office.fund(10_000_000)
    worker = Worker(office)
    worker.reserve(1_000)
    await worker.step()
    for _ in range(50):
        worker.reserve(1_000)
        await worker.step(0.2)
    worker.allowance.adopt({LINE: (SHOP, limits(line_total=4_000))})
    await worker.step(0.2)
    assert worker.reserve(1_000) == 0
    for _ in range(30):
        await worker.step(5)
    worker.reserve(1_000)
    await worker.step(1)
    bids = sum(bool(worker.reserve(1_000)) for _ in range(10))
    assert 1 <= bids <= 4
    assert sum(office.balance("line/1")) <= 4_000


async def test_closing_sends_home_what_is_free(office: Office) -> None:
    """What is reserved comes home after it, once it cannot be charged any more."""
    worker, other = Worker(office), Worker(office)
    worker.reserve(1_000)
    await worker.step()
    worker.reserve(1_000)
    await worker.treasurer.close()
    assert office.left() == 1_000
    other.reserve(1_000)
    for _ in range(10):
        await other.step(10)
    assert other.counted("paceline_leases_reclaimed_total") == 1


async def test_closing_without_a_ledger_ends(office: Office) -> None:
    """The money is reclaimed when the worker is taken for dead."""
    worker = Worker(office)
    worker.reserve(1_000)
    await worker.step()
    worker.store.down = True
    await worker.treasurer.close()
    assert worker.store.count("goodbye") == 0
    assert office.left() > 0


async def test_prefetched_line_items_bid_at_once() -> None:
    """Up to the limit, in one call; the others get theirs when first wanted."""
    office = Office({key: (SHOP, limits(str(key))) for key in range(1, 11)})
    await office.fund(10_000_000)
    worker = Worker(office)
    assert await worker.treasurer.prefetch(6)
    assert [bool(worker.reserve(1_000, key)) for key in range(1, 11)] == [True] * 6 + [False] * 4
    assert worker.store.count("lease") == 1


async def test_a_dead_ledger_does_not_keep_a_worker_from_being_ready(office: Office) -> None:
    """Prefetching says that there is no money yet, and steps bring it when the ledger is back."""
    worker = Worker(office)
    worker.store.down = True
    assert not await worker.treasurer.prefetch(10)
    worker.store.down = False
    await worker.step(2)
    assert worker.reserve(1_000)


async def test_a_ledger_that_hangs_does_not_either(office: Office) -> None:
    """Prefetching ends after its time-out, and the call goes on to its answer."""
    worker, answers = Worker(office), asyncio.Event()
    original = office.store.incarnation

    async def slow() -> int:
        await answers.wait()
        return await original()

    office.store.incarnation = slow  # type: ignore[method-assign]  # a ledger that takes its time
    assert not await worker.treasurer.prefetch(10, timeout_s=0.01)
    answers.set()
    await worker.treasurer.close()
    assert worker.allowance.worker


async def test_run_steps_until_it_is_cancelled(office: Office) -> None:
    """In production; what was under way is finished by `close`."""
    worker = Worker(office)
    worker.reserve(1_000)
    running = asyncio.create_task(worker.treasurer.run())
    await eventually(lambda: worker.allowance.idle(LINE))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await worker.treasurer.close()
    assert office.left() == 0


async def test_run_survives_a_bug(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    """A round that fails is logged; the next one runs."""
    worker = Worker(office)
    worker.reserve(1_000)
    await worker.step()
    worker.store.loses = lambda name: 1 // 0 == 0
    worker.reserve(1_000)
    office.clock.advance(5)
    running = asyncio.create_task(worker.treasurer.run())
    await eventually(lambda: "failed" in caplog.text)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
