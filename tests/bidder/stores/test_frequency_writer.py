"""Logs of what was shown, on a real server: holds, views, losses and wins in any order, marks, and trouble."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence

import pytest

from bidder.audience.frequency import (
    HOLD,
    MAX_WINDOW_S,
    VIEW,
    VISITOR_WINDOW_S,
    Basis,
    BidRecord,
    Exposure,
    Verdict,
    open_log,
)
from bidder.audience.identity import Lookup, is_visitor, visitor_id
from bidder.campaigns.caps import ADVERTISER, CREATIVE, LINE, Cap
from bidder.config import Stores
from bidder.metrics import Tally
from bidder.stores import frequency_writer as module
from bidder.stores import keys
from bidder.stores.connection import Connection
from bidder.stores.frequency_writer import METRICS, FrequencyWriter
from bidder.stores.people import PeopleReader, Reading, ReadStatus
from bidder.stores.scripts import SCRIPTS
from tests.bidder.stores.conftest import Connect
from tests.servers import RealServer, eventually

FAR_NS = 1 << 62
NOW_S = 1_790_000_000
ME = b"\x05" * 16
TAG = keys.person_tag(ME)
LOGS, MARKS = keys.views_key(TAG), keys.marks_key(TAG)
SHOP, STORE = b"a:shop", b"a:store"
DAY_S = 86_400
DAILY = (Cap(ADVERTISER, 0, 1, DAY_S),)
PATIENT = Stores(read_timeout_ms=30_000)


def _bid(
    tag: int = 1, field: bytes = SHOP, line: int = 20, creative: int = 30, window_s: int = DAY_S
) -> BidRecord:
    return BidRecord(field, tag, 10, line, creative, window_s)


class Worker:
    """A reader and a writer on one connection, with time moved by hand."""

    def __init__(self, connection: Connection, tally: Tally) -> None:
        self.connection = connection
        self.now_ms = NOW_S * 1_000
        self.reader = PeopleReader(connection, PATIENT, tally)
        self.writer = FrequencyWriter(connection, tally)
        self.reader.simulated_ms = self.writer.simulated_ms = lambda: self.now_ms

    async def read(self, *lookups: Lookup | None, imps: Sequence[int] = ()) -> Reading:
        """After all that was written before: a call that has to teach its script to the server comes later."""
        await self.settled()
        return await self.reader.read(lookups or [Lookup(ME)], FAR_NS, imps or [1] * max(1, len(lookups)))

    async def exposure(self, lookup: Lookup | None = None) -> Exposure:
        (found,) = (await self.read(lookup or Lookup(ME))).exposures
        assert found is not None
        return found

    async def look(self) -> Exposure:
        """What stands there, without leaving a mark."""
        exposure = await self.exposure()
        self.writer.finish([exposure], 60)
        return exposure

    async def settled(self) -> None:
        """Until the server has answered all that was written."""
        await eventually(lambda: not self.connection.in_flight and not self.writer.kept)

    async def records(self, field: bytes = SHOP) -> list[tuple[int, int, int]]:
        """(kind, at relative to NOW_S, count) of what stands there."""
        value = (await self.look()).views.get(field)
        if value is None:
            return []
        log = open_log(value, 0)
        return sorted((r[5], r[0] - NOW_S, r[6]) for r in log.records)


NewWorker = Callable[[], Awaitable[Worker]]


@pytest.fixture
def new_worker(redis_server: RealServer, connect: Connect, tally: Tally) -> NewWorker:
    """Makes workers, each on a connection of its own, on a server that knows the scripts: teaching one takes a call
    out of its order."""
    with redis_server.client() as client:
        for script in SCRIPTS:
            client.script_load(script.text)

    async def make() -> Worker:
        return Worker(await connect(redis_server.url), tally)

    return make


@pytest.fixture
async def worker(new_worker: NewWorker) -> Worker:
    """One worker."""
    return await new_worker()


def _cell(tally: Tally, name: str, *labels: str) -> int:
    return tally.cells[tally.slot(f"paceline_frequency_{name}", *labels)]


async def test_a_person_and_what_the_person_was_shown(worker: Worker, redis_server: RealServer) -> None:
    """One read brings both; a person who has seen nothing, or of whom nothing is known, has an exposure too."""
    with redis_server.client() as client:
        client.hset(keys.person_key(TAG), mapping={b"a:shop": b"profile"})
    worker.writer.view(ME, _bid())
    other = b"\x06" * 16
    reading = await worker.read(Lookup(ME), Lookup(other), None, Lookup(ME), imps=[1, 1, 1, 0])
    assert reading.status is ReadStatus.OK
    assert [person and person.fields for person in reading.people] == [
        {SHOP: b"profile"},
        None,
        None,
        {SHOP: b"profile"},
    ]
    mine, others, nobody, unasked = reading.exposures
    assert mine is not None
    assert others is not None
    assert (nobody, unasked) == (None, None)
    assert (mine.id, mine.basis, mine.now_s) == (ME, Basis.PERSON, NOW_S)
    assert mine.verdict(SHOP, DAILY) is Verdict.REACHED
    assert mine.verdict(STORE, DAILY) is Verdict.PASSES
    assert (others.id, others.views) == (other, {})
    assert others.verdict(SHOP, DAILY) is Verdict.PASSES


async def test_a_hold_becomes_a_view(worker: Worker, redis_server: RealServer) -> None:
    """The end of a request places holds; an impression makes its hold a view that counts for the window."""
    exposure = await worker.exposure()
    exposure.held += [_bid(1), _bid(2, STORE)]
    worker.writer.finish([exposure], 60)
    assert await worker.records() == [(HOLD, 60, 1)]
    assert await worker.records(STORE) == [(HOLD, 60, 1)]
    assert (await worker.look()).verdict(SHOP, DAILY) is Verdict.HELD
    worker.now_ms += 20_500
    worker.writer.view(ME, _bid(1))
    assert await worker.records() == [(VIEW, 21, 1)]
    assert (await worker.look()).verdict(SHOP, DAILY) is Verdict.REACHED
    with redis_server.client() as client:
        await worker.settled()
        assert DAY_S - 5 < client.ttl(LOGS) <= DAY_S
        assert not client.exists(MARKS)


async def test_a_hold_falls_by_itself(worker: Worker) -> None:
    """A hold that nobody speaks of counts until its time has come, and is gone from the store with the next write."""
    exposure = await worker.exposure()
    exposure.held.append(_bid(1))
    worker.writer.finish([exposure], 60)
    worker.now_ms += 60_000
    assert (await worker.look()).verdict(SHOP, DAILY) is Verdict.HELD
    worker.now_ms += 1_000
    assert (await worker.look()).verdict(SHOP, DAILY) is Verdict.PASSES
    worker.writer.view(ME, _bid(2))
    assert await worker.records() == [(VIEW, 61, 1)]


async def test_a_loss_ends_a_hold(worker: Worker, redis_server: RealServer) -> None:
    """A loss drops its own hold alone, and nothing is left of a log without records."""
    exposure = await worker.exposure()
    exposure.held += [_bid(1), _bid(2)]
    worker.writer.finish([exposure], 60)
    worker.writer.drop(ME, SHOP, 1)
    assert await worker.records() == [(HOLD, 60, 1)]
    worker.writer.drop(ME, SHOP, 2)
    worker.writer.drop(ME, SHOP, 2)
    assert await worker.records() == []
    with redis_server.client() as client:
        assert not client.exists(LOGS)


async def test_a_win_prolongs_a_hold(worker: Worker, redis_server: RealServer) -> None:
    """A win raises until when a view may come, never lowers it, and places the hold anew where it has lapsed."""
    exposure = await worker.exposure()
    exposure.held.append(_bid(1))
    worker.writer.finish([exposure], 60)
    worker.writer.prolong(ME, _bid(1), 300)
    assert await worker.records() == [(HOLD, 300, 1)]
    worker.writer.prolong(ME, _bid(1), 10)
    assert await worker.records() == [(HOLD, 300, 1)]
    with redis_server.client() as client:
        assert 290 < client.ttl(LOGS) <= 302
    worker.now_ms += 301_000
    worker.writer.prolong(ME, _bid(1), 10)
    assert await worker.records() == [(HOLD, 311, 1)]


ORDERS = {
    "view before hold": ("view", "hold"),
    "twice seen": ("hold", "view", "view"),
    "twice held": ("view", "hold", "hold"),
    "loss after view": ("hold", "view", "loss"),
    "win after view": ("hold", "view", "win"),
    "view after loss": ("hold", "loss", "view"),
    "win before hold": ("win", "hold", "view"),
    "all twice": ("hold", "win", "hold", "view", "win", "view", "loss", "loss"),
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
async def test_any_order_counts_one_view(worker: Worker, order: tuple[str, ...]) -> None:
    """Whatever comes twice or out of turn: a bid that was seen is one view and no hold."""
    for event in order:
        if event == "hold":
            exposure = await worker.exposure()
            exposure.held.append(_bid(7))
            worker.writer.finish([exposure], 60)
        elif event == "view":
            worker.writer.view(ME, _bid(7))
        elif event == "win":
            worker.writer.prolong(ME, _bid(7), 300)
        else:
            worker.writer.drop(ME, SHOP, 7)
    assert await worker.records() == [(VIEW, 0, 1)]


async def test_a_loss_before_its_hold_costs_a_hold(worker: Worker) -> None:
    """A loss that overtakes its bid finds nothing: the hold then stands until its time, which is too careful by one."""
    worker.writer.drop(ME, SHOP, 1)
    exposure = await worker.exposure()
    exposure.held.append(_bid(1))
    worker.writer.finish([exposure], 60)
    assert await worker.records() == [(HOLD, 60, 1)]


async def test_late_views_keep_their_time(worker: Worker) -> None:
    """A view that is told late counts from when it was seen; one older than every window is not kept."""
    worker.writer.view(ME, _bid(1), age_s=3_600)
    worker.writer.view(ME, _bid(2), age_s=DAY_S)
    assert await worker.records() == [(VIEW, -3_600, 1)]


async def test_requests_see_each_other(new_worker: NewWorker, redis_server: RealServer) -> None:
    """While one worker decides on three impressions another is told of three, and the third of both; the end of
    one leaves the mark of the other."""
    one, two, three = [await new_worker() for _ in range(3)]
    (first,) = (await one.read(Lookup(ME), imps=[3])).exposures
    (second,) = (await two.read(Lookup(ME), imps=[2])).exposures
    assert first is not None
    assert second is not None
    assert (first.busy, second.busy) == (0, 3)
    assert second.verdict(SHOP, (Cap(LINE, 20, 4, DAY_S),)) is Verdict.PASSES
    assert second.verdict(SHOP, (Cap(LINE, 20, 3, DAY_S),)) is Verdict.HELD
    assert (await three.look()).busy == 5
    one.writer.finish([first], 60)
    await one.settled()
    third = await three.exposure()
    assert third.busy == 2
    two.writer.finish([second], 60)
    await two.settled()
    assert (await two.look()).busy == 1
    await two.settled()
    with redis_server.client() as client:
        assert client.hlen(MARKS) == 1
        assert 0 < client.pttl(MARKS) <= 60_000


async def test_a_mark_ends_as_its_holds_begin(new_worker: NewWorker) -> None:
    """The end of a request is one step: whoever reads sees the mark or the hold, never neither."""
    one, two = await new_worker(), await new_worker()
    exposure = await one.exposure()
    exposure.held.append(_bid(1))
    assert (await two.look()).busy == 1
    one.writer.finish([exposure], 60)
    await one.settled()
    after = await two.look()
    assert (after.busy, after.verdict(SHOP, DAILY)) == (0, Verdict.HELD)


async def test_marks_fall_by_themselves(new_worker: NewWorker, redis_server: RealServer) -> None:
    """A dead worker's mark is gone after its time, also where others go on; and the server lets go of the key."""
    dead, living = await new_worker(), await new_worker()
    await dead.exposure()
    living.now_ms += 200
    await living.exposure()
    living.now_ms += 99
    assert (await living.look()).busy == 2
    living.now_ms += 1
    assert (await living.look()).busy == 1
    living.reader.simulated_ms = None
    await living.exposure(Lookup(b"\x09" * 16))
    with redis_server.client() as client:
        assert 0 < client.pttl(keys.marks_key(keys.person_tag(b"\x09" * 16))) <= 300


