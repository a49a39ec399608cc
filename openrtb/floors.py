"""Which floor a bid has to reach.

Place: pricing, and `check` before an answer leaves.
Units: CPM in the currency that comes with it.
Source: OpenRTB 2.6 sections 3.2.4, 3.2.12, 3.2.35 and 7.11.
"""

from __future__ import annotations

from collections.abc import Iterable

from openrtb.enums import MarkupType
from openrtb.media import DurFloors
from openrtb.request import Deal, Imp

USD = "USD"
VIDEO, AUDIO = int(MarkupType.VIDEO), int(MarkupType.AUDIO)


def applicable_floor(imp: Imp, mtype: int, dur_s: int | None, deal: Deal | None) -> tuple[float, str]:
    """Return the floor of a bid and its currency: (0.0, currency) where there is none.

    The deal's floor goes before those of the video or audio slot, and these before the imp's. A deal that
    names no floor leaves the imp's in force; a deal's currency is USD unless it says otherwise, whatever the
    imp's. `dur_s` is the creative's length in seconds, None where it has none.
    """
    if deal is not None:
        floor = timed_floor(deal.durfloors, deal.mincpmpersec, dur_s)
        if floor is None:
            floor = deal.bidfloor
        if floor is not None:
            return floor, deal.bidfloorcur or USD
    slot = imp.video if mtype == VIDEO else imp.audio if mtype == AUDIO else None
    if slot is not None:
        floor = timed_floor(slot.durfloors, slot.mincpmpersec, dur_s)
        if floor is not None:
            return floor, imp.bidfloorcur or USD
    return imp.bidfloor or 0.0, imp.bidfloorcur or USD


def timed_floor(
    ranges: Iterable[DurFloors] | None, min_cpm_per_s: float | None, dur_s: int | None
) -> float | None:
    """Return the highest floor that depends on a creative's length; None if none applies to this length."""
    if dur_s is None:
        return None
    floors = [
        each.bidfloor or 0.0
        for each in ranges or ()
        if (each.mindur is None or each.mindur <= dur_s) and (each.maxdur is None or dur_s <= each.maxdur)
    ]
    if min_cpm_per_s:
        floors.append(min_cpm_per_s * dur_s)
    return max(floors, default=None)
