"""Compaction: each event once, in its hour, whatever the order, the repeats and the kills."""

from collections.abc import Iterable
from pathlib import Path

import duckdb
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidder.events import parquet, segments
from bidder.events.compaction import Limits, compact, past_hour
from bidder.events.dataset import shop_events
from bidder.events.records import Item, Record
from bidder.events.segments import OpenSegment
from bidder.events.writer import DAY_S
from tests.bidder.events.samples import ANNA, NOW_S, click, impression, shop, write


def rows(folder: Path, kind: str, columns: str = "id") -> list[tuple[object, ...]]:
    """What one glob over all hours finds."""
    files = f"{folder}/{kind}/*/*/*.parquet"
    query = f"SELECT {columns} FROM read_parquet('{files}', union_by_name = true) ORDER BY at_ms, id"
    with duckdb.connect() as sql:
        return sql.execute(query).fetchall()


def test_segments_become_a_tree_that_one_glob_reads(tmp_path: Path) -> None:
    """Every kind and hour has a file; date and hour are columns of the query; the segments are gone."""
    write(tmp_path, [shop(1), shop(2, at_s=NOW_S - 7_200), impression(3), click(4)])
    done = compact(tmp_path, NOW_S)
    assert (done.segments, done.rows, done.files) == (1, 4, 4)
    assert not segments.readable(tmp_path)
    assert rows(tmp_path, "shop", "id, date::VARCHAR, hour::INT") == [
        ("event-2", "2026-09-21", 12),
        ("event-1", "2026-09-21", 14),
    ]
    assert rows(tmp_path, "impression", "creative") == [(2**63 + 3,)]
    assert rows(tmp_path, "click", "product, layout") == [("sku-4", "grid")]


def test_every_field_of_a_shop_event_comes_back(tmp_path: Path) -> None:
    """Nothing is lost or changed on the way, not even text that is hostile to a query or a line."""
    said = msgspec.structs.replace(
        shop(1),
        category="'; DROP TABLE x; --\n\u2028\u0000\"é😀",
        items=(Item("a\nb", "c'", 5, 2), Item("d")),
    )
    write(tmp_path, [said])
    compact(tmp_path, NOW_S)
    names = said.__struct_fields__
    (found,) = rows(tmp_path, "shop", ", ".join(f'"{name}"' for name in names))
    wanted = {name: getattr(said, name) for name in names}
    wanted["items"] = [{name: getattr(item, name) for name in item.__struct_fields__} for item in said.items]
    assert dict(zip(names, found, strict=True)) == wanted


@pytest.mark.parametrize("compacted", [False, True])
def test_consent_that_comes_late_gives_an_event_its_person(tmp_path: Path, compacted: bool) -> None:
    """A page tells an event as nobody's, and again under its id when its visitor agreed: the row is the visitor's,
    whether or not the first was published already; training reads the same."""
    write(tmp_path, [shop(1, person=b"")])
    if compacted:
        compact(tmp_path, NOW_S)
    write(tmp_path, [shop(1, at_s=NOW_S + 5)])
    assert [event.person for event in shop_events(tmp_path, "shoes")] == [ANNA]
    compact(tmp_path, NOW_S)
    assert rows(tmp_path, "shop", "person") == [(ANNA,)]
    assert [event.person for event in shop_events(tmp_path, "shoes")] == [ANNA]


@pytest.mark.parametrize("compacted", [False, True])
@pytest.mark.parametrize("first", ["pixel", "tag", "server"])
def test_a_browser_takes_no_event_of_a_server_away(tmp_path: Path, compacted: bool, first: str) -> None:
    """Anybody may call a pixel with the id of an order: the row is what the shop's own server says, with a person or
    without one, whichever came first."""
    told = {
        source: msgspec.structs.replace(
            shop(1, person=b"" if source == "server" else ANNA, at_s=NOW_S + (source != first)), source=source
        )
        for source in ("pixel", "tag", "server")
    }
    write(tmp_path, [told.pop(first)])
    if compacted:
        compact(tmp_path, NOW_S)
    write(tmp_path, told.values())
    assert [event.person or b"" for event in shop_events(tmp_path, "shoes")] == [b""]
    compact(tmp_path, NOW_S)
    assert rows(tmp_path, "shop", "source, person") == [("server", None)]


def test_a_repeat_is_one_row_though_it_comes_later(tmp_path: Path) -> None:
    """An event that is recorded again, in one segment or after its hour was published, stands there once."""
    write(tmp_path, [shop(1), shop(1), shop(2)])
    compact(tmp_path, NOW_S)
    write(tmp_path, [shop(2), shop(3), shop(1, advertiser="hats")])
    compact(tmp_path, NOW_S)
    assert (
        rows(tmp_path, "shop", "advertiser, id")
        == [
            ("shoes", "event-1"),
            ("hats", "event-1"),
            ("shoes", "event-2"),
            ("shoes", "event-3"),
        ]
        or len(rows(tmp_path, "shop")) == 4
    )


@pytest.mark.parametrize("costs", [(0, 2_000), (2_000, 0)])
def test_an_impression_has_the_cost_of_its_bill(tmp_path: Path, costs: Iterable[int]) -> None:
    """Beacon and bill of one bid are one impression, and it costs what the bill said, in whichever order."""
    for spent in costs:
        write(tmp_path, [impression(1, spent=spent)])
        compact(tmp_path, NOW_S)
    assert rows(tmp_path, "impression", "spent_micros") == [(2_000,)]


def test_an_impression_is_suspect_where_any_notice_of_it_is(tmp_path: Path) -> None:
    """A doubt about the beacon is not lost with it."""
    write(
        tmp_path,
        [impression(1, spent=2_000), msgspec.structs.replace(impression(1), suspect=True), impression(2)],
    )
    compact(tmp_path, NOW_S)
    assert rows(tmp_path, "impression", "spent_micros, suspect") == [(2_000, True), (0, False)]


