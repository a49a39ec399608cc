"""The controller against markets whose spend is a power of the multiplier, in which every line item is its own case."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from budget.pacing import (
    GAINS,
    M_MIN,
    PARTICIPATE_BELOW,
    Bounds,
    Floats,
    Heard,
    Order,
    State,
    ceiling,
    expected_spend,
    rows,
    start,
    step,
    taking_part,
    target,
)

ONE = np.ones(1)
UNIT = 0.01
"""The cost of a win, where a period aims at 1."""

finite = st.floats(0, 1e9)


def heard(state: State, spent: Floats, stretch: Floats | None = None) -> Heard:
    """What a period of a state brought, at UNIT a win."""
    return Heard(state.order, spent, spent / UNIT, np.ones(len(spent)) if stretch is None else stretch)


def paced(
    state: State, supply: Floats, elasticity: Floats, periods: int, aim: Floats | None = None
) -> tuple[State, Floats]:
    """The state and the money of the last period, in a market that spends supply x multiplier ** elasticity."""
    aim = np.ones(len(supply)) if aim is None else aim
    spent = np.zeros(len(supply))
    for _ in range(periods):
        spent = np.minimum(supply * state.multiplier**elasticity, ceiling(state, np.full(len(supply), UNIT)))
        state = step(state, heard(state, spent), aim)
    return state, spent


def settled(supply: float, elasticity: float = 1.0) -> State:
    """A controller that has long paced a market."""
    state = step(start(np.full(1, 0.2)), None, ONE)
    return paced(state, np.full(1, supply), np.full(1, elasticity), 60)[0]


@given(
    st.lists(
        st.tuples(st.floats(0, 1e12), st.floats(0, 1e9), st.floats(0, 100), st.one_of(finite, st.just(inf))),
        min_size=1,
        max_size=12,
    ),
    st.floats(M_MIN, 1),
)
def test_multipliers_stay_in_bounds(story: list[tuple[float, float, float, float]], first: float) -> None:
    """Whatever is spent, won, missed and asked, multipliers are numbers in [M_MIN, 1] and move by bounded steps."""
    state = step(start(np.array([first])), None, ONE)
    for spent, wins, stretch, aim in story:
        before = state
        news = Heard(state.order, np.array([spent]), np.array([wins]), np.array([stretch]))
        state = step(state, news, np.array([aim]))
        assert M_MIN * 0.999999 <= state.multiplier[0] <= 1.000001
        assert -GAINS.step_down - 1e-9 <= state.level[0] - before.level[0] <= GAINS.step_up + 1e-9
        assert np.isfinite(state.doubt).all()
        assert 0 <= state.doubt[0] <= GAINS.doubt


@given(
    st.lists(st.tuples(st.floats(2, 300), st.floats(0.5, 2.2), st.floats(-6, 0)), min_size=1, max_size=6),
)
def test_it_finds_the_pace(cases: list[tuple[float, float, float]]) -> None:
    """From any first multiplier, in markets of the elasticities met, spend is at its target after 60 periods."""
    supply, elasticity, first = np.array(cases).T
    state = step(start(np.exp(first)), None, np.ones(len(supply)))
    _, spent = paced(state, supply, elasticity, 60)
    assert spent == pytest.approx(np.ones(len(supply)), rel=0.05)


@pytest.mark.parametrize("jump", [3.0, 1 / 3])
@pytest.mark.parametrize("elasticity", [0.75, 1.0, 1.8])
def test_it_recovers_from_jumps_of_supply(jump: float, elasticity: float) -> None:
    """Six periods after supply tripled or fell to a third, spend is within 20 % of its target, and stays."""
    state = settled(10.0, elasticity)
    for periods in range(6, 12):
        _, spent = paced(state, np.full(1, 10.0 * jump), np.full(1, elasticity), periods)
        assert spent[0] == pytest.approx(1.0, rel=0.2)


def test_saturation_at_the_top_does_not_wind_up() -> None:
    """After a day without enough supply, three periods of plentiful supply bring spend back to its target."""
    state, spent = paced(settled(4.0), np.full(1, 0.1), ONE, 1440)
    assert state.multiplier[0] == pytest.approx(1.0)
    assert spent[0] == pytest.approx(0.1)
    _, spent = paced(state, np.full(1, 4.0), ONE, 4)
    assert spent[0] == pytest.approx(1.0, rel=0.2)


def test_saturation_at_the_bottom_does_not_wind_up() -> None:
    """A multiplier that long lay at its lower bound begins to rise with the first period that asks for more."""
    bounds = Bounds(0.1, 1.0)
    state = step(start(np.full(1, 0.2)), None, ONE, bounds)
    for _ in range(500):
        state = step(state, heard(state, np.full(1, 50.0)), ONE, bounds)
    assert state.multiplier[0] == pytest.approx(0.1)
    state = step(state, heard(state, np.full(1, 0.2)), ONE, bounds)
    assert state.multiplier[0] > 0.11


def test_missed_periods_are_one_long_one() -> None:
    """After ten missed periods in which all went well nothing changes: ten periods' money is no overspend."""
    state = settled(10.0)
    after = step(state, heard(state, np.full(1, 11.0), np.full(1, 11.0)), ONE)
    assert after.multiplier == pytest.approx(state.multiplier, rel=0.02)


def test_missed_periods_cost_one_bounded_step() -> None:
    """However much went wrong while the controller was away, it answers with one bounded step."""
    state = settled(10.0)
    after = step(state, heard(state, np.full(1, 1e6), np.full(1, 11.0)), ONE)
    assert -GAINS.step_down <= after.level[0] - state.level[0] < -1.0


