"""Published table of campaign 2997: five ways to bid in a second-price auction with a budget per episode.

Shapes: episodes are consecutive rows, EPISODE each (the last one shorter), replayed side by side, one row at a time.
Units: CPM fen; the share of a budget is of what the episode's rows would cost at the mean price.
Source: Cai et al., WSDM 2017 (rlb, ss-mdp, mcpc, lin); Zhang et al., KDD 2014 (ortb1).
"""

from collections.abc import Callable

import numpy as np
from msgspec import Struct

from benchmarks.pacing.logs import TOP_PRICE, Floats, History, Ints, Log

EPISODE = 1000
LIN_BASE = {32: 10, 16: 15, 8: 20, 4: 85, 2: 130}
"""The authors' own base bids, by one over the budget's share."""

Bidder = Callable[[int, Ints, Floats], Ints]
"""(rows left, this one included; budgets left; rates) of all episodes -> bids."""


class Tally(Struct, frozen=True):
    """What a way to bid brought."""

    impressions: int
    clicks: int
    cost: int


def budget(history: History, part: int) -> int:
    """Of one episode, for a share of 1/part."""
    return int(history.cost / history.impressions * (1 / part) * EPISODE)


def replay(log: Log, purse: int, bidder: Bidder) -> Tally:
    """All episodes with one bidder: a bid is cut to the budget left and wins where it reaches the price."""
    count = -(-len(log.price) // EPISODE)
    left, totals = np.full(count, purse, np.int64), np.zeros(3, np.int64)
    for step in range(EPISODE):
        rows = np.arange(count) * EPISODE + step
        here = rows < len(log.price)
        rows = rows[here]
        bid = np.minimum(
            bidder(EPISODE - step, left[here], log.rate[rows]), np.minimum(left[here], TOP_PRICE)
        )
        won = bid >= log.price[rows]
        paid = np.where(won, log.price[rows], 0)
        left[here] -= paid
        totals += won.sum(), log.click[rows][won].sum(), paid.sum()
    return Tally(*(int(total) for total in totals))


def mcpc(history: History) -> Bidder:
    """The click rate times what a click cost before."""
    cost = history.cost / history.clicks
    return lambda _, left, rate: (rate * cost).astype(np.int64)


def lin(history: History, base: int) -> Bidder:
    """In proportion to the click rate: `base` at the mean one."""
    mean = history.clicks / history.impressions
    return lambda _, left, rate: (rate * base / mean).astype(np.int64)


def ortb1(history: History, k: float) -> Bidder:
    """Best for a win curve of b / (b + c)."""
    mean = history.clicks / history.impressions
    c = win_curve_constant(np.cumsum(history.prices) / history.prices.sum())
    return lambda _, left, rate: (np.sqrt(rate / mean * k * c + c * c) - c).astype(np.int64)


def win_curve_constant(wins: Floats) -> int:
    """The integer c for which b / (b + c) comes nearest to a win curve over b = 0, 1, ... in squares."""
    bids = np.arange(len(wins))
    constants = np.arange(1, len(wins) - 1)
    curves = bids / (bids + constants[:, None])
    return int(constants[((wins - curves) ** 2).sum(axis=1).argmin()])


def values(history: History, purse: int, steps: int = EPISODE) -> Floats:
    """(steps, purse + 1): clicks to be had with n rows and b of budget left, by dynamic programming."""
    market = (history.prices + 1) / (history.prices.sum() + TOP_PRICE + 1)
    mean = history.clicks / history.impressions
    table = np.zeros((steps, purse + 1))
    for n in range(1, steps):
        before, now = table[n - 1], table[n]
        now[:] = before + market[0] * mean
        reach = before - mean
        for delta in range(1, min(TOP_PRICE, purse) + 1):
            gain = before[:-delta] - reach[delta:]
            if gain[-1] <= 0 and gain.max() <= 0:
                break
            now[delta:] += market[delta] * np.maximum(gain, 0.0)
        now[0] = 0.0
    return table


def rlb(table: Floats, mean: float | None = None) -> Bidder:
    """The largest bid that the value of the money left still allows; `mean` in place of each rate is ss-mdp."""
    deltas = np.arange(1, TOP_PRICE + 1)

    def bid(n: int, left: Ints, rate: Floats) -> Ints:
        value = table[n - 1]
        after = left[:, None] - deltas
        worth = (rate if mean is None else np.full_like(rate, mean))[:, None] + value[np.maximum(after, 0)]
        allowed = (worth - value[left][:, None] >= 0) & (after >= 0)
        return np.asarray(np.logical_and.accumulate(allowed, axis=1).sum(axis=1), np.int64)

    return bid


def table(log: Log, history: History, parts: tuple[int, ...]) -> dict[str, dict[str, Tally]]:
    """Share of the budget to way of bidding to what it brought; the parameter of ortb1 is the best in hindsight."""
    mean = history.clicks / history.impressions
    result = {}
    for part in parts:
        purse = budget(history, part)
        sweep = [replay(log, purse, ortb1(history, 2.0 ** (j / 2))) for j in range(6, 25)]
        row = {
            "mcpc": replay(log, purse, mcpc(history)),
            "lin": replay(log, purse, lin(history, LIN_BASE[part])),
            "ortb1": max(sweep, key=lambda tally: tally.clicks),
        }
        if part > 2:
            value = values(history, purse)
            row["rlb"] = replay(log, purse, rlb(value))
            if part == 32:
                row["ss-mdp"] = replay(log, purse, rlb(value, mean))
        result[f"1/{part}"] = row
    return result
