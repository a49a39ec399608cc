"""Orders become money: once, whatever fails in between, and counted when it is done."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidder.notices.orders import RELEASE, SETTLE, VIEW, Order
from budget.store import LedgerDown, Settlement, Status
from tests.bidder.spending.house import FUNDED, PATH, House, Worker, order

LINE = ("campaign-1", "line-1")


@pytest.fixture
async def house(tmp_path: Path) -> House:
    """A funded shop with a lease of 500,000."""
    found = House(tmp_path / "spool")
    await found.fund()
    return found


async def test_a_settlement_is_charged_and_counted_when_it_is_applied(house: House) -> None:
    """Nothing is counted at acceptance; after a step the ledger and the counters say the same."""
    worker = house.worker()
    worker.drain.accept(order())
    assert (house.spent, worker.count("line_item_spend_micros_total", *LINE)) == (0, 0)
    house.clock.advance(2)
    assert await worker.drain.step()
    assert (house.spent, worker.count("line_item_spend_micros_total", *LINE)) == (1_000, 1_000)
    assert worker.count("charges_total", *LINE, "settled") == 1
    assert worker.lag() == 1
    await worker.drain.close(1.0)


async def test_late_money_and_absorbed_money_are_counted_apart(house: House) -> None:
    """After the deadline: spend and late; where there is no room: absorbed, and no spend."""
    worker = house.worker()
    house.clock.advance(1_000)
    worker.drain.accept(order(1))
    worker.drain.accept(order(2, price=FUNDED * 2, amount=FUNDED * 2))
    await worker.drain.step()
    counts = [worker.count(f"line_item_{name}_micros_total", *LINE) for name in ("spend", "late", "absorbed")]
    assert counts == [1_000, 1_000, FUNDED * 2]
    assert [worker.count("charges_total", *LINE, result) for result in ("late", "absorbed")] == [1, 1]
    wallet = house.wallet()
    assert (wallet.spent, wallet.late, wallet.absorbed) == (1_000, 1_000, FUNDED * 2)
    await worker.drain.close(1.0)


async def test_spend_is_told_by_currency(house: House) -> None:
    """What is charged, late or not, and nothing else: of each advertiser in its currency, however many line items have
    names of their own; of one that nobody knows as unknown."""
    worker = house.worker()
    worker.drain.accept(order())
    await worker.drain.step()
    assert worker.count("spend_micros_total", "unknown") == 1_000
    worker.charges.currencies[order().advertiser_id] = "EUR"
    house.clock.advance(1_000)
    worker.drain.accept(order(2))
    worker.drain.accept(order(3, price=FUNDED * 2, amount=FUNDED * 2))
    await worker.drain.step()
    assert worker.count("spend_micros_total", "EUR") == 1_000
    assert worker.count("spend_micros_total") == house.spent == 2_000
    await worker.drain.close(1.0)


async def test_a_duplicate_of_another_worker_changes_and_counts_no_spend(house: House) -> None:
    """The same bid accepted by two workers is one charge, and one of them counts a duplicate."""
    workers = [house.worker(slot) for slot in range(2)]
    for worker in workers:
        worker.drain.accept(order())
        await worker.drain.step()
    assert house.spent == 1_000
    assert [worker.count("line_item_spend_micros_total", *LINE) for worker in workers] == [1_000, 0]
    assert workers[1].count("charges_total", *LINE, "duplicate") == 1
    for worker in workers:
        await worker.drain.close(1.0)


async def test_a_loss_after_the_bill_changes_nothing_and_a_bill_after_the_loss_is_charged(
    house: House,
) -> None:
    """Who shows the ad is paid, in either order, whether the two meet in one batch or not."""
    worker = house.worker()
    await _applied(worker, order(1), order(1, RELEASE))
    await _applied(worker, order(2, RELEASE))
    assert house.spent == 1_000
    await _applied(worker, order(2))
    await _applied(worker, order(3, RELEASE), order(3))
    assert house.spent == 3_000
    counted = {r: worker.count("charges_total", *LINE, r) for r in ("settled", "late", "duplicate")}
    assert counted == {"settled": 2, "late": 1, "duplicate": 0}
    assert {r: worker.count("releases_total", r) for r in ("released", "duplicate")} == {
        "released": 1,
        "duplicate": 2,
    }
    await worker.drain.close(1.0)


async def _applied(worker: Worker, *orders: Order) -> None:
    for each in orders:
        worker.drain.accept(each)
    assert await worker.drain.step()


async def test_while_the_ledger_is_down_orders_wait_on_disk(house: House) -> None:
    """Steps fail, nothing is lost, memory holds one batch; when it is back all are charged once."""
    worker = house.worker(max_bytes=1 << 22)
    house.ledger.down = True
    for number in range(2_000):
        worker.drain.accept(order(number, amount=10))
    for _ in range(3):
        assert not await worker.drain.step()
    assert worker.count("ledger_failures_total") == 3
    house.ledger.down = False
    assert await worker.drain.step()
    assert house.spent == 20_000
    assert worker.count("line_item_spend_micros_total", *LINE) == 20_000
    await worker.drain.close(1.0)
    assert not list(house.folder.iterdir())


async def test_a_lost_answer_is_asked_again_and_counted_once(house: House) -> None:
    """The ledger charged, its answer was lost: asked again it says duplicate, and the spend is counted once."""
    worker = house.worker()
    house.ledger.loses = 1
    worker.drain.accept(order())
    assert not await worker.drain.step()
    assert await worker.drain.step()
    assert (house.spent, worker.count("line_item_spend_micros_total", *LINE)) == (1_000, 1_000)
    assert worker.count("charges_total", *LINE, "settled") == 1
    await worker.drain.close(1.0)


async def test_killed_between_the_charge_and_its_answer_the_successor_counts_it(house: House) -> None:
    """A worker that dies with its call under way leaves it in doubt: its successor asks again, and counts it."""
    worker = house.worker()
    house.ledger.loses = 1
    worker.drain.accept(order(1))
    await worker.drain.step()
    worker.drain.accept(order(2))
    worker.die()
    successor = house.worker()
    await successor.drain.step()
    assert (house.spent, successor.count("line_item_spend_micros_total", *LINE)) == (2_000, 2_000)
    await successor.drain.close(1.0)
    assert not list(house.folder.iterdir())


async def test_one_advertiser_that_fails_keeps_only_its_own_orders(house: House) -> None:
    """Of a batch, what was answered is not asked again, and what was not is."""
    await house.ledger.fund("shop-2", "fund", house.wallet().limit)  # type: ignore[arg-type]  # it is funded
    worker = house.worker()
    worker.drain.accept(order(1))
    worker.drain.accept(order(2, advertiser_id="shop-2", lease=0))
    house.ledger.loses = 1
    assert not await worker.drain.step()
    assert await worker.drain.step()
    assert house.ledger.calls == 3
    assert (house.spent, house.ledger.ledger("shop-2").balances.accounts["wallet"].spent) == (1_000, 1_000)
    await worker.drain.close(1.0)


async def test_an_order_that_the_ledger_cannot_take_holds_up_nobody(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """A broken order is told with all that is needed to charge it by hand, counted, and the others are charged."""
    worker = house.worker()
    broken = order(2, amount=5_000, person=b"somebody 16 byte")
    for each in (order(1), broken, order(3)):
        worker.drain.accept(each)
    assert await worker.drain.step()
    assert house.spent == 2_000
    assert worker.count("charges_total", *LINE, "fault") == 1
    assert worker.count("line_item_spend_micros_total", *LINE) == 2_000
    assert broken.bid_id.hex() in caplog.text
    assert "somebody" not in caplog.text
    await worker.drain.close(1.0)


async def test_an_order_of_no_lease_is_charged_from_what_is_available(house: House) -> None:
    """A bid that was never reserved is late money along its own accounts."""
    worker = house.worker()
    await _applied(worker, order(1, lease=0))
    assert house.spent == 1_000
    accounts = house.ledger.ledger("shop-1").balances.accounts
    assert [accounts[name].spent for name in PATH] == [1_000] * 4
    await worker.drain.close(1.0)


@settings(deadline=None, max_examples=40)
@given(data=st.data())
async def test_through_crashes_outages_and_duplicates_each_bid_is_charged_once(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Any interleaving of acceptances at two workers, steps, lost answers, outages and kills: in the end the ledger
    charged every bid that was accepted by anybody exactly once, and all is applied."""
    house = House(tmp_path_factory.mktemp("house"))
    await house.fund()
    workers = [house.worker(slot) for slot in range(2)]
    accepted: set[int] = set()
    for _ in range(data.draw(st.integers(1, 30))):
        slot = data.draw(st.integers(0, 1))
        match data.draw(
            st.sampled_from(("accept", "accept", "accept", "step", "lose", "down", "up", "kill"))
        ):
            case "accept":
                number = data.draw(st.integers(0, 12))
                assert workers[slot].drain.accept(order(number, SETTLE | VIEW, amount=100 + number))
                accepted.add(number)
            case "step":
                await workers[slot].drain.step()
            case "lose":
                house.ledger.loses = 1
            case "down" | "up" as state:
                house.ledger.down = state == "down"
            case "kill":
                workers[slot].die()
                workers[slot] = house.worker(slot)
    house.ledger.down, house.ledger.loses = False, 0
    for worker in workers:
        assert await worker.drain.step()
        assert await worker.drain.close(1.0)
    assert not list(house.folder.iterdir())
    assert house.spent == sum(100 + number for number in accepted)
    assert {sighting.bid_id for sighting in house.seen.sightings} == {n.to_bytes(12, "big") for n in accepted}


