"""Which answers are good and which are bad, and what is counted of their time."""

from __future__ import annotations

import asyncio

import pytest

from bidder.clock import ManualClock
from bidder.exchanges import SHIPPED
from bidder.metrics import Tally
from bidder.outcome import Outcome
from bidder.web.admission import Admission
from bidder.web.call import Call, Turn
from bidder.web.counts import BAD, DEADLINE_USED, FAIR_NS, GOOD, NEITHER, VERDICTS, Counts
from bidder.web.tick import Tick

MS = 1_000_000
CLIENTS_OWN = {
    *(Outcome.NOT_FOUND, Outcome.METHOD, Outcome.HEAD_TOO_LARGE, Outcome.BODY_TOO_LARGE, Outcome.ENCODING),
    *(Outcome.BAD_HTTP, Outcome.MALFORMED, Outcome.TIMEOUT),
}


class Desk:
    """A tick whose calls are answered as the test says, at a time that the test moves."""

    def __init__(self) -> None:
        self.tally, self.clock = Tally(), ManualClock(0.0)
        self.clock.advance(1.0)
        self.tick = Tick(self._take, self.tally, self.clock, Admission(100, 10 * MS), 1_000)
        self.counts = {name: Counts(self.tally, name) for name in ("one", "two")}
        self.taken: list[Call] = []
        self.lost = False

    def _take(self, batch: list[Call]) -> None:
        self.taken += batch

    def release(self) -> None:
        """As a connection does."""

    def send(self) -> int:
        """As a connection does."""
        return 0

    def call(self, exchange: str = "one") -> Call:
        """A request that arrives now."""
        return Call((self, 0, self.tick.arrival(), self.counts[exchange]), SHIPPED[0], b"")

    async def hand(self, *calls: Call) -> None:
        """One turn of the event loop takes them."""
        for call in calls:
            self.tick.add(call)
        await asyncio.sleep(0)

    def settle(self, *turns: Turn) -> None:
        """They are answered, and sent now."""
        self.tick.settled += turns
        self.tick.flush()

    async def answered(self, outcome: Outcome, given_ns: int, took_ns: int) -> None:
        """One call from its arrival to its answer."""
        call = self.call()
        await self.hand(call)
        call.deadline_ns = call.received_ns + given_ns if given_ns else 0
        self.clock.advance(took_ns / 1e9)
        call.answer(outcome)
        self.settle(call)

    def value(self, name: str, *labels: str, part: str = "") -> int:
        return self.tally.cells[self.tally.slot(name, *labels, part=part)]

    def verdicts(self, exchange: str = "one") -> tuple[int, int]:
        """Good and bad."""
        name = "paceline_slo_answers_total"
        return self.value(name, exchange, "good"), self.value(name, exchange, "bad")

    def total(self, name: str, *labels: str) -> int:
        """Values in a histogram."""
        cells = [(c, v) for c, v in self.tally.samples() if c.name == name and c.labels == labels]
        return sum(value for cell, value in cells if cell.part != "sum")


def test_every_outcome_has_its_verdict() -> None:
    """A no-bid is as good as a bid; what we did not decide is bad; the client's own doing is neither."""
    found = dict(zip(Outcome, VERDICTS, strict=True))
    bad = {Outcome.SHED, Outcome.LATE, Outcome.FAULT, Outcome.SELF_CHECK}
    neither = CLIENTS_OWN | {Outcome.DISCONNECTED, Outcome.NO_TIME}
    assert {outcome for outcome, verdict in found.items() if verdict == BAD} == bad
    assert {outcome for outcome, verdict in found.items() if verdict == NEITHER} == neither
    assert found[Outcome.NO_CANDIDATE] == found[Outcome.BID] == GOOD


