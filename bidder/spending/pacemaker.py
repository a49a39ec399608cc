"""The pace of all line items: from what the ledger and the workers say, one multiplier each, once per period.

Place: the bookkeeper that leads steps it; budget/pacing and budget/plan hold the mathematics.
Shapes: L line items in the order given, then their G campaigns: a row of the controller for each; money in Micros of
    each advertiser's currency as float64.
Units: seconds since the epoch.
Rule: a row aims at the least part of its budgets that is due in the period; a line item goes at the slower of its own
    pace and its campaign's, so that line items which share a budget bid the same share of their values: none could
    buy more for that money. Reserved money counts as far as it is expected to be charged, by what became of
    earlier reservations. Guaranteed deals, and line items that spend as soon as possible, are never slowed.
Never: I/O, a clock.
"""

from collections.abc import Mapping, Sequence
from math import inf
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from bidder.campaigns.compile import Line
from bidder.spending.adherence import FULL, Adherence
from bidder.spending.board import NO_CEILING, Paces, Report
from budget import pacing, traffic
from budget.accounts import path_at
from budget.money import CpmMicros, cost_of_one
from budget.plan import Kind, Plan, hour_of_week, plan_of
from budget.schedule import FLIGHT, LEVELS, Schedule
from budget.store import Balance

REPLAN_S: Final = 600.0
"""Plans follow what was learned of traffic so often."""
FADE_S: Final = 1_800.0
"""What became of reservations is remembered with this time constant."""
MIN_CHARGED: Final = 0.01
"""Of what is reserved, the least share that is taken for charged."""

Floats = NDArray[np.float64]
Accounts = Mapping[str, Mapping[str, Balance]]
"""Advertiser to its accounts."""


class Standing(Struct, frozen=True, eq=False):
    """Where each line item stands; for metrics. Each (L,)."""

    spent: Floats
    leased: Floats
    reserved: Floats
    idle: Floats
    limit: Floats
    """The tightest budget that bounds it; infinity where none does."""
    used: Floats
    """Spent of that budget."""
    error: Floats
    """Spent and expected less what was aimed at, since the last period, as a share of the aim."""
    multiplier: Floats
    planned: Floats
    """Of that limit, what its plan has due by now; NaN where it has no plan."""
    overspent: Floats
    """Spent beyond the line item's own budgets, the worst of them."""
    periods: Mapping[str, int]
    """Pacing periods of line items and campaigns by how they kept to their plans (adherence.py)."""


