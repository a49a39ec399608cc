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
Affinity = tuple[NDArray[np.int64], NDArray[np.float32]]
ViewBins = tuple[NDArray[np.uint8], NDArray[np.uint8]]
FATIGUE = np.array([1.0, 0.8, 0.7, 0.58, 0.5, 0.45, 0.4, 0.4])
"""Click rate by frequency bin (0, 1, 2-3, 4-7, 8-15, ... views in a week) as a share of that of the first view: 20 %
less after one view and half after seven, as published for Yahoo Gemini (CIKM 2019); between and beyond drawn on."""
MAX_AFFINITY = 8.0
"""Scores beyond it, up or down, say no more: e^8 is a factor of 3,000."""
_LOWEST, _HIGHEST, _ONE = np.array(-MAX_AFFINITY), np.array(MAX_AFFINITY), np.array(1.0)
"""Arrays without dimensions: numpy takes them 0.2 us sooner than Python's floats."""


class PriorRates:
    """Rates of each line item by medium, from its own figures or the medium's prior."""

    kind = "priors"

    def __init__(
        self, click_rates: Floats, line_click_rates: Floats, line_conversion_rates: Floats, rest: "Rest"
    ):
        """`click_rates` (M,) priors by medium; line rates (N,), NaN where a line item gives none."""
        own = ~np.isnan(line_click_rates)
        rates = np.where(own, line_click_rates, click_rates[:, None])
        with np.errstate(divide="ignore"):
            self._odds_against = ((1.0 - rates) / rates).ravel()
        """(M x N): odds that nobody clicks; flat, and the first medium first, so that one take finds an entry."""
        self._count = len(line_click_rates)
        self._conversion = np.where(
            np.isnan(line_conversion_rates), rest.conversion_rate, line_conversion_rates
        )
        self._weight = np.array(-rest.affinity_weight)

    def click_rates(
        self,
        line: NDArray[np.int64],
        medium: NDArray[np.int64] | None,
        affinity: Affinity | None,
        views: ViewBins | None = None,
    ) -> Floats:
        """(P,) click rates: the priors' log-odds, moved by the affinity's weight times its score, then lessened by
        what the person has seen of the advertiser."""
        entry = line if medium is None else medium * self._count + line
        against = self._odds_against.take(entry)
        if affinity is not None:
            known, score = affinity
            score = np.minimum(np.maximum(score, _LOWEST), _HIGHEST)
            against[known] *= np.exp(score * self._weight)
        against += _ONE
        rates: Floats = np.reciprocal(against, out=against)
        if views is not None:
            rates *= FATIGUE.take(views[1])
        return rates

    def conversion_rates(self, line: NDArray[np.int64]) -> Floats:
        """(P,) conversions per click."""
        return self._conversion.take(line)


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
