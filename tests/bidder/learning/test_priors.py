"""Priors: rates by medium or line item, moved by affinity on the scale of log-odds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.learning.priors import MAX_AFFINITY, ConstantShading, PriorRates, Rest

NAN = float("nan")
MEDIA = np.array([0.002, 0.006, 0.004, 0.001])


def _rates(own: list[float], conversions: list[float], weight: float = 1.0) -> PriorRates:
    return PriorRates(MEDIA, np.array(own), np.array(conversions), Rest(0.02, weight))


def _one(rates: PriorRates, line: int, medium: int, affinity: float) -> tuple[float, float]:
    known = (np.array([0]), np.array([affinity], np.float32))
    lines = np.array([line])
    click = rates.click_rates(lines, np.array([medium]), known)
    return float(click[0]), float(rates.conversion_rates(lines)[0])


def test_without_affinity_a_rate_is_its_prior() -> None:
    """The medium's rate, or the line item's own in every medium."""
    rates = _rates([NAN, 0.05], [NAN, 0.5])
    for medium, prior in enumerate(MEDIA):
        assert _one(rates, 0, medium, 0.0) == pytest.approx((prior, 0.02))
        assert _one(rates, 1, medium, 0.0) == pytest.approx((0.05, 0.5))


def test_who_is_not_known_gets_the_prior() -> None:
    """A score counts for its own pair alone; without scores and media, the first medium's priors."""
    rates = _rates([NAN, NAN], [NAN, NAN])
    lines = np.array([0, 1, 0])
    moved = rates.click_rates(lines, None, (np.array([1]), np.array([2.0], np.float32)))
    plain = rates.click_rates(lines, None, None)
    assert plain.tolist() == pytest.approx([MEDIA[0]] * 3)
    assert (moved != plain).tolist() == [False, True, False]


@given(rate=st.floats(1e-4, 0.9), affinity=st.floats(-7, 7), weight=st.floats(0, 3))
def test_affinity_moves_the_log_odds(rate: float, affinity: float, weight: float) -> None:
    """By weight x score; the odds are multiplied by e to that."""
    click, _ = _one(_rates([rate], [NAN], weight), 0, 0, affinity)
    odds = rate / (1 - rate) * math.exp(weight * affinity)
    assert click == pytest.approx(odds / (1 + odds), rel=1e-6)


@given(affinity=st.floats(allow_nan=False, width=32))
def test_any_score_gives_a_rate(affinity: float) -> None:
    """Even an absurd score gives a rate between 0 and 1, no higher than that of MAX_AFFINITY."""
    rates = _rates([NAN], [NAN], 10.0)
    click, _ = _one(rates, 0, 0, affinity)
    assert 0 < click <= 1
    assert click <= _one(rates, 0, 0, MAX_AFFINITY)[0]


@pytest.mark.parametrize("prior", [0.0, 1.0])
def test_certain_priors_stay_certain(prior: float) -> None:
    """A prior of 0 or 1 may be configured; no score moves it, and no warning is raised."""
    rates = PriorRates(np.full(4, prior), np.array([NAN]), np.array([NAN]), Rest(0.02, 1.0))
    assert _one(rates, 0, 2, 3.0)[0] == prior
    assert _one(rates, 0, 2, -3.0)[0] == prior


def test_shading_is_a_share() -> None:
    """The same share of every value."""
    shaded = ConstantShading(0.75).shade(np.array([1.0, 0.0, 4.0]), ["a"], np.array([0, 0, 0]))
    assert shaded.tolist() == [0.75, 0.0, 3.0]


def test_they_say_what_they_are() -> None:
    """Metrics show that no model serves."""
    assert PriorRates.kind == "priors"