class Pacemaker:
    """Steps the controller for one set of line items."""

    def __init__(self, lines: Sequence[Line], now_s: float, last: Paces | None = None) -> None:
        """`last` is the pace that was followed before: each line item that it knows begins with it."""
        self.lines = list(lines)
        self.keys = np.array([line.key for line in lines], np.uint64)
        self._group, self._campaigns = _groups(lines)
        self._free = np.array([line.guaranteed or line.pacing == Kind.ASAP.value for line in lines], np.bool_)
        self._least = np.array([cost_of_one(CpmMicros(line.max_bid_cpm_micros)) for line in lines], float)
        self._traffic = traffic.nothing_seen(len(lines))
        first = _first(self.keys, last)
        shared = [max([first[row] for row in rows]) for rows in self._campaigns]
        self._state = pacing.start(np.concatenate((first, np.array(shared, float))))
        spans = [line.end_s - line.start_s for line in lines]
        spans += [max(spans[row] for row in rows) for rows in self._campaigns]
        grains = [*self._least, *(max(self._least[rows]) for rows in self._campaigns)]
        self._adherence = Adherence(np.array(spans, float), np.array(grains, float))
        self._elapsed_s = 0.0
        self._before: _Told | None = None
        self._ended = np.zeros((2, len(lines)))
        self._watched_s, self._watched = 0.0, np.zeros(len(lines))
        self._plan(now_s)

    def step(
        self, now_s: float, accounts: Accounts, reports: Mapping[int, Report], period_s: float
    ) -> tuple[Paces, Standing]:
        """The pace of the coming period, and where things stand."""
        sums = _sums(self.keys, reports)
        left, limit, used, spent, leased = self._left(now_s, accounts)
        expected = self._expected(sums)
        heard = self._hear(sums, spent + expected, period_s)
        periods = self._kept(heard, period_s)
        if now_s - self._planned_s >= REPLAN_S:
            self._plan(now_s)
        aim = self._aim(now_s, now_s + period_s, left, expected)
        self._state = pacing.step(self._state, heard, aim)
        multiplier, share = pacing.taking_part(self._of_lines(self._state.multiplier))
        multiplier[self._free] = share[self._free] = 1.0
        order = np.argsort(self.keys)
        paces = Paces(
            now_s,
            self.keys[order],
            multiplier[order].astype(np.float32),
            share[order].astype(np.float32),
            self._ceiling(max(1, len(reports)))[order],
        )
        return paces, Standing(
            spent,
            leased,
            sums.reserved,
            sums.idle,
            limit,
            used,
            self._error(heard),
            np.where(self._free, 1.0, self._of_lines(self._state.multiplier)),
            self._due(now_s) * limit,
            np.maximum(-left.min(axis=1), 0.0),
            periods,
        )

    def _of_lines(self, rows: Floats) -> Floats:
        """(L,) the lesser of each line item's row and its campaign's."""
        count = len(self.lines)
        return np.minimum(rows[:count], rows[count:][self._group])

    def _all(self, lines: Floats) -> Floats:
        """(L + G,) amounts of line items, then their sums by campaign."""
        return np.concatenate((lines, np.bincount(self._group, lines, len(self._campaigns))))

    def learned(self) -> dict[bytes, bytes]:
        """What was learned of traffic, by line item key, as the board keeps it."""
        seen = np.flatnonzero(self._traffic.requests.any(axis=1)).tolist()
        both = np.concatenate((self._traffic.requests, self._traffic.hours), axis=1).astype("<f4")
        return {str(int(self.keys[row])).encode(): both[row].tobytes() for row in seen}

    def recall(self, learned: Mapping[bytes, bytes]) -> list[bytes]:
        """Take over what was learned before; returns the keys that none of the line items has."""
        rows = {str(int(key)).encode(): row for row, key in enumerate(self.keys.tolist())}
        requests, hours = self._traffic.requests.copy(), self._traffic.hours.copy()
        unknown, bins = [], requests.shape[1]
        for key, data in learned.items():
            row = rows.get(key)
            if row is None:
                unknown.append(key)
            elif len(data) == 2 * 4 * bins:
                values = np.frombuffer(data, "<f4")
                if np.isfinite(values).all() and (values >= 0).all():
                    requests[row], hours[row] = values[:bins], values[bins:]
        self._traffic = traffic.Traffic(requests, hours)
        self._plan(self._planned_s)
        return unknown

    def _plan(self, now_s: float) -> None:
        weights = traffic.weights(self._traffic)
        plans = [_plan(line, weights[row], now_s) for row, line in enumerate(self.lines)]
        self._schedule, self._planned_s = Schedule(plans), now_s
        busy = [weights[rows].mean(axis=0) for rows in self._campaigns]
        firsts = [self.lines[rows[0]] for rows in self._campaigns]
        flights = [
            (
                min(self.lines[row].start_s for row in rows),
                max(self.lines[row].end_s for row in rows),
            )
            for rows in self._campaigns
        ]
        self._campaign_schedule = Schedule(
            [
                _plan_of(Kind(line.pacing), line, flight, week, now_s)
                for line, flight, week in zip(firsts, flights, busy, strict=True)
            ]
        )

    def _left(self, now_s: float, accounts: Accounts) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """What is left of each own budget (L, LEVELS), the tightest limit and what is used of it, spent, leased."""
        count = len(self.lines)
        left, limits = np.full((count, LEVELS), inf), np.full(count, inf)
        used, spent, leased = np.zeros(count), np.zeros(count), np.zeros(count)
        self._campaign_left = np.full((len(self._campaigns), LEVELS), inf)
        self._tightest = np.zeros(count, np.intp)  # its level, of the campaign's budgets LEVELS more
        nothing = Balance(None)
        for row, line in enumerate(self.lines):
            own = accounts.get(line.advertiser_id, {})
            least = inf
            for level in path_at(line.limits, now_s):
                balance = own.get(level.account, nothing)
                kind, _, rest = level.account.partition("/")
                column = _column(rest)
                if kind == "line" and column == 0:
                    spent[row], leased[row] = balance.spent, balance.leased
                if level.limit is None:
                    continue
                room = level.limit - balance.spent
                if kind == "line":
                    left[row, column] = room
                else:
                    self._campaign_left[self._group[row], column] = room
                if room < least:
                    least, limits[row], used[row] = room, level.limit, balance.spent
                    self._tightest[row] = column + (0 if kind == "line" else LEVELS)
        return left, limits, used, spent, leased

    def _due(self, now_s: float) -> Floats:
        """(L,) of the tightest budget of each, the share that its plan has due. A flight that never began has none."""
        begun = np.array([line.start_s != -inf for line in self.lines], np.bool_)
        own, shared = self._schedule.due(now_s), self._campaign_schedule.due(now_s)[self._group]
        own[~begun, FLIGHT] = shared[~begun, FLIGHT] = np.nan
        share = np.concatenate((own, shared), axis=1)[np.arange(len(self.lines)), self._tightest]
        return np.where(self._free, np.nan, share)

    def _expected(self, sums: "_Sums") -> Floats:
        """(L,) what of the reserved money will be charged."""
        before = self._before
        if before is not None and sums.at_s > before.sums.at_s:
            fade = np.exp(-(sums.at_s - before.sums.at_s) / FADE_S)
            ended = np.stack((sums.settled - before.sums.settled, sums.freed - before.sums.freed))
            # A worker that began anew counts from 0: less than before is nothing.
            self._ended = self._ended * fade + np.maximum(ended, 0.0)
        return pacing.expected_spend(sums.reserved, self._ended[0], self._ended[1])

    def _hear(self, sums: "_Sums", committed: Floats, period_s: float) -> pacing.Heard | None:
        """What was spent since the last reports; None where there are no newer ones."""
        before = self._before
        if before is not None and sums.at_s <= before.sums.at_s:
            return None
        self._before = _Told(sums, committed)
        if before is None:
            return None
        self._elapsed_s = elapsed_s = sums.at_s - before.sums.at_s
        seen = np.maximum(sums.seen - before.sums.seen, 0.0)
        self._watch(seen, sums.at_s)
        spent = self._all(np.maximum(committed - before.committed, 0.0))
        settled, wins = self._all(sums.settled), np.maximum(self._all(sums.wins), 1.0)
        unit = np.where(settled > 0, settled / wins, np.maximum(spent, 1.0))
        stretch = np.where(self._all(seen) > 0, elapsed_s / period_s, 0.0)
        return pacing.Heard(self._state.order, spent, spent / np.maximum(unit, 1.0), stretch)

    def _kept(self, heard: pacing.Heard | None, period_s: float) -> dict[str, int]:
        """How the period that was heard of kept to its plans."""
        if heard is None:
            return {}
        full = heard.order.multiplier >= FULL
        aimed = heard.order.aim * (self._elapsed_s / period_s)
        return self._adherence.period(self._elapsed_s, heard.spent, aimed, ~full | (heard.stretch == 0))

    def _watch(self, seen: Floats, at_s: float) -> None:
        """Requests of a minute are learned at once: the histogram is large."""
        self._watched += seen
        passed_s = at_s - self._watched_s
        if not self._watched_s or passed_s >= 60.0:
            if self._watched_s:
                hours = np.array([hour_of_week(line.limits.zone, at_s) for line in self.lines], np.intp)
                self._traffic = traffic.observed(self._traffic, hours, self._watched, passed_s)
            self._watched_s, self._watched = at_s, np.zeros(len(self.lines))

    def _aim(self, now_s: float, until_s: float, left: Floats, expected: Floats) -> Floats:
        """(L + G,) what the period may cost; infinity for who is not slowed."""
        own = pacing.target(left - expected[:, None], self._schedule.shares(now_s, until_s))
        reserved = np.bincount(self._group, expected, len(self._campaigns))
        campaign = pacing.target(
            self._campaign_left - reserved[:, None], self._campaign_schedule.shares(now_s, until_s)
        )
        hurried = np.bincount(self._group, ~self._free, len(self._campaigns)) == 0
        return np.concatenate((np.where(self._free, inf, own), np.where(hurried, inf, campaign)))

    def _ceiling(self, workers: int) -> NDArray[np.int64]:
        """(L,) what each worker may commit in the period, counting that not all of it will be charged."""
        settled, ended = self._ended[0], self._ended.sum(axis=0)
        charged = np.clip(settled / np.where(ended > 0, ended, 1.0), MIN_CHARGED, 1.0)
        least = np.concatenate((self._least, [max(self._least[rows]) for rows in self._campaigns]))
        ceiling = self._of_lines(pacing.ceiling(self._state, least)) / np.where(ended > 0, charged, 1.0)
        most = np.maximum(ceiling / workers, self._least)
        bounded = np.isfinite(most) & ~self._free
        return np.where(bounded, np.where(bounded, most, 0.0), NO_CEILING).astype(np.int64)

    def _error(self, heard: pacing.Heard | None) -> Floats:
        """(L,) of the row that slows the line item more."""
        if heard is None:
            return np.zeros(len(self.lines))
        count = len(self.lines)
        asked, told = pacing.asked_of(heard)
        error = np.where(told, heard.spent / asked - 1.0, 0.0)
        own = self._state.multiplier[:count] <= self._state.multiplier[count:][self._group]
        return np.where(own & told[:count], error[:count], error[count:][self._group])


