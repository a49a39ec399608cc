"""People leave what was recorded: wherever it lies, whatever was still on its way, and nobody else with them."""

from pathlib import Path

import msgspec
import pytest
import redis.asyncio

from bidder.events import parquet, segments
from bidder.events.compaction import compact
from bidder.events.erased import KEEP_S, SLACK_MS, digest, read_book
from bidder.events.erasure import anonymise, drop_rows, erase, erase_digests, events_of, holds
from bidder.events.requests import ERASURES, outstanding, request, requested
from bidder.events.segments import OpenSegment
from bidder.events.writer import DAY_S, Recorder
from bidder.metrics import Tally
from tests.bidder.events.samples import (
    ANNA,
    BERT,
    NOW_S,
    SLOW,
    click,
    clock,
    framed_all,
    impression,
    shop,
    write,
)
from tests.bidder.events.test_compaction import rows
from tests.servers import RealServer


def test_a_person_is_erased_from_files_and_segments(tmp_path: Path) -> None:
    """Shop events go, impressions and clicks stay as nobody's; the other person's stay as they were."""
    write(tmp_path, [shop(1), impression(2), click(3), shop(4, person=BERT), impression(5, person=BERT)])
    compact(tmp_path, NOW_S)
    write(tmp_path, [shop(6), impression(7), shop(8, person=BERT, at_s=NOW_S - 90_000)])
    assert len(holds(tmp_path, ANNA)) == 4
    assert erase(tmp_path, [ANNA], NOW_S + 1) == 5
    assert not holds(tmp_path, ANNA)
    assert not events_of(tmp_path, ANNA)
    assert len(events_of(tmp_path, BERT)) == 3
    compact(tmp_path, NOW_S)
    assert sorted(rows(tmp_path, "shop")) == [("event-4",), ("event-8",)]
    assert rows(tmp_path, "impression", "person") == [(None,), (BERT,), (None,)]
    assert rows(tmp_path, "click", "person") == [(None,)]


def test_a_flood_of_erasures_ends(tmp_path: Path) -> None:
    """50,000 people of whom nothing is recorded do not keep those from being erased of whom something is."""
    write(tmp_path, [shop(1), shop(2, person=BERT)])
    compact(tmp_path, NOW_S)
    flood = {number.to_bytes(16, "big"): NOW_S + 1.0 for number in range(50_000)}
    assert erase_digests(tmp_path, flood | {digest(ANNA): NOW_S + 1.0}) == 1
    assert not holds(tmp_path, ANNA)
    assert holds(tmp_path, BERT)
    book = read_book(tmp_path)
    assert len(book) == 50_001
    assert all(entry.done for entry in book.values())


def test_many_are_erased_in_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever stands beyond the first pass is erased in another, and what an earlier one did is kept in the book."""
    monkeypatch.setattr("bidder.events.erasure.PASS", 2)
    write(tmp_path, [shop(1), shop(2, person=BERT), shop(3, person=bytes(15) + b"c")])
    compact(tmp_path, NOW_S)
    others = {bytes([number]) * 16: NOW_S + 1.0 for number in range(3)}
    people = {digest(ANNA): NOW_S + 1.0, **others, digest(BERT): NOW_S + 1.0}
    assert erase_digests(tmp_path, people) == 2
    assert rows(tmp_path, "shop") == [("event-3",)]
    assert set(read_book(tmp_path)) == set(people)


def test_who_has_nothing_here_changes_nothing(tmp_path: Path) -> None:
    """Files without the person are not rewritten."""
    write(tmp_path, [shop(1, person=BERT)])
    compact(tmp_path, NOW_S)
    (path,) = parquet.hour_files(tmp_path, "shop")
    before = path.stat().st_ino
    assert erase(tmp_path, [ANNA], NOW_S + 1) == 0
    assert path.stat().st_ino == before


def test_an_hour_that_was_one_persons_is_gone(tmp_path: Path) -> None:
    """A file of which nothing is left is deleted with its folders."""
    write(tmp_path, [shop(1)])
    compact(tmp_path, NOW_S)
    erase(tmp_path, [ANNA], NOW_S + 1)
    assert not list((tmp_path / "shop").iterdir())


@pytest.mark.parametrize("where", ["queue", "open", "sealed"])
def test_what_was_on_its_way_when_the_erasure_came_is_caught(tmp_path: Path, where: str) -> None:
    """An event in a worker's queue, in an open or in a sealed segment never reaches a file after the erasure."""
    recorder = Recorder(tmp_path, 0, Tally(), clock(), SLOW)
    recorder.record(shop(1))
    recorder.record(impression(2))
    recorder.record(shop(3, person=BERT))
    if where != "queue":
        recorder.flush()
    if where == "sealed":
        recorder.close()
    erase(tmp_path, [ANNA], NOW_S + 1)
    recorder.close()
    done = compact(tmp_path, NOW_S + 2)
    assert not holds(tmp_path, ANNA)
    assert rows(tmp_path, "shop") == [("event-3",)]
    assert rows(tmp_path, "impression", "person") == [(None,)]
    assert done.erased == (0 if where == "sealed" else 2)


