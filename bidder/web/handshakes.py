"""TLS handshakes under way at one port: how many, and whose.

Place: listener.py asks for room before each. It happens before a connection is counted anywhere else.
Rule: where there are MAX_HANDSHAKES, the oldest of the caller who has most gives way to the next one; a caller with
    MAX_OF_CALLER gives way to itself. Who means to talk is through in a few round trips, who is silent grows old: so
    nobody keeps others out, however many connections they open.
Shapes: callers are those of callers.py.
Limits: tls.MAX_HANDSHAKES per port and worker, half of them for one caller. Looking for who has most costs a walk over
    all callers, only where it is full.
"""

import asyncio
from typing import Final

from bidder.web.tls import MAX_HANDSHAKES

MAX_OF_CALLER: Final = MAX_HANDSHAKES // 2
"""An exchange's gateway comes back with all of its connections at once, and is one caller."""


class Handshakes:
    """Those of one port."""

    def __init__(self, most: int = MAX_HANDSHAKES) -> None:
        """`most`: where the process may have few files open, fewer than MAX_HANDSHAKES."""
        self._most = most
        self._tasks: dict[bytes, dict[asyncio.Task[None], None]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def oldest_over(self, caller: bytes) -> asyncio.Task[None] | None:
        """Who gives way before this caller has one more, and is not counted any longer; None: there is room."""
        if len(self._tasks.get(caller, ())) >= min(MAX_OF_CALLER, self._most // 2):
            whose = caller
        elif self._count >= min(MAX_HANDSHAKES, self._most):
            whose = max(self._tasks, key=lambda each: len(self._tasks[each]))
        else:
            return None
        oldest = next(iter(self._tasks[whose]))
        self.leave(whose, oldest)
        return oldest

    def join(self, caller: bytes, task: asyncio.Task[None]) -> None:
        """One more is under way."""
        self._tasks.setdefault(caller, {})[task] = None
        self._count += 1

    def leave(self, caller: bytes, task: asyncio.Task[None]) -> None:
        """One is through, or given up; nothing happens where it is not counted any more."""
        tasks = self._tasks.get(caller)
        if tasks is None or task not in tasks:
            return
        del tasks[task]
        self._count -= 1
        if not tasks:
            del self._tasks[caller]