async def test_a_batch_is_one(worker: Worker) -> None:
    """Requests of one batch for the same person share one exposure: they see no mark of their own, each counts the
    other's bids exactly, and they end together."""
    reading = await worker.read(Lookup(ME), Lookup(ME), imps=[8, 1])
    first, second = reading.exposures
    assert first is second
    assert first is not None
    assert (first.busy, first.verdict(SHOP, DAILY)) == (0, Verdict.PASSES)
    first.chosen(_bid(1))
    assert first.verdict(SHOP, DAILY) is Verdict.HELD
    first.dropped(_bid(1))
    assert first.verdict(SHOP, DAILY) is Verdict.PASSES
    worker.writer.finish(reading.exposures, 60)
    assert (await worker.look()).busy == 0


async def test_too_many_at_once_may_not_bid(worker: Worker) -> None:
    """Beyond 64 requests at once for one person the store is not made to remember more: they are told of so many
    impressions that no cap lets them bid."""
    for _ in range(64):
        await worker.exposure()
    late = await worker.exposure()
    assert late.busy == 0xFFFF
    assert late.verdict(SHOP, (Cap(ADVERTISER, 0, 1_000, 60),)) is Verdict.HELD


async def test_an_unknown_id_is_counted_for(worker: Worker, redis_server: RealServer) -> None:
    """The first id of a request that leads to nobody has views and marks of its own, until it leads to a person."""
    lookup = Lookup(None, ("x/one", "x/two"))
    exposure = await worker.exposure(lookup)
    assert (exposure.basis, exposure.tag, exposure.views) == (Basis.MATCH, keys.match_tag("x/one"), {})
    assert (await worker.exposure(lookup)).busy == 1
    exposure.held.append(_bid(1))
    worker.writer.finish([exposure], 60)
    worker.writer.view(exposure.id, _bid(1))
    again = await worker.exposure(lookup)
    assert again.verdict(SHOP, DAILY) is Verdict.REACHED
    with redis_server.client() as client:
        client.set(keys.match_key(keys.match_tag("x/two")), ME)
    known = await worker.exposure(lookup)
    assert (known.basis, known.id) == (Basis.PERSON, ME)


