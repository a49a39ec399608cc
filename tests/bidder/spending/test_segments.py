"""Records in files: whole ones come back, torn ones never do."""

import contextlib
import mmap
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.spending.segments import (
    HEAD_BYTES,
    MAX_RECORD,
    Cursor,
    framed,
    new_segment,
    records,
    segments_of,
)

payloads = st.lists(st.binary(min_size=1, max_size=60), max_size=12)


@contextlib.contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file of this process grows beyond so many bytes: what a full disk does to a write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@given(payloads, st.data())
def test_cut_at_any_byte_the_whole_records_remain(written: list[bytes], data: st.DataObject) -> None:
    """Of a file that ends anywhere, exactly the records that are whole come back, in order."""
    whole = b"".join(map(framed, written))
    cut = data.draw(st.integers(0, len(whole)))
    ends = [sum(HEAD_BYTES + len(payload) for payload in written[: i + 1]) for i in range(len(written))]
    expected = [(payload, end) for payload, end in zip(written, ends, strict=True) if end <= cut]
    assert list(records(whole[:cut])) == expected


@given(payloads.filter(bool), st.data())
def test_one_changed_byte_never_makes_another_record(written: list[bytes], data: st.DataObject) -> None:
    """Whatever byte is damaged, only records as they were written come back, up to the damage."""
    whole = bytearray(b"".join(map(framed, written)))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    found = [payload for payload, _ in records(bytes(whole))]
    assert found == written[: len(found)]
    assert len(found) < len(written)


def test_zeros_are_no_records() -> None:
    """What a disk shows after a power loss where nothing was written is torn, not a row of empty records."""
    assert list(records(bytes(4_096))) == []


def test_a_record_is_bounded() -> None:
    """The longest record comes back; a longer or an empty one is our bug."""
    longest = bytes(MAX_RECORD)
    assert [payload for payload, _ in records(framed(longest))] == [longest]
    for wrong in (b"", longest + b"x"):
        with pytest.raises(AssertionError):
            framed(wrong)


def test_a_write_that_the_disk_cuts_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """Half a record is taken back, told as False, and the next one stands where it should."""
    segment = new_segment(tmp_path, 0)
    assert segment.append(framed(b"first"))
    size = segment.end
    with disk_of(size + 5):
        assert not segment.append(framed(b"second"))
    assert segment.append(framed(b"third"))
    assert [payload for payload, _ in records(segment.read(0, 1_000))] == [b"first", b"third"]
    segment.remove()
    assert not list(tmp_path.iterdir())


def test_segments_never_overlap(tmp_path: Path) -> None:
    """Where half a record could not be taken back, the next file begins at its place, and counts."""
    for base, content in ((0, framed(b"a") + b"torn-and-left"), (len(framed(b"a")), framed(b"b"))):
        (tmp_path / f"{base:016x}.spool").write_bytes(content)
    first, second = segments_of(tmp_path)
    assert (first.base, first.end, second.base) == (0, second.base, len(framed(b"a")))
    first.close()
    second.close()


def test_a_cursor_remembers_and_a_strange_one_begins_anew(tmp_path: Path) -> None:
    """Positions outlive the mapping; a file of another size or with other bytes stands at 0."""
    path = tmp_path / "cursor"
    cursor = Cursor(path)
    cursor.send(0, 70)
    cursor.finish(0, 50)
    cursor.finish(1, 60)
    cursor.close()
    again = Cursor(path)
    assert [again.done(0), again.sent(0), again.done(1), again.sent(1)] == [50, 70, 60, 0]
    again.close()
    for strange in (b"", b"x" * 10, os.urandom(path.stat().st_size)):
        path.write_bytes(strange)
        anew = Cursor(path)
        assert [anew.done(0), anew.sent(0), anew.done(1), anew.sent(1)] == [0, 0, 0, 0]
        anew.close()


def test_a_cursor_has_its_place_on_the_disk(tmp_path: Path) -> None:
    """No hole is mapped: written to when the disk is full, it would end the process without a word."""
    Cursor(tmp_path / "cursor").close()
    assert (tmp_path / "cursor").stat().st_blocks * 512 >= mmap.PAGESIZE
