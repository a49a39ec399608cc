"""Enumerated lists and their tolerant look-up."""

from __future__ import annotations

from openrtb.enums import ApiFramework, LossReason, NoBidReason, Protocol, label, member


def test_members_equal_the_numbers_on_the_wire() -> None:
    """A list of plain numbers may be searched with members."""
    assert Protocol.VAST_4_2 in [13, 14]
    assert ApiFramework.MRAID_3_0 == 6


def test_an_unknown_number_is_no_error() -> None:
    """Numbers outside a list, absent ones and vendor codes have no member, and a bounded label."""
    assert member(NoBidReason, 8) is NoBidReason.UNMATCHED_USER
    assert member(NoBidReason, 77) is None
    assert member(NoBidReason, None) is None
    assert label(LossReason, 102) == "lost_to_higher_bid"
    assert label(LossReason, 612) == "vendor"
    assert label(LossReason, 99) == label(LossReason, None) == label(LossReason, -5) == "unknown"