async def test_a_match_leads_to_views(worker: Worker, redis_server: RealServer) -> None:
    """Whoever an id leads to is read with the views; of several the one that is known is counted for."""
    gone = b"\x08" * 16
    with redis_server.client() as client:
        client.set(keys.match_key(keys.match_tag("x/gone")), gone)
        client.set(keys.match_key(keys.match_tag("x/right")), ME)
        client.hset(keys.person_key(TAG), mapping={b"a:shop": b"profile"})
    worker.writer.view(ME, _bid())
    reading = await worker.read(
        Lookup(None, ("x/gone", "x/right")),
        Lookup(None, ("x/gone",)),
        Lookup(None, ("x/right",)),
        imps=[1, 1, 0],
    )
    first, second, unasked = reading.exposures
    assert first is not None
    assert second is not None
    assert (first.id, first.verdict(SHOP, DAILY)) == (ME, Verdict.REACHED)
    assert (second.id, second.verdict(SHOP, DAILY)) == (gone, Verdict.PASSES)
    assert unasked is None
    assert [person and person.id for person in reading.people] == [ME, None, ME]


async def test_a_visitor_is_counted_for_an_hour(
    worker: Worker, redis_server: RealServer, tally: Tally
) -> None:
    """An address and agent have views too, no longer than an hour, and are not counted as people looked for."""
    visitor = visitor_id(b"secret", "203.0.113.7", "agent")
    assert visitor is not None
    lookup = Lookup(None, (), visitor)
    assert (await worker.exposure(lookup)).basis is Basis.VISITOR
    worker.writer.view(visitor, _bid(1, window_s=MAX_WINDOW_S))
    assert (await worker.exposure(lookup)).verdict(SHOP, DAILY) is Verdict.REACHED
    with redis_server.client() as client:
        assert 0 < client.ttl(keys.views_key(keys.person_tag(visitor))) <= VISITOR_WINDOW_S
    worker.now_ms += 3_601_000
    assert (await worker.exposure(lookup)).verdict(SHOP, DAILY) is Verdict.PASSES
    unasked = await worker.read(lookup, imps=[0])
    assert (unasked.status, unasked.exposures) == (ReadStatus.SKIPPED, ())
    assert tally.cells[tally.slot("paceline_people_asked_total")] == 0
    assert is_visitor(visitor)


