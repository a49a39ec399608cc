"""How hard each line item bids: one multiplier per line item, moved on a log scale towards its plan.

Place: the bookkeeper that leads calls `target` and `step` once per period with arrays for all line items; workers
    multiply values by what `taking_part` says and stop a line item for the rest of a period at its `ceiling`. Pure.
Shapes: (L,) float64, one row per line item, unless said otherwise; K budgets of each (flight, day, hour).
Units: money in any one unit per line item; multipliers are shares of the full value.
Source: measured, `python -m benchmarks.pacing` (benchmarks/results/pacing.json has every figure).
    Law: PI on log m, with the integral gain of a Kalman filter: evidence counts by the number of wins behind it, and
    doubt returns with a jump of supply. The target is remade from what is left, so what a period missed is spread over
    the rest; the integral stops at the bounds, learns nothing where nothing was asked, and takes missed periods as a
    long one.
    Quality: value won / value of the best fixed multiplier known beforehand, 144 runs on real logs: mean 0.984, worst
    0.939; without `ceiling` 0.984 and 0.907 (best published, on other data: 0.924 and 0.878). Dense traffic (300-24,000
    wins per quarter of an hour), AvgErr per quarter of an hour, mean and worst of 18 line items: 4.0 and 7.1 % with a
    period of 5 s, 2.6 and 5.1 % with 15 s, 3.0 and 6.3 % with 60 s.
    Acting on the bid or on participation, as a share of the best fixed multiplier's value: with 1/4 of the money that
    full value would cost, the bid 0.99, participation alone 0.28-0.39; with 1/16, 0.89-0.91 and 0.08-0.18. Bids held at
    a floor and participation below it, on the heavier-tailed log: a floor of 0.01 costs nothing at 1/16 (0.904 for
    0.905) and a sixth at 1/64 (0.44 for 0.535); 0.05 a third at 1/16 (0.602). Hence the bid, and participation only
    below PARTICIPATE_BELOW, so that little money on much traffic can still be steered where bids cannot get smaller.
Never: sees a request, a clock or a store.
"""

from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

M_MIN: Final = 1e-6
"""One auction in 10,000, at PARTICIPATE_BELOW of the value."""
PARTICIPATE_BELOW: Final = 0.01
"""Of the full value; a smaller multiplier bids this and takes part in fewer auctions."""
START: Final = 0.2
"""The multiplier of a line item of which nothing is known; a new day or flight begins with the last one."""
NOTHING: Final = 1e-6
"""Less money, or fewer wins, are none."""
FEW: Final = 5.0
"""A win that costs more than so many periods' targets is no measure of a period."""


class Gains(Struct, frozen=True):
    """One set for production and every benchmark; moved only with `python -m benchmarks.pacing` at hand."""

    elasticity: float = 1.25
    """Spend goes with multiplier ** elasticity: a ratio of spend is undone by its power 1 / elasticity."""
    doubt: float = 2.0
    """Variance of a new line item's log multiplier: its first periods of evidence are believed at once."""
    drift: float = 0.03
    """Variance by which the right log multiplier wanders from period to period."""
    noise: float = 0.02
    """Variance of log spend that no number of wins removes."""
    grain: float = 4.0
    """Variance of log spend of one single win; n wins have grain / n."""
    proportional: float = 0.3
    """The part of the last error that is answered at once and forgotten; the rest of the answer stays."""
    step_down: float = 1.5
    step_up: float = 0.5
    """The largest move of a log multiplier in one period: too much money spent cannot be had back."""
    surprise: float = 3.5
    """An error of so many deviations (or 0.6 of that twice in one direction) is a jump of supply: doubt returns."""
    memory: float = 0.3
    """How fast the cost of a win is learned."""
    burst: float = 3.0
    """A period may cost at most so many times its target."""


class Bounds(Struct, frozen=True):
    """Where a multiplier may lie."""

    low: float = M_MIN
    high: float = 1.0


class Order(Struct, frozen=True, eq=False):
    """What was asked of a period: the multipliers given and the money aimed at."""

    log_m: Floats
    aim: Floats
    """0 where nothing was asked, infinity where nothing paces."""

    @property
    def multiplier(self) -> Floats:
        """(L,) in the bounds."""
        return np.exp(self.log_m)


class State(Struct, frozen=True, eq=False):
    """What the controller remembers of each line item."""

    order: Order
    level: Floats
    """The lasting part of the log multiplier."""
    doubt: Floats
    """Variance of `level` around the right one."""
    surprise: Floats
    """The last error in deviations."""
    unit: Floats
    """The cost of a win; NaN before the first."""

    @property
    def multiplier(self) -> Floats:
        """(L,) of the coming period."""
        return self.order.multiplier


class Heard(Struct, frozen=True, eq=False):
    """What a period brought."""

    order: Order
    """The one that was in force while this money was spent."""
    spent: Floats
    """Settled, plus what is still reserved as far as it is expected to be settled (`expected_spend`)."""
    wins: Floats
    stretch: Floats
    """The plan's weight that really passed / the weight of the period ordered: 1 on time, 11 after ten missed periods,
    0 where there is nothing to learn (no request came)."""


GAINS: Final = Gains()
PRODUCTION: Final = Bounds()


def start(first: Floats, gains: Gains = GAINS) -> State:
    """Line items that begin with these multipliers, before any order."""
    level = np.log(first)
    zero = np.zeros(len(first))
    unit = np.full(len(first), np.nan)
    return State(Order(level, zero), level, np.full(len(first), gains.doubt), zero, unit)


