"""The counters of all workers as Prometheus text.

Place: the supervisor answers scrapes with it (ops.py); no worker notices.
Shapes: tally cells are merged over workers by (name, labels, part) as each metric says, then scaled.
Limits: cells that no catalogue names are shown as untyped, so that they are seen and put right.
Source: Prometheus text format 0.0.4.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

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


class Tallies:
    """The tally files of all workers, kept open between scrapes."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = list(paths)
        self._readers: dict[Path, TallyReader] = {}

    def __iter__(self) -> Iterator[Iterator[tuple[Cell, int]]]:
        for path in self._paths:
            if path not in self._readers:
                try:
                    self._readers[path] = TallyReader(path)
                except (OSError, ValueError):  # its worker has not made it yet
                    continue
            yield self._readers[path].samples()


def merge(
    catalogue: Mapping[str, Metric], tallies: Iterable[Iterable[tuple[Cell, int]]], own: Samples
) -> Samples:
    """All workers' samples, in exposed units except bucket counts, with the supervisor's own over them."""
    merged: Samples = {}
    for tally in tallies:
        for cell, value in tally:
            metric = catalogue.get(cell.name)
            parts = merged.setdefault((cell.name, cell.labels), {})
            scaled = value * metric.scale if metric and (not cell.part or cell.part == "sum") else value
            known = parts.get(cell.part, 0)
            parts[cell.part] = max(known, scaled) if metric and metric.merge == "max" else known + scaled
    return merged | own


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
            for labels, parts in rows:
                family.add_metric(labels, parts[""])
            yield family


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
