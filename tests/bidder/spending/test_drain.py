"""The background hands: they work while notices are answered, and stop within their bound."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from bidder.metrics import Tally
from bidder.notices.apply import Kind, Result
from bidder.notices.orders import SETTLE, VIEW
from bidder.spending import drain as module
from bidder.spending.drain import open_drain
from bidder.spending.lane import BACKOFF_S
from tests.bidder.notices.support import sealed
from tests.bidder.spending.house import LEASE, House, order


@pytest.fixture
async def house(tmp_path: Path) -> House:
    """A funded shop."""
    found = House(tmp_path / "spool")
    await found.fund()
    return found


async def eventually(true: Callable[[], bool]) -> None:
    """Wait, while the loop turns, until something is so."""
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110  what is waited for is seen at the ledger, which tells nobody
            await asyncio.sleep(0.001)


async def test_orders_are_carried_out_in_the_background(house: House) -> None:
    """Running, it applies what is accepted without being asked."""
    worker = house.worker()
    worker.drain.run()
    for number in range(5):
        worker.drain.accept(order(number, SETTLE | VIEW))
    await eventually(lambda: house.spent == 5_000 and len(house.seen.sightings) == 5)
    assert await worker.drain.close(5.0)
    assert not list(house.folder.iterdir())


async def test_it_comes_back_after_an_outage(house: House) -> None:
    """While the ledger is down it asks again and again; then it applies everything once."""
    worker = house.worker()
    house.ledger.down = True
    worker.drain.run()
    worker.drain.accept(order())
    await eventually(lambda: house.ledger.calls > 2)
    house.ledger.down = False
    await eventually(lambda: house.spent == 1_000)
    assert await worker.drain.close(5.0)


@pytest.mark.parametrize("running", [True, False])
async def test_a_close_drains_what_it_can_within_its_bound(house: House, running: bool) -> None:
    """With a ledger that hangs a close gives up in time and leaves the rest on disk for the next worker."""
    worker = house.worker()
    if running:
        worker.drain.run()
    house.ledger.hangs = True
    worker.drain.accept(order())
    assert not await worker.drain.close(0.05)
    house.ledger.hangs = False
    successor = house.worker()
    assert await successor.drain.close(5.0)
    assert house.spent == 1_000
    assert not list(house.folder.iterdir())


async def test_a_close_of_an_idle_drain_waits_for_nothing(house: House) -> None:
    """With nothing to do a close ends at once, however long it might take."""
    worker = house.worker()
    worker.drain.run()
    assert await worker.drain.close(3_600.0)


@pytest.mark.parametrize("trouble", ["down", "hangs"])
async def test_notices_are_answered_whatever_the_ledger_does(house: House, trouble: str) -> None:
    """Every notice is accepted in one synchronous call while the ledger is down or hangs: none waits for it."""
    worker = house.worker()
    setattr(house.ledger, trouble, True)
    worker.drain.run()
    results = []
    for number in range(50):
        token = sealed(lease=LEASE, bid_id=number.to_bytes(12, "big")).exchange_token
        results.append(worker.send(Kind.BILL, token).result)
        await asyncio.sleep(0)
    assert results == [Result.ACCEPTED] * 50
    setattr(house.ledger, trouble, False)
    house.ledger.open.set()
    await eventually(lambda: house.spent == 50 * 1_080)
    assert await worker.drain.close(5.0)


async def test_it_looks_for_the_dead_while_it_runs(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The spool of a sibling that died meanwhile is taken over without a restart."""
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    worker, sibling = house.worker(0), house.worker(1)
    worker.drain.run()
    sibling.drain.accept(order())
    sibling.die()
    await eventually(lambda: house.spent == 1_000)
    assert await worker.drain.close(5.0)
    assert not list(house.folder.iterdir())


async def test_it_says_how_much_waits(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """While nothing is carried out, and long before it looks for the dead again."""
    monkeypatch.setattr(module, "TELL_S", 0.01)
    worker = house.worker(0)
    house.ledger.down = True
    worker.drain.run()
    told = worker.tally.slot("paceline_spool_bytes")
    for _ in range(2):
        before = worker.tally.cells[told]
        worker.drain.accept(order())
        await eventually(lambda before=before: worker.tally.cells[told] > before)
    house.ledger.down = False
    await eventually(lambda: worker.tally.cells[told] == 0)
    assert await worker.drain.close(5.0)


async def test_with_sync_the_spool_is_written_out_in_the_background(house: House) -> None:
    """With `sync_ms` what was accepted is soon on disk, by a thread."""
    worker = house.worker(sync_ms=1.0)
    house.ledger.down = True
    worker.drain.run()
    worker.drain.accept(order())
    spool = worker.spools.own
    await eventually(lambda: not spool._unsynced)
    house.ledger.down = False
    assert await worker.drain.close(5.0)


async def test_a_fault_of_the_spool_is_told_and_tried_again(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A disk that cannot be read ends no task: it is logged, and read again."""
    worker = house.worker()

    def broken(reader: int, limit: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(worker.spools.own, "peek", broken)
        worker.drain.accept(order())
        assert not await worker.drain.step()
    assert "a spool cannot be drained" in caplog.text
    assert await worker.drain.step()
    assert house.spent == 1_000
    await worker.drain.close(1.0)


async def test_a_record_that_is_no_order_is_told_and_passed(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """A whole record of another make is logged; those around it are applied."""
    worker = house.worker()
    worker.drain.accept(order(1))
    worker.spools.own.append(b"\xc1no order")
    worker.drain.accept(order(2))
    assert await worker.drain.step()
    assert house.spent == 2_000
    assert "no order" in caplog.text
    await worker.drain.close(1.0)


async def test_pauses_grow_and_are_bounded(house: House) -> None:
    """After failures in a row the next try waits longer, up to the bound; after a success it begins anew."""
    worker = house.worker()
    lane = worker.drain._lanes[0]
    house.ledger.down = True
    worker.drain.accept(order())
    first = lane.pause_s
    for _ in range(20):
        await worker.drain.step()
    assert BACKOFF_S[1] / 2 <= lane.pause_s <= BACKOFF_S[1]
    house.ledger.down = False
    await worker.drain.step()
    assert lane.pause_s <= BACKOFF_S[0]
    assert first <= BACKOFF_S[0]
    await worker.drain.close(1.0)


async def test_opening_makes_the_folder(tmp_path: Path, house: House) -> None:
    """A worker's first start makes the folder for all slots."""
    worker = house.worker()
    plans = worker.drain._lanes[0]._plan, worker.drain._lanes[1]._plan
    drain = open_drain((tmp_path / "data" / "spool", 3), Tally(), plans)
    assert [path.name[:3] for path in (tmp_path / "data" / "spool").iterdir()] == ["003"]
    await drain.close(1.0)
    await worker.drain.close(1.0)
