"""Whether pacing periods keep to their plans: within, off, or short of what could be bought."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.spending.adherence import DAY_S, GRAINS, MEMORY_S, TOLERANCE, Adherence

PERIOD_S = 15.0
AIM = 1_000.0


class Course:
    """One row with a plan of AIM per period and no grain."""

    def __init__(self, span_s: float = np.inf, grain: float = 0.0) -> None:
        self._row = Adherence(np.array([span_s]), np.array([grain]))

    def run(self, periods: int, share: float, can_more: bool = True, aim: float = AIM) -> list[str]:
        """What each period was, when `share` of its aim is spent."""
        found = []
        for _ in range(periods):
            counted = self._row.period(
                PERIOD_S, np.array([share * AIM]), np.array([aim]), np.array([can_more])
            )
            assert sum(counted.values()) <= 1
            found += [name for name, count in counted.items() if count]
        return found


def test_on_plan_is_within() -> None:
    """Day after day."""
    assert set(Course().run(2_000, 1.0)) == {"within"}


@pytest.mark.parametrize("share", [0.0, 3.0])
def test_a_fault_shows_after_a_hundredth_of_a_day_and_passes(share: float) -> None:
    """Nothing spent, or three times the plan: off after 14 minutes too little or too much, and within again when that
    was two hours ago."""
    course = Course()
    course.run(1_000, 1.0)
    bad = course.run(240, share)
    minutes = bad.index("off") * PERIOD_S / 60
    assert 14 <= minutes * abs(share - 1.0) <= 18
    assert set(bad[bad.index("off") :]) == {"off"}
    after = course.run(720, 1.0)
    assert 0 < after.count("off") * PERIOD_S < 2 * MEMORY_S
    assert after[-1] == "within"


def test_what_cannot_be_bought_is_short() -> None:
    """Behind the plan at full value, while there is traffic."""
    course = Course()
    assert course.run(500, 0.2, can_more=False)[-1] == "short"
    assert course.run(1, 0.2, can_more=True) == ["off"]


def test_too_much_is_off_at_any_multiplier() -> None:
    """Only who is behind can be short."""
    assert Course().run(500, 3.0, can_more=False)[-1] == "off"


def test_a_short_flight_is_held_to_its_own_hundredth() -> None:
    """Of a flight of an hour a hundredth is 36 seconds' worth."""
    course = Course(span_s=3_600.0)
    course.run(10, 1.0)
    assert course.run(4, 0.0) == ["within", "within", "off", "off"]


def test_grains_are_forgiven() -> None:
    """Two impressions more or less are nobody's fault."""
    course = Course(span_s=60.0, grain=AIM)
    assert course.run(int(GRAINS), 2.0) == ["within"] * 2
    assert course.run(2, 2.0)[-1] == "off"


@pytest.mark.parametrize("aim", [0.0, np.inf])
def test_without_a_plan_nothing_is_counted(aim: float) -> None:
    """Nothing asked, or nobody slowed; and what was spent then is held against no later plan."""
    course = Course()
    assert course.run(100, 5.0, aim=aim) == []
    assert course.run(1, 1.0) == ["within"]


@given(shares=st.lists(st.floats(0.0, 5.0), min_size=1, max_size=50))
def test_every_planned_period_is_counted_once(shares: list[float]) -> None:
    """Whatever is spent: one result each; and one that never errs by more than the tolerance is within."""
    course, worst, error = Course(), 0.0, 0.0
    for share in shares:
        (found,) = course.run(1, share)
        error = error * np.exp(-PERIOD_S / MEMORY_S) + (share - 1.0) * PERIOD_S
        worst = max(worst, abs(error))
        if worst < TOLERANCE * DAY_S * 0.99:
            assert found == "within"
