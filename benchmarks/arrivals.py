"""When requests are due, and what their latency is: the part of a load test that must not lie.

Place: generator.py asks what is due and tells what was sent and answered; no clock and no socket in here.
Shapes: open loop: request i is due at start + i / rate whatever the server does, and its latency counts from
    there, so that a stall shows in every request that was due meanwhile (no coordinated omission).
    Closed loop: a request is due as soon as a connection is free, and its latency counts from its sending.
Units: nanoseconds.
"""

from __future__ import annotations

from array import array

NANOSECONDS = 1_000_000_000


class Arrivals:
    """The schedule of one run and the latencies measured on it; requests due before `warm_ns` do not count.

    `rate` is requests per second; None makes a closed loop that ends after `seconds`.
    """

    def __init__(self, rate: float | None, seconds: float, start_ns: int, warm_up_s: float = 0.0) -> None:
        self.start_ns = start_ns
        self.warm_ns = start_ns + int(warm_up_s * NANOSECONDS)
        self.end_ns = self.warm_ns + int(seconds * NANOSECONDS)
        self._interval_ns = NANOSECONDS / rate if rate else 0.0
        self._taken = 0
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
        self.next_ns = self.start_ns + int(self._taken * self._interval_ns)
        return due_ns

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