async def test_nothing_stays_for_longer_than_thirty_days(worker: Worker, redis_server: RealServer) -> None:
    """Every key has an end, at most 30 days away; and while one advertiser's views keep a key alive, what another
    showed longer ago than its windows is taken out."""
    worker.writer.view(ME, _bid(1, STORE, window_s=3_600))
    worker.writer.view(ME, _bid(2, SHOP, window_s=10 * MAX_WINDOW_S))
    exposure = await worker.exposure()
    exposure.held.append(_bid(3))
    worker.writer.finish([exposure], 1e12)
    worker.writer.prolong(b"\x07" * 16, _bid(4), 1e12)
    await worker.exposure(Lookup(b"\x08" * 16))
    await worker.settled()
    with redis_server.client() as client:
        found = list(client.scan_iter())
        assert {key[:2] for key in found} == {b"f:", b"b:"}
        assert all(0 < client.ttl(key) <= MAX_WINDOW_S for key in found)
        assert client.hexists(LOGS, STORE)
        worker.now_ms += 3_600_000
        worker.writer.view(ME, _bid(5))
        await worker.settled()
        assert not client.hexists(LOGS, STORE)
        assert client.hexists(LOGS, SHOP)


async def test_a_damaged_log_reaches_every_cap(worker: Worker, redis_server: RealServer) -> None:
    """A log that cannot be read counts as full, also after the next view was written to it, for 30 days."""
    with redis_server.client() as client:
        client.hset(LOGS, mapping={SHOP: b"\x09 damaged", STORE: b""})
    many = (Cap(CREATIVE, 30, 1_000, MAX_WINDOW_S),)
    for _ in range(2):
        exposure = await worker.look()
        assert exposure.verdict(SHOP, many) is Verdict.REACHED
        assert exposure.verdict(STORE, many) is Verdict.REACHED
        worker.writer.view(ME, _bid(1))
        worker.writer.view(ME, _bid(1, STORE))
    worker.now_ms += MAX_WINDOW_S * 1_000
    assert (await worker.look()).verdict(SHOP, many) is Verdict.PASSES


