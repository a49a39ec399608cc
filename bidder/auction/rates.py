"""What pricing asks of learning: response rates, and how far below its value to bid.

Place: the price step calls; bidder/learning answers; the world snapshot holds who does.
Shapes: P candidate pairs; a medium is its place in PREFERRED_MEDIUM.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bidder.opportunity import AUDIO, BANNER, NATIVE, VIDEO

Floats = NDArray[np.float64]
PREFERRED_MEDIUM = (BANNER, VIDEO, NATIVE, AUDIO)
"""Where a slot takes several media and a line item has several: the first of these."""


Affinity = tuple[NDArray[np.int64], NDArray[np.float32]]
"""The K pairs whose advertiser knows something of the person: (K,) which of the P, (K,) user vector . line-item
vector."""


ViewBins = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""(P,) recency and (P,) frequency of each pair's advertiser with the person, as audience.frequency bins them."""


class Responses(Protocol):
    """Predicts response rates."""

    kind: str
    """What it is, for metrics: priors, or a model's name."""

    def click_rates(
        self,
        line: NDArray[np.int64],
        medium: NDArray[np.int64] | None,
        affinity: Affinity | None,
        views: ViewBins | None = None,
    ) -> Floats:
        """(P,) click rates; `medium` is a place in PREFERRED_MEDIUM, None where all are the first; `views` None where
        nobody was shown anything that we know of."""

    def conversion_rates(self, line: NDArray[np.int64]) -> Floats:
        """(P,) conversions per click."""


class Shading(Protocol):
    """Turns values into first-price bids."""

    def shade(self, value: Floats, exchange: Sequence[str], slot: NDArray[np.intp]) -> Floats:
        """(P,) bids for (P,) values; `exchange` names that of each slot."""
