"""The requests of one event-loop tick: collected, admitted, handed over together, answered in joined writes.

Place: connections add calls and mark themselves when answers are ready; deciders get whole batches.
Shapes: all sockets that are readable in a tick are read before `_run` is called, so a batch is what arrived
    together; at low load it holds one request and has waited for nobody.
Units: nanoseconds of the monotonic clock, read once per tick.
Never: holds a request back to make a batch larger.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from bidder.clock import Clock
from bidder.metrics import Tally
from bidder.outcome import Outcome
from bidder.web import bodies
from bidder.web.admission import Admission, share
from bidder.web.call import Call, Deciders, Line, Turn
from bidder.web.counts import BAD, FAIR_NS, GOOD, NEITHER, VERDICTS, Counts, PortCells

log = logging.getLogger(__name__)

_NEVER_LATE = (Outcome.DISCONNECTED, Outcome.NO_TIME)
"""Nobody waits any more, or the time was too short from the start: neither is a late answer."""
_NO_TIME = Outcome.NO_TIME


class Writer(Line, Protocol):
    """A connection as the tick sees it."""

    def send(self) -> int:
        """Write what was released, in one piece; returns its bytes."""


class Tick:
    """What is gathered between two turns of the event loop."""

    __slots__ = (
        "_admission", "_batch", "_cells", "_clock", "_corked", "_decide", "_decided", "_marked",
        "_max_inflated", "_port", "_soon", "_spent_ns", "draining", "in_flight", "now_ns", "received",
        "settled",
    )  # fmt: skip

    def __init__(
        self, decide: Deciders, tally: Tally, clock: Clock, admission: Admission, inflated: int
    ) -> None:
        self._decide = decide
        self._cells = tally.cells
        self._port = PortCells(tally)
        self._clock = clock.monotonic_ns
        self._admission = admission
        self._max_inflated = inflated
        self._soon: Callable[..., object] = asyncio.get_running_loop().call_soon
        self._batch: list[Call] = []
        self._marked: list[Writer] = []
        self.settled: list[Turn] = []
        """Answered turns in the order of their release, to be counted."""
        self._corked = False  # the flush is sure to come: nobody needs to ask for it
        self._decided = 0
        self._spent_ns = 0
        self.draining = False
        self.in_flight = 0
        self.received = 0
        self.now_ns = self._clock()

    def arrival(self) -> int:
        """The time of arrival of what is read now: that of the tick's first bytes."""
        if not self._batch:
            self.now_ns = self._clock()
        return self.now_ns

    def add(self, call: Call) -> None:
        """Take a complete request into this tick's batch."""
        if not self._batch:
            self._soon(self._run)
        self._batch.append(call)

    def mark(self, line: Writer) -> None:
        """A connection has answers to send."""
        if not self._marked and not self._corked:
            self._soon(self.flush)
        self._marked.append(line)

    def spent(self, spent_ns: int) -> None:
        """Time that deciders used after they returned (a person read came back): it counts as cost."""
        self._spent_ns += spent_ns

    def _run(self) -> None:
        self._corked = True
        batch, self._batch = self._batch, []
        try:
            ready = self._admit(batch)
            if ready:
                self._hand_over(ready)
        finally:
            self._corked = False
            self.flush()

    def _admit(self, batch: list[Call]) -> list[Call]:
        """The calls that will be decided; every other one is answered here, unread."""
        if self._decided:
            self._admission.measured(self._decided, self._spent_ns)
            self._decided = self._spent_ns = 0
        room = self._admission.room(self.in_flight)
        if len(batch) > room:
            batch, shed = share(batch, [call.profile.name for call in batch], room)
            for call in shed:
                call.answer(Outcome.SHED)
        return [call for call in batch if self._readable(call)]

    def _readable(self, call: Call) -> bool:
        if call.line.lost:
            call.answer(Outcome.DISCONNECTED)
            return False
        if call.coding == bodies.IDENTITY:
            return True
        try:
            call.body = bodies.inflate(call.body, call.coding, self._max_inflated)
        except bodies.TooLarge:
            call.answer(Outcome.BODY_TOO_LARGE)
        except bodies.BadCoding:
            call.answer(Outcome.BAD_HTTP)
        else:
            return True
        return False

    def _hand_over(self, batch: list[Call]) -> None:
        self.in_flight += len(batch)
        self._port.batch.observe(len(batch))
        for call in batch:
            call.handed = True
        began_ns = self._clock()
        waited_ns = began_ns - batch[0].received_ns
        self._port.queue.observe_many(waited_ns, len(batch))
        self._port.queue_age.observe(waited_ns)
        try:
            self._decide(batch)
        except Exception:
            log.exception("deciding a batch failed")
            for call in batch:
                if call.outcome is None:
                    call.answer(Outcome.FAULT)
        self._decided += len(batch)
        self._spent_ns += self._clock() - began_ns

    def flush(self) -> None:
        """Send every answer that is ready, one write per connection, and count what was sent."""
        marked, self._marked = self._marked, []
        sent = 0
        for line in marked:
            sent += line.send()
        settled, self.settled = self.settled, []
        if settled:
            self._count(settled)
        cells, port = self._cells, self._port
        cells[port.sent] += sent
        cells[port.received] += self.received
        cells[port.in_flight] = self.in_flight
        self.received = 0

    def _count(self, settled: list[Turn]) -> None:
        """Count what was answered now; calls of one exchange, arrival and deadline are a run, counted at its end."""
        cells, now_ns, handed = self._cells, self._clock(), 0
        running: list[Counts] = []
        for turn in settled:
            counts, outcome = turn.counts, turn.outcome
            if counts is None:
                continue
            assert outcome is not None
            cells[counts.outcomes[outcome]] += 1
            verdict = VERDICTS[outcome]
            if turn.handed:
                assert isinstance(turn, Call)
                handed += 1
                deadline_ns = turn.deadline_ns
                if deadline_ns != counts.deadline_ns or turn.received_ns != counts.received_ns:
                    counts.end_run(cells, now_ns)
                    counts.deadline_ns, counts.received_ns = deadline_ns, turn.received_ns
                if not counts.run:
                    running.append(counts)
                counts.run += 1
                if now_ns > deadline_ns > 0 or outcome is _NO_TIME:
                    verdict = self._late(turn)
                elif verdict == GOOD:
                    counts.good += 1
                    continue
            if verdict != NEITHER:
                cells[counts.slo[verdict]] += 1
        self.in_flight -= handed
        for counts in running:
            counts.end_run(cells, now_ns)

    def _late(self, call: Call) -> int:
        """Count an answer that left after its deadline, or was not begun for want of time; its verdict."""
        assert call.counts is not None
        if call.outcome not in _NEVER_LATE:
            self._cells[call.counts.late] += 1
            return BAD
        hopeless = call.outcome is _NO_TIME and call.deadline_ns - call.received_ns < FAIR_NS
        return NEITHER if hopeless else BAD

    def gauges(self, connections: int) -> None:
        """Bring the gauges up to date."""
        self._cells[self._port.connections] = connections
        self._cells[self._port.in_flight] = self.in_flight
        self._cells[self._port.cost] = int(self._admission.cost_ns)
