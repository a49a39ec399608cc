"""Frequency caps, compiled: how many views of what, within how long.

Place: compile.py makes them from the campaign files; audience/frequency holds a person's views against them.
Units: windows in seconds.
"""

from typing import Final

from msgspec import Struct

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
