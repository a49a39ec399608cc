"""What the simulator knows by itself: every true charge, once, and where bids were refused.

The ledger's books are compared with it; it never asks them.
"""

from __future__ import annotations

from collections import defaultdict

from msgspec import Struct

from budget.accounts import period_end_s
from budget.store import Status
from tests.day.market import Item

CHARGED = (Status.SETTLED, Status.LATE)
LAST_PART = 0.2
"""Of a period: in it is seen whether there was supply to the end."""
LEAST_TRIES = 20


class Span(Struct):
    """One line item in the last part of one of its periods."""

    path: tuple[str, ...]
    tries: int = 0
    refused: int = 0
    bereaved: bool = False
    """A worker died with its money: it comes home when none of its bids can be charged any more."""


class Tally:
    """Counts per (advertiser, account)."""

    def __init__(self) -> None:
        self.charged: dict[tuple[str, str], int] = defaultdict(int)
        self.limits: dict[tuple[str, str], int] = {}
        self.absorbed: dict[str, int] = defaultdict(int)
        self.true: dict[str, int] = defaultdict(int)
        """Charges that came at all, each once."""
        self.too_late: dict[str, int] = defaultdict(int)
        """Part of them that came when nothing was reserved for them any more."""
        self.fates: dict[bytes, Status] = {}
        self.released: set[bytes] = set()
        self.spans: dict[tuple[int, tuple[str, ...]], Span] = {}
        self._ends: dict[tuple[int, tuple[str, ...]], float] = {}

    def settled(
        self, item: Item, bid: bytes, amount: int, path: tuple[str, ...], status: Status, on_time: bool
    ) -> None:
        """One answer to one notice that bills."""
        first = self.fates.get(bid)
        if first is not None:
            assert status is Status.DUPLICATE, f"{bid.hex()} was {first} and is {status}"
            return
        assert status is not Status.DUPLICATE, f"{bid.hex()} is new"
        self.fates[bid] = status
        self.true[item.advertiser] += amount
        if not on_time or bid in self.released:
            assert status in (Status.LATE, Status.ABSORBED)
            self.too_late[item.advertiser] += amount
        else:
            assert status is Status.SETTLED
        if status in CHARGED:
            for account in path:
                self.charged[item.advertiser, account] += amount
        else:
            assert status is Status.ABSORBED
            self.absorbed[item.advertiser] += amount

    def tried(
        self, index: int, item: Item, path: tuple[str, ...], now_s: float, end_s: float, refused: bool
    ) -> None:
        """A bid was wanted near the end of its period; where nothing bounds it, `end_s` is the day's."""
        key = (index, path)
        span = self.spans.get(key)
        if span is None:
            span = self.spans[key] = Span(path)
            self._ends[key] = min(end_s, period_end_s(item.limits, now_s))
        length = 3_600 if item.limits.hourly else 86_400
        if now_s >= self._ends[key] - LAST_PART * length:
            span.tries += 1
            span.refused += refused

    def bereave(self, paths: set[tuple[str, ...]]) -> None:
        """A worker died that held money of these."""
        for span in self.spans.values():
            span.bereaved |= span.path in paths

    def starved(self) -> list[tuple[int, Span]]:
        """Line items that were refused to the end of a period, though there was supply."""
        return [
            (key[0], span)
            for key, span in self.spans.items()
            if span.tries >= LEAST_TRIES and span.refused >= 0.8 * span.tries and not span.bereaved
        ]

    def fullest(self, advertiser: str, path: tuple[str, ...]) -> str:
        """The account of a path of which most is used."""
        bounded = [account for account in path if (advertiser, account) in self.limits]
        return max(bounded, key=lambda account: self.used(advertiser, account))

    def used(self, advertiser: str, account: str) -> float:
        """Part of a limit that was charged."""
        return self.charged[advertiser, account] / self.limits[advertiser, account]
