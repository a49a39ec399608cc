"""The plans of all line items at once: which part of what is left belongs to the coming period.

Place: the pacemaker builds one when campaigns or learned traffic change, and asks it once per period. Pure.
Shapes: L line items in the order given; shares (L, 3) float64 with the columns FLIGHT, DAY, HOUR.
Units: seconds since the epoch.
Limits: line items with the same time zone and flight are computed together: about 0.1 ms per such group.
"""

from collections.abc import Sequence
from datetime import datetime, tzinfo
from math import inf
from typing import Final, Self

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from budget.plan import HOUR_S, TILT, Floats, Kind, Plan, day_of, hours_of_week

FLIGHT: Final = 0
DAY: Final = 1
HOUR: Final = 2
LEVELS: Final = 3
"""Budgets that bound a line item: of its flight, of the day, of the hour."""


class _Group(Struct, frozen=True, eq=False):
    """Line items with one time zone and one flight."""

    zone: tzinfo
    start_s: float
    end_s: float
    rows: NDArray[np.intp]
    weights: Floats
    """(n, 168)."""
    tilt: Floats
    """(n,) TILT or 0."""
    asap: NDArray[np.bool_]
    """(n,)."""


class _Spans:
    """Hours of the week of the spans that were asked for at this moment and at the one before: days and flights are
    asked for again, what reaches to a moment never is."""

    __slots__ = ("_at_s", "_before", "_now")

    def __init__(self) -> None:
        self._at_s = inf
        self._before: dict[tuple[tzinfo, float, float], Floats] = {}
        self._now: dict[tuple[tzinfo, float, float], Floats] = {}

    def at(self, now_s: float) -> Self:
        """As of a moment."""
        if now_s != self._at_s:
            self._at_s, self._before, self._now = now_s, self._now, {}
        return self

    def hours(self, zone: tzinfo, start_s: float, end_s: float) -> Floats:
        """(168,) as plan.hours_of_week."""
        span = zone, start_s, end_s
        found = self._now.get(span)
        if found is None:
            found = self._before.get(span)
            found = self._now[span] = hours_of_week(*span) if found is None else found
        return found


class Schedule:
    """Plans, grouped."""

    __slots__ = ("_groups", "_spans", "count")

    def __init__(self, plans: Sequence[Plan]) -> None:
        self.count, self._spans = len(plans), _Spans()
        members: dict[tuple[tzinfo, float, float], list[int]] = {}
        for row, plan in enumerate(plans):
            members.setdefault((plan.zone, plan.start_s, plan.end_s), []).append(row)
        self._groups = [_group(key, [plans[row] for row in rows], rows) for key, rows in members.items()]

    def shares(self, now_s: float, until_s: float) -> Floats:
        """(L, 3): of what is left of each budget, the part that belongs to [now, until).

        Infinity where nothing paces: as soon as possible, or a flight without an end. A period that reaches past
        midnight or past the hour takes all that is left of that day or hour. 0 where the line item may not run.
        """
        result, spans = np.zeros((self.count, LEVELS)), self._spans.at(now_s)
        for group in self._groups:
            result[group.rows] = _shares(spans, group, now_s, until_s)
        return result

    def due(self, now_s: float) -> Floats:
        """(L, 3): of each whole budget, the part that the plan has spent by now; NaN where nothing paces."""
        result, spans = np.full((self.count, LEVELS), np.nan), self._spans.at(now_s)
        for group in self._groups:
            result[group.rows] = _due(spans, group, now_s)
        return result

    def weight(self, start_s: float, end_s: float) -> Floats:
        """(L,) the plans' weight between two moments, within each flight."""
        result, spans = np.zeros(self.count), self._spans.at(start_s)
        for group in self._groups:
            result[group.rows] = _weight(spans, group, start_s, end_s)
        return result


def _group(key: tuple[tzinfo, float, float], plans: Sequence[Plan], rows: Sequence[int]) -> _Group:
    tilt = np.array([TILT if plan.kind is Kind.FRONT_LOADED else 0.0 for plan in plans])
    asap = np.array([plan.kind is Kind.ASAP for plan in plans])
    return _Group(*key, np.array(rows, np.intp), np.stack([plan.weights for plan in plans]), tilt, asap)


def _weight(spans: _Spans, group: _Group, start_s: float, end_s: float) -> Floats:
    start_s, end_s = max(start_s, group.start_s), min(end_s, group.end_s)
    if not start_s < end_s:
        return np.zeros(len(group.rows))
    total: Floats = group.weights @ spans.hours(group.zone, start_s, end_s)
    return total


def _shares(spans: _Spans, group: _Group, now_s: float, until_s: float) -> Floats:
    coming = _weight(spans, group, now_s, until_s) > 0
    start_s, end_s = day_of(group.zone, now_s)
    day = (max(start_s, group.start_s), min(end_s, group.end_s))
    flight = (group.start_s, group.end_s)
    moment = datetime.fromtimestamp(now_s, group.zone)
    rest_s = HOUR_S - moment.minute * 60 - moment.second - moment.microsecond / 1e6
    result = np.empty((len(group.rows), LEVELS))
    result[:, FLIGHT] = inf if group.end_s == inf else _part(spans, group, flight, now_s, until_s)
    result[:, DAY] = _part(spans, group, day, now_s, until_s)
    result[:, HOUR] = min(1.0, (until_s - now_s) / rest_s)
    result[group.asap] = inf
    result[~coming] = 0.0
    return result


def _due(spans: _Spans, group: _Group, now_s: float) -> Floats:
    start_s, end_s = day_of(group.zone, now_s)
    moment = datetime.fromtimestamp(now_s, group.zone)
    result = np.empty((len(group.rows), LEVELS))
    result[:, FLIGHT] = (
        np.nan if group.end_s == inf else _done(spans, group, (group.start_s, group.end_s), now_s)
    )
    result[:, DAY] = _done(spans, group, (max(start_s, group.start_s), min(end_s, group.end_s)), now_s)
    result[:, HOUR] = (moment.minute * 60 + moment.second + moment.microsecond / 1e6) / HOUR_S
    result[group.asap] = np.nan
    return result


def _done(spans: _Spans, group: _Group, span: tuple[float, float], now_s: float) -> Floats:
    """Of a whole span, the share that is due before `now`; NaN where none of it is."""
    whole = _weight(spans, group, *span)
    even = _weight(spans, group, span[0], now_s) / np.where(whole > 0, whole, np.nan)
    done: Floats = _tilted(even, group.tilt)
    return done


def _part(spans: _Spans, group: _Group, span: tuple[float, float], now_s: float, until_s: float) -> Floats:
    """Of what a span has still due after `now`, the share that is due before `until`."""
    start_s, end_s = span
    whole = _weight(spans, group, start_s, end_s)
    whole = np.where(whole > 0, whole, 1.0)
    before, after = (
        _tilted(_weight(spans, group, start_s, at_s) / whole, group.tilt)
        for at_s in (now_s, min(until_s, end_s))
    )
    rest = 1.0 - before
    part: Floats = np.where(
        rest > 1e-12, np.minimum((after - before) / np.where(rest > 1e-12, rest, 1.0), 1.0), 1.0
    )
    return part


def _tilted(even: Floats, tilt: Floats) -> Floats:
    even = np.minimum(even, 1.0)
    return even + tilt * even * (1.0 - even)
