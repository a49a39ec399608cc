"""What was heard of a bid, shared by the workers of a host."""

from __future__ import annotations

from pathlib import Path

import pytest

from bidder.fraud.trail import CLICKED, NOTHING, SHOWN, WON, Heard, Trail

BID = b"0123456789ab"


def test_what_came_before() -> None:
    """Each notice is told what was heard before it; the time of the first impression stays."""
    trail = Trail(slots=64)
    assert trail.note(BID, WON, 5) == NOTHING
    assert trail.note(BID, SHOWN, 1_795_608_000_123) == Heard(WON)
    assert trail.note(BID, SHOWN, 1_795_608_000_999) == Heard(WON | SHOWN, 0, 1_795_608_000_123)
    for clicks in range(20):
        before = trail.note(BID, CLICKED, 1_795_608_001_000)
        assert before.clicks == min(clicks, 15)
    assert trail.heard(BID) == Heard(WON | SHOWN | CLICKED, 15, 1_795_608_000_123)


def test_workers_share_it(tmp_path: Path) -> None:
    """What one worker hears another one knows, also one that starts later."""
    path = tmp_path / "bids.trail"
    one, two = Trail(path, 64), Trail(path, 64)
    one.note(BID, WON, 1)
    two.note(BID, SHOWN, 7)
    assert Trail(path, 64).heard(BID) == Heard(WON | SHOWN, 0, 7)
    assert path.stat().st_mode & 0o777 == 0o600


def test_never_grows(tmp_path: Path) -> None:
    """A bid that needs a slot takes it, and who had it is forgotten, not mistaken for it."""
    path = tmp_path / "bids.trail"
    trail = Trail(path, 2)
    size = path.stat().st_size
    for number in range(100):
        trail.note(number.to_bytes(4, "big") + b"rest%04d" % number, SHOWN, number)
    assert path.stat().st_size == size == 32
    assert trail.heard((98).to_bytes(4, "big") + b"rest0098").shown_ms == 98
    assert trail.heard((96).to_bytes(4, "big") + b"rest0096") == NOTHING


def test_widths() -> None:
    """A table whose slots are no power of two is our mistake."""
    with pytest.raises(AssertionError):
        Trail(slots=100)
