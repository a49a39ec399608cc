"""The words that dashboards are written in: sheets of sections of panels of queries.

Place: each module of this folder makes one Sheet; grafana.py turns it into Grafana's JSON, catalogue.py lists which
    metric is on which panel.
Units: Grafana's unit ids (`reqps`, `s`, `bytes`, `percentunit`).
"""

from typing import Final, Literal

from msgspec import Struct

WINDOW: Final = "$__rate_interval"
"""Grafana's own: four scrapes at least."""
EXCHANGE: Final = 'exchange=~"$exchange"'
"""The exchanges chosen at the top of a dashboard."""
Kind = Literal["lines", "stack", "figure", "heat", "bars"]


class Query(Struct, frozen=True):
    """A PromQL expression, and what its series are called: `{{label}}` stands for a label's value."""

    expr: str
    legend: str = ""


class Panel(Struct, frozen=True, kw_only=True):
    """One picture."""

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: Kind = "lines"
    width: Literal[4, 6, 8, 12, 24] = 8
    about: str = ""
    """What a reader should know before believing their eyes."""
    red_above: float | None = None
    red_below: float | None = None


class Section(Struct, frozen=True):
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


class Sheet(Struct, frozen=True, kw_only=True):
    """One dashboard."""

    uid: str
    title: str
    about: str
    sections: tuple[Section, ...]
    by_exchange: bool = False
    """Whether exchanges can be chosen at the top."""

    def panels(self) -> tuple[Panel, ...]:
        """All of them, in order."""
        return tuple(panel for section in self.sections for panel in section.panels)


def rate(metric: str, *by: str, where: str = "", of: str = "sum") -> str:
    """How fast a counter grows, in its unit per second, summed over all but the labels named."""
    return f"{of}{_by(by)}(rate({metric}{_where(where)}[{WINDOW}]))"


def now(metric: str, *by: str, where: str = "", of: str = "max") -> str:
    """A gauge as it stands, over all instances."""
    return f"{of}{_by(by)}({metric}{_where(where)})"


def share(part: str, whole: str) -> str:
    """A part of a whole; nothing where the whole is nothing."""
    return f"{part} / ({whole} > 0)"


def quantile(q: float, histogram: str, *by: str, where: str = "") -> str:
    """The value that a share `q` of what a histogram observed did not exceed."""
    return f"histogram_quantile({q:g}, {rate(f'{histogram}_bucket', *by, 'le', where=where)})"


def quantiles(histogram: str, *by: str, where: str = "") -> tuple[Query, ...]:
    """The usual four of a histogram."""
    named = {0.5: "p50", 0.9: "p90", 0.99: "p99", 0.999: "p99.9"}
    legends = " ".join(f"{{{{{label}}}}}" for label in by)
    return tuple(
        Query(quantile(q, histogram, *by, where=where), f"{legends} {name}".strip())
        for q, name in named.items()
    )


def mean(histogram: str, *by: str, where: str = "") -> str:
    """The mean of what a histogram observed."""
    return share(
        rate(f"{histogram}_sum", *by, where=where),
        rate(f"{histogram}_count", *by, where=where),
    )


def age(timestamp: str, *by: str) -> str:
    """Seconds since the latest of what a timestamp gauge says."""
    return f"time() - max{_by(by)}({timestamp} > 0)"


def counters(title: str, *metrics: tuple[str, str], **more: object) -> Panel:
    """Counters that belong together, a line each: (metric, legend)."""
    queries = tuple(Query(rate(metric), legend) for metric, legend in metrics)
    return Panel(title=title, queries=queries, **{"unit": "ops", **more})  # type: ignore[arg-type]  # of Panel


def by(title: str, metric: str, *labels: str, where: str = "", **more: object) -> Panel:
    """A counter by its labels, one upon the other."""
    legend = " ".join(f"{{{{{label}}}}}" for label in labels)
    query = Query(rate(metric, *labels, where=where), legend)
    return Panel(title=title, queries=(query,), **{"unit": "ops", "kind": "stack", **more})  # type: ignore[arg-type]  # of Panel


def gauges(title: str, *metrics: tuple[str, str], **more: object) -> Panel:
    """Gauges that belong together, a line each: (metric, legend)."""
    queries = tuple(Query(now(metric), legend) for metric, legend in metrics)
    return Panel(title=title, queries=queries, **more)  # type: ignore[arg-type]  # of Panel


def figure(title: str, expr: str, unit: str = "short", **more: object) -> Panel:
    """One number, large."""
    return Panel(title=title, queries=(Query(expr),), unit=unit, **{"kind": "figure", "width": 4, **more})  # type: ignore[arg-type]  # of Panel


def _by(labels: tuple[str, ...]) -> str:
    return f" by ({', '.join(labels)}) " if labels else ""


def _where(where: str) -> str:
    return f"{{{where}}}" if where else ""
