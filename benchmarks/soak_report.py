"""What a soak shows: whether memory, descriptors and latencies stayed as they were, and the books add up.

Place: soak.py hands in what it sampled; nothing is measured here.
Shapes: a Look is one window of load and the sample of the processes at its end.
Units: megabytes, milliseconds, seconds since the load began.
Limits: each named beside its reason. The first WARM_UP of the run is in no verdict: caches fill, connections are made.
    The stores hold what the run wrote, so that their memory is told, and not judged; the caretaker's rises with each
    compaction and is judged by its descriptors alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from statistics import fmean, median
from typing import Any, Final

from msgspec import Struct

from benchmarks.plots import Panel, Series, svg
from benchmarks.stand import Sample
from benchmarks.windows import Window

WARM_UP: Final = 0.25
"""Of the run."""
RSS_DRIFT: Final = 0.02
"""Of a process's memory, from the end of the warm-up to the end, by a straight line through all samples."""
FDS_MORE: Final = 24
"""Descriptors that a process may hold more in the last third than in the first: the exchanges open connections as they
need them, up to 144 in all. A leak shows as hundreds."""
P99_GROWTH: Final = 1.5
"""The median 99th percentile of the last third to that of the first."""
P99_SLACK_MS: Final = 2.0
BAD_SHARE: Final = 0.001
"""Late, and failed, of all requests."""
BID_SHARE: Final = 0.5
"""Of the answers, at least: a bidder that refuses is not soaked."""
STORES: Final = ("store", "ledger")
UNJUDGED: Final = (*STORES, "caretaker")
_COLOURS: Final = ("#3367d6", "#0f9d58", "#f4b400", "#db4437", "#8e44ad", "#00838f", "#795548")


class Look(Struct, frozen=True):
    """One moment."""

    window: Window
    sample: Sample


class Finding(Struct, frozen=True):
    """One verdict, in words with numbers."""

    name: str
    value: str
    limit: str
    holds: bool


