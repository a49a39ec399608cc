"""Who saw what when, as only the people themselves know it, held against every frequency cap of the campaign files.

Place: witness.py tells each ad that was on a screen, in the order in which they were seen.
Shapes: a Viewer is somebody whom exchanges tell apart, or a visitor: an address without its end and a browser.
Units: seconds on any one clock; windows are exact and slide: with L views allowed per W, a view is beyond the cap
    if the L-th before it was less than W ago.
Never: reads what the service counted.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Final, NamedTuple

from bidder.campaigns.durations import duration_text, seconds_of
from bidder.campaigns.model import Book, Frequency
from bidder.keys import key64

VISITOR_S: Final = 3_600
"""An address is lent anew: of a visitor a cap can know no longer than this."""


class Viewer(NamedTuple):
    """Whom a view counts for."""

    name: str
    visitor: bool = False


class Bound(NamedTuple):
    """One cap, or one minimum gap, which is a cap of one view."""

    scope: str
    """Of what the views are counted: "campaign solepath/solepath-deals"."""
    views: int
    window_s: int

    @property
    def name(self) -> str:
        """For a person."""
        return f"{self.scope}: {self.views} per {duration_text(self.window_s)}"


class Viewings:
    """Counts views, and those beyond a cap."""

    def __init__(self, book: Book) -> None:
        self._lines: dict[int, tuple[Bound, ...]] = {}
        self._creatives: dict[int, tuple[Bound, ...]] = {}
        self._last: defaultdict[tuple[Bound, str], deque[float]] = defaultdict(deque)
        for shop in book.advertisers:
            own = _bounds(shop.frequency, f"advertiser {shop.id}")
            for creative in shop.creatives:
                scope = f"creative {shop.id}/{creative.id}"
                self._creatives[key64(f"{shop.id}/{creative.id}")] = _bounds(creative.frequency, scope)
            for campaign in shop.campaigns:
                whole = _bounds(campaign.frequency, f"campaign {shop.id}/{campaign.id}")
                for line in campaign.line_items:
                    part = _bounds(line.frequency, f"line item {line.id}")
                    self._lines[key64(f"{shop.id}/{line.id}")] = (*own, *whole, *part)

    def saw(self, viewer: Viewer, line_key: int, creative_key: int, at_s: float) -> tuple[int, list[str]]:
        """A view, by `key64` of its line item and creative: how many caps bind it, and those that it is beyond."""
        bounds = (*self._lines.get(line_key, ()), *self._creatives.get(creative_key, ()))
        return len(bounds), [bound.name for bound in bounds if self._beyond(bound, viewer, at_s)]

    def _beyond(self, bound: Bound, viewer: Viewer, at_s: float) -> bool:
        window_s = min(bound.window_s, VISITOR_S) if viewer.visitor else bound.window_s
        last = self._last[bound, viewer.name]
        last.append(at_s)
        return len(last) > bound.views and at_s - last.popleft() < window_s


def _bounds(frequency: Frequency | None, scope: str) -> tuple[Bound, ...]:
    if frequency is None:
        return ()
    bounds = [Bound(scope, cap.views, seconds_of(cap.per)) for cap in frequency.caps]
    if frequency.min_gap is not None:
        bounds.append(Bound(scope, 1, seconds_of(frequency.min_gap)))
    return tuple(bounds)
