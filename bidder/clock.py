"""The two clocks of a process: one for calendars, one for deadlines.

Place: shells (web, app, supervisor) hold a `Clock`; everything pure takes `now` as an argument.
Units: `now_s` seconds since the epoch (UTC); `monotonic_ns` nanoseconds since an arbitrary start.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """What tells the time: the system in production, a hand in a test."""

    def now_s(self) -> float:
        """Seconds since the epoch."""

    def monotonic_ns(self) -> int:
        """Nanoseconds that never run backwards."""


class SystemClock:
    """The machine's own clocks."""

    now_s = staticmethod(time.time)
    monotonic_ns = staticmethod(time.monotonic_ns)


class ManualClock:
    """A clock moved by hand: tests and simulated days."""

    def __init__(self, now_s: float = 1_790_000_000.0) -> None:
        self._now_s = now_s
        self._start_s = now_s

    def now_s(self) -> float:
        return self._now_s

    def monotonic_ns(self) -> int:
        return int((self._now_s - self._start_s) * 1e9)

    def advance(self, seconds: float) -> None:
        """Move both clocks forward; a step back is a bug of the caller."""
        assert seconds >= 0
        self._now_s += seconds
