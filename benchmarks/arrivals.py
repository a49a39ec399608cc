"""When requests are due, and what their latency is: the part of a load test that must not lie.

Place: generator.py asks what is due and tells what was sent and answered; no clock and no socket in here.
Shapes: open loop: when a request is due follows from the rate alone whatever the server does, and its latency counts
    from there, so that a stall shows in every request that was due meanwhile (no coordinated omission).
    Closed loop: a request is due as soon as a connection is free, and its latency counts from its sending.
Units: nanoseconds.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable

from msgspec import Struct

from benchmarks.shapes import Shape

NANOSECONDS = 1_000_000_000


class Manner(Struct, frozen=True):
    """How requests follow each other in an open loop."""

    shape: Shape | None = None
    """The rate over the run, as a share of its highest; None: the highest all the time."""
    poisson: bool = False
    """Gaps are drawn from an exponential distribution, as those of many independent people are; else they are equal."""
    seed: int = 1


EVEN = Manner()


class Arrivals:
    """The schedule of one run and the latencies measured on it; requests due before `warm_ns` do not count.

    `rate` is requests per second, the highest where `manner` has a shape; None makes a closed loop that ends after
    `seconds`.
    """

    def __init__(
        self,
        rate: float | None,
        seconds: float,
        start_ns: int,
        warm_up_s: float = 0.0,
        manner: Manner = EVEN,
    ) -> None:
        self.start_ns = start_ns
        self.warm_ns = start_ns + int(warm_up_s * NANOSECONDS)
        self.end_ns = self.warm_ns + int(seconds * NANOSECONDS)
        self._interval_ns = NANOSECONDS / rate if rate else 0.0
        self._taken = 0
        self._gap_ns = self._gaps(manner, seconds) if manner.shape or manner.poisson else None
        self._offset_ns = 0.0
        self.next_ns = start_ns
        self.latencies_ns = array("q")
        self.service_ns = array("q")

    def take(self, now_ns: int) -> int | None:
        """When the next request was due, if it is by now; it must be sent at once. None: wait."""
        due_ns = self.next_ns
        if not self._interval_ns:
            return now_ns if now_ns < self.end_ns else None
        if due_ns > now_ns or due_ns >= self.end_ns:
            return None
        self._taken += 1
        if self._gap_ns is None:
            self.next_ns = self.start_ns + int(self._taken * self._interval_ns)
        else:
            self._offset_ns += self._gap_ns(self._offset_ns)
            self.next_ns = self.start_ns + int(self._offset_ns)
        return due_ns

    def _gaps(self, manner: Manner, seconds: float) -> Callable[[float], float]:
        """From the offset of one request to the gap before the next; the shape begins with the measured time."""
        draw, shape = random.Random(f"arrivals:{manner.seed}").expovariate, manner.shape
        interval_ns, warm_ns = self._interval_ns, self.warm_ns - self.start_ns

        def gap(offset_ns: float) -> float:
            share = shape(max(0.0, offset_ns - warm_ns) / NANOSECONDS, seconds) if shape else 1.0
            return interval_ns / share * (draw(1.0) if manner.poisson else 1.0)

        return gap

    @property
    def taken(self) -> int:
        """How many requests were due and taken."""
        return self._taken

    def exhausted(self, now_ns: int) -> bool:
        """Whether nothing more will ever be due."""
        return (self.next_ns if self._interval_ns else now_ns) >= self.end_ns

    def answered(self, due_ns: int, sent_ns: int, now_ns: int) -> bool:
        """Record an answer; False while warming up."""
        if due_ns < self.warm_ns:
            return False
        self.latencies_ns.append(now_ns - due_ns)
        self.service_ns.append(now_ns - sent_ns)
        return True

    def abandon(self, now_ns: int) -> int:
        """End the run: what was due and never sent has waited until now, and counts so. Returns how many."""
        count = 0
        while (due_ns := self.take(now_ns)) is not None and self._interval_ns:
            if due_ns >= self.warm_ns:
                self.latencies_ns.append(now_ns - due_ns)
                count += 1
        return count
