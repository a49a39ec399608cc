"""The recorder: what happened goes to disk, and nobody who says it waits.

Place: a worker has one; shop/ and notices hand it records. Its thread writes them every `flush_s`.
Rule: a record is encoded and queued where it is said (2 us); the thread alone touches the disk. kill -9 loses what was
    said since the last flush, and every file stays readable to its last whole frame. What the disk does not take
    stays in the queue; what the queue does not take is dropped and counted. A segment is synced when it is sealed: a
    power loss takes what the kernel had not written of the open one.
Limits: `max_bytes` of all files in the folder, see room.py; `queue_bytes` between two flushes; a segment is sealed at
    `segment_bytes` or `segment_s`. A record whose time is older than `keep_days`, or more than FUTURE_S ahead of us, is
    dropped: its hour is gone, or would outlive its time.
Never: an exception for what a record holds; a wait.
"""

import logging
import threading
from collections import deque
from pathlib import Path
from typing import Final

from msgspec import Struct

from bidder.clock import Clock
from bidder.events.columns import KIND_OF
from bidder.events.frames import MAX_RECORD, encode_record, framed
from bidder.events.records import Record, ShopEvent
from bidder.events.room import LOOK_S, Room, room_in
from bidder.events.segments import OpenSegment
from bidder.metrics import Metric, Tally

FUTURE_S: Final = 300
"""A shop's server whose clock is so far ahead is still believed."""
DAY_S: Final = 86_400
REASONS: Final = ("full", "size", "time", "unfit", "disk")

METRICS = (
    Metric("paceline_events_recorded_total", "counter", "Events taken for recording", ("kind",)),
    Metric("paceline_events_dropped_total", "counter", "Events not recorded, and why", ("kind", "reason")),
    Metric("paceline_events_queue_bytes", "gauge", "Events that wait for the disk"),
    Metric("paceline_events_written_bytes_total", "counter", "Bytes of events written to segments"),
    Metric(
        "paceline_events_write_failures_total", "counter", "Flushes that the disk refused, whole or in part"
    ),
)

_TOLD: Final = {
    Room.PEOPLES: "shops' events of nobody are dropped",
    Room.NONE: "all events are dropped",
}
_log = logging.getLogger(__name__)


class Bounds(Struct, frozen=True, kw_only=True):
    """The limits of recording; config.Events has the same with their reasons."""

    flush_s: float = 1.0
    queue_bytes: int = 8 * 1024 * 1024
    segment_bytes: int = 16 * 1024 * 1024
    segment_s: float = 60.0
    keep_days: int = 30
    max_bytes: int = 50 * 1024**3


class Recorder:
    """Takes records from one thread, the worker's loop, and writes them from another."""

    def __init__(
        self, folder: Path, slot: int, tally: Tally, clock: Clock, bounds: Bounds | None = None
    ) -> None:
        """`folder` holds all that is recorded; it is made where it is not there. Starts the thread."""
        self._folder, self._slot, self._clock = folder, slot, clock
        self._bounds = bounds = bounds or Bounds()
        self._now_s, self._old_s = clock.now_s, bounds.keep_days * DAY_S
        self._limit = bounds.queue_bytes
        self._room, self._look_s = Room.ALL, 0.0
        self._queue: deque[bytes] = deque()
        self._put = self._taken = 0
        """Bytes that ever came and ever left: each has one thread that writes it."""
        self._cells = tally.cells
        self._recorded = {
            kind: tally.slot("paceline_events_recorded_total", name) for kind, name in KIND_OF.items()
        }
        self._dropped = {
            (kind, reason): tally.slot("paceline_events_dropped_total", name, reason)
            for kind, name in KIND_OF.items()
            for reason in REASONS
        }
        self._waiting = tally.slot("paceline_events_queue_bytes")
        self._written = tally.slot("paceline_events_written_bytes_total")
        self._failures = tally.slot("paceline_events_write_failures_total")
        self._open: OpenSegment | None = None
        self._pending = b""
        self._writing = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def record(self, record: Record) -> bool:
        """Take a record; False where it is dropped, which is counted. Never waits, never raises."""
        try:
            frame = framed(encode_record(record))
        except (OverflowError, ValueError, TypeError):  # numbers beyond 64 bits, text that is no Unicode
            return self._drop(record, "unfit")
        if self._room and not self._fits(record):
            return self._drop(record, "disk")
        size, age_s = len(frame), self._now_s() - record.at_ms / 1_000
        if self._put - self._taken + size > self._limit:
            return self._drop(record, "full")
        if size > MAX_RECORD:
            return self._drop(record, "size")
        if not -FUTURE_S <= age_s < self._old_s:
            return self._drop(record, "time")
        self._queue.append(frame)
        self._put += size
        self._cells[self._recorded[type(record)]] += 1
        return True

    def _fits(self, record: Record) -> bool:
        """Whether the disk has room for such a record."""
        nobodys = isinstance(record, ShopEvent) and not record.person
        return self._room is Room.PEOPLES and not nobodys

    def _drop(self, record: Record, reason: str) -> bool:
        self._cells[self._dropped[type(record), reason]] += 1
        return False

    @property
    def waiting_bytes(self) -> int:
        """What the disk does not have yet."""
        return self._put - self._taken

    def flush(self) -> bool:
        """Write what waits, seal a segment whose time has come; False where the disk refuses. For threads and tests."""
        with self._writing:
            try:
                self._flush()
            except OSError as error:
                self._cells[self._failures] += 1
                _log.error("events wait for the disk: %s", error)
                if self._open is not None and self._open.torn:
                    self._open.abandon()
                    self._open = None  # left to the caretaker; what waits goes into another
                return False
            finally:
                self._cells[self._waiting] = self.waiting_bytes
            return True

    def _look(self, now_s: float) -> None:
        """See now and then whether there is room."""
        if abs(now_s - self._look_s) < LOOK_S:
            return
        self._look_s, before = now_s, self._room
        self._room = room_in(self._folder, self._bounds.max_bytes)
        if self._room > before:
            _log.error("the folder of events is full: %s", _TOLD[self._room])

    def _flush(self) -> None:
        self._look(self._clock.now_s())
        self._pending += b"".join([self._queue.popleft() for _ in range(len(self._queue))])
        if self._pending:
            if self._open is None:
                self._open = OpenSegment(self._folder, self._slot, self._clock.now_s())
            self._open.append(self._pending)
            self._taken += len(self._pending)
            self._cells[self._written] += len(self._pending)
            self._pending = b""
        now_s, bounds = self._clock.now_s(), self._bounds
        segment = self._open
        if segment and (
            segment.size >= bounds.segment_bytes or now_s - segment.started_s >= bounds.segment_s
        ):
            self._seal(segment)

    def _seal(self, segment: OpenSegment) -> None:
        self._open = None  # whatever comes of it: the next flush begins another
        segment.seal()

    def _run(self) -> None:
        while not self._stopped.wait(self._bounds.flush_s):
            self.flush()

    def close(self) -> None:
        """Write what waits and seal the segment; takes as long as the disk does."""
        self._stopped.set()
        self._thread.join()
        self.flush()
        with self._writing:
            segment, self._open = self._open, None
            if segment is not None:
                try:
                    segment.seal()
                except OSError as error:
                    _log.error("a segment of events is sealed by the caretaker: %s", error)
