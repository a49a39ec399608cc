"""People as the path of a bid reads them: one awaited read for a whole batch, which never fails.

Place: step 3 of a bid; web/exchange hands in the look-ups of a batch and gets the people in the same order.
Shapes: read(N look-ups) -> Reading of N people; None where nobody was asked for, found, or heard of in time.
Units: `deadline_ns` on the clock's monotonic_ns.
Limits: a read takes at most read_timeout_ms, whatever the deadline; the breaker answers for a store in trouble.
Never: raises, cancels, or waits for a reply longer than its caller can.
"""

import asyncio
from collections.abc import Callable, Generator, Sequence
from enum import Enum
from typing import Any, Protocol

import hiredis
from msgspec import Struct

from bidder.audience.identity import Lookup
from bidder.audience.person import Person
from bidder.clock import Clock, SystemClock
from bidder.config import Stores
from bidder.metrics import Metric, Tally
from bidder.stores.breaker import Breaker
from bidder.stores.connection import Batch, Done
from bidder.stores.errors import StoreError, StoreOverloaded
from bidder.stores.keys import (
    PERSON_ID_BYTES,
    match_tag,
    person_tag,
    read_match,
    read_person,
)

_US = 1_000
_MS = 1_000_000

METRICS: tuple[Metric, ...] = (
    Metric(
        "paceline_people_reads_total",
        "counter",
        "Batch reads of people, by how they ended; open: refused by the breaker, full: by the in-flight bound",
        labels=("status",),
    ),
    Metric(
        "paceline_people_read_seconds",
        "histogram",
        "From the call to the last reply of a batch, late ones cut at their deadline",
        scale=1e-9,
        buckets=(
            *(50 * _US, 100 * _US, 200 * _US, 300 * _US, 500 * _US, 750 * _US),
            *(1 * _MS, 2 * _MS, 3 * _MS, 5 * _MS, 10 * _MS, 15 * _MS, 20 * _MS, 50 * _MS),
        ),
    ),
    Metric("paceline_people_asked_total", "counter", "People looked for"),
    Metric("paceline_people_found_total", "counter", "People found"),
    Metric("paceline_people_abandoned_total", "counter", "Commands whose replies came too late or never"),
    Metric("paceline_people_breaker_state", "gauge", "0 closed, 1 open, 2 probing", merge="max"),
    Metric("paceline_people_breaker_opened_total", "counter", "Times the breaker opened"),
    Metric("paceline_people_in_flight", "gauge", "Commands without a reply"),
)


class ReadStatus(Enum):
    """How a read ended; whoever is in `people` was read in time in any case."""

    OK = "ok"
    LATE = "late"
    """The deadline or the read time-out passed first."""
    DOWN = "down"
    """No connection, breaker open, bound reached, or the server refused."""
    SKIPPED = "skipped"
    """Nobody was asked for."""


class Reading(Struct, frozen=True):
    """What a read brought: people in the order of the look-ups."""

    people: list[Person | None]
    status: ReadStatus


class Source(Protocol):
    """A Connection or a Cluster."""

    @property
    def in_flight(self) -> int:
        """Commands without a reply."""

    def submit(self, commands: Sequence[bytes], tags: Sequence[bytes], done: Done) -> Batch:
        """See Connection.submit; `tags[i]` is the hash tag of the key of `commands[i]`."""


class PendingRead:
    """A read under way: await it, or hand it one function with `then`. Either way it ends exactly once."""

    __slots__ = ("_asked", "_batch", "_future", "_lookups", "_owner", "_people", "_started_ns", "_then")
    __slots__ += ("_wanted", "deadline_ns", "reading")

    def __init__(self, owner: "PeopleReader", lookups: Sequence[Lookup | None], started_ns: int) -> None:
        self._owner = owner
        self._lookups = lookups
        self._people: list[Person | None] = [None] * len(lookups)
        self._started_ns = started_ns
        self._batch: Batch | None = None
        self._future: asyncio.Future[None] | None = None
        self._then: Callable[[Reading], None] | None = None
        self.deadline_ns = 0
        self.reading: Reading | None = None
        """The result, once there is one."""

    def then(self, callback: Callable[[Reading], None]) -> None:
        """Call `callback(reading)` when it is there: at once if it is already. Instead of `await`."""
        if self.reading is not None:
            callback(self.reading)
        else:
            self._then = callback

    def __await__(self) -> Generator[Any, None, Reading]:
        """The reading; a read that is already done costs no turn of the loop."""
        if self.reading is None:
            self._future = asyncio.get_running_loop().create_future()
            yield from self._future
            assert self.reading is not None
        return self.reading
