"""Segments: whatever happened to a file, it is read to its last whole frame."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.events import segments
from bidder.events.frames import MAGIC, MAX_RECORD, decoded, framed
from bidder.events.records import Record
from bidder.events.segments import OpenSegment
from tests.bidder.events.samples import ANNA, NOW_S, click, framed_all, impression, shop, write

SAID: list[Record] = [shop(1), impression(2), click(3), shop(4)]


def test_a_file_cut_anywhere_gives_what_was_whole(tmp_path: Path) -> None:
    """For every length: exactly the records whose last byte is there, and no exception."""
    data = write(tmp_path, SAID).read_bytes()
    ends, end = [], len(MAGIC)
    for record in SAID:
        end += len(framed_all([record]))
        ends.append(end)
    cut = tmp_path / "cut"
    for length in range(len(data) + 1):
        cut.write_bytes(data[:length])
        assert list(segments.records(cut)) == SAID[: sum(end <= length for end in ends)]


def test_segments_of_one_millisecond_keep_their_order(tmp_path: Path) -> None:
    """However many begin at the same moment, they are read in the order in which they were made."""
    made = []
    for number in range(40):
        segment = OpenSegment(tmp_path, 0, NOW_S)
        segment.append(framed_all([shop(number)]))
        segment.seal()
        made.append(segment.path.with_suffix(segments.SEALED))
    assert segments.readable(tmp_path) == made


def test_a_byte_that_is_wrong_ends_the_file_there(tmp_path: Path) -> None:
    """Whichever byte is damaged, the records before it are read, and nothing that was never said."""
    data = write(tmp_path, SAID).read_bytes()
    hurt = tmp_path / "hurt"
    for at in range(len(data)):
        hurt.write_bytes(data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1 :])
        found = list(segments.records(hurt))
        assert found == SAID[: len(found)]
        assert len(found) < len(SAID)


@given(st.binary(max_size=400))
def test_any_bytes_are_read_without_an_exception(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    """No file, and no payload, raises."""
    path = tmp_path_factory.mktemp("any") / "file"
    path.write_bytes(MAGIC + data)
    list(segments.records(path))
    decoded(data)


def test_zeros_after_a_power_loss_end_the_file(tmp_path: Path) -> None:
    """A disk shows zeros where nothing was written: they are no record."""
    path = write(tmp_path, SAID)
    path.write_bytes(path.read_bytes() + bytes(MAX_RECORD))
    assert list(segments.records(path)) == SAID


def test_a_record_of_a_later_version_is_read_and_a_strange_one_left_out(tmp_path: Path) -> None:
    """Fields that were added at the end are ignored; a kind that nobody knows does not stop its file."""
    import msgspec

    segment = OpenSegment(tmp_path, 0, NOW_S)
    longer = [*msgspec.msgpack.decode(msgspec.msgpack.encode(shop(1))), "of a later version"]
    segment.append(framed(msgspec.msgpack.encode(longer)) + framed(msgspec.msgpack.encode(["else", 1])))
    segment.append(framed_all([shop(2)]))
    segment.seal()
    (path,) = segments.sealed(tmp_path)
    assert list(segments.records(path)) == [shop(1), shop(2)]


def test_a_segment_that_is_rewritten_is_whole_and_its_others_stay(tmp_path: Path) -> None:
    """Records may go or change; where none does, the file is not touched."""
    path = write(tmp_path, SAID)
    before = path.stat().st_ino
    assert segments.rewrite(path, lambda record: record) == 0
    assert path.stat().st_ino == before
    assert (
        segments.rewrite(
            path, lambda record: None if record.person == ANNA and record.id == "event-1" else record
        )
        == 1
    )
    assert list(segments.records(path)) == SAID[1:]


def test_the_lock_tells_who_lives(tmp_path: Path) -> None:
    """A segment whose writer holds it is not sealed by another, one that was left is."""
    held, left = OpenSegment(tmp_path, 0, NOW_S), OpenSegment(tmp_path, 1, NOW_S)
    left.append(framed_all(SAID))
    left.abandon()
    assert segments.seal_orphans(tmp_path) == 1
    assert [path.name for path in segments.sealed(tmp_path)] == [left.path.with_suffix(segments.SEALED).name]
    held.append(framed_all(SAID))
    held.seal()
    assert [len(list(segments.records(path))) for path in segments.sealed(tmp_path)] == [4, 4]


def test_a_file_that_was_never_begun_is_deleted(tmp_path: Path) -> None:
    """A writer killed before anybody could see its file leaves nothing behind."""
    left = OpenSegment(tmp_path, 0, NOW_S)
    left.abandon()
    part = left.path.rename(left.path.with_suffix(".part"))
    assert not segments.readable(tmp_path)
    assert segments.seal_orphans(tmp_path) == 0
    assert not part.exists()
