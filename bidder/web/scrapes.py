"""Scrapes for all who ask at once: one at a time, shared, and not too often.

Place: ops.py answers /metrics with it.
Rule: figures are never older than the call that asks for them, except where many wait already: the next scrape begins
    when the last one has ended and has cost no more than COST_SHARE of the time since it began, and serves all who
    came until then. Who hangs up costs nothing.
Limits: MAX_WAITING wait; beyond it the last figures are given again until they are FRESH_S old, then there are none.
    A scrape is put off by FRESH_S at most.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

MAX_WAITING: Final = 32
FRESH_S: Final = 1.0
COST_SHARE: Final = 0.1

_log = logging.getLogger(__name__)


class Scrapes:
    """Shares the scrapes of one service."""

    def __init__(self, scrape: Callable[[], bytes]) -> None:
        """`scrape` is called in a thread, one at a time."""
        self._scrape = scrape
        self._one_at_a_time = asyncio.Lock()
        self._next: asyncio.Task[bytes | None] | None = None
        """The one that has not begun."""
        self._waiting = 0
        self._not_before_s = 0.0
        self._latest: tuple[float, bytes] | None = None

    async def text(self) -> bytes | None:
        """Prometheus text; None where there is none for this caller."""
        if self._waiting >= MAX_WAITING:
            return self._again()
        if self._next is None:
            self._next = asyncio.create_task(self._turn())
        self._waiting += 1
        try:
            return await asyncio.shield(self._next)
        finally:
            self._waiting -= 1

    def _again(self) -> bytes | None:
        if self._latest is None or time.monotonic() - self._latest[0] >= FRESH_S:
            return None
        return self._latest[1]

    async def _turn(self) -> bytes | None:
        async with self._one_at_a_time:
            await asyncio.sleep(max(0.0, self._not_before_s - time.monotonic()))
            self._next = None  # who asks from now on wants to know of what happens from now on
            began_s = time.monotonic()
            self._not_before_s = began_s + FRESH_S
            try:
                text, cost_s = await asyncio.to_thread(self._timed)
            except Exception:
                _log.exception("there are no metrics")
                return None
            self._not_before_s = began_s + min(cost_s / COST_SHARE, FRESH_S)
            self._latest = time.monotonic(), text
            return text

    def _timed(self) -> tuple[bytes, float]:
        """The text, and the CPU time that it took: what a busy machine makes it wait for is no cost."""
        began_s = time.thread_time()
        return self._scrape(), time.thread_time() - began_s
