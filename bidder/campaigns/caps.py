"""Frequency caps, compiled: how many views of what, within how long.

Place: compile.py makes them from the campaign files; audience/frequency holds a person's views against them.
Units: windows in seconds: of caps from a minute to 30 days, of gaps from a second.
Shapes: a minimum gap is a cap too: one view within any window of its length.
"""

from typing import Final

from msgspec import Struct

from bidder.campaigns.durations import seconds_of
from bidder.campaigns.model import Frequency

ADVERTISER: Final = 0
CAMPAIGN: Final = 1
LINE: Final = 2
CREATIVE: Final = 3


class Cap(Struct, frozen=True, gc=False):
    """At most `views` views within any `window_s`."""

    scope: int
    """ADVERTISER, CAMPAIGN, LINE or CREATIVE: of what the views are counted."""
    key: int
    """Its 32-bit key: key32("<advertiser>/<campaign>"), key32("<line item>"), key32("<advertiser>/<creative>");
    0 for the advertiser."""
    views: int
    window_s: int


def caps_of(frequency: Frequency | None, scope: int, key: int) -> tuple[Cap, ...]:
    """The caps of one level as its campaign file gives them, its minimum gap last."""
    if frequency is None:
        return ()
    caps = [Cap(scope, key, cap.views, seconds_of(cap.per)) for cap in frequency.caps]
    if frequency.min_gap is not None:
        caps.append(Cap(scope, key, 1, seconds_of(frequency.min_gap)))
    return tuple(caps)
