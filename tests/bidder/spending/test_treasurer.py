"""The treasurer: money is there before bids need it, and goes home when they do not."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.bidder.spending.office import SHOP, Office, Worker, limits
from tests.servers import eventually

LINE = 1


@pytest.fixture
async def office() -> Office:
    """One line item without limits, and 10 units in its wallet."""
    office = Office()
    await office.fund(10_000_000)
    return office


async def test_the_first_need_makes_a_lease(office: Office) -> None:
    """A bid without money is refused, says so, and the next one has it."""
    worker = Worker(office)
    assert worker.reserve(1_000) == 0
    await worker.step()
    assert worker.reserve(1_000)
    assert office.left() == worker.allowance.idle(LINE) + worker.allowance.committed(LINE)
    assert worker.counted("paceline_leases_total", "done") == 1


async def test_a_bid_without_money_wakes_the_treasurer(office: Office) -> None:
    """The first need is met at once, not with the next turn; need upon need where there is no money wakes nobody."""
    worker = Worker(office, interval_s=3_600.0)
    running = asyncio.create_task(worker.treasurer.run())
    await asyncio.sleep(0)
    assert not worker.reserve(500)
    await eventually(lambda: worker.reserve(500) != 0)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    line = worker.allowance.line(1)
    assert line is not None
    woken: list[int] = []
    worker.allowance.wake = lambda: woken.append(1)
    line.retry_s = office.clock.now_s() + 5
    assert not worker.reserve(10**9)
    assert woken == []


async def test_nothing_is_asked_without_a_need(office: Office) -> None:
    """A worker without bids leases nothing, and asks the ledger for its number alone."""
    worker = Worker(office)
    for _ in range(5):
        await worker.step(1)
    assert [name for name, _ in worker.store.asked] == ["incarnation"]


async def test_money_is_renewed_before_it_is_gone(office: Office) -> None:
    """At a steady rate of bids, none but the first is refused, and several seconds of spending are ahead."""
    worker = Worker(office)
    refused = 0
    for _ in range(200):
        for _ in range(4):
            refused += not worker.reserve(1_000)
        await worker.step(0.2)
    assert refused == 4
    assert 20_000 <= worker.allowance.idle(LINE) <= 400_000


async def test_a_settled_bid_frees_the_rest_of_its_price(office: Office) -> None:
    """The owner hears it at its next poll, whoever brought the notice."""
    worker = Worker(office)
    worker.reserve(1_000)
    await worker.step()
    lease, deadline_s = worker.reserve(1_000), int(office.clock.now_s()) + 60
    free = worker.allowance.idle(LINE)
    await office.settle(lease, 1_000, 600, deadline_s)
    await worker.step(1)
    assert worker.allowance.idle(LINE) == free + 400
    assert worker.allowance.committed(LINE) == 0
    assert worker.allowance.engaged(LINE) == 600
    assert office.balance()[1] == 600


async def test_a_lost_bid_frees_its_price(office: Office) -> None:
    """All of it, when the loss notice was heard of."""
    worker = Worker(office)
    worker.reserve(1_000)
    await worker.step()
    lease, deadline_s = worker.reserve(1_000), int(office.clock.now_s()) + 60
    await office.release(lease, 1_000, deadline_s)
    await worker.step(1)
    assert worker.allowance.committed(LINE) == 0


async def test_silence_frees_a_bid_after_its_deadline(office: Office) -> None:
    """Not before: until then it may be charged."""
    worker = Worker(office)
    worker.reserve(1_000)
    await worker.step()
    worker.reserve(1_000)
    await worker.step(59)
    assert worker.allowance.committed(LINE) == 1_000
    await worker.step(12)
    assert worker.allowance.committed(LINE) == 0


@pytest.mark.parametrize("verb", ["lease", "give_back", "poll", "reclaim", "incarnation"])
async def test_a_lost_answer_changes_nothing(office: Office, verb: str) -> None:
    """The same question with the same ids brings the same money once."""
    worker = Worker(office)
    lost = iter([True, False, True, True])
    worker.store.loses = lambda name: name == verb and next(lost, False)
    for _ in range(20):
        worker.reserve(1_000)
        await worker.step(2)
    for _ in range(60):
        await worker.step(20)
    assert office.left() == worker.allowance.idle(LINE) + worker.allowance.committed(LINE)
    assert office.store.ledger(SHOP).balances.leases.keys() == worker.allowance.books[SHOP].slices.keys()


async def test_bids_go_on_without_a_ledger_while_leases_last(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    """Then they are refused; when it is back, so is the money. Both are one line of the log, however long it lasts."""
    worker = Worker(office)
    worker.reserve(1_000)
    await worker.step()
    worker.store.down = True
    had = worker.allowance.idle(LINE)
    bids = 0
    while worker.reserve(1_000):
        bids += 1
        await worker.step(0.2)
    assert bids == had // 1_000
    assert worker.counted("paceline_ledger_down") == 1
    worker.store.down = False
    await worker.step(2)
    assert worker.counted("paceline_ledger_down") == 0
    assert worker.reserve(1_000)
    down, again = caplog.messages
    assert down.startswith("the ledger is down, bids go on while leases last: ")
    assert again == "the ledger answers again"


async def test_a_new_day_is_a_new_lease() -> None:
    """The old day's free money goes home at once, its reservations are charged to the old day."""
    office = Office({LINE: (SHOP, limits(line_daily=1_000_000))})
    await office.fund(10_000_000)
    worker = Worker(office)
    office.clock.advance(86_400 - office.clock.now_s() % 86_400 - 30)
    worker.reserve(1_000)
    await worker.step()
    old, deadline_s = worker.reserve(1_000), int(office.clock.now_s()) + 60
    day = worker.allowance.books[SHOP].slices[old].path[-1].account
    await worker.step(31)
    assert worker.reserve(1_000) != old
    await worker.step(10)
    new = worker.reserve(1_000)
    assert new not in (0, old)
    assert office.balance(day) == (1_000, 0)
    await office.settle(old, 1_000, 700, deadline_s)
    for _ in range(4):
        await worker.step(10)
    assert office.balance(day) == (0, 700)
    assert old not in worker.allowance.books[SHOP].slices


