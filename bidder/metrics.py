"""Counters that cost 60 ns, outlive a killed worker and are read without touching it.

Place: every layer counts here; the supervisor sums the files of all workers and exposes them (web/ops).
Shapes: a tally file holds a header, a names region (one JSON line per cell) and int64 cells, shared by mmap:
    what a worker wrote is in the page cache at once, so kill -9 loses nothing and a restarted worker goes on
    from where the last one stood.
Units: cells are integers (counts, nanoseconds, micros); `Metric.scale` turns them into the exposed unit.
Limits: MAX_CELLS series per worker; past it, counts go to the one overflow cell and are seen as such.
Never: knows what is counted beyond the catalogue's names.
"""

import mmap
import os
import threading
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import force_setattr

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_CELLS = 65_536
NAMES_BYTES = 8 * 1024 * 1024
_MAGIC = int.from_bytes(b"PACETAL1", "little")
_HEADER_CELLS = 8  # magic, names used, beats, then spare
_BEATS = 2
_CELLS_AT = _HEADER_CELLS * 8 + NAMES_BYTES
_FILE_BYTES = _CELLS_AT + MAX_CELLS * 8
OVERFLOW = "paceline_series_overflow_total"


_WORDS = "fixed words"
BOUNDS = {
    "advertiser": "advertisers of the campaign files (`none`: a call that names none of them)",
    "campaign": "the `metrics.top_line_items` line items that spend most, in a scrape; `other` is the sum of the rest",
    "currency": "currencies of the exchange rates (`unknown`: an advertiser who left the campaign files)",
    "exchange": "exchanges that are configured (`none`: what reached no profile, `unknown`: one that left)",
    "place": "100 publishers, in a scrape; `other` is the sum of the rest",
    "process": "one per process",
    "publisher": "100 publishers, in a scrape; `other` is the sum of the rest",
    "python": "one",
    "slot": "one per worker",
    "status": "codes of HTTP, and fixed words",
    "version": "one",
    **dict.fromkeys(
        (
            *(
                "action",
                "answer",
                "asked_by",
                "choice",
                "chore",
                "clearing",
                "event",
                "fate",
                "field",
                "kept",
                "kind",
                "layout",
            ),
            *(
                "list",
                "mark",
                "medium",
                "outcome",
                "person",
                "port",
                "reason",
                "regime",
                "result",
                "source",
                "stage",
                "verb",
            ),
            *("way", "what", "why"),
        ),
        _WORDS,
    ),
}
"""What bounds each label. A label that is not here is not declared (tests look); one whose values others choose is
never used."""
BOUNDS["line_item"] = BOUNDS["campaign"]


class Metric(msgspec.Struct, frozen=True):
    """One entry of the catalogue.

    `labels` are the label names in order; `buckets` the upper bounds of a histogram, in cell units;
    `scale` is multiplied into a cell to give the exposed unit; `merge` says how workers add up.
    """

    name: str
    kind: str  # counter, gauge or histogram
    help: str
    labels: tuple[str, ...] = ()
    scale: float = 1.0
    buckets: tuple[int, ...] = ()
    merge: str = "sum"  # or max, min, or age: cells are moments, shown as the time since the earliest
    bound: str = ""
    """What keeps the number of its series finite; not given: what bounds its labels."""

    def __post_init__(self) -> None:
        if not self.bound:
            bounds = dict.fromkeys(BOUNDS[label] for label in self.labels if label in BOUNDS)
            force_setattr(self, "bound", "; ".join(bounds))


class Cell(msgspec.Struct, frozen=True, array_like=True):
    """The name of one int64: a sample of a metric; `part` is a bucket's number, "sum" or empty."""

    name: str
    labels: tuple[str, ...] = ()
    part: str = ""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Cell).decode