@pytest.mark.parametrize(
    ("outcome", "given_ns", "took_ns", "verdicts", "late"),
    [
        (Outcome.BID, 100 * MS, 5 * MS, (1, 0), 0),
        (Outcome.BID, 100 * MS, 101 * MS, (0, 1), 1),
        (Outcome.NO_CANDIDATE, 100 * MS, 5 * MS, (1, 0), 0),
        (Outcome.NO_CANDIDATE, 100 * MS, 101 * MS, (0, 1), 1),
        (Outcome.LATE, 100 * MS, 101 * MS, (0, 1), 1),
        (Outcome.FAULT, 100 * MS, 5 * MS, (0, 1), 0),
        (Outcome.FAULT, 0, 5 * MS, (0, 1), 0),
        (Outcome.SELF_CHECK, 100 * MS, 5 * MS, (0, 1), 0),
        (Outcome.MALFORMED, 0, 5 * MS, (0, 0), 0),
        (Outcome.NO_TIME, FAIR_NS - 1, 1 * MS, (0, 0), 0),
        (Outcome.NO_TIME, FAIR_NS - 1, 5 * MS, (0, 0), 0),
        (Outcome.NO_TIME, FAIR_NS, 1 * MS, (0, 1), 0),
        (Outcome.NO_TIME, 100 * MS, 101 * MS, (0, 1), 0),
        (Outcome.DISCONNECTED, 100 * MS, 5 * MS, (0, 0), 0),
        (Outcome.DISCONNECTED, 100 * MS, 101 * MS, (0, 1), 0),
    ],
)
async def test_verdicts_by_time(
    outcome: Outcome, given_ns: int, took_ns: int, verdicts: tuple[int, int], late: int
) -> None:
    """Each answer is good, bad or neither, once; late answers are counted as before."""
    desk = Desk()
    await desk.answered(outcome, given_ns, took_ns)
    assert desk.verdicts() == verdicts
    assert desk.value("paceline_late_answers_total", "one") == late
    assert desk.total("paceline_bid_latency_seconds", "one") == 1


async def test_what_is_shed_is_bad() -> None:
    """Answered in time because it was not read at all: no latency, but a broken word."""
    desk = Desk()
    calls = [desk.call() for _ in range(150)]
    await desk.hand(*calls)
    shed = [call for call in calls if call.outcome is Outcome.SHED]
    assert len(shed) == 50
    desk.settle(*shed)
    assert desk.verdicts() == (0, 50)
    assert desk.total("paceline_bid_latency_seconds", "one") == 0


async def test_runs_of_calls_are_counted_like_single_ones() -> None:
    """Exchanges and deadlines in any order within one batch: each call stands in its own exchange's buckets."""
    desk = Desk()
    calls = [desk.call(name) for name in ("one", "two", "one", "two", "one")]
    await desk.hand(*calls)
    for call, given_ms in zip(calls, (100, 100, 20, 100, 100), strict=True):
        call.deadline_ns = call.received_ns + given_ms * MS
    desk.clock.advance(0.05)
    for call in calls:
        call.answer(Outcome.BID)
    desk.settle(*calls)
    assert desk.tick.in_flight == 0
    assert (desk.verdicts("one"), desk.verdicts("two")) == ((2, 1), (2, 0))
    used = {
        (cell.labels[0], cell.part): value
        for cell, value in desk.tally.samples()
        if cell.name == DEADLINE_USED.name and value
    }
    half, late = (str(DEADLINE_USED.buckets.index(bound)) for bound in (500, 5_000))
    assert used == {
        ("one", half): 2,
        ("one", late): 1,
        ("one", "sum"): 3_500,
        ("two", half): 2,
        ("two", "sum"): 1_000,
    }
    assert desk.value("paceline_bid_latency_seconds", "one", part="sum") == pytest.approx(150 * MS)
    assert desk.total("paceline_bid_latency_seconds", "two") == 2


async def test_answers_of_several_ticks_keep_their_arrivals() -> None:
    """What was answered together need not have come together."""
    desk = Desk()
    first = desk.call()
    await desk.hand(first)
    desk.clock.advance(0.03)
    second = desk.call()
    await desk.hand(second)
    desk.clock.advance(0.01)
    for call in (first, second):
        call.answer(Outcome.BID)
    desk.settle(first, second)
    assert desk.value("paceline_bid_latency_seconds", "one", part="sum") == pytest.approx(50 * MS)
    assert desk.total(DEADLINE_USED.name, "one") == 0, "nobody knew a deadline"
    assert desk.verdicts() == (2, 0)


async def test_how_long_a_batch_waited() -> None:
    """The queue's age once per batch; as a stage, once for each of its requests."""
    desk = Desk()
    calls = [desk.call(), desk.call(), desk.call()]
    for call in calls:
        desk.tick.add(call)
    desk.clock.advance(0.002)
    await asyncio.sleep(0)
    assert desk.value("paceline_queue_age_seconds", part="sum") == pytest.approx(2 * MS)
    assert desk.total("paceline_queue_age_seconds") == 1
    assert desk.value("paceline_stage_seconds", "queue", part="sum") == pytest.approx(6 * MS)
    assert desk.total("paceline_stage_seconds", "queue") == 3
    for call in calls:
        call.answer(Outcome.BID)
    desk.settle(*calls)
