"""Response rates before there is a model: the operator's priors, moved by affinity.

Place: the price step asks it; metrics say `paceline_model_info{kind="priors"}` while it serves.
Shapes: as in auction.price.Responses.
Source: log-odds are additive in the features of a logistic model; the prior is its intercept.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Floats = NDArray[np.float64]
MAX_AFFINITY = 8.0
"""Scores beyond it, up or down, say no more: e^8 is a factor of 3,000."""


class PriorRates:
    """Rates of each line item by medium, from its own figures or the medium's prior."""

    kind = "priors"

    def __init__(
        self, click_rates: Floats, line_click_rates: Floats, line_conversion_rates: Floats, rest: "Rest"
    ):
        """`click_rates` (M,) priors by medium; line rates (N,), NaN where a line item gives none."""
        own = np.isnan(line_click_rates)[:, None]
        rates = np.where(own, click_rates[None, :], line_click_rates[:, None])
        with np.errstate(divide="ignore"):
            self._log_odds = (
                np.log(rates) - np.log1p(-rates)
            ).ravel()  # (N x M), flat: one take finds an entry
        self._media = len(click_rates)
        self._conversion = np.where(
            np.isnan(line_conversion_rates), rest.conversion_rate, line_conversion_rates
        )
        self._weight = rest.affinity_weight

    def rates(
        self, line: NDArray[np.intp], medium: NDArray[np.intp], affinity: Floats
    ) -> tuple[Floats, Floats]:
        """(P,) click rates and (P,) conversion rates per click."""
        moved = np.minimum(np.maximum(affinity, -MAX_AFFINITY), MAX_AFFINITY) * self._weight
        log_odds = self._log_odds.take(line * self._media + medium) + moved
        return 1.0 / (1.0 + np.exp(-log_odds)), self._conversion.take(line)


class Rest(Struct, frozen=True):
    """The priors that have no medium."""

    conversion_rate: float
    affinity_weight: float


class ConstantShading:
    """Bids a fixed share of the value in first-price auctions, until a win-rate curve is known."""

    def __init__(self, factor: float) -> None:
        self._factor = factor

    def shade(self, value: Floats, exchange: Sequence[str], slot: NDArray[np.intp]) -> Floats:
        """(P,) bids for (P,) values."""
        return value * self._factor
