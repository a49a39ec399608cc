"""People as the path of a bid reads them: one awaited read for a whole batch, which never fails.

Place: step 3 of a bid; auction/run hands in the look-ups of a batch and gets the people in the same order.
Shapes: read(N look-ups) -> Reading of N people; None where nobody was asked for or found in time. Where line items
    with frequency caps could bid, the same commands also bring what each person was shown, and leave a mark there
    that requests of other batches see until stores/frequency_writer ends it, or for `busy_ms`.
Units: `deadline_ns` on the clock's monotonic_ns.
Limits: a read takes at most read_timeout_ms; the breaker answers for a store in trouble.
Never: raises, cancels, or waits for a reply longer than its caller can.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from bidder.audience.identity import Lookup
from bidder.clock import Clock, SystemClock
from bidder.metrics import Metric, Tally
from bidder.settings import Stores
from bidder.stores.asking import Marks, ask, ask_found, follow, refused_twice, take, unknown_scripts
from bidder.stores.breaker import Breaker
from bidder.stores.connection import NOT_YET, Batch, Done
from bidder.stores.errors import StoreError, StoreOverloaded
from bidder.stores.reading import PendingRead, Reading, ReadStatus, Sought
from bidder.stores.scripts import with_text

__all__ = ["METRICS", "PendingRead", "PeopleReader", "ReadStatus", "Reading", "Source"]

_US = 1_000
_MS = 1_000_000
DEFAULT_BUSY_MS = 300.0
DECIDED_SHARE = 0.75
"""Of a mark's time: a request must be answered by then, so that its holds stand before the mark falls."""

