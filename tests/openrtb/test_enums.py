"""Enumerated lists: members are the numbers on the wire."""

from __future__ import annotations

from openrtb import enums
from openrtb.enums import ApiFramework, LossReason, NoBidReason, Protocol


def test_members_equal_the_numbers_on_the_wire() -> None:
    """A list of plain numbers may be searched with members."""
    assert Protocol.VAST_4_2 in [13, 14]
    assert ApiFramework.MRAID_3_0 == 6
    assert (NoBidReason.INVALID_REQUEST, NoBidReason.INSUFFICIENT_TIME) == (2, 15)
    assert (LossReason.WON, LossReason.LOST_TO_HIGHER_BID, LossReason.ATTRIBUTE_BLOCKED) == (0, 102, 210)


def test_published_numbers_leave_room_for_those_of_exchanges() -> None:
    """No member of any list is an exchange's own code."""
    lists = [kind for kind in vars(enums).values() if isinstance(kind, type) and kind is not enums.IntEnum]
    assert ApiFramework in lists
    assert all(member < enums.VENDOR_SPECIFIC for kind in lists for member in kind)
