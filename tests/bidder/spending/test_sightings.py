"""Notices reach the frequency caps, in their own time."""

from __future__ import annotations

from pathlib import Path

import pytest

from bidder.notices.apply import Kind
from bidder.notices.orders import DROP, PROLONG, SETTLE, VIEW
from bidder.spending.sightings import PATIENCE_S, Verb
from tests.bidder.notices.support import NOW_S, PERSON, sealed
from tests.bidder.spending.house import LEASE, House, order


@pytest.fixture
async def house(tmp_path: Path) -> House:
    """A funded shop."""
    found = House(tmp_path / "spool")
    await found.fund()
    return found


async def test_each_notice_tells_what_becomes_of_the_hold(house: House) -> None:
    """A win prolongs, a bill and an impression are views, a loss drops: for the person in the token."""
    worker, tokens = house.worker(), sealed(lease=LEASE, person=PERSON)
    house.clock.advance(30)
    for kind in (Kind.WIN, Kind.BILL, Kind.IMP, Kind.LOSS):
        worker.send(kind, tokens.browser_token if kind is Kind.IMP else tokens.exchange_token)
    await worker.drain.step()
    assert [s.verb for s in house.seen.sightings] == [Verb.PROLONG, Verb.VIEW, Verb.VIEW, Verb.DROP]
    (seen,) = {(s.person, s.advertiser_id, s.bid_id, s.visitor, s.window_s) for s in house.seen.sightings}
    assert seen == (PERSON, "shop-1", b"bid-00000001", False, 86_400)
    (keys,) = {(s.campaign_key, s.line_key, s.creative_key) for s in house.seen.sightings}
    assert keys == (11, 12, 13)
    (times,) = {(s.seen_s, s.deadline_s) for s in house.seen.sightings}
    assert times == (NOW_S + 30, NOW_S + 900)
    await worker.drain.close(1.0)


async def test_money_does_not_wait_for_the_peoples_store(house: House) -> None:
    """While the caps' store is down charges go on; views are told once it is back."""
    worker = house.worker()
    house.seen.down = True
    for number in range(3):
        worker.drain.accept(order(number, SETTLE | VIEW))
    assert not await worker.drain.step()
    assert (house.spent, house.seen.sightings) == (3_000, [])
    assert worker.count("sightings_failures_total") == 1
    house.seen.down = False
    assert await worker.drain.step()
    assert (house.spent, len(house.seen.sightings)) == (3_000, 3)
    assert worker.count("sightings_total", "view", "applied") == 3
    await worker.drain.close(1.0)


async def test_views_do_not_wait_for_the_ledger(house: House) -> None:
    """While the ledger is down views are told; charges follow once it is back."""
    worker = house.worker()
    house.ledger.down = True
    worker.drain.accept(order(1, SETTLE | VIEW))
    assert not await worker.drain.step()
    assert (house.spent, len(house.seen.sightings)) == (0, 1)
    house.ledger.down = False
    assert await worker.drain.step()
    assert (house.spent, len(house.seen.sightings)) == (1_000, 1)
    await worker.drain.close(1.0)


async def test_a_store_that_stays_away_is_given_up(house: House) -> None:
    """After PATIENCE_S what it was to be told is counted as given up, and the spool empties."""
    worker = house.worker()
    house.seen.down = True
    worker.drain.accept(order(1, DROP))
    worker.drain.accept(order(2, PROLONG))
    house.clock.advance(PATIENCE_S)
    assert not await worker.drain.step()
    house.clock.advance(1)
    assert await worker.drain.step()
    assert [worker.count("sightings_total", verb, "given_up") for verb in ("drop", "prolong")] == [1, 1]
    assert await worker.drain.close(1.0)
    assert not list(house.folder.iterdir())


async def test_a_dead_workers_views_are_told_by_its_successor(house: House) -> None:
    """Views survive kill -9 as money does."""
    worker = house.worker()
    worker.drain.accept(order(1, VIEW))
    worker.die()
    successor = house.worker()
    await successor.drain.step()
    assert [s.bid_id for s in house.seen.sightings] == [(1).to_bytes(12, "big")]
    await successor.drain.close(1.0)