async def test_a_daily_limit_bounds_what_workers_lease_together() -> None:
    """Four workers bid as much as they can: exactly the limit is reserved, but for less than a bid each."""
    office = Office({LINE: (SHOP, limits(line_daily=100_000))})
    await office.fund(10_000_000)
    workers = [Worker(office) for _ in range(4)]
    reserved = 0
    for _ in range(120):
        for worker in workers:
            reserved += 1_000 * bool(worker.reserve(1_000, exp_s=500))
            await worker.step(0.5)
    assert 96_000 < reserved <= 100_000


async def test_what_is_idle_goes_home_when_it_is_missed() -> None:
    """A worker without bids gives its money back once the ledger is short, so that another can use it."""
    office = Office({LINE: (SHOP, limits(line_daily=8_000))})
    await office.fund(10_000_000)
    first, second = Worker(office), Worker(office)
    first.reserve(1_000)
    await first.step()
    assert first.allowance.idle(LINE) > 0
    reserved = 0
    for _ in range(200):
        reserved += 1_000 * bool(second.reserve(1_000, exp_s=590))
        await first.step(1)
        await second.step(1)
    assert first.allowance.idle(LINE) == 0
    assert reserved == 8_000


async def test_idle_money_stays_while_there_is_plenty(office: Office) -> None:
    """A line item with rare bids is not refused each of them."""
    worker = Worker(office)
    worker.reserve(1_000)
    await worker.step()
    for _ in range(30):
        await worker.step(20)
    assert worker.reserve(1_000)


async def test_a_pause_stops_bids_within_one_poll_and_sends_money_home(office: Office) -> None:
    """And a resume lets them go on."""
    worker = Worker(office)
    worker.reserve(1_000)
    await worker.step()
    await office.store.pause(SHOP, "stop", "campaign/c", True, office.clock.now_s())
    await worker.step(10)
    assert worker.reserve(1_000) == 0
    assert worker.allowance.idle(LINE) == 0
    await worker.step(1)
    assert office.left() == 0
    await office.store.pause(SHOP, "go", "campaign/c", False, office.clock.now_s())
    await worker.step(10)
    worker.reserve(1_000)
    await worker.step(1)
    assert worker.reserve(1_000)


async def test_a_line_item_that_is_gone_keeps_what_is_reserved(office: Office) -> None:
    """Its free money goes home, its last bid can be charged, then nothing of it is left."""
    worker = Worker(office)
    worker.reserve(1_000)
    await worker.step()
    lease, deadline_s = worker.reserve(1_000), int(office.clock.now_s()) + 60
    worker.allowance.adopt({})
    assert worker.reserve(1_000) == 0
    await worker.step(1)
    await worker.step(10)
    assert office.left() == 1_000
    await office.settle(lease, 1_000, 900, deadline_s)
    for _ in range(4):
        await worker.step(10)
    assert office.left() == 0
    assert not list(worker.allowance.lines())
    worker.allowance.adopt(office.lines)
    worker.reserve(1_000)
    await worker.step(1)
    assert worker.reserve(1_000)
