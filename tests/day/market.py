"""A seeded market: advertisers in several time zones, their budgets, and the bids that a day would let them make.

Shapes: a line item is an index; line i has the key of its advertiser's books, its limits, its usual price, its chance
    to win, and its share of the traffic. An opportunity is (line, price).
Units: Micros; seconds.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Iterator
from itertools import accumulate
from zoneinfo import ZoneInfo

from msgspec import Struct

from budget.accounts import Limits
from budget.money import Micros

ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Asia/Tokyo",
    "Pacific/Auckland",
    "America/Los_Angeles",
)
HOURLY = (5, 3, 2, 2, 2, 3, 4, 6, 8, 9, 10, 10, 11, 11, 10, 10, 11, 12, 13, 14, 14, 12, 10, 8)
"""Traffic of an hour of the day, UTC."""
HOURS = 24
SCARCE = (0.15, 0.3, 0.5, 0.8)
"""Limits, as parts of what the traffic would let a line item spend in a day."""


class Item(Struct):
    """One line item."""

    key: int
    advertiser: str
    limits: Limits
    cost: int
    """The middle of what it bids."""
    wins: float
    share: float
    worth: float
    """What it would spend in a day without limits."""


class Market:
    """Everything that is drawn before the day begins."""

    def __init__(self, seed: int, lines: int, bids: int) -> None:
        self.random = random.Random(seed)
        self.bids = bids
        shares = [1 / (rank + 4) for rank in range(lines)]
        total = sum(shares)
        self.items = self._items([share / total for share in shares])
        self.funds = {
            advertiser: self._fund([item for item in self.items if item.advertiser == advertiser])
            for advertiser in sorted({item.advertiser for item in self.items})
        }
        self._bounds = list(accumulate(item.share for item in self.items))

    def opportunities(self, start_s: int, seconds: int) -> Iterator[tuple[int, int]]:
        """Line and price of each bid that would be made in this time."""
        mean = self.bids * HOURLY[start_s // 3_600 % HOURS] / sum(HOURLY) * seconds / 3_600
        draw = self.random
        for _ in range(int(mean + draw.random())):
            line = min(bisect(self._bounds, draw.random() * self._bounds[-1]), len(self.items) - 1)
            yield line, int(self.items[line].cost * draw.uniform(0.5, 1.5))

    def _items(self, shares: list[float]) -> list[Item]:
        drawn = self.random
        totals: dict[str, int | None] = {}
        items = []
        for index, share in enumerate(shares):
            zone = ZONES[index % len(ZONES)]
            advertiser, campaign = f"shop-{index % len(ZONES)}", f"{index % len(ZONES)}-{index // 6 % 5}"
            cost = int(drawn.lognormvariate(7.6, 0.6)) + 100
            wins = drawn.uniform(0.1, 0.6)
            worth = share * self.bids * wins * cost * 0.8
            if campaign not in totals:
                totals[campaign] = int(worth * drawn.choice((0.5, 2, 4))) if drawn.random() < 0.5 else None
            limits = Limits(
                campaign,
                str(index),
                ZoneInfo(zone),
                campaign_total=_micros(totals[campaign]),
                campaign_daily=_micros(int(worth)) if int(campaign[-1]) == 2 else None,
                **self._bounds_of_line(worth, cost),
            )
            items.append(Item(0xA000 + index, advertiser, limits, cost, wins, share, worth))
        return [_as_campaign(item, items) for item in items]

    def _bounds_of_line(self, worth: float, cost: int) -> dict[str, Micros | None]:
        """Total, daily and hourly limits: some bind all day, some never."""
        least, draw = 100 * cost, self.random
        return {
            "line_total": _micros(max(least, int(worth * draw.choice(SCARCE))))
            if draw.random() < 0.3
            else None,
            "line_daily": _micros(max(least, int(worth * draw.choice(SCARCE))))
            if draw.random() < 0.6
            else None,
            "line_hourly": _micros(int(worth / 60)) if worth > 1_500 * cost else None,
        }

    def _fund(self, items: list[Item]) -> int:
        """Some wallets are empty before the day is over."""
        return int(sum(item.worth for item in items) * self.random.choice((0.3, 0.6, 2.0)))


def _as_campaign(item: Item, items: list[Item]) -> Item:
    """Limits of a campaign are those of its first line item, for all of them."""
    first = next(other for other in items if other.limits.campaign_id == item.limits.campaign_id)
    limits = item.limits
    item.limits = Limits(
        limits.campaign_id,
        limits.line_item_id,
        limits.zone,
        first.limits.campaign_total,
        first.limits.campaign_daily,
        limits.line_total,
        limits.line_daily,
        limits.line_hourly,
    )
    return item


def _micros(amount: int | None) -> Micros | None:
    return None if amount is None else Micros(amount)