class Tally:
    """The counters of one process. `cells[i] += n` is the whole hot path."""

    def __init__(self, path: Path | None = None) -> None:
        """Open or make the tally file; without a path the counters live in memory alone."""
        self._map = _map_file(path)
        view = memoryview(self._map)
        self._header = view[: _HEADER_CELLS * 8].cast("q")
        self._names = view[_HEADER_CELLS * 8 : _CELLS_AT]
        self.cells = view[_CELLS_AT:].cast("q")
        if self._header[0] != _MAGIC:
            self._header[0] = _MAGIC
        self._naming = threading.Lock()
        self._index = {cell: i for i, cell in enumerate(self.names())}
        self.slot(OVERFLOW)

    def names(self) -> list[Cell]:
        """The cells in use, in order."""
        return [_decode(line) for line in bytes(self._names[: self._header[1]]).splitlines()]

    def slot(self, name: str, *labels: str, part: str = "") -> int:
        """The index of a sample's cell; made at first use. Not for the hot path: keep the index."""
        cell = Cell(name, labels, part)
        found = self._index.get(cell)
        if found is not None:
            return found
        with self._naming:  # threads count, too: two that name cells at once would write over each other
            return self._name(cell)

    def _name(self, cell: Cell) -> int:
        known = self._index.get(cell)
        if known is not None:
            return known
        line = _encode(cell) + b"\n"
        used = self._header[1]
        if len(self._index) >= MAX_CELLS or used + len(line) > NAMES_BYTES:
            return self._index[Cell(OVERFLOW)]
        self._names[used : used + len(line)] = line
        self._header[1] = used + len(line)  # last: a reader never sees half a name
        self._index[cell] = len(self._index)
        return self._index[cell]

    def labels(self, name: str) -> list[tuple[str, ...]]:
        """The labels of a metric's series, in the order of their first use."""
        return [cell.labels for cell in tuple(self._index) if cell.name == name and not cell.part]

    def histogram(self, metric: Metric, *labels: str) -> "Histogram":
        """The cells of a histogram: one per bucket, one above the last, one sum."""
        first = [self.slot(metric.name, *labels, part=str(i)) for i in range(len(metric.buckets) + 1)]
        return Histogram(self.cells, first, self.slot(metric.name, *labels, part="sum"), metric.buckets)

    def count(self, name: str, *labels: str, by: int = 1) -> None:
        """Add to a counter by name: for paths where half a microsecond does not matter."""
        self.cells[self.slot(name, *labels)] += by

    def set(self, name: str, *labels: str, value: int) -> None:
        """Set a gauge by name."""
        self.cells[self.slot(name, *labels)] = value

    def beat(self) -> None:
        """Say that the process goes on; whoever reads the tally sees that it did."""
        self._header[_BEATS] += 1

    def samples(self) -> Iterator[tuple[Cell, int]]:
        """Every cell with its value."""
        for i, cell in enumerate(self.names()):
            yield cell, self.cells[i]


class Histogram:
    """Counts of values by bucket; `observe` costs one bisect and two adds, 0.2 us."""

    __slots__ = ("_bounds", "_buckets", "_cells", "_sum")

    def __init__(
        self, cells: "memoryview[int]", buckets: list[int], total: int, bounds: tuple[int, ...]
    ) -> None:
        self._cells, self._buckets, self._sum, self._bounds = cells, buckets, total, bounds

    def observe(self, value: int) -> None:
        """Count one value, in the metric's cell unit."""
        cells = self._cells
        cells[self._buckets[bisect_left(self._bounds, value)]] += 1
        cells[self._sum] += value

    def observe_many(self, value: int, times: int) -> None:
        """Count one value so many times, for the price of once."""
        cells = self._cells
        cells[self._buckets[bisect_left(self._bounds, value)]] += times
        cells[self._sum] += value * times


def _map_file(path: Path | None) -> mmap.mmap:
    if path is None:
        return mmap.mmap(-1, _FILE_BYTES)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if os.fstat(descriptor).st_size != _FILE_BYTES:
            os.ftruncate(descriptor, _FILE_BYTES)
        os.posix_fallocate(
            descriptor, 0, _FILE_BYTES
        )  # a hole in a full disk would be a SIGBUS, at any count
        return mmap.mmap(descriptor, _FILE_BYTES)
    finally:
        os.close(descriptor)


class TallyReader:
    """The counters of another process, read without touching them."""

    def __init__(self, path: Path) -> None:
        """Map the file; raises OSError where there is none, ValueError where it is not (yet) a tally."""
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), _FILE_BYTES, access=mmap.ACCESS_READ)
        view = memoryview(self._map)
        self._header = view[: _HEADER_CELLS * 8].cast("q")
        self._cells = view[_CELLS_AT:].cast("q")
        self._names: list[Cell] = []
        self._read = 0
        if self._header[0] != _MAGIC:
            raise ValueError(f"{path} is not a tally")

    @property
    def beats(self) -> int:
        """How often processes of this tally said that they go on."""
        return int(self._header[_BEATS])

    def samples(self) -> Iterator[tuple[Cell, int]]:
        """Every cell with its value."""
        return zip(self._named(), self._cells, strict=False)

    def read(self) -> tuple[list[Cell], "NDArray[np.int64]"]:
        """The cells, a list that only ever grows, and a copy of their values (C,)."""
        names = self._named()
        import numpy as np  # the command line counts nothing, and starts without it

        return names, np.frombuffer(self._map, np.int64, len(names), _CELLS_AT).copy()

    def _named(self) -> list[Cell]:
        """Names are decoded once."""
        used = self._header[1]
        begin = _HEADER_CELLS * 8
        self._names += [_decode(line) for line in self._map[begin + self._read : begin + used].splitlines()]
        self._read = used
        return self._names
