"""Which line items have series of their own: those that spend most. The others are summed.

Place: scrape.py asks at each scrape; workers count more line items than are shown (notices/series.py).
Shapes: W members of a group (line items), of which `limit` at most are shown; N of the table's rows are theirs.
Rule: what a line item counts while it is hidden is counted as "other", for good; what it counts while it is shown is
    counted as its own. So the sum over all series rises by what was counted, no series ever falls, and none jumps
    because a line item moves. For that to be true of what each Prometheus saw, a line item moves in two steps of
    REVISE_S each, longer than anybody's scrape interval: it appears with its old count, and counts as its own only from
    the next step on; it leaves with a count that stands still, and is gone at the step after. One that was never hidden
    counts as its own from the first.
    Spend fades with MEMORY_S, so that a campaign that is over makes room. Who is shown gives way only to one who spent
    EDGE times as much. Amounts of different currencies are compared, and summed, as they are: what was spent of each
    currency tells paceline_spend_micros_total.
Units: seconds; spend in the cells' unit.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from bidder.metrics import Cell, Metric
from bidder.web.exposition import Samples, Table

REVISE_S: Final = 120.0
MEMORY_S: Final = 86_400.0
EDGE: Final = 1.2
REST: Final = "other"
HIDDEN, ENTERING, SHOWN, LEAVING = range(4)

Numbers = NDArray[np.int64]
Floats = NDArray[np.float64]


class Group(Struct, frozen=True):
    """What is ranked."""

    labels: tuple[str, ...]
    """The first labels of its metrics: they name a member."""
    score: str
    """The counter by which members are ranked."""


LINE_ITEMS: Final = Group(("campaign", "line_item"), "paceline_line_item_spend_micros_total")
SOURCES: Final = Group(("exchange", "publisher", "place"), "paceline_invalid_traffic_source_requests_total")


class Ranking:
    """The members of one group, at most `limit` of them shown."""

    def __init__(self, group: Group, limit: int) -> None:
        self._group, self._limit = group, limit
        self._members: dict[tuple[str, ...], int] = {(REST,) * len(group.labels): 0}
        """0 is whoever was summed already."""
        self._phase = np.zeros(1, np.int8)
        self._score: Floats = np.zeros(1)
        self._spent: Floats = np.zeros(1)
        self._sums: dict[Cell, int] = {}
        self._taken = 0
        self._rows, self._who, self._sum_of = (np.zeros(0, np.intp) for _ in range(3))
        self._counts, self._scored = np.zeros(0, np.bool_), np.zeros(0, np.bool_)
        self._own, self._elsewhere = np.zeros(0, np.int64), np.zeros(0, np.int64)
        """Of a row that is hidden or moves: what it counted as its own. Of one that is shown: what as other."""
        self._revised_s = self._faded_s = 0.0

    def apply(self, table: Table, now_s: float) -> tuple[Iterable[int], Samples]:
        """Rows of the table that are hidden, and the sums that stand for them. The values of rows that are shown become
        those that they count as their own."""
        fresh = self._take_in(table)
        counted: Numbers = table.values[self._rows]
        self._rank(counted, now_s)
        self._welcome(fresh)
        if now_s - self._revised_s >= REVISE_S:
            self._revised_s = now_s
            self._revise(counted)
        phase = self._phase[self._who]
        own = np.where(phase == SHOWN, counted - self._elsewhere, self._own)
        hidden = phase == HIDDEN
        rest = np.where(self._counts, counted - own, np.where(hidden, counted, 0))
        sums = np.zeros(len(self._sums), np.int64)
        np.add.at(sums, self._sum_of[self._sum_of >= 0], rest[self._sum_of >= 0])
        table.values[self._rows[self._counts]] = own[self._counts]
        full = len(self._members) > self._limit  # from here on somebody may be hidden: the sums begin at 0
        return self._rows[hidden].tolist(), self._summed(table, sums) if full or sums.any() else {}

    def _summed(self, table: Table, sums: Numbers) -> Samples:
        summed: Samples = {}
        for cell, value in zip(self._sums, sums.tolist(), strict=True):
            metric = table.catalogue[cell.name]
            scale = metric.scale if cell.part in ("", "sum") else 1
            summed.setdefault((cell.name, cell.labels), {})[cell.part] = value * scale
        return summed

    def _take_in(self, table: Table) -> range:
        """Learn new rows; the members that are new."""
        count, width = len(self._members), len(self._group.labels)
        rows: list[tuple[int, int, int, bool, bool]] = []
        for row in range(self._taken, len(table.cells)):
            cell = table.cells[row]
            metric = table.catalogue.get(cell.name)
            if metric is not None and metric.labels[:width] == self._group.labels:
                who = self._members.setdefault(cell.labels[:width], len(self._members))
                counts = metric.kind != "gauge"
                rows.append((row, who, self._sum(cell, metric), counts, cell.name == self._group.score))
        self._taken = len(table.cells)
        if rows:
            self._extend(rows)
        grown = len(self._members) - count
        self._phase = np.concatenate((self._phase, np.zeros(grown, np.int8)))
        self._score, self._spent = (
            np.concatenate((known, np.zeros(grown))) for known in (self._score, self._spent)
        )
        return range(count, count + grown)

    def _extend(self, rows: Sequence[tuple[int, int, int, bool, bool]]) -> None:
        row, who, sum_of, counts, scored = zip(*rows, strict=True)
        self._rows = np.concatenate((self._rows, np.array(row, np.intp)))
        self._who = np.concatenate((self._who, np.array(who, np.intp)))
        self._sum_of = np.concatenate((self._sum_of, np.array(sum_of, np.intp)))
        self._counts = np.concatenate((self._counts, np.array(counts, np.bool_)))
        self._scored = np.concatenate((self._scored, np.array(scored, np.bool_)))
        nothing = np.zeros(len(rows), np.int64)
        self._own = np.concatenate((self._own, nothing))
        self._elsewhere = np.concatenate((self._elsewhere, nothing))

    def _sum(self, cell: Cell, metric: Metric) -> int:
        """The number of the sum that a row is part of; -1: ratios of several are no ratio."""
        if metric.kind == "gauge" and not metric.name.endswith("_micros"):
            return -1
        width = len(self._group.labels)
        total = Cell(cell.name, (REST,) * width + cell.labels[width:], cell.part)
        return self._sums.setdefault(total, len(self._sums))

    def _rank(self, counted: Numbers, now_s: float) -> None:
        """Bring scores up to date."""
        scored = self._scored
        amounts = counted[scored].astype(np.float64)
        spent = np.asarray(np.bincount(self._who[scored], amounts, len(self._members)), np.float64)
        faded = np.exp(-max(0.0, now_s - self._faded_s) / MEMORY_S)
        self._score = self._score * faded + np.maximum(spent - self._spent, 0.0)
        self._spent, self._faded_s = spent, now_s

    @property
    def _room(self) -> int:
        return self._limit - int(np.count_nonzero(self._phase))

    def _best(self, members: Iterable[int]) -> list[int]:
        """The most spending first; of equals the first known."""
        return sorted(members, key=lambda who: (-self._score[who], who))

    def _welcome(self, fresh: range) -> None:
        """New members that there is room for are shown at once: nothing of theirs was counted elsewhere."""
        for who in self._best(fresh)[: max(0, self._room)]:
            self._phase[who] = SHOWN

    def _revise(self, counted: Numbers) -> None:
        """One step: who was leaving is gone, who entered is shown, and the next ones begin to move."""
        self._phase[self._phase == LEAVING] = HIDDEN
        entered = self._phase == ENTERING
        self._phase[entered] = SHOWN
        rows = entered[self._who]
        self._elsewhere[rows] = counted[rows] - self._own[rows]
        outside = self._best(np.flatnonzero(self._phase[1:] == HIDDEN) + 1)
        room = max(0, self._room)
        self._phase[outside[:room]] = ENTERING
        inside = self._best(np.flatnonzero(self._phase == SHOWN))
        pairs = zip(reversed(inside), outside[room:], strict=False)
        gone = [out for out, better in pairs if self._score[better] > EDGE * self._score[out]]
        self._phase[gone] = LEAVING
        rows = np.isin(self._who, gone)
        self._own[rows] = counted[rows] - self._elsewhere[rows]
