"""A log as a market in which many controllers bid side by side.

Shapes: A lanes (controllers) x the rows of a slot; a lane's multiplier times a row's relative click rate is its value.
Units: CPM fen; values relative to the mean impression's; SLOTS a day.
Limits: a lane stops for the rest of a slot where its cap does not cover the next cost.
"""

from typing import Literal

import numpy as np

from benchmarks.pacing.logs import TOP_PRICE, Floats, Ints, Log

SLOTS = 96
Auction = Literal["first", "second"]
_TOP_VALUE = 4000


class Market:
    """One log, cut into slots."""

    def __init__(self, log: Log, auction: Auction, shape: Floats) -> None:
        """shape: (SLOTS,) shares of the rows, in order."""
        self.log, self.auction = log, auction
        self.shape = shape / shape.sum()
        self.value = log.rate / log.rate.mean()
        self.full_cost = float(log.price.sum())
        edges = np.round(np.concatenate([[0.0], np.cumsum(self.shape)]) * len(log.price)).astype(np.int64)
        self.edges: Ints = edges
        self._shaded = shading(log.price) if auction == "first" else None

    def slot(self, number: int) -> slice:
        """The rows of a slot."""
        return slice(int(self.edges[number]), int(self.edges[number + 1]))

    def bids(self, multiplier: Floats, rows: slice) -> Ints:
        """(A, rows): shaded in a first-price auction, truthful in a second-price one."""
        value = multiplier[:, None] * self.value[None, rows]
        if self._shaded is None:
            return np.asarray(np.minimum(value, TOP_PRICE), np.int64)
        return np.asarray(self._shaded[np.minimum(value, _TOP_VALUE).astype(np.int64)], np.int64)

    def play(
        self, multiplier: Floats, cap: Floats, rows: slice, taking_part: Floats | None = None
    ) -> tuple[Floats, Floats, Floats]:
        """(A,) cost, value and number of wins of one slot; taking_part: (A,) share of auctions, drawn alike for all."""
        bid, price = self.bids(multiplier, rows), self.log.price[None, rows]
        won = (bid >= price) & (bid > 0)
        if taking_part is not None:
            lots = np.random.default_rng(rows.start).random(rows.stop - rows.start)
            won &= lots[None, :] < taking_part[:, None]
        paid = np.where(won, price if self._shaded is None else bid, 0)
        afforded = np.cumsum(paid, axis=1) <= cap[:, None]
        won &= afforded
        value = np.where(won, self.value[None, rows], 0.0)
        return (
            np.where(afforded, paid, 0).sum(axis=1).astype(np.float64),
            value.sum(axis=1),
            won.sum(axis=1) * 1.0,
        )

    def fixed(
        self, multiplier: float, budget: float = np.inf, taking_part: float = 1.0
    ) -> tuple[float, float]:
        """Cost and value of one multiplier over the whole log."""
        lots = np.array([taking_part]) if taking_part < 1.0 else None
        rows = slice(0, len(self.log.price))
        cost, value, _ = self.play(np.array([multiplier]), np.array([budget]), rows, lots)
        return float(cost[0]), float(value[0])

    def best_fixed(self, budget: float) -> tuple[float, float]:
        """The multiplier that just spends the budget, and the value that it wins."""
        low, high = 1e-3, 1e4
        for _ in range(40):
            middle = float(np.sqrt(low * high))
            low, high = (middle, high) if self.fixed(middle)[0] <= budget else (low, middle)
        return low, self.fixed(low)[1]


def shading(price: Ints) -> Ints:
    """What to bid for each integer value: argmax over b of (value - b) x share of prices up to b."""
    wins = np.cumsum(np.bincount(price, minlength=TOP_PRICE + 1)[: TOP_PRICE + 1]) / len(price)
    bids, values = np.arange(TOP_PRICE + 1), np.arange(_TOP_VALUE + 1)
    return np.asarray(np.argmax((values[:, None] - bids) * wins, axis=1), np.int64)
