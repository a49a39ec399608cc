"""The controller on real logs, against the best fixed multiplier in hindsight.

Shapes: nine lanes side by side, one per deviation of the first multiplier from the best one.
Units: R/R* = value won / value of the multiplier that just spends the budget, known beforehand.
Source: DRLB (CIKM 2018) published 0.924 on average and 0.878 at worst for this measure, on its own data.
"""

from typing import Final

import numpy as np
from msgspec import Struct

from benchmarks.pacing.logs import Floats, campaign_1458, campaign_2997, mean_day
from benchmarks.pacing.market import SLOTS, Auction, Market
from budget.pacing import GAINS, Bounds, Gains, Heard, ceiling, start, step, target

DEVIATIONS: Final = (-0.8, -0.6, -0.4, -0.2, 0.0, 0.2, 0.4, 0.8, 1.6)
"""The first multiplier is the best one / (1 + deviation)."""
PARTS: Final = (32, 8)
"""Budgets: one over so much of what all rows would cost."""
DELAYS: Final = (0, 1)
"""Slots by which the controller hears of spend too late."""
WIDE: Final = Bounds(1e-6, 1e6)
"""The best multipliers of these logs lie above 1 where the budget is larger than the predicted value."""
_DEAREST: Final = 300.0


class Cell(Struct, frozen=True):
    """One stream, auction, budget and delay: nine runs."""

    campaign: str
    auction: str
    budget: str
    delay: int
    ratio: tuple[float, ...]
    """R/R*, by deviation."""
    utilisation: float
    """The least."""


class Run(Struct, frozen=True, eq=False):
    """One budget and delay, in many lanes."""

    budget: float
    first: Floats
    delay: int = 0
    bounded: bool = True
    """Whether a slot stops at the controller's ceiling."""
    bounds: Bounds = WIDE
    floor: float = 0.0
    """A multiplier below it stays there and takes part in fewer auctions; 0: acts on the bid alone."""


def drive(market: Market, run: Run, gains: Gains = GAINS) -> tuple[Floats, Floats]:
    """(A,) value won and cost, with the controller."""
    count = len(run.first)
    state, left, heard_left = start(run.first, gains), np.full(count, run.budget), np.full(count, run.budget)
    value, least = np.zeros(count), np.full(count, _DEAREST)
    rest = np.cumsum(market.shape[::-1])[::-1]
    told: list[Heard] = []
    for slot in range(SLOTS):
        news = told[slot - 1 - run.delay] if slot > run.delay else None
        if news is not None:
            heard_left = heard_left - news.spent
        aim = target(heard_left[:, None], np.full((count, 1), market.shape[slot] / rest[slot]))
        state = step(state, news, aim, run.bounds, gains)
        cap = np.minimum(left, ceiling(state, least, gains)) if run.bounded else left
        part = np.minimum(state.multiplier / run.floor, 1.0) if run.floor else None
        cost, won, wins = market.play(np.maximum(state.multiplier, run.floor), cap, market.slot(slot), part)
        left, value = left - cost, value + won
        told.append(Heard(state.order, cost, wins, np.ones(count)))
    return value, run.budget - left


def markets() -> list[Market]:
    """2997 and 1458; first price by the hourly shape of real traffic, second price in slots of equal counts."""
    by_hour, even = np.repeat(mean_day() / 4, 4), np.full(SLOTS, 1 / SLOTS)
    cases: tuple[tuple[Auction, Floats], ...] = (("first", by_hour), ("second", even))
    return [
        Market(log, auction, shape) for log in (campaign_2997(), campaign_1458()) for auction, shape in cases
    ]


def cells(all_markets: list[Market], bounded: bool = True, gains: Gains = GAINS) -> list[Cell]:
    """Every stream x budget x delay."""
    result = []
    for market in all_markets:
        for part in PARTS:
            budget = market.full_cost / part
            best, best_value = market.best_fixed(budget)
            first = best / (1.0 + np.array(DEVIATIONS))
            for delay in DELAYS:
                value, cost = drive(market, Run(budget, first, delay, bounded), gains)
                ratio = tuple(round(float(r), 4) for r in value / best_value)
                used = round(float(cost.min() / budget), 4)
                result.append(Cell(market.log.name, market.auction, f"1/{part}", delay, ratio, used))
    return result


def summary(all_cells: list[Cell]) -> dict[str, float]:
    """Mean and worst R/R* of all runs."""
    ratios = np.array([cell.ratio for cell in all_cells])
    return {
        "mean": round(float(ratios.mean()), 4),
        "worst": round(float(ratios.min()), 4),
        "mean_delay_0": round(float(ratios[[c.delay == 0 for c in all_cells]].mean()), 4),
        "mean_delay_1": round(float(ratios[[c.delay == 1 for c in all_cells]].mean()), 4),
        "least_utilisation": min(cell.utilisation for cell in all_cells),
    }
