"""Whether money is spent to plan, period by period: for the objective that 99 % of pacing periods are.

Place: the pacemaker tells it each period's aims and spend; standings.py counts what it says. Pure.
Shapes: (R,) float64, a row for each line item and campaign of the pacemaker; money in any one unit per row.
Rule: a period has a plan where a finite sum was aimed at. It is `within` where what was spent and what was aimed at of
    late, faded with MEMORY_S, differ by no more than a hundredth of a period's budget: of what the plan spends in a
    day at its present pace, or in the whole flight where that is shorter. So the bound is 14 minutes of the plan, a
    fault counts until its hour is over, and what cannot be divided is forgiven: two impressions at their dearest.
    Behind its plan, with traffic there and every auction bid on at full value, is `short`: no pacing could do
    more. All else is `off`.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MEMORY_S: Final = 3_600.0
TOLERANCE: Final = 0.01
DAY_S: Final = 86_400.0
GRAINS: Final = 2.0
FULL: Final = 0.999
"""A multiplier that is as good as the highest."""
WITHIN, OFF, SHORT = "within", "off", "short"


class Adherence:
    """What was spent and aimed at of late."""

    def __init__(self, span_s: Floats, grain: Floats) -> None:
        """(R,) how long each row's flight lasts, infinity where it has no end; (R,) the dearest impression."""
        self._span_s, self._grain = np.minimum(span_s, DAY_S), grain
        self._spent, self._aimed, self._passed_s = (np.zeros(len(grain)) for _ in range(3))

    def period(
        self, elapsed_s: float, spent: Floats, aimed: Floats, can_more: NDArray[np.bool_]
    ) -> dict[str, int]:
        """How many rows kept to their plan in a period of `elapsed_s`, and how many did not.

        `aimed`: what the period was to cost, infinity or 0 where nothing was planned; `can_more`: who could have been
        made to spend more by a higher multiplier, or had no traffic at all.
        """
        planned = np.isfinite(aimed) & (aimed > 0)
        fade = np.exp(-elapsed_s / MEMORY_S)
        self._spent = np.where(planned, self._spent * fade + spent, 0.0)
        self._aimed = np.where(planned, self._aimed * fade + np.where(planned, aimed, 0.0), 0.0)
        self._passed_s = np.where(planned, self._passed_s * fade + elapsed_s, 0.0)
        rate = self._aimed / np.where(planned, self._passed_s, 1.0)
        error = self._spent - self._aimed
        within = np.abs(error) <= TOLERANCE * self._span_s * rate + GRAINS * self._grain
        short = planned & ~within & (error < 0) & ~can_more
        return {
            WITHIN: int(np.count_nonzero(planned & within)),
            OFF: int(np.count_nonzero(planned & ~within & ~short)),
            SHORT: int(np.count_nonzero(short)),
        }