def test_an_ad_of_before_is_nobodys_though_it_is_clicked_after(tmp_path: Path) -> None:
    """The time of a click is that of its bid: told after the erasure, it still names nobody."""
    erase(tmp_path, [ANNA], NOW_S + 1)
    write(tmp_path, [msgspec.structs.replace(click(1), after_ms=80_000_000)])
    compact(tmp_path, NOW_S + 80_000)
    assert rows(tmp_path, "click", "person") == [(None,)]


def test_what_comes_long_after_an_erasure_is_new(tmp_path: Path) -> None:
    """The same id may be met again: what it does then is recorded."""
    erase(tmp_path, [ANNA], NOW_S)
    later_s = NOW_S + SLACK_MS / 1_000 + 1
    write(tmp_path, [shop(1, at_s=later_s - 2), shop(2, at_s=later_s)])
    compact(tmp_path, later_s)
    assert rows(tmp_path, "shop") == [("event-2",)]
    erase_digests(tmp_path, {digest(BERT): later_s})
    assert rows(tmp_path, "shop") == [("event-2",)]


def test_an_erasure_that_was_killed_is_done_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written in the book and not done: whoever erases next, for whomever, does it too."""
    write(tmp_path, [shop(1)])
    compact(tmp_path, NOW_S)
    with monkeypatch.context() as broken:
        broken.setattr("bidder.events.parquet.publish", _refuse)
        broken.setattr("bidder.events.parquet.remove", _refuse)
        with pytest.raises(OSError, match="full"):
            erase(tmp_path, [ANNA], NOW_S + 1)
    assert holds(tmp_path, ANNA)
    assert not read_book(tmp_path)[digest(ANNA)].done
    assert erase_digests(tmp_path, {}) == 1
    assert not holds(tmp_path, ANNA)
    assert read_book(tmp_path)[digest(ANNA)].done


def _refuse(*_: object) -> None:
    raise OSError("the disk is full")


def test_the_book_forgets_what_can_not_come_any_more(tmp_path: Path) -> None:
    """An entry lives as long as an event of its person could still come."""
    erase(tmp_path, [ANNA], NOW_S)
    erase(tmp_path, [BERT], NOW_S + KEEP_S + 1)
    assert set(read_book(tmp_path)) == {digest(BERT)}


def test_a_damaged_book_is_an_empty_one(tmp_path: Path) -> None:
    """Then everything that is asked in Redis is done again."""
    erase(tmp_path, [ANNA], NOW_S)
    (tmp_path / "erased.book").write_bytes(b"\xc1")
    assert read_book(tmp_path) == {}


async def test_every_host_reads_the_queue(tmp_path: Path, redis_server: RealServer) -> None:
    """Who is asked once is outstanding on each host until that host has done it, and again when asked again."""
    async with redis.asyncio.Redis.from_url(redis_server.url) as client:
        await request(client, [ANNA, BERT], NOW_S)
        asked = await requested(client, NOW_S)
        assert asked == {digest(ANNA): NOW_S, digest(BERT): NOW_S}
        one, other = tmp_path / "one", tmp_path / "other"
        erase_digests(one, outstanding(asked, read_book(one)))
        assert not outstanding(asked, read_book(one))
        assert outstanding(asked, read_book(other)) == asked
        await request(client, [ANNA], NOW_S + 60)
        assert set(outstanding(await requested(client, NOW_S + 60), read_book(one))) == {digest(ANNA)}
        assert 0 < await client.ttl(ERASURES) <= KEEP_S


async def test_the_queue_forgets(redis_server: RealServer) -> None:
    """An entry is gone when its time is over, though others keep the key alive."""
    async with redis.asyncio.Redis.from_url(redis_server.url) as client:
        await request(client, [ANNA], NOW_S)
        await request(client, [BERT], NOW_S + KEEP_S)
        assert set(await requested(client, NOW_S + KEEP_S + 1)) == {digest(BERT)}


def test_everybody_leaves_when_the_time_is_over(tmp_path: Path) -> None:
    """Hours that began before the moment hold nobody, no event's id and no order; later ones are untouched."""
    old_s = NOW_S - 20 * DAY_S
    write(tmp_path, [shop(1, at_s=old_s), impression(2, at_s=old_s), click(3, at_s=old_s), shop(4)])
    compact(tmp_path, NOW_S)
    write(tmp_path, [shop(5, at_s=old_s), shop(6)])
    assert anonymise(tmp_path, NOW_S - 10 * DAY_S) == 4
    assert anonymise(tmp_path, NOW_S - 10 * DAY_S) == 0
    assert rows(tmp_path, "shop", 'id, "order", person') == [("", "", None), ("event-4", "order-4", ANNA)]
    assert rows(tmp_path, "impression", "person, line_item") == [(None, "runners")]
    assert rows(tmp_path, "click", "person") == [(None,)]
    assert [event["at_ms"] for event in events_of(tmp_path, ANNA)] == [int(NOW_S * 1_000)] * 2