class _Told(Struct, frozen=True, eq=False):
    """What was last learned from."""

    sums: "_Sums"
    committed: Floats


class _Sums(Struct, frozen=True, eq=False):
    """What all workers reported, (L,) each."""

    at_s: float
    """When, on average; 0: nobody reported."""
    reserved: Floats
    idle: Floats
    seen: Floats
    settled: Floats
    freed: Floats
    wins: Floats


def _sums(keys: NDArray[np.uint64], reports: Mapping[int, Report]) -> _Sums:
    order = np.argsort(keys)
    ordered = keys[order]
    totals = np.zeros((6, len(keys)))
    for report in reports.values():
        if not len(report.keys) or not len(keys):
            continue
        place = np.searchsorted(ordered, report.keys).clip(max=len(keys) - 1)
        known = ordered[place] == report.keys
        rows = order[place[known]]
        columns = (report.reserved, report.idle, report.seen, report.settled, report.freed, report.wins)
        for row, column in zip(totals, columns, strict=True):
            row[rows] += column[known]
    at_s = sum(report.at_s for report in reports.values()) / max(1, len(reports))
    return _Sums(at_s, *totals)


def _groups(lines: Sequence[Line]) -> tuple[NDArray[np.intp], list[list[int]]]:
    numbers: dict[tuple[str, str], int] = {}
    group = [numbers.setdefault((line.advertiser_id, line.campaign_id), len(numbers)) for line in lines]
    members: list[list[int]] = [[] for _ in numbers]
    for row, number in enumerate(group):
        members[number].append(row)
    return np.array(group, np.intp), members


