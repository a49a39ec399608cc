"""How many requests a line item could answer, by hour of the week: learned from counts, forgetting slowly.

Place: the pacemaker feeds it once per period with what the workers counted, and plans with `weights`. Pure.
Shapes: L line items; (L, 168) float64, Monday 00 first, in each advertiser's time zone.
Units: requests, hours.
Source: a decayed histogram, shrunk towards the mean of its hour of day, and that towards flat.
"""

from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from budget.plan import WEEK_HOURS, Floats

HALF_LIFE_H: Final = 3 * WEEK_HOURS
"""An observation counts half after three weeks."""
PRIOR_H: Final = 0.5
"""The prior weighs as much as so many observed hours: a bin seen for one week is already mostly its own."""
LEAST: Final = 1e-3
"""Requests an hour: less is none."""
PRIOR_REQUESTS: Final = 30.0
"""... and as much as so many requests, so that a bin of a few requests is not believed."""

Indices = NDArray[np.intp]


class Traffic(Struct, frozen=True, eq=False):
    """Decayed sums of all line items."""

    requests: Floats
    """(L, 168)."""
    hours: Floats
    """(L, 168) how long each bin was observed."""


def nothing_seen(lines: int) -> Traffic:
    """Line items of which nothing is known."""
    return Traffic(np.zeros((lines, WEEK_HOURS)), np.zeros((lines, WEEK_HOURS)))


def observed(traffic: Traffic, hour: Indices, requests: Floats, seconds: float) -> Traffic:
    """With the requests (L,) of one period of some seconds, which fell into each line item's hour of the week (L,)."""
    fade = 0.5 ** (seconds / 3600 / HALF_LIFE_H)
    counts, hours = traffic.requests * fade, traffic.hours * fade
    row = np.arange(len(hour))
    counts[row, hour] += requests
    hours[row, hour] += seconds / 3600
    return Traffic(counts, hours)


def weights(traffic: Traffic) -> Floats:
    """(L, 168) weights with mean 1: flat before anything is seen, by hour of day after a day, by hour of week then."""
    requests, hours = (x.reshape(-1, 7, 24) for x in (traffic.requests, traffic.hours))
    seen = hours.sum(axis=(1, 2), keepdims=True)
    mean = np.where(seen > 0, requests.sum(axis=(1, 2), keepdims=True) / np.where(seen > 0, seen, 1.0), 0.0)
    mean = np.maximum(mean, LEAST)
    prior = PRIOR_H + PRIOR_REQUESTS / mean
    counts = np.where(seen > 0, requests, 0.0)
    by_day = (counts.sum(axis=1, keepdims=True) + prior * mean) / (hours.sum(axis=1, keepdims=True) + prior)
    by_week = ((counts + prior * by_day) / (hours + prior)).reshape(-1, WEEK_HOURS)
    mean_one: Floats = by_week / by_week.mean(axis=1, keepdims=True)
    return mean_one


def rows(traffic: Traffic, index: Indices) -> Traffic:
    """The traffic of other line items: row `index[i]` of this one for the i-th, nothing seen where it is -1."""
    known = (index >= 0)[:, None]
    return Traffic(np.where(known, traffic.requests[index], 0.0), np.where(known, traffic.hours[index], 0.0))
