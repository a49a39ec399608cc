"""What training reads: every event once, one shop's alone, sessions as visitors had them."""

from pathlib import Path

import msgspec

from bidder.events.compaction import compact
from bidder.events.dataset import MAX_SESSION, SILENCE_S, sessions, shop_events
from bidder.events.erasure import drop_rows, erase
from bidder.events.parquet import READING, Workshop, hour_files
from bidder.events.records import Item
from bidder.events.segments import OpenSegment
from tests.bidder.events.samples import ANNA, BERT, NOW_S, framed_all, impression, shop, write


def test_files_and_segments_are_one(tmp_path: Path) -> None:
    """What is compacted, what is sealed and what is being written is read, each event once."""
    write(tmp_path, [shop(1), shop(2)])
    compact(tmp_path, NOW_S)
    write(tmp_path, [shop(2), shop(3)])
    writer = OpenSegment(tmp_path, 1, NOW_S)
    writer.append(framed_all([shop(4), impression(5)]))
    found = [event.event for event in shop_events(tmp_path, "shoes")]
    assert found == ["event-1", "event-2", "event-3", "event-4"]
    writer.abandon()


def test_a_shop_reads_its_own_events_alone(tmp_path: Path) -> None:
    """No event of another shop is in it, wherever it lies."""
    write(tmp_path, [shop(1), shop(2, advertiser="hats")])
    compact(tmp_path, NOW_S)
    write(tmp_path, [shop(3, advertiser="hats"), shop(4)])
    assert [event.event for event in shop_events(tmp_path, "hats")] == ["event-2", "event-3"]
    assert not list(shop_events(tmp_path, "gloves"))


def test_since_leaves_out_what_is_older(tmp_path: Path) -> None:
    """Events before the moment are in no row, be they in files or segments."""
    events = [shop(number, at_s=NOW_S - 1_800 * number) for number in range(6)]
    write(tmp_path, events[:3])
    compact(tmp_path, NOW_S)
    write(tmp_path, events[3:])
    assert {event.event for event in shop_events(tmp_path, "shoes", NOW_S - 3_600)} == {
        f"event-{n}" for n in range(3)
    }


def test_an_event_of_several_products_is_several_rows(tmp_path: Path) -> None:
    """Each product of an event has its row; an event without products has one."""
    write(
        tmp_path,
        [
            msgspec.structs.replace(shop(1), items=(Item("a", "x", 5, 2), Item("b"))),
            msgspec.structs.replace(shop(2), items=()),
        ],
    )
    found = [
        (row.event, row.product, row.price_micros, row.quantity) for row in shop_events(tmp_path, "shoes")
    ]
    assert found == [("event-1", "a", 5, 2), ("event-1", "b", 0, 1), ("event-2", "", 0, 0)]


def test_a_session_ends_in_silence(tmp_path: Path) -> None:
    """Visitors are not mixed; half an hour of silence parts sessions; nobody's events and repeats are in none."""
    write(
        tmp_path,
        [
            shop(1, at_s=NOW_S - 9_000),
            shop(2, at_s=NOW_S - 9_000 + SILENCE_S),
            shop(9, at_s=NOW_S - 8_000, person=BERT),
            shop(8, at_s=NOW_S - 8_000, person=b""),
            msgspec.structs.replace(shop(3, at_s=NOW_S - 7_100), items=(Item("sku-2"),)),
            shop(4, at_s=NOW_S - 7_000),
            shop(5, at_s=NOW_S - 7_000 + SILENCE_S + 1),
        ],
    )
    compact(tmp_path, NOW_S)
    assert list(sessions(tmp_path, "shoes")) == [("sku-1", "sku-2", "sku-4"), ("sku-5",), ("sku-9",)]


def test_a_session_has_an_end(tmp_path: Path) -> None:
    """A machine that never pauses fills sessions of bounded length."""
    write(tmp_path, [shop(number, at_s=NOW_S - 1_000 + number) for number in range(MAX_SESSION + 1)])
    assert [len(session) for session in sessions(tmp_path, "shoes")] == [MAX_SESSION, 1]


def test_who_was_erased_trains_nothing(tmp_path: Path) -> None:
    """Not from files, and not from a segment that is still being written."""
    write(tmp_path, [shop(1), shop(2, person=BERT)])
    compact(tmp_path, NOW_S)
    writer = OpenSegment(tmp_path, 1, NOW_S)
    writer.append(framed_all([shop(3), shop(4, person=BERT)]))
    erase(tmp_path, [ANNA], NOW_S + 1)
    assert {event.event for event in shop_events(tmp_path, "shoes")} == {"event-2", "event-4"}
    writer.abandon()


def test_nothing_recorded_is_nothing_to_read(tmp_path: Path) -> None:
    """An empty folder has no events."""
    assert not list(sessions(tmp_path, "shoes"))


def test_a_file_that_is_replaced_while_it_is_read_is_read_as_it_was(tmp_path: Path) -> None:
    """Readers hold on to the files that they found: one that compaction replaces, or retention deletes, is whole."""
    write(tmp_path, [shop(1)])
    compact(tmp_path, NOW_S)
    (path,) = hour_files(tmp_path, "shop")
    with Workshop(tmp_path, task=READING) as reader:
        (pinned,) = reader.pinned([path, path.with_name("gone.parquet")])
        write(tmp_path, [shop(2)])
        compact(tmp_path, NOW_S)
        drop_rows(tmp_path, NOW_S + 7_200)
        assert reader.rows([pinned]) == 1
        assert hour_files(tmp_path, "shop") == []
