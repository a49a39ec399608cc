"""A ledger that forgets its last moments and writes on, as a replica does that took over: nobody bids out of them."""

from __future__ import annotations

from copy import deepcopy

import pytest

from bidder.clock import ManualClock
from tests.bidder.spending.office import Office, Worker, limits

LINE = 1


@pytest.fixture
async def office() -> Office:
    """One line item without limits, and 10 units in its wallet."""
    office = Office()
    await office.fund(10_000_000)
    return office


def remembered(office: Office) -> object:
    """The ledger as it is now."""
    return deepcopy(office.store.ledgers)


def put_back(office: Office, ledgers: object) -> None:
    """The ledger as it was."""
    office.store.ledgers = deepcopy(ledgers)  # type: ignore[assignment]  # of its own kind


async def test_forgotten_grants_are_noticed_though_the_journal_is_longer_than_ever(office: Office) -> None:
    """Others write on under the numbers of what was forgotten; who was granted more often than the ledger knows begins
    anew at the first answer after the outage, and bids only out of what it is lent then."""
    worker, other = Worker(office), Worker(office)
    for each in (worker, other):
        each.reserve(1_000)
        await each.step(2)
    before, sequence = remembered(office), office.store.ledger("shop").sequence
    for _ in range(3):
        worker.reserve(3_000)
        await worker.step(0.1)
    old, heard = worker.allowance.worker, office.store.ledger("shop").sequence
    assert heard > sequence
    put_back(office, before)
    for _ in range(5):
        for _ in range(20):
            other.reserve(3_000)
        await other.step(2)
    assert office.store.ledger("shop").sequence > heard
    worker.store.down = True
    worker.reserve(3_000)
    await worker.step(2)
    worker.store.down = False
    await worker.step(2)
    assert worker.counted("paceline_leases_lost_total") == 1
    assert other.counted("paceline_leases_lost_total") == 0
    worker.reserve(1_000)
    await worker.step(2)
    assert worker.allowance.worker > old
    assert worker.reserve(1_000)


async def test_forgotten_news_is_not_heard_twice(office: Office) -> None:
    """A charge that the worker heard of was forgotten, and another stands under its number: what the worker freed by it
    is no longer the ledger's, so it begins anew."""
    worker = Worker(office)
    worker.reserve(3_000)
    await worker.step(2)
    lease, deadline_s = worker.reserve(3_000), int(office.clock.now_s()) + 60
    assert worker.reserve(3_000) == lease
    before = remembered(office)
    await office.settle(lease, 3_000, 1_000, deadline_s, b"first bid 12")
    await worker.step(2)
    put_back(office, before)
    await office.settle(lease, 3_000, 2_000, deadline_s, b"other bid 12")
    await worker.step(2)
    assert worker.counted("paceline_leases_lost_total") == 1
    worker.reserve(3_000)
    await worker.step(2)
    assert worker.reserve(3_000) not in (0, lease)


@pytest.mark.parametrize("line", [1, 2], ids=["same path", "other path"])
async def test_two_workers_of_one_number_notice_it(line: int) -> None:
    """A ledger that forgot whom it gave a number gives it twice: grants are counted together, a lease keeps its path,
    and neither goes on under that number."""
    office = Office({1: ("shop", limits("1")), 2: ("shop", limits("2"))})
    await office.fund(10_000_000)
    first, second = Worker(office), Worker(office)
    first.reserve(1_000)
    await first.step(2)
    office.store._incarnation -= 1
    for _ in range(3):
        second.reserve(1_000, line)
        await second.step(2)
        first.reserve(1_000)
        await first.step(2)
    lost = [worker.counted("paceline_leases_lost_total") for worker in (first, second)]
    assert sum(lost) >= 1
    assert first.allowance.worker != second.allowance.worker
    books = [worker.allowance for worker in (first, second)]
    leased = sum(book.idle(key) + book.committed(key) for book in books for key in (1, 2))
    assert leased <= office.left()


async def test_nothing_forgotten_is_nothing_noticed(office: Office) -> None:
    """Lost answers, repeated polls and much traffic: the counts agree."""
    worker = Worker(office)
    assert isinstance(office.clock, ManualClock)
    for number in range(60):
        worker.store.loses = lambda name, number=number: number % 3 == 0  # type: ignore[misc]  # bound now
        if lease := worker.reserve(1_000 + number):
            deadline_s = int(office.clock.now_s()) + 60
            await office.settle(lease, 1_000 + number, 900, deadline_s)
        await worker.step(1.5)
    assert worker.counted("paceline_leases_lost_total") == 0