async def test_a_server_that_forgot_the_scripts_is_taught(
    worker: Worker, redis_server: RealServer, tally: Tally
) -> None:
    """After SCRIPT FLUSH every call still has its effect and every read its answer, in the same order."""
    with redis_server.client() as client:
        client.set(keys.match_key(keys.match_tag("x/one")), ME)
        for step in range(3):
            client.script_flush()
            lookups = [Lookup(ME), Lookup(None, ("x/one",)), Lookup(None, ("x/none",)), Lookup(b"\x06" * 16)]
            reading = await worker.read(*lookups)
            assert reading.status is ReadStatus.OK
            assert [exposure and exposure.tag[:4] for exposure in reading.exposures] == [
                *(b"0505", b"0505"),
                *(keys.match_tag("x/none")[:4], b"0606"),
            ]
            client.script_flush()
            exposure = reading.exposures[0]
            assert exposure is not None
            exposure.held.append(_bid(step))
            worker.writer.finish(reading.exposures, 60)
            await worker.settled()
            worker.writer.view(ME, _bid(step))
            await worker.settled()
            client.script_flush()
            worker.writer.prolong(ME, _bid(90), 60)
            worker.writer.drop(ME, SHOP, 90)
            await worker.settled()
        assert await worker.records() == [(VIEW, 0, 1)] * 3
        await worker.settled()
        assert not client.exists(MARKS)
    assert _cell(tally, "lost_total") == 0


async def test_a_server_that_refuses_scripts_is_down(
    own_server: RealServer, connect: Connect, tally: Tally
) -> None:
    """Where scripts are forbidden the read ends, nobody's views are known, and calls are counted as lost."""
    worker = Worker(await connect(own_server.url), tally)
    await worker.connection.call("ACL", "SETUSER", "default", "-eval", "-evalsha")
    reading = await worker.read(Lookup(ME))
    assert reading == Reading([None], ReadStatus.DOWN, [None])
    worker.writer.view(ME, _bid())
    await worker.settled()
    assert _cell(tally, "lost_total") == 1


