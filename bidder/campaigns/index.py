"""All line items compiled for retrieval: immutable, swapped whole.

Place: built by the live snapshot from a Book; auction/retrieve asks it which line items may bid.
Shapes: a set of line items is an int (bit i = line item i); `columns` are arrays of length N. Line items that need
    no segment are numbered first, by falling maximum bid, so that "the first K" are the K that may pay most; those
    that need one follow, advertiser by advertiser, so that what a person's segments can reach is a few windows.
Never: knows a person's data, a store or a socket; reads a request only through Context and Opportunity.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import NamedTuple

from bidder.campaigns.compile import Line, columns, compile_lines
from bidder.campaigns.dimensions import CACHE_BYTES, Circles, Dimension, bits
from bidder.campaigns.hours import WEEK_HOURS, hours_mask
from bidder.campaigns.model import Book
from bidder.campaigns.rates import Rates
from bidder.campaigns.slots import BlockIndex, SlotIndex
from bidder.campaigns.terms import COARSE, MANYS, SINGLES, Many, One, TermsOf
from bidder.opportunity import Context, Opportunity
from openrtb.request import BidRequest

COARSE_CACHE = 4_096
"""Combinations of coarse values that are remembered."""


class SegmentRule(NamedTuple):
    """What a person's segment means to the line items of its advertiser."""

    wanted: int = 0
    """Those of the advertiser's window that want it."""
    refused: int = 0
    """Those of the window that refuse it."""
    refused_elsewhere: tuple[int, ...] = ()
    """Line items outside the window, which need no segment, that refuse it."""


class Audience(NamedTuple):
    """The segment rules of one advertiser's line items. (Tuples: taken apart once per segment of a person.)"""

    first: int
    """Where the advertiser's window begins: bit i of its masks is line item `first` + i."""
    rules: dict[int, SegmentRule]
    """By segment key."""


