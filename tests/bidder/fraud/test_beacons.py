"""What beacons and clicks give away."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from bidder.fraud import beacons
from bidder.fraud.beacons import USUAL_AFTER, WAIT_S, Beacons
from bidder.fraud.reasons import Mark
from bidder.metrics import Tally
from bidder.screening import FraudRules
from tests.bidder.fraud.support import NOW_S


class Bid(Struct, frozen=True):
    """A bid as its token tells of it."""

    bid_id: bytes
    person: bytes = bytes(16)
    placement: int = 0
    issued_s: int = int(NOW_S)
    deadline_s: int = int(NOW_S) + 900


class Desk:
    """Beacons with a counter to read."""

    def __init__(self, **rules: Any) -> None:
        self.tally = Tally()
        self.subject = Beacons(FraudRules(**rules), self.tally, NOW_S)
        self._rng = random.Random(3)

    def bid(self, **fields: Any) -> Bid:
        return Bid(self._rng.randbytes(12), **fields)

    def sees(self, kind: str, bid: Bid, after_s: float = 0.0, *, repeated: bool = False) -> int:
        return self.subject.sees(kind, bid, "generic", NOW_S + after_s, repeated=repeated)

    def counted(self, *labels: str) -> int:
        return sum(
            value
            for cell, value in self.tally.samples()
            if cell.name == "paceline_suspect_notices_total" and cell.labels == ("generic", *labels)
        )

    def usual(self, *kinds: str, times: int = int(USUAL_AFTER) + 20, after_s: float = 0.0) -> None:
        """So many bids of other people go this way, a minute apart."""
        for number in range(times):
            bid, at_s = self.bid(issued_s=int(NOW_S + number * 60)), after_s + number * 60.0
            bid = Bid(bid.bid_id, issued_s=int(NOW_S + at_s), deadline_s=int(NOW_S + at_s) + 900)
            for step, kind in enumerate(kinds):
                assert self.sees(kind, bid, at_s + step * 5) == 0


def test_an_ordinary_life() -> None:
    """Won, billed, shown, played and clicked after some seconds: nothing is said against it."""
    desk, bid = Desk(), Desk().bid(person=b"p" * 16, placement=7)
    for step, kind in enumerate(("win", "bill", "imp", "event", "click")):
        assert desk.sees(kind, bid, step * 2.0) == 0
    assert desk.counted() == 0


def test_duplicate_beacons() -> None:
    """The same impression again is counted, whether this worker knows it or another one heard it."""
    desk = Desk()
    bid = desk.bid()
    desk.sees("imp", bid)
    assert desk.sees("imp", bid, 1, repeated=True) == Mark.REPEATED
    assert desk.sees("imp", bid, 2) == Mark.REPEATED
    assert desk.counted("imp", "repeated") == 2


def test_clicks_per_bid() -> None:
    """Two or three clicks on one ad are a person's; the fourth is not."""
    desk = Desk()
    bid = desk.bid()
    desk.sees("imp", bid)
    marks = [desk.sees("click", bid, 2.0 + number, repeated=number > 0) for number in range(6)]
    assert marks == [0, 0, 0, Mark.REPEATED, Mark.REPEATED, Mark.REPEATED]


def test_early_and_late() -> None:
    """Shown before it was bid, beyond what clocks may differ, or after it had ended."""
    desk = Desk()
    assert desk.sees("imp", desk.bid(issued_s=int(NOW_S) + 1)) == 0
    assert desk.sees("imp", desk.bid(issued_s=int(NOW_S) + 60)) == Mark.EARLY
    assert desk.sees("imp", desk.bid(), 900) == 0
    assert desk.sees("imp", desk.bid(), 901) == Mark.LATE


@pytest.mark.parametrize(("after_s", "mark"), [(0.0, Mark.QUICK), (0.3, Mark.QUICK), (0.6, 0), (60.0, 0)])
def test_quick_clicks(after_s: float, mark: int) -> None:
    """Nobody sees and points within half a second."""
    desk = Desk()
    bid = desk.bid()
    desk.sees("imp", bid, 10)
    assert desk.sees("click", bid, 10 + after_s) == mark


def test_one_person_clicks_everything() -> None:
    """More than twenty clicks of one person within the hour are marked; nobody else's are, nor are those of nobody."""
    desk = Desk()
    marks = []
    for number in range(40):
        bid = desk.bid(person=b"clicker........!")
        desk.sees("imp", bid, number * 10.0)
        marks.append(desk.sees("click", bid, number * 10.0 + 3))
    assert marks[:20] == [0] * 20
    assert marks[25:] == [Mark.CLICK_FLOOD] * 15
    other, nobody = desk.bid(person=b"somebody else..."), desk.bid()
    for bid in (other, nobody):
        desk.sees("imp", bid, 401)
        assert desk.sees("click", bid, 404) == 0


