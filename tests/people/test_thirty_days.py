"""A day of everything on the whole worker, then thirty more: what is kept has an end, and after it nothing is left.

Shapes: people visit shops, are synced, matched and bid for, see and click ads, opt out and are erased; in every field
    that can carry text somebody sends e-mail addresses, phone numbers, addresses and user agents. Then the chores run,
    the hand moves the clock by thirty days, every key's end comes nearer by as much, and the chores run again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from bidder.events import parquet
from bidder.rights.sweep import KINDS
from bidder.stores.people_writer import MAX_TTL_S
from tests.people.acts import Day
from tests.people.canaries import (
    Lines,
)
from tests.people.house import housed
from tests.servers import RealServer


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """A day that was lived, and the thirty after it."""
    folder = tmp_path_factory.mktemp("day")
    server, lines = RealServer(folder / "store"), Lines()
    server.start()
    root, before = logging.getLogger(), logging.getLogger().level
    root.addHandler(lines)
    root.setLevel(logging.DEBUG)
    try:
        yield asyncio.run(_lived(folder, server, lines))
    finally:
        root.removeHandler(lines)
        root.setLevel(before)
        server.close()


async def _lived(folder: Path, server: RealServer, lines: Lines) -> Day:
    async with housed(folder / "worker", server.url, fraud=True) as house:
        day = Day(house, server, lines)
        await day.live()
        return day


def test_every_key_that_names_people_has_an_end(day: Day) -> None:
    """After the day every key of people ends within 30 days; all kinds of them were written."""
    ends = {kind.prefix: kind.limit_s for kind in KINDS}
    written = set()
    for key, left_s in day.lives.items():
        prefix = next(prefix for prefix in ends if key.startswith(prefix))
        written.add(prefix)
        tombstone = day.opted_out.id.hex().encode() in key or any(
            text in key for text in day.opted_out.texts()
        )
        if ends[prefix] is not None and not tombstone:
            assert 0 < left_s <= MAX_TTL_S, key
    assert written >= {b"p:{", b"h:{", b"m:{", b"f:{", b"c:{", b"g:{", b"x:{", b"erasures"}
    assert {place.split()[0] for place, _ in day.named} >= {"value", "file"}


def test_who_was_erased_is_gone_at_once(day: Day) -> None:
    """Once the chores have run, the id of somebody who was erased stands nowhere."""
    assert {place for place, _ in day.of_erased if "x:{" not in place} == set()


def test_nothing_that_was_sent_by_mistake_is_kept(day: Day) -> None:
    """No e-mail, phone number, full address or user agent stands in any key, value, file, log line or metric."""
    assert day.canaries == set()
    assert day.dropped >= {"product", "item_category", "category", "order", "id", "conversion", "name"}


def test_after_thirty_days_nobody_is_left(day: Day) -> None:
    """No id of anybody stands anywhere; what stands of who opted out says that alone, and names nobody."""
    assert day.violations == {}
    for person in day.people:
        left = {place for place, _ in day.left[person.number]}
        if person is day.opted_out:
            assert all(place.startswith(("key p:{", "key m:{")) for place in left)
        else:
            assert left == set()
    assert all(key[:3] in (b"p:{", b"m:{") for key in day.standing)
    assert any(True for _ in parquet.all_files(day.house.events)), "the events themselves are still there"
