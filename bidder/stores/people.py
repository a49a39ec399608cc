"""People as the path of a bid reads them: one awaited read for a whole batch, which never fails.

Place: step 3 of a bid; auction/run hands in the look-ups of a batch and gets the people in the same order.
Shapes: read(N look-ups) -> Reading of N people; None where nobody was asked for or found in time.
Units: `deadline_ns` on the clock's monotonic_ns.
Limits: a read takes at most read_timeout_ms; the breaker answers for a store in trouble.
Never: raises, cancels, or waits for a reply longer than its caller can.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Protocol

from bidder.audience.identity import MAX_MATCHES, Lookup
from bidder.audience.person import Person
from bidder.clock import Clock, SystemClock
from bidder.config import Stores
from bidder.metrics import Metric, Tally
from bidder.stores.breaker import Breaker
from bidder.stores.connection import Batch, Done, Reply
from bidder.stores.errors import StoreError, StoreOverloaded
from bidder.stores.keys import PERSON_ID_BYTES, match_tag, person_tag, read_match, read_person
from bidder.stores.reading import PendingRead, Reading, ReadStatus

__all__ = ["METRICS", "PendingRead", "PeopleReader", "ReadStatus", "Reading", "Source"]

_US = 1_000
_MS = 1_000_000

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
        "_state",
        "_time",
    )

    def __init__(self, tally: Tally) -> None:
        self._cells = tally.cells
        self._by_label = {label: tally.slot("paceline_people_reads_total", label) for label in _LABELS}
        self._time = tally.histogram(_READ_TIME)
        self._asked = tally.slot("paceline_people_asked_total")
        self._found = tally.slot("paceline_people_found_total")
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
        self._time.observe(took_ns)

    def opened(self) -> None:
        self._cells[self._opened] += 1

    def gauges(self, state: int, in_flight: int) -> None:
        cells = self._cells
        cells[self._state] = state
        cells[self._in_flight] = in_flight


class PeopleReader:
    """Reads people over one Source; belongs to one event loop."""

    def __init__(self, source: Source, stores: Stores, tally: Tally, clock: Clock | None = None) -> None:
        """`stores` gives the time-out and the breaker's bounds."""
        self._source = source
        self._timeout_ns = int(stores.read_timeout_ms * _MS)
        self._now_ns = (clock or SystemClock()).monotonic_ns
        self._breaker = Breaker(stores.breaker_failures, stores.breaker_pause_s)
        self._pending: set[PendingRead] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ns = 0
        self._counts = _Counts(tally)

    def read(self, lookups: Sequence[Lookup | None], deadline_ns: int) -> PendingRead:
        """One read for a batch: N look-ups in, a Reading of N people when awaited; never raises.

        Late or failed: whoever was read by then is there, the others are None, and the status says so.
        """
        now_ns = self._now_ns()
        read = PendingRead(len(lookups), now_ns, min(deadline_ns, now_ns + self._timeout_ns))
        commands, tags = _ask(read, lookups)
        if not commands:
            read.end(ReadStatus.SKIPPED)
            self._counts.skipped()
        elif deadline_ns <= now_ns:  # our own lateness: no fault of the store
            self._end(read, ReadStatus.LATE, "late")
        elif not self._breaker.allows(now_ns):
            self._end(read, ReadStatus.DOWN, "open")
        else:
            self._counts.asked(len(read.wanted) + len(read.followed))
            self._send(read, commands, tags, partial(self._arrived, read))
            if read.reading is None:
                self._pending.add(read)
                self._arm(read.deadline_ns, now_ns)
        return read

    def _send(self, read: PendingRead, commands: list[bytes], tags: list[bytes], done: Done) -> None:
        try:
            read.batch = self._source.submit(commands, tags, done)
        except StoreOverloaded:
            self._fail(read, ReadStatus.DOWN, "full")
        except StoreError:
            self._fail(read, ReadStatus.DOWN, "down")

    def _arrived(self, read: PendingRead, batch: Batch) -> None:
        """The first, and mostly only, replies: hashes, then rows of the match table."""
        if read.reading is not None:
            return  # abandoned
        self._take(read, batch)
        found = _follow(read, batch.replies[len(read.wanted) :]) if read.followed else None
        if found:
            read.wanted = found
            tags = [person_tag(person_id) for _, person_id in found]
            self._send(read, [read_person(tag) for tag in tags], tags, partial(self._followed, read))
        else:
            self._settle(read)

    def _followed(self, read: PendingRead, batch: Batch) -> None:
        """The hashes of those whom the match table led to."""
        if read.reading is None:
            self._take(read, batch)
            self._settle(read)

    def _take(self, read: PendingRead, batch: Batch) -> None:
        """Put the hashes that came into their places; an empty hash is nobody."""
        people = read.people
        for (place, person_id), reply in zip(read.wanted, batch.replies, strict=False):
            if type(reply) is dict:
                read.answered = True
                if reply and people[place] is None:
                    people[place] = Person(person_id, reply)
            elif _refused(reply):
                read.sound = False
        if batch.error is not None:
            read.sound = False

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
                self._take(read, batch)
                self._counts.abandoned(batch)
            self._fail(read, ReadStatus.LATE, "late")
        if self._pending:
            self._arm(min(read.deadline_ns for read in self._pending), now_ns)


def _ask(read: PendingRead, lookups: Sequence[Lookup | None]) -> tuple[list[bytes], list[bytes]]:
    """The commands of a batch and their tags: first the hashes of known people, then the match table."""
    commands: list[bytes] = []
    tags: list[bytes] = []
    for place, lookup in enumerate(lookups):
        if lookup is None:
            continue
        person_id = lookup.person
        if person_id is None:
            if lookup.matches:
                read.followed.append((place, min(len(lookup.matches), MAX_MATCHES)))
        elif len(person_id) == PERSON_ID_BYTES:
            tag = person_tag(person_id)
            tags.append(tag)
            commands.append(read_person(tag))
            read.wanted.append((place, person_id))
    for place, count in read.followed:
        lookup = lookups[place]
        assert lookup is not None
        for match in lookup.matches[:count]:
            tag = match_tag(match)
            tags.append(tag)
            commands.append(read_match(tag))
    return commands, tags


def _refused(reply: Reply) -> bool:
    """Is this an error that speaks of the store? A key of another type is damage at one person."""
    return isinstance(reply, Exception) and not str(reply).startswith("WRONGTYPE")


def _follow(read: PendingRead, rows: list[Reply]) -> list[tuple[int, bytes]]:
    """(place, person's id) that the match table gave, best match first, each person once per place."""
    found: dict[tuple[int, bytes], None] = {}
    start = 0
    for place, count in read.followed:
        for row in rows[start : start + count]:
            if _refused(row):
                read.sound = False
                continue
            read.answered = True
            if type(row) is bytes and len(row) == PERSON_ID_BYTES:
                found[place, row] = None
        start += count
    return list(found)