def test_heavy_but_human() -> None:
    """Twelve clicks a day, six days long, never add up."""
    desk = Desk()
    for number in range(72):
        at_s = number * 7_200.0
        bid = Bid(bytes([number]) * 12, b"p" * 16, 0, int(NOW_S + at_s), int(NOW_S + at_s) + 900)
        desk.sees("imp", bid, at_s)
        assert desk.sees("click", bid, at_s + 4) & Mark.CLICK_FLOOD == 0


def test_a_placement_that_clicks_itself() -> None:
    """Clicks on half of what a placement shows are marked when there are many; a placement with one in a hundred, and
    bids of unknown placements, are not."""
    desk = Desk()
    marks: dict[int, list[int]] = {0: [], 7: [], 8: []}
    for number in range(400):
        for placement, every in ((0, 2), (7, 2), (8, 100)):
            bid = desk.bid(placement=placement)
            desk.sees("win", bid, number)
            desk.sees("imp", bid, number + 0.1)
            if number % every == 0:
                marks[placement].append(desk.sees("click", bid, number + 3))
    assert set(marks[0]) == set(marks[8]) == {0}
    assert marks[7][:50] == [0] * 50
    assert set(marks[7][60:]) == {Mark.PLACEMENT_FLOOD}


def test_unseen() -> None:
    """A click without an impression is marked where clicks have one usually, and only there."""
    desk = Desk()
    assert desk.sees("click", desk.bid(), 1) == 0
    desk.usual("imp", "click", after_s=10)
    assert desk.sees("click", desk.bid(), 7_000) & Mark.UNSEEN
    blocked = Desk()
    for number in range(300):
        assert blocked.sees("click", blocked.bid(), float(number)) == 0


def test_unwon() -> None:
    """Where an exchange tells of its wins, an impression that stays without one is counted, and its click marked; where
    it tells of none, nobody misses them."""
    desk = Desk()
    desk.usual("win", "imp")
    at_s = 9_000.0
    lone = Bid(b"lonely-bid-1", issued_s=int(NOW_S + at_s), deadline_s=int(NOW_S + at_s) + 900)
    assert desk.sees("imp", lone, at_s) == 0
    late = Bid(b"late-win-bid", issued_s=int(NOW_S + at_s), deadline_s=int(NOW_S + at_s) + 900)
    assert desk.sees("imp", late, at_s) == 0
    assert desk.sees("win", late, at_s + 30) == 0
    assert desk.sees("click", lone, at_s + WAIT_S + 5) == Mark.UNWON
    assert desk.sees("click", late, at_s + WAIT_S + 5) == 0
    assert desk.counted("imp", "unwon") == 1
    silent = Desk()
    silent.usual("imp", "click", times=300)
    assert silent.counted("imp", "unwon") == 0


def test_waiting_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more impressions wait for their wins than the limit says."""
    monkeypatch.setattr(beacons, "WAITING", 10)
    desk = Desk()
    for _ in range(50):
        desk.sees("imp", desk.bid())
    assert len(desk.subject._waiting) == 10
    desk.sees("win", desk.bid(), WAIT_S + 1)
    assert len(desk.subject._waiting) == 0


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["win", "bill", "loss", "imp", "click", "event"]),
            st.integers(0, 3),
            st.floats(-1e6, 1e6),
            st.booleans(),
        ),
        max_size=40,
    )
)
def test_any_order(notices: list[tuple[str, int, float, bool]]) -> None:
    """Notices in any order and at any time are marked or not, and never raise."""
    desk = Desk()
    bids = [desk.bid(person=b"p" * 16, placement=number) for number in range(4)]
    for kind, number, after_s, repeated in notices:
        assert 0 <= desk.sees(kind, bids[number], after_s, repeated=repeated) < 256


def test_a_trail_that_cannot_be_shared(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where the shared file cannot be had, a worker remembers for itself and says so."""
    subject = Beacons(FraudRules(), Tally(), NOW_S, tmp_path / "absent" / "beacons.trail")
    bid = Bid(b"0123456789ab")
    assert subject.sees("imp", bid, "generic", NOW_S) == 0
    assert subject.sees("imp", bid, "generic", NOW_S) == Mark.REPEATED
    assert "do not share" in caplog.text