def drift(points: Sequence[tuple[float, float]]) -> float:
    """How much a straight line through (time, value) rises over its length, as a share of the mean; 0 for a point."""
    if len(points) < 2:
        return 0.0
    mean_x, mean_y = fmean(x for x, _ in points), fmean(y for _, y in points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    if not spread or not mean_y:
        return 0.0
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    return slope * (max(x for x, _ in points) - min(x for x, _ in points)) / mean_y


def thirds(values: Sequence[float]) -> tuple[float, float]:
    """The medians of the first and the last third."""
    size = max(1, len(values) // 3)
    return median(values[:size]), median(values[-size:])


def warm(looks: Sequence[Look]) -> list[Look]:
    """Those after the warm-up."""
    end_s = looks[-1].window.at_s * WARM_UP
    return [look for look in looks if look.window.at_s > end_s]


def findings(looks: Sequence[Look], audit: tuple[int, str], exchanges: tuple[int, int]) -> list[Finding]:
    """All verdicts. `audit` is its exit code and words; `exchanges` are (requests, faults and errors) of the simulated
    ones, which judge every answer."""
    later = warm(looks)
    requests = sum(sum(look.window.statuses.values()) for look in looks)
    late = sum(look.window.late for look in looks)
    failed = sum(look.window.errors + look.window.failed_connects for look in looks)
    first, last = looks[0].sample, looks[-1].sample
    answered = last.requests - first.requests
    bids = (last.bids - first.bids) / answered if answered else 0.0
    p99 = thirds([look.window.p99_ms for look in later])
    invalid = exchanges[1] / exchanges[0] if exchanges[0] else 0.0
    return [
        *_memory(later),
        _descriptors(later),
        Finding(
            "p99, last third to first",
            f"{p99[0]:.2f} ms to {p99[1]:.2f} ms",
            f"x {P99_GROWTH:g} + {P99_SLACK_MS:g} ms",
            p99[1] <= P99_GROWTH * p99[0] + P99_SLACK_MS,
        ),
        _share("late", late, requests),
        _share("errors and failed connections", failed, requests),
        Finding(
            "answers that exchanges reject", f"{exchanges[1]:,}", f"{BAD_SHARE:.1%}", invalid <= BAD_SHARE
        ),
        Finding("answers with a bid", f"{bids:.1%}", f"at least {BID_SHARE:.0%}", bids >= BID_SHARE),
        Finding(
            "audit",
            audit[1].strip().splitlines()[-1] if audit[0] else "every balance is proven",
            "",
            not audit[0],
        ),
    ]


def _memory(later: Sequence[Look]) -> list[Finding]:
    """One verdict per process of ours."""
    found = []
    for name in sorted(later[-1].sample.rss_mb):
        points = series(later, name)
        if name in UNJUDGED or not points:
            continue
        share = drift(points)
        value = f"{share:+.2%} at {points[-1][1]:.0f} MB"
        found.append(Finding(f"memory of {name}", value, f"{RSS_DRIFT:.0%}", share < RSS_DRIFT))
    return found


def _descriptors(later: Sequence[Look]) -> Finding:
    more = {}
    for name in later[-1].sample.fds:
        before, after = thirds([look.sample.fds.get(name, 0) for look in later])
        more[name] = after - before
    worst = max(more, key=lambda name: more[name], default="")
    value = f"{more.get(worst, 0):+g} of {worst}"
    return Finding("descriptors, last third to first", value, f"+{FDS_MORE}", more.get(worst, 0) <= FDS_MORE)


def _share(name: str, count: int, requests: int) -> Finding:
    share = count / requests if requests else 1.0
    return Finding(name, f"{count:,} of {requests:,}", f"{BAD_SHARE:.1%}", share <= BAD_SHARE)


def series(looks: Sequence[Look], process: str) -> list[tuple[float, float]]:
    """(seconds, megabytes) of a process."""
    return [
        (look.window.at_s, look.sample.rss_mb[process]) for look in looks if process in look.sample.rss_mb
    ]


def table(found: Sequence[Finding]) -> str:
    """The verdicts for a terminal."""
    wide = max(len(finding.name) for finding in found)
    lines = []
    for finding in found:
        limit = f" (limit {finding.limit})" if finding.limit else ""
        word = "holds" if finding.holds else "BROKEN"
        lines.append(f"{word:<7} {finding.name:<{wide}}  {finding.value}{limit}")
    return "\n".join(lines)


def record(looks: Sequence[Look]) -> dict[str, Any]:
    """The looks as small JSON, a list for each quantity: what the picture shows."""
    names = sorted({name for look in looks for name in look.sample.rss_mb})
    windows, samples = [look.window for look in looks], [look.sample for look in looks]
    return {
        "at_s": [round(window.at_s) for window in windows],
        "rate": [window.rate for window in windows],
        "p50_ms": [round(window.p50_ms, 2) for window in windows],
        "p99_ms": [round(window.p99_ms, 2) for window in windows],
        "late": [window.late for window in windows],
        "errors": [window.errors for window in windows],
        "rss_mb": {name: [round(sample.rss_mb.get(name, 0.0), 1) for sample in samples] for name in names},
        "fds": {name: [sample.fds.get(name, 0) for sample in samples] for name in names},
    }


def picture(recorded: dict[str, Any]) -> str:
    """Memory by process, latencies and rate over the run, from `record`."""
    minutes = [at_s / 60 for at_s in recorded["at_s"]]

    def line(name: str, colour: str, values: Sequence[float], *, dashed: bool = False) -> Series:
        return Series(name, colour, list(zip(minutes, values, strict=True)), dashed)

    names = sorted(recorded["rss_mb"], key=lambda name: (name in STORES, name))
    memory = [
        line(name, colour, recorded["rss_mb"][name], dashed=name in STORES)
        for name, colour in zip(names, cycle(_COLOURS), strict=False)
    ]
    latencies = [line("p99", "#db4437", recorded["p99_ms"]), line("p50", "#3367d6", recorded["p50_ms"])]
    rates = [line("answered", "#0f9d58", recorded["rate"])]
    span, unit = (0.0, max(minutes[-1], 0.1)), "minutes"
    return svg(
        [
            Panel("Memory of each process (resident)", unit, memory, span, (0, top(memory)), " MB"),
            Panel("Latency, open loop", unit, latencies, span, (0, top(latencies)), " ms"),
            Panel("Requests per second", unit, rates, span, (0, top(rates))),
        ]
    )


def top(lines: Sequence[Series]) -> float:
    """A round number above every value."""
    highest = max((y for line in lines for _, y in line.points), default=1.0) or 1.0
    step = 10.0 ** (len(str(int(highest))) - 1)
    return next(step * n for n in (1, 2, 4, 6, 8, 10, 20) if step * n >= highest)
