"""The plans of all line items at once: which part of what is left belongs to the coming period.

Place: the pacemaker builds one when campaigns or learned traffic change, and asks it once per period. Pure.
Shapes: L line items in the order given; shares (L, 3) float64 with the columns FLIGHT, DAY, HOUR.
Units: seconds since the epoch.
Limits: line items with the same time zone and flight are computed together: about 0.1 ms per such group.
"""

from collections.abc import Sequence
from datetime import datetime, tzinfo
from math import inf
from typing import Final

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


class Schedule:
    """Plans, grouped."""

    __slots__ = ("_groups", "count")

    def __init__(self, plans: Sequence[Plan]) -> None:
        self.count = len(plans)
        members: dict[tuple[tzinfo, float, float], list[int]] = {}
        for row, plan in enumerate(plans):
            members.setdefault((plan.zone, plan.start_s, plan.end_s), []).append(row)
        self._groups = [_group(key, [plans[row] for row in rows], rows) for key, rows in members.items()]

    def shares(self, now_s: float, until_s: float) -> Floats:
        """(L, 3): of what is left of each budget, the part that belongs to [now, until).

        Infinity where nothing paces: as soon as possible, or a flight without an end. A period that reaches past
        midnight or past the hour takes all that is left of that day or hour. 0 where the line item may not run.
        """
        result = np.zeros((self.count, LEVELS))
        for group in self._groups:
            result[group.rows] = _shares(group, now_s, until_s)
        return result

    def due(self, now_s: float) -> Floats:
        """(L, 3): of each whole budget, the part that the plan has spent by now; NaN where nothing paces."""
        result = np.full((self.count, LEVELS), np.nan)
        for group in self._groups:
            result[group.rows] = _due(group, now_s)
        return result

    def weight(self, start_s: float, end_s: float) -> Floats:
        """(L,) the plans' weight between two moments, within each flight."""
        result = np.zeros(self.count)
        for group in self._groups:
            result[group.rows] = _weight(group, start_s, end_s)
        return result


def _group(key: tuple[tzinfo, float, float], plans: Sequence[Plan], rows: Sequence[int]) -> _Group:
    tilt = np.array([TILT if plan.kind is Kind.FRONT_LOADED else 0.0 for plan in plans])
    asap = np.array([plan.kind is Kind.ASAP for plan in plans])
    return _Group(*key, np.array(rows, np.intp), np.stack([plan.weights for plan in plans]), tilt, asap)


def _weight(group: _Group, start_s: float, end_s: float) -> Floats:
    start_s, end_s = max(start_s, group.start_s), min(end_s, group.end_s)
    if not start_s < end_s:
        return np.zeros(len(group.rows))
    total: Floats = group.weights @ hours_of_week(group.zone, start_s, end_s)
    return total


def _shares(group: _Group, now_s: float, until_s: float) -> Floats:
    coming = _weight(group, now_s, until_s) > 0
    start_s, end_s = day_of(group.zone, now_s)
    day = (max(start_s, group.start_s), min(end_s, group.end_s))
    flight = (group.start_s, group.end_s)
    moment = datetime.fromtimestamp(now_s, group.zone)
    rest_s = HOUR_S - moment.minute * 60 - moment.second - moment.microsecond / 1e6
    result = np.empty((len(group.rows), LEVELS))
    result[:, FLIGHT] = inf if group.end_s == inf else _part(group, flight, now_s, until_s)
    result[:, DAY] = _part(group, day, now_s, until_s)
    result[:, HOUR] = min(1.0, (until_s - now_s) / rest_s)
    result[group.asap] = inf
    result[~coming] = 0.0
    return result


def _due(group: _Group, now_s: float) -> Floats:
    start_s, end_s = day_of(group.zone, now_s)
    moment = datetime.fromtimestamp(now_s, group.zone)
    result = np.empty((len(group.rows), LEVELS))
    result[:, FLIGHT] = np.nan if group.end_s == inf else _done(group, (group.start_s, group.end_s), now_s)
    result[:, DAY] = _done(group, (max(start_s, group.start_s), min(end_s, group.end_s)), now_s)
    result[:, HOUR] = (moment.minute * 60 + moment.second + moment.microsecond / 1e6) / HOUR_S
    result[group.asap] = np.nan
    return result


def _done(group: _Group, span: tuple[float, float], now_s: float) -> Floats:
    """Of a whole span, the share that is due before `now`; NaN where none of it is."""
    whole = _weight(group, *span)
    even = _weight(group, span[0], now_s) / np.where(whole > 0, whole, np.nan)
    done: Floats = _tilted(even, group.tilt)
    return done


def _part(group: _Group, span: tuple[float, float], now_s: float, until_s: float) -> Floats:
    """Of what a span has still due after `now`, the share that is due before `until`."""
    start_s, end_s = span
    whole = _weight(group, start_s, end_s)
    whole = np.where(whole > 0, whole, 1.0)
    before, after = (
        _tilted(_weight(group, start_s, at_s) / whole, group.tilt) for at_s in (now_s, min(until_s, end_s))
    )
    rest = 1.0 - before
    part: Floats = np.where(
        rest > 1e-12, np.minimum((after - before) / np.where(rest > 1e-12, rest, 1.0), 1.0), 1.0
    )
    return part


def _tilted(even: Floats, tilt: Floats) -> Floats:
    even = np.minimum(even, 1.0)
    return even + tilt * even * (1.0 - even)
