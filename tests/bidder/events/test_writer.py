"""The recorder: nobody waits, what is dropped is counted, what was flushed survives anything."""

from pathlib import Path

import msgspec
import pytest

from bidder.events import segments
from bidder.events.records import Record
from bidder.events.room import LOOK_S, size_of
from bidder.events.writer import DAY_S, FUTURE_S, Recorder
from bidder.metrics import Tally
from tests.bidder.events.samples import NOW_S, SLOW, click, clock, impression, shop


def recorded(folder: Path) -> list[Record]:
    return [record for path in segments.readable(folder) for record in segments.records(path)]


def counts(tally: Tally) -> dict[str, int]:
    return {
        "/".join((cell.name.removeprefix("paceline_events_"), *cell.labels)): value
        for cell, value in tally.samples()
        if value
    }


def test_what_is_recorded_is_read_back(tmp_path: Path) -> None:
    """All kinds come back as they were said, in order, and are counted by kind."""
    tally = Tally()
    recorder = Recorder(tmp_path / "events", 3, tally, clock(), SLOW)
    said: list[Record] = [shop(1), impression(2), click(3), shop(4, person=b"")]
    assert all(map(recorder.record, said))
    recorder.close()
    assert recorded(tmp_path / "events") == said
    (path,) = segments.sealed(tmp_path / "events")
    assert path.name.startswith(f"003-{int(NOW_S * 1_000):013d}-")
    found = counts(tally)
    assert found["recorded_total/shop"] == 2
    assert found["recorded_total/impression"] == found["recorded_total/click"] == 1


def test_the_queue_has_an_end(tmp_path: Path) -> None:
    """Beyond the bound records are dropped and counted by kind; after a flush there is room again."""
    tally = Tally()
    recorder = Recorder(tmp_path, 0, tally, clock(), msgspec.structs.replace(SLOW, queue_bytes=1_000))
    taken = [recorder.record(shop(number)) for number in range(10)]
    assert 0 < sum(taken) < 10
    assert taken == sorted(taken, reverse=True)
    assert recorder.waiting_bytes <= 1_000
    assert counts(tally)["dropped_total/shop/full"] == 10 - sum(taken)
    assert recorder.flush()
    assert recorder.record(shop(11))
    recorder.close()
    assert len(recorded(tmp_path)) == sum(taken) + 1


@pytest.mark.parametrize(("share", "taken"), [(0.5, 3), (0.9, 2), (1.1, 0)])
def test_the_folder_has_an_end(tmp_path: Path, share: float, taken: int) -> None:
    """As it fills shops' events of nobody are dropped first, then all; counted, and taken again when there is room."""
    full = tmp_path / "shop" / "hour.parquet"
    full.parent.mkdir()
    full.write_bytes(bytes(int(share * 1_000_000)))
    tally, hand = Tally(), clock()
    recorder = Recorder(tmp_path, 0, tally, hand, msgspec.structs.replace(SLOW, max_bytes=1_000_000))
    said: list[Record] = [shop(1), impression(2, person=b""), shop(3, person=b"")]
    assert recorder.flush()
    assert sum(map(recorder.record, said)) == taken
    dropped = {name: value for name, value in counts(tally).items() if name.endswith("/disk")}
    assert sum(dropped.values()) == 3 - taken
    full.unlink()
    hand.advance(LOOK_S)
    assert recorder.flush()
    assert all(map(recorder.record, said))
    recorder.close()


def test_a_size_is_of_all_files(tmp_path: Path) -> None:
    """Of folders in folders; links count themselves alone, and what is not there counts nothing."""
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "one").write_bytes(bytes(100))
    (tmp_path / "two").write_bytes(bytes(20))
    assert size_of(tmp_path) == 120
    (tmp_path / "link").symlink_to(inner)
    assert size_of(tmp_path) == 120 + len(str(inner))
    assert size_of(tmp_path / "absent") == 0


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (shop(at_s=NOW_S + FUTURE_S + 1), "time"),
        (shop(at_s=NOW_S - 30 * DAY_S), "time"),
        (msgspec.structs.replace(shop(), category="x" * 70_000), "size"),
        (msgspec.structs.replace(shop(), value_micros=2**80), "unfit"),
        (msgspec.structs.replace(shop(), category="\udc80"), "unfit"),
    ],
)
def test_what_cannot_be_recorded_is_dropped_and_counted(tmp_path: Path, record: Record, reason: str) -> None:
    """A record too large, too old, too far ahead or unwritable is refused without an exception."""
    tally = Tally()
    recorder = Recorder(tmp_path, 0, tally, clock(), SLOW)
    assert not recorder.record(record)
    recorder.close()
    assert counts(tally) == {f"dropped_total/shop/{reason}": 1}
    assert not list(tmp_path.glob("*/*"))


def test_segments_rotate_by_size_and_by_age(tmp_path: Path) -> None:
    """A segment is sealed when it is large enough, or old enough though nothing more came."""
    time = clock()
    recorder = Recorder(tmp_path, 0, Tally(), time, msgspec.structs.replace(SLOW, segment_bytes=4_096))
    for number in range(30):
        recorder.record(shop(number))
    recorder.flush()
    assert len(segments.sealed(tmp_path)) == 1
    recorder.record(shop(31))
    recorder.flush()
    assert len(segments.sealed(tmp_path)) == 1
    time.advance(SLOW.segment_s)
    recorder.flush()
    assert len(segments.sealed(tmp_path)) == 2
    recorder.close()
    assert len(segments.readable(tmp_path)) == 2


def test_a_disk_that_refuses_loses_nothing_that_has_room(tmp_path: Path) -> None:
    """What cannot be written waits, is counted as a failed flush, and is written when the disk is back."""
    tally, folder = Tally(), tmp_path / "events"
    folder.write_text("in the way")
    recorder = Recorder(folder, 0, tally, clock(), SLOW)
    recorder.record(shop(1))
    assert not recorder.flush()
    assert counts(tally)["write_failures_total"] == 1
    recorder.record(shop(2))
    folder.unlink()
    recorder.close()
    assert recorded(folder) == [shop(1), shop(2)]