def target(left: Floats, shares: Floats) -> Floats:
    """Money for the coming period: of each budget what is left x its share of the period, and the least of these.

    left: (L, K), infinity where there is no such budget; shares: (L, K) as schedule.Schedule gives them, infinity
    where a budget is not paced. Infinity where nothing paces the line item.
    """
    paced = np.isfinite(left) & np.isfinite(shares)
    money = np.where(
        paced, np.maximum(np.where(paced, left, 0.0), 0.0) * np.where(paced, shares, 0.0), np.inf
    )
    least: Floats = money.min(axis=1)
    return least


def step(
    state: State, heard: Heard | None, aim: Floats, bounds: Bounds = PRODUCTION, gains: Gains = GAINS
) -> State:
    """The state with the multipliers of the coming period.

    heard: None before the first period is over. aim: (L,) as `target` gives it; infinity (a guaranteed deal, or as soon
    as possible) is never throttled; 0 (closed hours, no money) keeps the multiplier as it is.
    """
    low, high = float(np.log(bounds.low)), float(np.log(bounds.high))
    if heard is not None:
        state, error = _learned(state, heard, (low, high), gains)
        given = state.level + gains.proportional * error
    else:
        given = state.level
    given = np.where(np.isinf(aim), high, np.clip(given, low, high))
    return State(Order(given, aim), state.level, state.doubt, state.surprise, state.unit)


def ceiling(state: State, least: Floats, gains: Gains = GAINS) -> Floats:
    """(L,) the most that the coming period may cost, for all workers together; infinity where nothing paces.

    least: (L,) the cost of a bid, so that a line item that wins seldom can win at all.
    """
    unit = np.where(np.isnan(state.unit), 0.0, state.unit)
    most: Floats = np.maximum(gains.burst * (state.order.aim + unit), least)
    return most


def taking_part(multiplier: Floats) -> tuple[Floats, Floats]:
    """What is bid, and how often: (L,) multiplier of the value, (L,) share of auctions in which to take part."""
    return np.maximum(multiplier, PARTICIPATE_BELOW), np.minimum(multiplier / PARTICIPATE_BELOW, 1.0)


def expected_spend(reserved: Floats, settled: Floats, freed: Floats) -> Floats:
    """The part of what is reserved that will be settled, by what became of earlier reservations (L,).

    settled, freed: money of reservations that ended lately; with none yet, everything reserved is expected to be spent.
    """
    ended = settled + freed
    return reserved * np.where(ended > 0, settled / np.where(ended > 0, ended, 1.0), 1.0)


def rows(state: State, index: Indices, first: Floats, gains: Gains = GAINS) -> State:
    """The state of other line items: row `index[i]` of this one for the i-th; where it is -1, a start at `first[i]`."""
    new = start(first, gains)
    if not len(state.level):
        return new
    known = index >= 0

    def pick(old: Floats, fresh: Floats) -> Floats:
        return np.where(known, old[index], fresh)

    return State(
        Order(pick(state.order.log_m, new.order.log_m), pick(state.order.aim, new.order.aim)),
        pick(state.level, new.level),
        pick(state.doubt, new.doubt),
        pick(state.surprise, new.surprise),
        pick(state.unit, new.unit),
    )


def asked_of(heard: Heard) -> tuple[Floats, NDArray[np.bool_]]:
    """(L,) the money that the time that really passed was to cost, 1 where nothing was asked; (L,) where it was."""
    finite = np.isfinite(heard.order.aim)
    asked = np.where(finite, heard.order.aim, 0.0) * heard.stretch
    told = asked > NOTHING
    return np.where(told, asked, 1.0), told


def _learned(state: State, heard: Heard, limits: tuple[float, float], gains: Gains) -> tuple[State, Floats]:
    """What a period taught, and (L,) the error of its log spend; 0 and nothing changed where nothing was asked."""
    asked, told = asked_of(heard)
    unit = _unit(state.unit, heard, gains)
    error, variance = _error(heard.spent, asked, unit, gains)
    doubt = np.minimum(state.doubt + gains.drift * heard.stretch, gains.doubt)
    news = heard.order.log_m + error - state.level
    deviations = news / np.sqrt(doubt + variance)
    again = (deviations * state.surprise > 0) & (np.abs(state.surprise) > 1.0)
    jump = np.abs(deviations) > np.where(again, 0.6 * gains.surprise, gains.surprise)
    doubt = np.where(jump, np.maximum(doubt, np.minimum(news * news, 1.0)), doubt)
    gain = doubt / (doubt + variance)
    level = np.clip(state.level + np.clip(gain * news, -gains.step_down, gains.step_up), *limits)
    learned = State(
        state.order,
        np.where(told, level, state.level),
        np.where(told, doubt * (1.0 - gain), state.doubt),
        np.where(told, deviations, state.surprise),
        unit,
    )
    return learned, np.where(told, error, 0.0)


def _unit(unit: Floats, heard: Heard, gains: Gains) -> Floats:
    """(L,) the cost of a win, after a period."""
    won = (heard.wins > NOTHING) & (heard.spent > NOTHING)
    seen = heard.spent / np.where(won, heard.wins, 1.0)
    return np.where(won, np.where(np.isnan(unit), seen, unit + gains.memory * (seen - unit)), unit)


def _error(spent: Floats, asked: Floats, unit: Floats, gains: Gains) -> tuple[Floats, Floats]:
    """(L,) by how much the log multiplier was wrong, and the variance of that."""
    unit = np.where(np.isnan(unit), asked, np.minimum(unit, FEW * asked))
    spent = np.maximum(spent, 0.0)
    error = np.log((asked + unit) / (spent + unit)) / gains.elasticity
    wins = np.maximum((asked + spent) / 2 / unit, 1.0)
    variance = gains.noise + gains.grain / gains.elasticity**2 / wins
    return np.clip(error, -gains.step_down, gains.step_up), variance
