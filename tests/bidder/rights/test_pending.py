"""What erasures have still to do in recorded events: told apart from what no erasure will reach."""

from __future__ import annotations

from pathlib import Path

import pytest

from bidder.events.erased import digest
from bidder.events.erasure import erase
from bidder.events.frames import encode_record, framed
from bidder.events.records import ShopEvent
from bidder.events.segments import BAD, OpenSegment
from bidder.rights.pending import Pending, left_in_events, pending
from tests.bidder.rights.conftest import NOW_S, ONE, TAG, TWO


def _event(person: bytes, at_s: int = NOW_S, id_: str = "e") -> bytes:
    record = ShopEvent(id=id_, at_ms=at_s * 1_000, advertiser="shop", kind="cart", person=person)
    return framed(encode_record(record))


@pytest.fixture
def segment(tmp_path: Path) -> OpenSegment:
    """One that is written, with an event of ONE and one of TWO."""
    made = OpenSegment(tmp_path, 0, NOW_S)
    made.append(_event(ONE) + _event(TWO))
    return made


def test_without_an_erasure_it_is_a_place(tmp_path: Path, segment: OpenSegment) -> None:
    """Nobody asked: nothing is pending, and the segment names the person."""
    assert not pending(tmp_path, {})
    assert left_in_events(tmp_path, {}, ONE) == [f"file {segment.path}"]


def test_what_the_book_catches_is_pending(tmp_path: Path, segment: OpenSegment) -> None:
    """After the erasure the open segment's event of the person is pending, and no place; others are not touched."""
    erase(tmp_path, [ONE], NOW_S + 1)
    assert pending(tmp_path, {}) == Pending(events=1)
    assert pending(tmp_path, {}, [digest(TWO)]) == Pending()
    assert left_in_events(tmp_path, {}, ONE) == []
    assert left_in_events(tmp_path, {}, TWO) == [f"file {segment.path}"]


def test_what_the_queue_asks_is_pending(tmp_path: Path, segment: OpenSegment) -> None:
    """An erasure that this host has not begun counts as a person, with the events that it will reach."""
    asked = {digest(ONE): NOW_S + 1.0, b"\x01" * 16: NOW_S + 1.0}
    assert pending(tmp_path, asked) == Pending(events=1, people=2)
    assert pending(tmp_path, asked, [digest(ONE)]) == Pending(events=1, people=1)
    assert left_in_events(tmp_path, asked, ONE) == []


def test_what_comes_after_the_erasure_is_a_place(tmp_path: Path, segment: OpenSegment) -> None:
    """An event of a later visit is not caught by the erasure, so it is not promised to go."""
    erase(tmp_path, [ONE], NOW_S + 1)
    segment.append(_event(ONE, NOW_S + 3_600, "later"))
    assert pending(tmp_path, {}) == Pending(events=1)
    assert left_in_events(tmp_path, {}, ONE) == [f"file {segment.path}"]


def test_what_names_the_id_elsewhere_is_a_place(tmp_path: Path, segment: OpenSegment) -> None:
    """The id in another field of somebody else's event is not cleaned by compaction."""
    erase(tmp_path, [ONE], NOW_S + 1)
    assert left_in_events(tmp_path, {}, ONE) == []
    segment.append(_event(TWO, id_=TAG.decode()))
    assert left_in_events(tmp_path, {}, ONE) == [f"file {segment.path}"]


def test_what_compaction_does_not_read_is_a_place(tmp_path: Path, segment: OpenSegment) -> None:
    """A segment that was set aside, and bytes that are no record, go with no compaction."""
    segment.seal()
    sealed = next((tmp_path / "segments").glob("*.sealed"))
    aside = sealed.rename(sealed.with_suffix(BAD))
    (tmp_path / "segments" / "stray").write_bytes(ONE)
    assert set(left_in_events(tmp_path, {digest(ONE): NOW_S + 1.0}, ONE)) == {
        f"file {aside}",
        f"file {tmp_path / 'segments' / 'stray'}",
    }


def test_no_folder(tmp_path: Path) -> None:
    """A host that records nothing holds nothing, and nothing waits there."""
    absent = tmp_path / "absent"
    assert (pending(absent, {digest(ONE): 1.0}), left_in_events(absent, {}, ONE)) == (Pending(), [])
