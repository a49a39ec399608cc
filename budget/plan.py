"""What share of a budget is due by a moment: even, by traffic, as soon as possible, or ahead of it.

Place: schedule.py takes plans of all line items at once; reports draw what was due beside what was spent. Pure.
Shapes: hours of the week (168,) float64, Monday 00 first, in the advertiser's time zone; bit i of a mask of open hours
    is hour i of the week. Campaigns name hours in the viewer's time zone: where that is not the advertiser's, plan
    with ALL_HOURS and let the learned traffic tell when the line item can run.
Units: seconds since the epoch; weights are hours of mean traffic; shares lie in [0, 1].
Limits: a budget without an end is not due by any moment, so only its day or hour can pace it.
"""

from datetime import datetime, timedelta, tzinfo
from enum import Enum
from functools import lru_cache
from math import inf
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WEEK_HOURS: Final = 168
ALL_HOURS: Final = (1 << WEEK_HOURS) - 1
HOUR_S: Final = 3600
DAY_S: Final = 86_400
TILT: Final = 0.5
"""A front-loaded plan has 1/2 + TILT/4 of the money due after half of the weight: 62.5 %."""
_MONDAY_S: Final = 3 * DAY_S
"""The epoch was a Thursday; with so much added, weeks begin on Monday."""
_EDGES: Final = np.arange(WEEK_HOURS, dtype=np.float64)


class Kind(Enum):
    """How a budget is spread over its time."""

    EVEN = "even"
    TRAFFIC = "traffic"
    """In proportion to the requests that the line item could answer."""
    ASAP = "asap"
    FRONT_LOADED = "front_loaded"
    """By traffic, TILT ahead of it."""


class Plan(Struct, frozen=True, eq=False):
    """One line item's flight and the weight of each hour of its week."""

    kind: Kind
    zone: tzinfo
    start_s: float
    end_s: float
    """The flight ends before this moment; infinity where it has no end."""
    weights: Floats
    """(168,) 0 where the line item may not run."""


def plan_of(
    kind: Kind,
    zone: tzinfo,
    flight: tuple[float, float],
    open_hours: int = ALL_HOURS,
    traffic: Floats | None = None,
) -> Plan:
    """The plan of a line item whose flight is [start, end), both in seconds; an end of infinity is none.

    traffic: (168,) non-negative weights, as `traffic.weights` learns them; None, or for an even plan: all hours alike.
    Raises ValueError where the flight ends before it starts or weights are no weights.
    """
    start_s, end_s = flight
    if not end_s >= start_s:
        raise ValueError(f"a flight from {start_s} to {end_s}")
    week = _open(open_hours)
    if traffic is not None and kind is not Kind.EVEN:
        if traffic.shape != week.shape or not np.isfinite(traffic).all() or (traffic < 0).any():
            raise ValueError("traffic is 168 finite weights, none below 0")
        week = week * traffic
    return Plan(kind, zone, start_s, end_s, week)


def hour_of_week(zone: tzinfo, now_s: float) -> int:
    """The hour of the week in a time zone, Monday 00 = 0."""
    moment = datetime.fromtimestamp(now_s, zone)
    return moment.weekday() * 24 + moment.hour


def day_of(zone: tzinfo, now_s: float) -> tuple[float, float]:
    """From midnight to midnight in a time zone: 23 to 25 hours."""
    date = datetime.fromtimestamp(now_s, zone).date()
    ends = [
        datetime(d.year, d.month, d.day, tzinfo=zone).timestamp() for d in (date, date + timedelta(days=1))
    ]
    return ends[0], ends[1]


def weight(plan: Plan, start_s: float, end_s: float) -> float:
    """The plan's weight between two moments, as far as its flight covers them."""
    start_s, end_s = max(start_s, plan.start_s), min(end_s, plan.end_s)
    if not start_s < end_s:
        return 0.0
    if end_s == inf:
        return inf if plan.weights.any() else 0.0
    return float(hours_of_week(plan.zone, start_s, end_s) @ plan.weights)


def due(plan: Plan, now_s: float) -> float:
    """The share of the flight's budget that should be spent by now. Without an end: nothing ever, but for ASAP."""
    if now_s < plan.start_s:
        return 0.0
    if now_s >= plan.end_s or plan.kind is Kind.ASAP:
        return 1.0
    whole = weight(plan, plan.start_s, plan.end_s)
    if whole <= 0 or whole == inf:
        return 0.0
    even = min(1.0, weight(plan, plan.start_s, now_s) / whole)
    return even + TILT * even * (1.0 - even) if plan.kind is Kind.FRONT_LOADED else even


def hours_of_week(zone: tzinfo, start_s: float, end_s: float) -> Floats:
    """(168,) how many hours of each hour of the week lie between two moments; read-only."""
    total = np.zeros(WEEK_HOURS)
    at_s, offset_s = start_s, _offset(zone, start_s)
    year = datetime.fromtimestamp(start_s, zone).year
    last = datetime.fromtimestamp(end_s, zone).year
    changes = [change for y in range(year, last + 1) for change in _changes(zone, y)]
    for change_s, next_offset_s in changes:
        if at_s < change_s < end_s:
            total += _passed(change_s + offset_s) - _passed(at_s + offset_s)
            at_s = change_s
        if change_s <= at_s:
            offset_s = next_offset_s
    total += _passed(end_s + offset_s) - _passed(at_s + offset_s)
    total.flags.writeable = False
    return total


def _passed(local_s: float) -> Floats:
    """(168,) hours of each hour of the week from a Monday long ago to a local moment."""
    weeks, rest_s = divmod(local_s + _MONDAY_S, WEEK_HOURS * HOUR_S)
    return weeks + np.clip(rest_s / HOUR_S - _EDGES, 0.0, 1.0)


@lru_cache(maxsize=1024)
def _open(open_hours: int) -> Floats:
    week = np.array([float(open_hours >> hour & 1) for hour in range(WEEK_HOURS)])
    week.flags.writeable = False
    return week


def _offset(zone: tzinfo, now_s: float) -> float:
    offset = datetime.fromtimestamp(now_s, zone).utcoffset()
    return 0.0 if offset is None else offset.total_seconds()


@lru_cache(maxsize=4096)
def _changes(zone: tzinfo, year: int) -> tuple[tuple[float, float], ...]:
    """The moments of a year at which the zone's offset changes, and the offset from then on, seconds."""
    first = int(datetime(year, 1, 1, tzinfo=zone).timestamp())
    found, before = [], _offset(zone, first)
    for day in range(first + DAY_S, first + 367 * DAY_S, DAY_S):
        if _offset(zone, day) == before:
            continue
        low, high = day - DAY_S, day
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
        before = _offset(zone, high)
        found.append((float(high), before))
    return tuple(found)