def test_an_event_too_old_for_its_people_is_dropped(tmp_path: Path) -> None:
    """What comes after its hour's time is in no file, and is told."""
    edge_s = past_hour(NOW_S, 30) * 3_600
    write(tmp_path, [shop(1, at_s=edge_s - 1), shop(2, at_s=edge_s), shop(3, at_s=NOW_S + 5 * DAY_S)])
    assert compact(tmp_path, NOW_S).late == 2
    assert rows(tmp_path, "shop") == [("event-2",)]


def test_a_segment_that_is_written_is_left_alone(tmp_path: Path) -> None:
    """While its writer lives a segment is not sealed; when it is gone, it is."""
    writer = OpenSegment(tmp_path, 0, NOW_S)
    assert compact(tmp_path, NOW_S).segments == 0
    assert segments.readable(tmp_path) == [writer.path]
    writer.abandon()
    assert compact(tmp_path, NOW_S).segments == 1
    assert not segments.readable(tmp_path)


def test_numbers_that_no_column_takes_hold_up_nothing(tmp_path: Path) -> None:
    """A price beyond 63 bits is left out; its neighbours are published."""
    write(tmp_path, [shop(1), msgspec.structs.replace(shop(2), value_micros=2**63), shop(3)])
    compact(tmp_path, NOW_S)
    assert rows(tmp_path, "shop") == [("event-1",), ("event-3",)]


def test_a_file_of_an_hour_that_is_damaged_is_set_aside(tmp_path: Path) -> None:
    """The hour begins anew, and what cannot be read is kept for somebody to look at."""
    write(tmp_path, [shop(1)])
    compact(tmp_path, NOW_S)
    (path,) = parquet.hour_files(tmp_path, "shop")
    path.write_bytes(b"no parquet at all")
    write(tmp_path, [shop(2)])
    compact(tmp_path, NOW_S)
    assert rows(tmp_path, "shop") == [("event-2",)]
    assert path.with_suffix(segments.BAD).exists()


def test_a_file_of_older_columns_is_merged(tmp_path: Path) -> None:
    """A file that lacks a column which came later is read, and its rows have nothing there."""
    path = parquet.hour_path(tmp_path, "shop", parquet.hour_of(int(NOW_S * 1_000)))
    path.parent.mkdir(parents=True)
    with duckdb.connect() as sql:
        sql.execute(
            f"COPY (SELECT 'old' AS id, 'shoes' AS advertiser, 'cart' AS kind, {int(NOW_S * 1_000) - 5} AS at_ms) "
            f"TO '{path}' (FORMAT parquet)"
        )
    write(tmp_path, [shop(1)])
    compact(tmp_path, NOW_S)
    assert rows(tmp_path, "shop", "id, device") == [("old", None), ("event-1", "phone")]


def test_small_batches_give_the_same_tree(tmp_path: Path) -> None:
    """However little is taken at once, every event is there once."""
    said: list[Record] = [shop(number % 50, at_s=NOW_S - 600 * number) for number in range(100)]
    for at in range(0, 100, 10):
        write(tmp_path, said[at : at + 10])
    done = compact(tmp_path, NOW_S, Limits(batch_bytes=1))
    assert done.segments == 10
    assert len(rows(tmp_path, "shop")) == len({(event.id, parquet.hour_of(event.at_ms)) for event in said})


def test_a_segment_that_cannot_become_rows_is_set_aside(tmp_path: Path) -> None:
    """One poisoned record holds up neither the segments before nor those after it; its own is kept for a look."""
    for event in (shop(1), msgspec.structs.replace(shop(2), version=2**40), shop(3)):
        write(tmp_path, [event])
    done = compact(tmp_path, NOW_S)
    assert (done.segments, done.bad_segments) == (2, 1)
    assert rows(tmp_path, "shop") == [("event-1",), ("event-3",)]
    assert [path.suffix for path in segments.readable(tmp_path)] == [segments.BAD]
    assert compact(tmp_path, NOW_S).bad_segments == 0


@settings(max_examples=15)
@given(
    st.lists(
        st.lists(
            st.tuples(st.integers(0, 12), st.integers(0, 3), st.sampled_from(["shoes", "hats"])), max_size=8
        ),
        max_size=5,
    )
)
def test_any_order_of_events_and_runs_gives_each_event_once(
    tmp_path_factory: pytest.TempPathFactory, runs: list[list[tuple[int, int, str]]]
) -> None:
    """Whatever is repeated, late or split over runs: the tree holds each event of each hour and shop once."""
    folder = tmp_path_factory.mktemp("events")
    said: set[tuple[str, str, int]] = set()
    for events in runs:
        records = [shop(n, at_s=NOW_S - hour * 3_600, advertiser=name) for n, hour, name in events]
        write(folder, records)
        compact(folder, NOW_S)
        said |= {(record.advertiser, record.id, record.at_ms) for record in records}
    found = rows(folder, "shop", "advertiser, id, at_ms") if said else []
    assert len(found) == len(set(found))
    assert set(found) == said


def test_an_empty_folder_is_nothing_to_do(tmp_path: Path) -> None:
    """Nothing was ever recorded: nothing happens."""
    assert compact(tmp_path / "events", NOW_S).rows == 0


def test_people_are_sixteen_bytes_or_null(tmp_path: Path) -> None:
    """An event without a person has none in the file."""
    write(tmp_path, [shop(1), shop(2, person=b"")])
    compact(tmp_path, NOW_S)
    assert rows(tmp_path, "shop", "person") == [(ANNA,), (None,)]