def _first(keys: NDArray[np.uint64], last: Paces | None) -> Floats:
    """The multipliers to begin with: what was followed, times the share of auctions taken part in."""
    first = np.full(len(keys), pacing.START)
    if last is not None and len(last.keys) and len(keys):
        place = np.searchsorted(last.keys, keys).clip(max=len(last.keys) - 1)
        known = last.keys[place] == keys
        followed = (last.multiplier[place] * last.share[place]).astype(np.float64)
        first[known] = np.clip(followed[known], pacing.M_MIN, 1.0)
    return first


def _column(rest: str) -> int:
    """The level of an account: 1 a day's, 2 an hour's, 0 the whole flight's."""
    parts = rest.split("/")
    return 0 if len(parts) == 1 else 1 if parts[1] == "day" else 2


def _plan(line: Line, week: Floats, now_s: float) -> Plan:
    return _plan_of(Kind(line.pacing), line, (line.start_s, line.end_s), week, now_s)


def _plan_of(kind: Kind, line: Line, flight: tuple[float, float], week: Floats, now_s: float) -> Plan:
    """A flight that never began, began now: how much of it is over does not matter to what is left of it."""
    start_s, end_s = flight
    if start_s == -inf:
        start_s = min(now_s, end_s)
    return plan_of(kind, line.limits.zone, (start_s, max(start_s, end_s)), traffic=week)
