"""Media as bits, and their numbers at the exchange."""

from __future__ import annotations

from bidder.opportunity import AUDIO, BANNER, MEDIA_NAMES, MTYPE, NATIVE, VIDEO
from bidder.outcome import NBR, Drop, Outcome, nbr


def test_each_medium_is_one_bit() -> None:
    """Together they are four bits, each its own."""
    assert BANNER | VIDEO | AUDIO | NATIVE == 15
    assert sum((BANNER, VIDEO, AUDIO, NATIVE)) == 15


def test_mtype_is_openrtb() -> None:
    """Bid.mtype: 1 banner, 2 video, 3 audio, 4 native."""
    named = {MEDIA_NAMES[medium]: number for medium, number in MTYPE.items()}
    assert named == {"banner": 1, "video": 2, "audio": 3, "native": 4}


def test_every_no_bid_has_a_reason_code() -> None:
    """Codes of the OpenRTB list; what says nothing is 0."""
    assert all(nbr(outcome) in range(18) for outcome in Outcome)
    assert nbr(Outcome.NO_CANDIDATE) == 0
    assert nbr(Outcome.NO_TIME) == nbr(Outcome.LATE) == 15
    assert NBR.keys() <= set(Outcome)


def test_numbers_are_their_own() -> None:
    """Outcomes and drops index arrays of counters: 0 to n, none left out."""
    assert sorted(Outcome) == list(range(len(Outcome)))
    assert sorted(Drop) == list(range(len(Drop)))