class Coarse:
    """The dimensions of few values together: what one request asked, the next ones ask again."""

    def __init__(self, count: int, dimensions: list[tuple[str, Dimension]]) -> None:
        self._everything = (1 << count) - 1
        self._dimensions = [(attrgetter(name), dimension) for name, dimension in dimensions]
        self._values = attrgetter(*[name for name, _ in dimensions]) if dimensions else None
        self._masks: dict[object, int] = {}
        self._room = min(COARSE_CACHE, max(64, CACHE_BYTES // (count // 8 + 64)))

    def at(self, context: Context) -> int:
        """The line items that accept the values of a request."""
        if self._values is None:
            return self._everything
        values = self._values(context)
        mask = self._masks.get(values)
        if mask is None:
            mask = self._everything
            for value, dimension in self._dimensions:
                mask &= dimension.one(value(context))
            if len(self._masks) >= self._room:
                self._masks.clear()
            self._masks[values] = mask
        return mask


class Index:
    """Which line items may bid on what."""

    def __init__(self, book: Book, rates: Rates) -> None:
        self.lines: list[Line] = compile_lines(book, rates)
        self.columns = columns(self.lines)
        self.count = len(self.lines)
        self.everything = (1 << self.count) - 1
        self._fine: list[tuple[One, Dimension]] = []
        self._manys: list[tuple[Many, Dimension]] = []
        self._bind_dimensions()
        self._near = Circles(self.count)
        self._hours: list[int] = []
        """By hour of the week, the last for an unknown one; empty where no line item asks."""
        self._bind_places_and_hours()
        self._has_circles = self._near.seal()
        self._children = self._where(lambda line: line.targeting.child_directed)
        self.deals_only = self._where(lambda line: not line.open)
        """Line items that never bid in the open auction."""
        self.for_anyone = self._where(lambda line: not line.segments)
        """Line items that bid whoever the person is: the first ones."""
        self._slots = SlotIndex(self.lines)
        self._blocks = BlockIndex(self.lines)
        self.audiences = self._audiences()
        """Field name of a person's hash -> the advertiser's segment rules."""
        self.lines_by_key = {line.key: i for i, line in enumerate(self.lines)}
        """Number of each line item by its 64-bit key."""
        self.capped = self._where(lambda line: bool(line.caps))
        """Line items that bid only for whom views are counted."""
        self.capped_visitors = self._where(lambda line: bool(line.caps) and line.visitors)
        """Those of them that take a visitor for somebody."""
        self.any_capped = bool(self.columns.capped.any())
        """Whether it matters to any line item what a person has seen."""
        self.any_visitors = any(line.visitors and line.capped for line in self.lines)
        """Whether any line item caps people without an id."""
        self.deals = self._deals()
        """Deal id -> line items."""
        self.vectored = {line.field: line.advertiser for line in self.lines if line.vector}
        """Field name -> number of each advertiser whose line items have vectors."""
        self.advertisers = {line.field: line.advertiser for line in self.lines}
        """Field name -> number of each advertiser."""
        self.advertiser_count = 1 + max((line.advertiser for line in self.lines), default=0)
        self._alive, self._alive_from_s, self._alive_until_s = 0, float("inf"), float("-inf")

    def request_mask(self, context: Context, now_s: float) -> int:
        """The line items whose targeting the request meets; segments, deals and slots apart."""
        known = self._alive_from_s <= now_s < self._alive_until_s
        mask = self._alive if known else self._refresh(now_s)
        mask &= self._coarse.at(context)
        for value, dimension in self._fine:
            mask &= dimension.one(value(context))
        for values, dimension in self._manys:
            mask &= dimension.many(values(context))
        if self._has_circles:
            mask &= self._near.at(context.place)
        if self._hours:
            mask &= self._hours[context.hour_of_week]
        if context.coppa:
            mask &= self._children
        return mask

    def slot_mask(self, opportunity: Opportunity) -> int:
        """The line items that have a creative for the slot and want its position."""
        return self._slots.mask(opportunity)

    def blocked_masks(self, request: BidRequest) -> tuple[int, int]:
        """The line items that the request blocks by advertiser, and those it blocks by category."""
        return self._blocks.masks(request)

    def _refresh(self, now_s: float) -> int:
        """Flights that run now, kept until the next one starts or ends (a clock may be set back)."""
        self._alive = self._where(lambda line: line.start_s <= now_s < line.end_s)
        edges = [edge for line in self.lines for edge in (line.start_s, line.end_s)]
        self._alive_from_s = max([edge for edge in edges if edge <= now_s], default=float("-inf"))
        self._alive_until_s = min([edge for edge in edges if edge > now_s], default=float("inf"))
        return self._alive

    def _where(self, holds: Callable[[Line], bool]) -> int:
        return bits(i for i, line in enumerate(self.lines) if holds(line))

    def _bind_dimensions(self) -> None:
        coarse: list[tuple[str, Dimension]] = []
        for name, terms in SINGLES:
            dimension = self._dimension(terms)
            if dimension.seal():
                if name in COARSE:
                    coarse.append((name, dimension))
                else:
                    self._fine.append((attrgetter(name), dimension))
        self._coarse = Coarse(self.count, coarse)
        for values, terms in MANYS:
            dimension = self._dimension(terms)
            if dimension.seal():
                self._manys.append((values, dimension))

    def _dimension(self, terms: TermsOf) -> Dimension:
        dimension = Dimension(self.count)
        for i, line in enumerate(self.lines):
            wanted = terms(line.targeting)
            if wanted:
                dimension.add(i, *wanted)
        return dimension

    def _bind_places_and_hours(self) -> None:
        by_hour: list[list[int]] = [[] for _ in range(WEEK_HOURS)]
        bound = []
        for i, line in enumerate(self.lines):
            self._near.add(i, [(c.lat, c.lon, c.radius_km) for c in line.targeting.near])
            if line.targeting.hours:
                bound.append(i)
                week = hours_mask(line.targeting.hours)
                for hour in range(WEEK_HOURS):
                    if week >> hour & 1:
                        by_hour[hour].append(i)
        if bound:
            free = self.everything ^ bits(bound)
            self._hours = [free | bits(items) for items in by_hour] + [free]

    def _audiences(self) -> dict[bytes, Audience]:
        audiences: dict[bytes, Audience] = {}
        for i, line in enumerate(self.lines):
            if line.segments:
                audiences.setdefault(line.field, Audience(i, {}))
        for i, line in enumerate(self.lines):
            if line.segments or line.excluded:
                audience = audiences.setdefault(line.field, Audience(0, {}))
                _bind_segments(audience, i, line)
        return audiences

    def _deals(self) -> dict[str, list[int]]:
        deals: dict[str, list[int]] = {}
        for i, line in enumerate(self.lines):
            for deal in line.deals:
                deals.setdefault(deal, []).append(i)
        return deals


def _bind_segments(audience: Audience, item: int, line: Line) -> None:
    rules = audience.rules
    bit = 1 << (item - audience.first) if line.segments else 0
    for key in line.segments:
        rule = rules.get(key, SegmentRule())
        rules[key] = rule._replace(wanted=rule.wanted | bit)
    elsewhere = () if line.segments else (item,)
    for key in line.excluded:
        rule = rules.get(key, SegmentRule())
        rules[key] = SegmentRule(rule.wanted, rule.refused | bit, rule.refused_elsewhere + elsewhere)
