"""A reader of spools that never gives up: one batch at a time, in order, repeated until it is done.

Place: drain.py runs one lane for money and one for frequency, so that a dead people's store holds up no money.
Units: backoff in seconds.
Limits: BATCH records in memory; while what it asks for is down it waits BACKOFF_S[0] to BACKOFF_S[1] between tries.
Rule: a position is `sent` before the first try and `finished` after the last answer. Whoever takes over knows which
    records may have been applied without anybody hearing of it, and treats them as `doubtful`.
"""

import logging
import random
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec

from bidder.notices.orders import Order
from bidder.spending.sources import Batch, Source

BATCH: Final = 512
BACKOFF_S: Final = (0.05, 2.0)

_log = logging.getLogger(__name__)
_decode = msgspec.msgpack.Decoder(Order).decode


class Work(Protocol):
    """A batch under way; it remembers which parts of it are done."""

    async def go_on(self) -> bool:
        """Do what is left; False: something could not be reached, ask again. Raises nothing."""


Plan = Callable[[Sequence[Order], bool], Work]
"""(orders, doubtful) -> work"""


class Lane:
    """One kind of work, over all spools of a worker."""

    def __init__(self, reader: int, sources: Callable[[], list[Source]], plan: Plan) -> None:
        self._reader, self._sources, self._plan = reader, sources, plan
        self._current: tuple[Source, Batch, Work] | None = None
        self._failures = 0

    async def step(self) -> bool:
        """Apply all that waits; False where it could not, and `pause_s` says how long to leave it."""
        while True:
            if self._current is None:
                self._current = self._next()
                if self._current is None:
                    return True
            source, batch, work = self._current
            if not await work.go_on():
                self._failures += 1
                return False
            self._failures = 0
            source.finish(self._reader, batch.end)
            self._current = None

    @property
    def pause_s(self) -> float:
        """How long to wait after so many failures in a row, with a share of chance."""
        least, most = BACKOFF_S
        return min(most, least * (1 << min(self._failures, 16))) * random.uniform(0.5, 1.0)

    def _next(self) -> tuple[Source, Batch, Work] | None:
        for source in self._sources():
            batch = source.peek(self._reader, BATCH)
            if batch is not None:
                source.send(self._reader, batch.end)
                return source, batch, self._plan(self._orders(batch), batch.doubtful)
        return None

    def _orders(self, batch: Batch) -> list[Order]:
        orders = []
        for payload in batch.payloads:
            try:
                orders.append(_decode(payload))
            except msgspec.DecodeError:
                _log.exception("a record of a spool is no order")
        return orders