async def test_what_a_dead_server_did_not_take_is_repeated(
    own_server: RealServer, connect: Connect, tally: Tally
) -> None:
    """Views, holds and wins that were under way or made while the server was gone stand there after its restart,
    each once; and no view is known meanwhile."""
    worker = Worker(await connect(own_server.url), tally)
    worker.writer.view(ME, _bid(1))
    exposure = await worker.exposure()
    own_server.pause()
    exposure.held.append(_bid(2))
    worker.writer.finish([exposure], 60)
    worker.writer.view(ME, _bid(3))
    await asyncio.sleep(0)
    own_server.kill()
    await eventually(lambda: not worker.connection.ready)
    worker.writer.view(ME, _bid(1))
    worker.writer.drop(ME, SHOP, 99)
    assert (await worker.reader.read([Lookup(ME)], FAR_NS, [1])).exposures == [None]
    assert worker.writer.kept == 4
    own_server.restart()
    await eventually(lambda: worker.connection.ready and not worker.writer.kept)
    await worker.settled()
    assert {(2, HOLD), (3, VIEW)} <= {
        (r[4], r[5]) for r in open_log((await worker.look()).views[SHOP], 0).records
    }
    assert _cell(tally, "lost_total") == 0


async def test_kept_calls_are_bounded(
    connect: Connect, tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At MAX_KEPT all wait; one more and the oldest is lost and counted; closing gives up the rest."""
    monkeypatch.setattr(module, "MAX_KEPT", 3)
    connection = await connect("redis://127.0.0.1:1")
    writer = FrequencyWriter(connection, tally)
    for tag in range(3):
        writer.view(ME, _bid(tag))
    assert (writer.kept, _cell(tally, "lost_total")) == (3, 0)
    writer.view(ME, _bid(3))
    assert (writer.kept, _cell(tally, "lost_total")) == (3, 1)
    writer.close()
    assert (writer.kept, _cell(tally, "lost_total")) == (0, 4)


async def test_a_worker_ends_when_all_is_taken(
    own_server: RealServer, connect: Connect, tally: Tally
) -> None:
    """`drain` waits for the store to take what was written, and no longer than it may."""
    worker = Worker(await connect(own_server.url), tally)
    own_server.pause()
    worker.writer.view(ME, _bid())
    assert not await worker.writer.drain(0.03)
    own_server.resume()
    assert await worker.writer.drain(60)
    assert await worker.records() == [(VIEW, 0, 1)]


async def test_every_cell_is_in_the_catalogue(worker: Worker, tally: Tally) -> None:
    """What the writer counts is declared."""
    worker.writer.view(ME, _bid())
    exposure = await worker.look()
    worker.writer.finish([exposure, None], 60)
    worker.writer.lost(1)
    names = {cell.name for cell, _ in tally.samples() if cell.name.startswith("paceline_frequency")}
    assert names <= {metric.name for metric in METRICS}
    assert (_cell(tally, "calls_total", "end"), _cell(tally, "calls_total", "view")) == (1, 1)


@pytest.mark.parametrize("limit", [1, 3])
async def test_parallel_requests_do_not_exceed_a_cap(new_worker: NewWorker, limit: int) -> None:
    """Six workers decide about one person at the same time, on the server's clock, each on one impression, again and
    again without a word of what became of the bids: no more than the cap are ever made."""
    workers = [await new_worker() for _ in range(6)]
    cap, made = (Cap(ADVERTISER, 0, limit, DAY_S),), 0
    for each in workers:
        each.reader.simulated_ms = each.writer.simulated_ms = None

    async def request(each: Worker) -> int:
        (exposure,) = (await each.reader.read([Lookup(ME)], FAR_NS, [1])).exposures
        assert exposure is not None
        bids = exposure.verdict(SHOP, cap) is Verdict.PASSES
        if bids:
            exposure.held.append(_bid(secrets.randbits(32)))
        each.writer.finish([exposure], 60)
        return bids

    for _ in range(40):
        made += sum(await asyncio.gather(*(request(each) for each in workers)))
    assert 1 <= made <= limit
