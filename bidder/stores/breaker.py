"""A breaker: after enough failures in a row it answers at once, and lets one try through after a pause.

Place: stores/people asks before each read and tells how it ended.
Units: nanoseconds of any clock that never runs backwards; `now_ns` is an argument.
Never: a clock, a timer or a lock: the state moves only when it is asked or told.
"""

from enum import IntEnum


class BreakerState(IntEnum):
    """What the gauge shows."""

    CLOSED = 0
    OPEN = 1
    PROBING = 2


class Breaker:
    """Consecutive failures open it, one success closes it."""

    __slots__ = ("_failed", "_limit", "_pause_ns", "_retry_ns", "state")

    def __init__(self, failures: int, pause_s: float) -> None:
        """Open after `failures` in a row; probe `pause_s` seconds later."""
        self.state = BreakerState.CLOSED
        self._limit = failures
        self._pause_ns = int(pause_s * 1e9)
        self._failed = 0
        self._retry_ns = 0

    def allows(self, now_ns: int) -> bool:
        """May this call go out? True while closed; once per pause while open: that one is the probe."""
        if self.state is BreakerState.CLOSED:
            return True
        if now_ns < self._retry_ns:
            return False
        self.state = BreakerState.PROBING
        self._retry_ns = now_ns + self._pause_ns  # a probe that never reports does not shut us out for ever
        return True

    def succeeded(self) -> None:
        """A call was answered: the store lives."""
        self._failed = 0
        self.state = BreakerState.CLOSED

    def failed(self, now_ns: int) -> bool:
        """A call failed or came late; True where this failure opened the breaker."""
        self._failed += 1
        was_closed = self.state is BreakerState.CLOSED
        if was_closed and self._failed < self._limit:
            return False
        self.state = BreakerState.OPEN
        self._retry_ns = now_ns + self._pause_ns
        return was_closed
