"""What happened in each stretch of a run: rates, percentiles and failures since the last look.

Place: load.py shows one per `--every`; soak.py and restart.py read them.
Units: seconds since the measured time began; latencies in milliseconds from the intended send time.
Limits: percentiles are exact, by partition: some 100 us for 20,000 values, so that a look does not become a stall.
"""

from __future__ import annotations

import time
from collections import Counter

import numpy as np
from msgspec import Struct, field

from benchmarks.arrivals import NANOSECONDS
from benchmarks.generator import Result

PERCENTILES = (50.0, 99.0, 99.9)


class Window(Struct):
    """One stretch."""

    at_s: float
    """Its end."""
    unix_s: float
    rate: float
    """Answers and failures per second."""
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    p999_ms: float = 0.0
    max_ms: float = 0.0
    late: int = 0
    errors: int = 0
    failed_connects: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    connects: dict[str, int] = field(default_factory=dict)


class Windows:
    """Cuts a running result into windows: `cut` tells what came since the last."""

    def __init__(self) -> None:
        self._seen = 0
        self._at_s = 0.0
        self._late = 0
        self._statuses: Counter[str] = Counter()
        self._connects: Counter[str] = Counter()

    def cut(self, result: Result, now_ns: int | None = None) -> Window:
        """The stretch since the last call."""
        arrivals = result.arrivals
        now_ns = time.perf_counter_ns() if now_ns is None else now_ns
        at_s = (now_ns - arrivals.warm_ns) / NANOSECONDS
        fresh = np.array(arrivals.latencies_ns[self._seen :], np.int64) / 1e6
        statuses = result.statuses - self._statuses
        connects = result.connects - self._connects
        window = Window(
            round(at_s, 3),
            round(time.time(), 3),
            round(len(fresh) / max(at_s - self._at_s, 1e-9), 1),
            late=result.late - self._late,
            errors=sum(n for status, n in statuses.items() if status not in ("200", "204")),
            failed_connects=sum(n for fate, n in connects.items() if fate != "made"),
            statuses=dict(sorted(statuses.items())),
            connects=dict(sorted(connects.items())),
        )
        if len(fresh):
            found = np.percentile(fresh, PERCENTILES, method="inverted_cdf")
            window.p50_ms, window.p99_ms, window.p999_ms = (round(float(ms), 3) for ms in found)
            window.max_ms = round(float(fresh.max()), 3)
        self._seen, self._at_s, self._late = len(arrivals.latencies_ns), at_s, result.late
        self._statuses, self._connects = result.statuses.copy(), result.connects.copy()
        return window
