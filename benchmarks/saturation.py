"""The search for the highest rate that a service sustains: bracket, then bisect, and say why a rate failed.

Place: load.py, soak.py, restart.py and curve.py hand in a probe; nothing is measured here.
Shapes: a probe takes (rate, seconds) and returns a run as load.summary makes it.
Units: rates in requests per second, latencies in milliseconds.
Limits: `budget_s` for all probes; each is as long as its 99th percentile needs (MIN_REQUESTS), and a rate has failed
    only when it failed twice: the neighbours of a shared machine are not the service.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct

FIRST_RATE: Final = 500.0
LAST_RATE: Final = 200_000.0
PRECISION: Final = 1.05
KEPT_UP: Final = 0.97
MIN_REQUESTS: Final = 2_000
"""Twenty of them above the 99th percentile."""
LONGEST: Final = 4.0
"""A probe of a low rate lasts at most so many times longer than asked for."""
RETRIES: Final = 1

Probe = Callable[[float, float], dict[str, Any]]


class Bounds(Struct, frozen=True):
    """What a rate must hold to count as sustained."""

    p99_ms: float = 20.0
    error_share: float = 0.001
    late_share: float = 0.001


class Search(Struct, frozen=True):
    """How the search goes."""

    seconds: float = 5.0
    """Of one probe, at least."""
    first_rate: float = FIRST_RATE
    budget_s: float = 180.0
    """Of the whole search; what is known then is the answer."""
    bounds: Bounds = Bounds()


class Found(Struct):
    """The highest rate that held, every run, and what stood in the way of more."""

    rate: float
    runs: list[dict[str, Any]]
    why: str
    """Of the lowest rate that failed; or why the search ended before one did."""


def reasons(run: dict[str, Any], bounds: Bounds) -> list[str]:
    """Why a run did not sustain its rate, in words with numbers; empty: it did."""
    requests = run["requests"]
    if not requests:
        return ["nothing was answered"]
    found = []
    if run["achieved_rate"] < KEPT_UP * run["rate"]:
        found.append(f"not kept up: {run['achieved_rate']:,.0f}/s answered")
    if run["latency_ms"]["p99"] > bounds.p99_ms:
        found.append(f"p99 {run['latency_ms']['p99']:,.1f} ms above {bounds.p99_ms:g}")
    if run["errors"] > bounds.error_share * requests:
        found.append(f"errors: {run['errors']:,} of {requests:,}")
    if run["late"] > bounds.late_share * requests:
        found.append(f"late: {run['late']:,} of {requests:,}")
    return found


def search(probe: Probe, plan: Search, clock_s: Callable[[], float] = time.monotonic) -> Found:
    """Double from the first rate until one fails (halve where that one fails at once), then bisect to PRECISION."""
    runs: list[dict[str, Any]] = []
    end_s = clock_s() + plan.budget_s

    def holds(rate: float) -> bool:
        for _ in range(1 + RETRIES):
            seconds = min(max(plan.seconds, MIN_REQUESTS / rate), LONGEST * plan.seconds)
            run = probe(rate, seconds)
            run["failed"] = reasons(run, plan.bounds)
            runs.append(run)
            if not run["failed"] or clock_s() >= end_s:
                break
        return not run["failed"]

    good, bad = 0.0, plan.first_rate
    while bad < LAST_RATE and clock_s() < end_s and holds(bad):
        good, bad = bad, bad * 2
    while not good and bad > 1 and clock_s() < end_s:
        bad /= 2
        good = bad if holds(bad) else 0.0
        bad = bad * 2 if good else bad
    while good and bad / good > PRECISION and clock_s() < end_s:
        middle = (good * bad) ** 0.5
        if holds(middle):
            good = middle
        else:
            bad = middle
    return Found(good, runs, _why(good, runs))


def _why(good: float, runs: list[dict[str, Any]]) -> str:
    failed = [run for run in runs if run["failed"] and run["rate"] > good]
    if not failed:
        return "the search ended before a rate failed"
    lowest = min(failed, key=lambda run: float(run["rate"]))
    return f"at {lowest['rate']:,.0f}/s: {'; '.join(lowest['failed'])}"
