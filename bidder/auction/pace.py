"""What pacing asks of each line item of one index, and what it wants to know: how many auctions it could enter.

Place: price multiplies values, admit draws lots, retrieval tells whom it found; the pacemaker sets and takes between
    two batches.
Shapes: N line items by number: `multiplier` (N,) float64 in [0, 1]; `thinned` by key.
Limits: FOLD batches of candidates are kept before they are counted: counting once for many costs 0.1 us a request.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

FOLD: Final = 64


class Pace:
    """The pace of all line items of an index; full until told otherwise."""

    __slots__ = ("_counts", "_found", "multiplier", "slowed", "thinned")

    def __init__(self, count: int) -> None:
        self.multiplier: NDArray[np.float64] = np.ones(count)
        self.thinned: Mapping[int, float] = {}
        """Line items that take part in a share of their auctions only: key to share."""
        self.slowed = False
        """Whether any multiplier is below 1."""
        self._counts: NDArray[np.int64] = np.zeros(count, np.int64)
        self._found: list[NDArray[np.int64]] = []

    def saw(self, lines: NDArray[np.int64]) -> None:
        """The candidates of a batch (P,), by number."""
        self._found.append(lines)
        if len(self._found) >= FOLD:
            self._fold()

    def seen(self) -> NDArray[np.int64]:
        """(N,) how often each line item was a candidate, since this pace was made."""
        self._fold()
        return self._counts

    def _fold(self) -> None:
        if self._found:
            self._counts += np.bincount(np.concatenate(self._found), minlength=len(self._counts))
            self._found.clear()

    def set(self, multiplier: NDArray[np.float64], thinned: Mapping[int, float]) -> None:
        """Take a new pace; raises ValueError where it is of another index."""
        if multiplier.shape != self.multiplier.shape:
            raise ValueError(f"a pace of {multiplier.size} line items for an index of {self.multiplier.size}")
        self.multiplier, self.thinned = multiplier, thinned
        self.slowed = bool((multiplier < 1.0).any())
