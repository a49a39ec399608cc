"""The counters of all processes as Prometheus text.

Place: the supervisor answers scrapes with it (ops.py); no worker notices.
Shapes: tally cells are merged over processes by (name, labels, part) as each metric says, then scaled.
Limits: cells that no catalogue names are shown as untyped, so that they are seen and put right.
Source: Prometheus text format 0.0.4.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    UnknownMetricFamily,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import CollectorRegistry

from bidder.metrics import OVERFLOW, Cell, Metric, TallyReader

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
METRICS: Final = (
    Metric(OVERFLOW, "counter", "Counts of series that found no room in a worker's tally"),
    Metric("paceline_worker_up", "gauge", "1 while the worker is ready", ("slot",)),
    Metric("paceline_worker_restarts_total", "counter", "Workers started again after they died", ("slot",)),
    Metric("paceline_workers_configured", "gauge", "Workers that should run"),
    Metric("paceline_workers_failing", "gauge", "Workers that die again and again: alarm"),
    Metric("paceline_store_restarts_total", "counter", "Times the embedded store was started again"),
    Metric("paceline_build_info", "gauge", "1, labelled with what runs", ("version", "python")),
    Metric("paceline_process_resident_memory_bytes", "gauge", "Memory that is in RAM", ("process",)),
    Metric("paceline_process_cpu_seconds_total", "counter", "CPU time used", ("process",)),
    Metric("paceline_process_open_fds", "gauge", "Open file descriptors", ("process",)),
    Metric("paceline_process_max_fds", "gauge", "File descriptors that it may open", ("process",)),
    Metric(
        "paceline_memory_limit_bytes",
        "gauge",
        "What all processes together may use: the container's limit, or the machine's memory",
    ),
    Metric("paceline_process_start_time_seconds", "gauge", "Start, in seconds since the epoch", ("process",)),
)

Key = tuple[str, tuple[str, ...]]
Samples = dict[Key, dict[str, float]]
"""(name, labels) to part to value."""


Values = NDArray[np.int64]


class Source(NamedTuple):
    """What stands in one tally."""

    name: Hashable
    cells: Sequence[Cell]
    """Only ever appended to."""
    values: Values
    """(C,)."""


_SUM, _MAX, _MIN, _AGE = range(4)
_MERGES: Final = {"sum": _SUM, "max": _MAX, "min": _MIN, "age": _AGE}
_MOST: Final = np.iinfo(np.int64).max


class Tallies:
    """The tally files of all processes, kept open between scrapes."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = list(paths)
        self._readers: dict[Path, TallyReader] = {}

    def __iter__(self) -> Iterator[Iterator[tuple[Cell, int]]]:
        for _, reader in self._opened():
            yield reader.samples()

    def sources(self) -> Iterator[Source]:
        """What stands in each file that is there."""
        for path, reader in self._opened():
            yield Source(path, *reader.read())

    def _opened(self) -> Iterator[tuple[Path, TallyReader]]:
        for path in self._paths:
            if path not in self._readers:
                try:
                    self._readers[path] = TallyReader(path)
                except (OSError, ValueError):  # its worker has not made it yet
                    continue
            yield path, self._readers[path]


class Table:
    """The cells of all tallies, merged. Names are placed once, so that a scrape adds arrays.

    Shapes: R rows, one for each cell that any tally has: `cells` and `values` (R,), which only ever grow.
    """

    def __init__(self, catalogue: Mapping[str, Metric]) -> None:
        self.catalogue = catalogue
        self.cells: list[Cell] = []
        self.values: Values = np.zeros(0, np.int64)
        self._merges: list[int] = []
        self._rows: dict[Cell, int] = {}
        self._places: dict[Hashable, NDArray[np.intp]] = {}

    def read(self, sources: Iterable[Source]) -> None:
        """Take over what stands in the tallies now."""
        taken = [(self._place(name, cells), values) for name, cells, values in sources]
        rows = len(self.cells)
        total, most, least = np.zeros(rows, np.int64), np.full(rows, -_MOST), np.full(rows, _MOST)
        for place, values in taken:
            total[place] += values
            most[place] = np.maximum(most[place], values)
            least[place] = np.minimum(least[place], np.where(values > 0, values, _MOST))
        merges = np.array(self._merges, np.int64)
        self.values = np.select(
            [merges == _SUM, merges == _MAX, least < _MOST],
            [total, np.where(most > -_MOST, most, 0), least],
        )

    def samples(self, rows: Iterable[int], now_s: float) -> Samples:
        """Some rows, in exposed units except bucket counts; moments that nobody noted are left out."""
        shown: Samples = {}
        values = self.values.tolist()
        for row in rows:
            cell, merge, value = self.cells[row], self._merges[row], values[row]
            if merge >= _MIN and not value:
                continue
            metric = self.catalogue.get(cell.name)
            if merge == _AGE:
                value = max(0.0, now_s - value)
            elif metric is not None and cell.part in ("", "sum"):
                value *= metric.scale
            shown.setdefault((cell.name, cell.labels), {})[cell.part] = value
        return shown

    def _place(self, name: Hashable, cells: Sequence[Cell]) -> NDArray[np.intp]:
        """(C,) the rows of a tally's cells."""
        known = self._places.get(name)
        if known is None or len(known) < len(cells):
            before = known.tolist() if known is not None else []
            fresh = [self._row(cell) for cell in cells[len(before) :]]
            known = self._places[name] = np.array(before + fresh, np.intp)
        return known

    def _row(self, cell: Cell) -> int:
        row = self._rows.get(cell)
        if row is None:
            row = self._rows[cell] = len(self.cells)
            self.cells.append(cell)
            metric = self.catalogue.get(cell.name)
            self._merges.append(_MERGES[metric.merge] if metric is not None else _SUM)
        return row