def test_thirty_days_later_nobody_is_left(tmp_path: Path) -> None:
    """Whatever is recorded now is nobody's 30 days from now, also what was never compacted or was set aside."""
    write(tmp_path, [shop(number, at_s=NOW_S - 3_600 * number) for number in range(5)])
    compact(tmp_path, NOW_S)
    write(tmp_path, [shop(9), impression(9), click(9)])
    bad = write(tmp_path, [shop(10)])
    bad.rename(bad.with_suffix(segments.BAD))
    anonymise(tmp_path, NOW_S + 1)
    assert not holds(tmp_path, ANNA)


def test_rows_have_an_end_too(tmp_path: Path) -> None:
    """Hours before the moment are deleted whole."""
    write(tmp_path, [shop(1, at_s=NOW_S - 2 * DAY_S), shop(2)])
    compact(tmp_path, NOW_S)
    assert drop_rows(tmp_path, NOW_S - DAY_S) == 1
    assert rows(tmp_path, "shop") == [("event-2",)]


def test_an_open_segment_is_looked_into(tmp_path: Path) -> None:
    """What a worker is writing is part of what is held."""
    writer = OpenSegment(tmp_path, 0, NOW_S)
    writer.append(framed_all([shop(1)]))
    assert holds(tmp_path, ANNA) == [str(writer.path.relative_to(tmp_path))]
    (event,) = events_of(tmp_path, ANNA)
    assert event["record"] == "shop"
    assert "person" not in event
    writer.abandon()


def test_many_people_leave_at_once(tmp_path: Path) -> None:
    """A batch of erasures goes through in one pass over the files."""
    people = [bytes([number]) * 16 for number in range(200)]
    write(tmp_path, [shop(number, person=person) for number, person in enumerate(people)])
    compact(tmp_path, NOW_S)
    assert erase(tmp_path, people[:150], NOW_S + 1) == 150
    assert len(rows(tmp_path, "shop")) == 50
