"""Where a multiplier should act: on the bid, on participation, or on both.

Shapes: one lane per case, with the controller and gains of production, in a first-price auction on real logs.
Units: value won / value of the best fixed bid multiplier in hindsight; budgets as parts of what full value would cost;
    floors as shares of full value: a multiplier below one stays there and takes part in fewer auctions.
"""

from typing import Final

import numpy as np
from msgspec import Struct

from benchmarks.pacing.logs import Log, campaign_1458, campaign_2997, mean_day
from benchmarks.pacing.market import Market
from benchmarks.pacing.replay import Run, drive
from budget.pacing import M_MIN, START, Bounds

PARTS: Final = (2, 4, 16, 64)
FLOORS: Final = (0.0, 0.01, 0.05, 0.1, 0.2, 1.0)
"""0: the bid alone; 1: participation alone, at full value."""


class Case(Struct, frozen=True):
    """One stream and budget."""

    campaign: str
    budget: str
    best_multiplier: float
    """In hindsight, on the bid."""
    ratio: dict[str, float]
    """By floor."""


def cases() -> list[Case]:
    """Both campaigns x budgets."""
    rows = campaign_2997(), campaign_2997().head(78_031)
    return [*_cases(*rows), *_cases(campaign_1458(), campaign_1458())]


def _cases(log: Log, known: Log) -> list[Case]:
    market = Market(log, "first", np.repeat(mean_day() / 4, 4))
    full = float(known.price.sum() / known.click.sum() * log.rate.mean())
    cost, _ = market.fixed(full)
    return [_case(market, full, part, cost / part) for part in PARTS]


def _case(market: Market, full: float, part: int, budget: float) -> Case:
    best, best_value = market.best_fixed(budget)
    ratio = {}
    for floor in FLOORS:
        bounds = Bounds(M_MIN * full, full)
        run = Run(budget, np.array([START * full]), bounds=bounds, floor=floor * full)
        value, _ = drive(market, run)
        ratio[f"{floor:g}"] = round(float(value[0] / best_value), 3)
    return Case(market.log.name, f"1/{part}", round(best / full, 4), ratio)