def merge(
    catalogue: Mapping[str, Metric],
    tallies: Iterable[Iterable[tuple[Cell, int]]],
    own: Samples,
    now_s: float = 0.0,
) -> Samples:
    """All series of some tallies as they are, with the supervisor's own over them."""
    table = Table(catalogue)
    table.read(source_of(number, tally) for number, tally in enumerate(tallies))
    return table.samples(range(len(table.cells)), now_s) | own


def source_of(name: Hashable, tally: Iterable[tuple[Cell, int]]) -> Source:
    """The samples of a tally as a table takes them."""
    held = list(tally)
    return Source(name, [cell for cell, _ in held], np.array([value for _, value in held], np.int64))


def render(catalogue: Mapping[str, Metric], samples: Samples) -> bytes:
    """The text of a scrape; every metric of the catalogue has its HELP and TYPE, with or without samples."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(list(_families(catalogue, samples))))
    return generate_latest(registry)


class _Collector:
    def __init__(self, families: list[Family]) -> None:
        self._families = families

    def collect(self) -> list[Family]:
        return self._families

    describe = collect  # the registry asks for names before it registers


def _families(catalogue: Mapping[str, Metric], samples: Samples) -> Iterator[Family]:
    by_name: dict[str, list[tuple[tuple[str, ...], dict[str, float]]]] = {name: [] for name in catalogue}
    for (name, labels), parts in sorted(samples.items()):
        by_name.setdefault(name, []).append((labels, parts))
    for name, rows in by_name.items():
        metric = catalogue.get(name)
        if metric is None:
            yield from _unknown(name, rows)
        elif metric.kind == "histogram":
            yield _histogram(metric, rows)
        else:
            family = _FAMILIES[metric.kind](name, metric.help, labels=metric.labels)
            for labels, parts in rows or _nothing_yet(metric):
                family.add_metric(labels, parts[""])
            yield family


def _nothing_yet(metric: Metric) -> list[tuple[tuple[str, ...], dict[str, float]]]:
    """A counter of what has not happened says so: its first increase would else be no increase to who scrapes."""
    known = metric.kind == "counter" and not metric.labels
    return [((), {"": 0.0})] if known else []


_FAMILIES: Final[dict[str, type[CounterMetricFamily] | type[GaugeMetricFamily]]] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
}


def _histogram(metric: Metric, rows: list[tuple[tuple[str, ...], dict[str, float]]]) -> Family:
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    bounds = [f"{bound * metric.scale:.12g}" for bound in metric.buckets] + ["+Inf"]
    for labels, parts in rows:
        total = 0.0
        buckets = []
        for number, bound in enumerate(bounds):
            total += parts.get(str(number), 0)
            buckets.append((bound, total))
        family.add_metric(labels, buckets, parts.get("sum", 0))
    return family


def _unknown(name: str, rows: list[tuple[tuple[str, ...], dict[str, float]]]) -> Iterator[Family]:
    count = len(rows[0][0])
    family = UnknownMetricFamily(
        name, "Counted, but in no catalogue", labels=[f"label{i}" for i in range(count)]
    )
    for labels, parts in rows:
        if len(labels) == count and "" in parts:
            family.add_metric(labels, parts[""])
    yield family
