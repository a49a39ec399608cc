"""Published table of campaign 1458: six ways to bid for an arbitrage of clicks.

Units: CPM fen; profits in the table's unit (fen / 1000).
Source: Zhang and Wang, KDD 2015, single-campaign demo.
"""

from collections.abc import Callable

import numpy as np
from msgspec import Struct

from benchmarks.pacing.logs import Floats, Log
from benchmarks.pacing.rlb import win_curve_constant

PAYOFF = 0.2
"""Of what a click cost on average."""
TRAIN_ROWS = 80_000
TOP = 322


class Result(Struct, frozen=True):
    """One way to bid, on the test rows."""

    parameter: float
    profit: float
    conversions: int
    rows: int
    impressions: int
    cost: int


class _Setting(Struct, frozen=True, eq=False):
    pay: float
    mean: float
    c: int


Bid = Callable[[_Setting, Floats, float], Floats]

_BIDS: dict[str, tuple[Bid, list[float], bool]] = {
    "const": (lambda s, p, x: np.full_like(p, x), [float(x) for x in range(5, 300, 18)], False),
    "truth": (lambda s, p, x: 1000 * s.pay * p, [0.0], False),
    "lin": (lambda s, p, x: x * p / s.mean, [float(x) for x in range(5, 150, 5)], True),
    "ortb": (
        lambda s, p, x: np.sqrt(p * s.c * x / s.mean + s.c**2) - s.c,
        [float(x) for x in range(20, 1400, 30)],
        True,
    ),
    "sam1": (lambda s, p, x: x * p / s.mean, [float(x) for x in range(5, 150, 4)], False),
    "sam2": (
        lambda s, p, x: np.sqrt(1000 * s.pay * s.c * p * x + s.c**2) - s.c,
        [round(0.1 + 0.2 * i, 1) for i in range(50)],
        False,
    ),
}
"""Name to (bid, its grid of parameters, whether the parameter is chosen by conversions, not by profit)."""


def table(train: Log, test: Log) -> dict[str, Result]:
    """All six rows."""
    pay = PAYOFF * (train.price.sum() / 1000) / train.click.sum()
    wins = np.cumsum(np.bincount(train.price, minlength=TOP + 1)[: TOP + 1]) / len(train.price)
    setting = _Setting(pay, float(train.rate.mean()), win_curve_constant(wins))
    purse = float(test.price.sum()) / 16
    back = Log(train.name, train.click[::-1], train.price[::-1], train.rate[::-1]).head(TRAIN_ROWS)
    result = {}
    for name, (bid, grid, by_conversions) in _BIDS.items():
        trials = [_replay(back, purse, setting, bid, x) for x in grid]
        best = max(trials, key=lambda trial: trial.conversions if by_conversions else trial.profit)
        result[name] = _replay(test, purse, setting, bid, best.parameter)
    return result


def _replay(log: Log, purse: float, setting: _Setting, bid: Bid, x: float) -> Result:
    """Rows in order until the cost reaches the budget; the row that reaches it still counts."""
    won = np.floor(bid(setting, log.rate, x)) > log.price
    spent = np.cumsum(np.where(won, log.price, 0))
    rows = min(int(np.searchsorted(spent, purse)) + 1, len(won))
    won, cost = won[:rows], int(spent[rows - 1])
    conversions = int(log.click[:rows][won].sum())
    return Result(x, float(setting.pay * conversions - cost / 1000), conversions, rows, int(won.sum()), cost)