def test_nothing_is_learned_from_nothing() -> None:
    """Periods without requests, or that asked for nothing, leave the multiplier where it was."""
    state = settled(10.0)
    held = state
    for _ in range(50):
        held = step(held, heard(held, np.zeros(1), np.zeros(1)), ONE)
    assert held.level == state.level
    closed = step(state, heard(state, ONE), np.zeros(1))
    level = closed.level
    for _ in range(50):
        closed = step(closed, heard(closed, np.zeros(1)), np.zeros(1))
    assert closed.level == level


def test_what_nothing_paces_is_never_throttled() -> None:
    """A guaranteed deal bids its full value whatever it spends."""
    state = step(start(np.full(1, 0.01)), None, np.full(1, inf))
    for _ in range(20):
        assert state.multiplier[0] == 1.0
        state = step(state, heard(state, np.full(1, 1e9)), np.full(1, inf))
    assert ceiling(state, ONE)[0] == inf


def test_feedback_one_period_late_does_not_oscillate() -> None:
    """Where each period is heard of one period late, spend settles at its target as well."""
    state, told, spent = step(start(np.full(1, 1.0)), None, ONE), [], 0.0
    for _ in range(40):
        spent = 10.0 * state.multiplier[0] ** 1.5
        told.append(heard(state, np.full(1, spent)))
        state = step(state, told[-2] if len(told) > 1 else None, ONE)
    assert spent == pytest.approx(1.0, rel=0.05)


def test_few_wins_move_little() -> None:
    """The same surprise moves the multiplier less where a period holds few wins."""
    moves = []
    for unit in (1e-4, 1.0):
        state = step(start(np.full(1, 0.2)), None, ONE)
        for _ in range(30):
            state = step(state, Heard(state.order, ONE, ONE / unit, ONE), ONE)
        after = step(state, Heard(state.order, 2 * ONE, 2 * ONE / unit, ONE), ONE)
        moves.append(abs(after.level[0] - state.level[0]))
    assert moves[1] < moves[0] / 3


@given(st.floats(0.05, 20), st.integers(0, 2**32 - 1))
def test_a_day_never_plans_more_than_its_budget(supply: float, seed: int) -> None:
    """Over a day of noisy supply no target exceeds what is left, and where supply allows the money is used."""
    rng = np.random.default_rng(seed)
    state, left = start(np.full(1, 0.2)), 96.0
    news: Heard | None = None
    for period in range(96):
        aim = target(np.array([[left]]), np.array([[1 / (96 - period)]]))
        assert 0.0 <= aim[0] <= left + 1e-9
        state = step(state, news, aim)
        wanted = supply * state.multiplier[0] * rng.lognormal(0, 0.2)
        spent = min(wanted, left, float(ceiling(state, np.full(1, UNIT))[0]))
        left -= spent
        news = heard(state, np.array([spent]))
    assert left >= 0.0
    if supply >= 2.0:
        assert left / 96.0 < 0.03


def test_targets() -> None:
    """A period's target is the least of its budgets' parts; budgets that do not pace do not count; none is infinity."""
    left = np.array(
        [[100.0, 10.0, inf], [100.0, 10.0, inf], [inf, inf, inf], [5.0, 1.0, inf], [-3.0, 4.0, 1.0]]
    )
    shares = np.array([[0.01, 0.2, 0.5], [0.5, 0.2, 0.5], [0.1, 0.2, 0.5], [inf, 1.0, 1.0], [0.5, 0.5, 0.5]])
    assert target(left, shares).tolist() == [1.0, 2.0, inf, 1.0, 0.0]
    assert target(np.full((1, 3), 5.0), np.full((1, 3), inf)).tolist() == [inf]


def test_the_ceiling_leaves_room_for_a_win() -> None:
    """A ceiling is the target times the burst, with room for the wins of a line item that wins seldom."""
    state = State(Order(np.zeros(2), np.array([10.0, 0.01])), np.zeros(2), ONE, ONE, np.array([1.0, np.nan]))
    assert ceiling(state, np.array([2.0, 2.0])).tolist() == [GAINS.burst * 11.0, 2.0]


@given(arrays(np.float64, 8, elements=st.floats(M_MIN, 1)))
def test_participation_takes_over_below_the_floor(multiplier: Floats) -> None:
    """Bid and participation together are the multiplier; below the floor only participation falls."""
    bid, part = taking_part(multiplier)
    assert bid * part == pytest.approx(multiplier)
    assert (bid >= PARTICIPATE_BELOW).all()
    assert ((part == 1.0) | (bid == PARTICIPATE_BELOW)).all()


def test_reserved_money_counts_as_far_as_it_will_be_charged() -> None:
    """Reservations count by what became of earlier ones, and wholly before any ended."""
    reserved, ended = np.full(3, 100.0), np.array([0.0, 1.0, 3.0])
    assert expected_spend(reserved, ended, np.array([0.0, 3.0, 0.0])).tolist() == [100.0, 25.0, 100.0]


def test_state_moves_with_its_line_item() -> None:
    """Known line items keep their state in a new order; new ones begin at their first multiplier."""
    state, _ = paced(
        step(start(np.array([0.1, 0.9])), None, np.ones(2)), np.array([3.0, 30.0]), np.ones(2), 5
    )
    moved = rows(state, np.array([1, -1, 0]), np.full(3, 0.5))
    assert moved.multiplier.tolist() == pytest.approx([state.multiplier[1], 0.5, state.multiplier[0]])
    assert moved.doubt[1] == GAINS.doubt
    assert np.isnan(moved.unit[1])
    assert rows(start(np.zeros(0)), np.array([-1]), np.full(1, 0.5)).multiplier.tolist() == pytest.approx(
        [0.5]
    )
