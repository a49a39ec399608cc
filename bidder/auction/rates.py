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


class Responses(Protocol):
    """Predicts response rates."""

    kind: str
    """What it is, for metrics: priors, or a model's name."""

    def rates(
        self, line: NDArray[np.intp], medium: NDArray[np.intp], affinity: Floats
    ) -> tuple[Floats, Floats]:
        """(P,) click rates and (P,) conversion rates per click; `medium` is a place in PREFERRED_MEDIUM."""


class Shading(Protocol):
    """Turns values into first-price bids."""

    def shade(self, value: Floats, exchange: Sequence[str], slot: NDArray[np.intp]) -> Floats:
        """(P,) bids for (P,) values; `exchange` names that of each slot."""
