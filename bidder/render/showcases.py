"""Creatives of kind `products` by the keys that a token carries: those that are live, and the last ones that were.

Place: whoever swaps campaigns calls `adopt` with each snapshot; web/rendering looks them up.
Limits: RETIRED creatives that a reload removed are remembered, so that ads under way are still drawn.
"""

from collections.abc import Iterable
from typing import Final

from bidder.campaigns.ads import Showcase
from bidder.campaigns.compile import Line

RETIRED: Final = 50_000


class Showcases:
    """What each creative of products is."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], Showcase] = {}

    def of(self, line_item: int, creative: int) -> Showcase | None:
        """By `key64` of both; None where they never were."""
        return self._known.get((line_item, creative))

    def adopt(self, lines: Iterable[Line]) -> None:
        """Put a new snapshot's line items on top."""
        fresh = {
            (line.key, ad.key): ad.showcase for line in lines for ad in line.ads if ad.showcase is not None
        }
        old = [(key, value) for key, value in self._known.items() if key not in fresh]
        self._known = {**dict(old[-RETIRED:]), **fresh}