async def test_a_charge_that_waited_too_long_is_the_operators(house: House) -> None:
    """Accepted in time, and applied after so long that nobody could tell a repetition: absorbed, never charged."""
    worker = house.worker()
    house.ledger.down = True
    worker.drain.accept(order())
    await worker.drain.step()
    house.clock.advance(5 * 3_600)
    house.ledger.down = False
    await worker.drain.step()
    assert (house.spent, house.wallet().absorbed) == (0, 1_000)
    await worker.drain.close(1.0)


async def test_a_pipeline_that_breaks_in_the_middle_is_asked_again_whole(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of three was charged before the connection broke: in the end each is, once, and counted once."""
    worker = house.worker()
    for number in range(3):
        worker.drain.accept(order(number))
    with monkeypatch.context() as patch:
        real = house.ledger.settle

        async def broken(advertiser: str, asked: Sequence[Settlement], now_s: float = 0.0) -> list[Status]:
            await real(advertiser, asked[:1], now_s)
            raise LedgerDown("in the middle of the pipeline")

        patch.setattr(house.ledger, "settle", broken)
        assert not await worker.drain.step()
    assert await worker.drain.step()
    assert (house.spent, worker.count("line_item_spend_micros_total", *LINE)) == (3_000, 3_000)
    await worker.drain.close(1.0)