METRICS: tuple[Metric, ...] = (
    Metric(
        "paceline_people_reads_total",
        "counter",
        "Batch reads of people; open: refused by the breaker, full: by the in-flight bound",
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
    Metric(
        "paceline_people_opted_out_total", "counter", "Requests of people who opted out: bid for as anybody"
    ),
    Metric("paceline_people_abandoned_total", "counter", "Commands whose replies came too late or never"),
    Metric("paceline_people_breaker_state", "gauge", "0 closed, 1 open, 2 probing", merge="max"),
    Metric("paceline_people_breaker_opened_total", "counter", "Times the breaker opened"),
    Metric("paceline_people_in_flight", "gauge", "Commands without a reply"),
)
_READ_TIME = METRICS[1]
_LABELS = ("ok", "late", "down", "open", "full", "skipped")
_TIMER_GRAIN_NS = _MS  # uvloop's timers fire up to a millisecond early


class Source(Protocol):
    """A Connection or a Cluster."""

    @property
    def in_flight(self) -> int:
        """Commands without a reply."""

    def submit(self, commands: Sequence[bytes], tags: Sequence[bytes], done: Done) -> Batch:
        """See Connection.submit; `tags[i]` is the hash tag of the key of `commands[i]`."""


class _Counts:
    """The cells that a read touches."""

    __slots__ = (
        "_abandoned",
        "_asked",
        "_by_label",
        "_cells",
        "_found",
        "_in_flight",
        "_opened",
        "_opted_out",
        "_state",
        "_time",
    )

    def __init__(self, tally: Tally) -> None:
        self._cells = tally.cells
        self._by_label = {label: tally.slot("paceline_people_reads_total", label) for label in _LABELS}
        self._time = tally.histogram(_READ_TIME)
        self._asked = tally.slot("paceline_people_asked_total")
        self._found = tally.slot("paceline_people_found_total")
        self._opted_out = tally.slot("paceline_people_opted_out_total")
        self._abandoned = tally.slot("paceline_people_abandoned_total")
        self._opened = tally.slot("paceline_people_breaker_opened_total")
        self._state = tally.slot("paceline_people_breaker_state")
        self._in_flight = tally.slot("paceline_people_in_flight")

    def asked(self, people: int) -> None:
        self._cells[self._asked] += people

    def skipped(self) -> None:
        self._cells[self._by_label["skipped"]] += 1

    def abandoned(self, batch: Batch) -> None:
        self._cells[self._abandoned] += batch.outstanding

    def ended(self, label: str, read: PendingRead, took_ns: int) -> None:
        cells = self._cells
        cells[self._by_label[label]] += 1
        cells[self._found] += len(read.people) - read.people.count(None)
        cells[self._opted_out] += len(read.opted_out)
        self._time.observe(took_ns)

    def opened(self) -> None:
        self._cells[self._opened] += 1

    def gauges(self, state: int, in_flight: int) -> None:
        cells = self._cells
        cells[self._state] = state
        cells[self._in_flight] = in_flight


class PeopleReader:
    """Reads people over one Source; belongs to one event loop."""

    def __init__(
        self,
        source: Source,
        stores: Stores,
        tally: Tally,
        clock: Clock | None = None,
        busy_ms: float = DEFAULT_BUSY_MS,
    ) -> None:
        """`stores` gives the time-out and the breaker's bounds; a mark that nobody ends falls after `busy_ms`."""
        self._source = source
        self._timeout_ns = int(stores.read_timeout_ms * _MS)
        self._now_ns = (clock or SystemClock()).monotonic_ns
        self._breaker = Breaker(stores.breaker_failures, stores.breaker_pause_s)
        self._pending: set[PendingRead] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ns = 0
        self._counts = _Counts(tally)
        self._busy_ms = max(1, int(busy_ms))
        self._until_ns = int(busy_ms * _MS * DECIDED_SHARE)
        self._marks = Marks()
        self.simulated_ms: Callable[[], int] | None = None
        """What scripts take for the time; None: the server's own clock."""

    def read(
        self, lookups: Sequence[Lookup | None], deadline_ns: int, imps: Sequence[int] = ()
    ) -> PendingRead:
        """One read for a batch: N look-ups in, a Reading of N people when awaited; never raises.

        `imps`, N numbers or none: impressions of each request that a line item with caps could bid on; where there
        are some, the Reading tells what the person was shown, and stores/frequency_writer must be told of the end.
        Late or failed: whoever was read by then is there, the others are None, and the status says so.
        """
        now_ns = self._now_ns()
        read = PendingRead(len(lookups), now_ns, min(deadline_ns, now_ns + self._timeout_ns))
        if imps and any(imps):
            now_ms = self.simulated_ms() if self.simulated_ms is not None else 0
            read.sought = Sought(imps, self._marks.next(), (self._busy_ms, now_ns + self._until_ns), now_ms)
        ask(read, lookups)
        if not read.commands:
            read.end(ReadStatus.SKIPPED)
            self._counts.skipped()
        elif deadline_ns <= now_ns:  # our own lateness: no fault of the store
            self._end(read, ReadStatus.LATE, "late")
        elif not self._breaker.allows(now_ns):
            self._end(read, ReadStatus.DOWN, "open")
        else:
            self._counts.asked(len(read.wanted) + len(read.followed) - read.visitors)
            self._send(read, partial(self._arrived, read))
            if read.reading is None:
                self._pending.add(read)
                self._arm(read.deadline_ns, now_ns)
        return read

    def _send(self, read: PendingRead, done: Done) -> None:
        """Send the read's commands."""
        try:
            read.batch = self._source.submit(read.commands, read.tags, done)
        except StoreOverloaded:
            self._fail(read, ReadStatus.DOWN, "full")
        except StoreError:
            self._fail(read, ReadStatus.DOWN, "down")

    def _arrived(self, read: PendingRead, batch: Batch) -> None:
        """The first, and mostly only, replies: hashes, then rows of the match table."""
        if read.reading is not None:
            return  # abandoned
        if read.sought and unknown_scripts(batch):
            self._teach(read, batch, self._arrived)
            return
        take(read, batch)
        if read.followed and follow(read, batch.replies[len(read.wanted) :]):
            ask_found(read)
            self._send(read, partial(self._followed, read))
        else:
            self._settle(read)

    def _followed(self, read: PendingRead, batch: Batch) -> None:
        """The hashes of those whom the match table led to."""
        if read.reading is not None:
            return
        if read.sought and unknown_scripts(batch):
            self._teach(read, batch, self._followed)
            return
        take(read, batch)
        self._settle(read)

    def _teach(self, read: PendingRead, batch: Batch, then: Callable[[PendingRead, Batch], None]) -> None:
        """Repeat the calls that the server did not know with the scripts' text; the other replies stand."""
        places = unknown_scripts(batch)
        for place in places:
            batch.replies[place] = NOT_YET

        def taught(answer: Batch) -> None:
            for place, reply in zip(places, answer.replies, strict=False):
                batch.replies[place] = refused_twice(reply)
            batch.error = batch.error or answer.error
            then(read, batch)

        try:
            commands = [with_text(read.commands[place]) for place in places]
            self._source.submit(commands, [read.tags[place] for place in places], taught)
        except StoreError as error:
            batch.error = error
            then(read, batch)

    def _settle(self, read: PendingRead) -> None:
        if read.sound:
            self._breaker.succeeded()
            self._end(read, ReadStatus.OK, "ok")
        else:
            self._fail(read, ReadStatus.DOWN, "down")

    def _fail(self, read: PendingRead, status: ReadStatus, label: str) -> None:
        if read.answered:  # one node of a cluster is in trouble: the others must go on serving
            self._breaker.succeeded()
        elif self._breaker.failed(self._now_ns()):
            self._counts.opened()
        self._end(read, status, label)

    def _end(self, read: PendingRead, status: ReadStatus, label: str) -> None:
        """The one way out of a read that asked for somebody."""
        self._pending.discard(read)
        self._counts.ended(label, read, self._now_ns() - read.started_ns)
        self._counts.gauges(self._breaker.state, self._source.in_flight)
        read.end(status)

    def _arm(self, deadline_ns: int, now_ns: int) -> None:
        """One timer for all reads, set to the earliest deadline: nearly every read is long done by then."""
        if self._timer is not None:
            if self._timer_ns <= deadline_ns:
                return
            self._timer.cancel()
        self._timer_ns = deadline_ns
        self._timer = asyncio.get_running_loop().call_later((deadline_ns - now_ns) / 1e9, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        now_ns = self._now_ns()
        late = [read for read in self._pending if read.deadline_ns <= now_ns + _TIMER_GRAIN_NS]
        for read in late:
            batch = read.batch
            if batch is not None:
                take(read, batch)
                self._counts.abandoned(batch)
            self._fail(read, ReadStatus.LATE, "late")
        if self._pending:
            self._arm(min(read.deadline_ns for read in self._pending), now_ns)
