"""The ends of batches on a real server: marks that others see, holds in their place, and trouble."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable

import pytest

from bidder.audience.frequency import HOLD, MAX_WINDOW_S, Basis, Exposure, Verdict, open_log
from bidder.audience.identity import Lookup
from bidder.campaigns.caps import ADVERTISER, LINE, Cap
from bidder.metrics import Tally
from bidder.stores import frequency_writer as module
from bidder.stores import keys
from bidder.stores.frequency_writer import METRICS, FrequencyWriter
from bidder.stores.people import Reading, ReadStatus
from tests.bidder.stores.conftest import Connect
from tests.bidder.stores.worker import (
    DAILY,
    DAY_S,
    FAR_NS,
    LOGS,
    MARKS,
    ME,
    NOW_S,
    SHOP,
    STORE,
    TAG,
    Worker,
    bid_record,
    teach,
)
from tests.servers import RealServer, eventually

NewWorker = Callable[[], Awaitable[Worker]]


@pytest.fixture
def new_worker(redis_server: RealServer, connect: Connect, tally: Tally) -> NewWorker:
    """Makes workers, each on a connection of its own, on a server that knows the scripts."""
    teach(redis_server)

    async def make() -> Worker:
        return Worker(await connect(redis_server.url), tally)

    return make


@pytest.fixture
async def worker(new_worker: NewWorker) -> Worker:
    """One worker."""
    return await new_worker()


def _cell(tally: Tally, name: str) -> int:
    return tally.cells[tally.slot(f"paceline_frequency_{name}")]


def _read(mark: bytes, *tags: int) -> Exposure:
    """An exposure of ME as it was read, and bids that were made since."""
    held = [bid_record(tag) for tag in tags]
    return Exposure(TAG, Basis.PERSON, {}, 0, NOW_S, mark, FAR_NS, held=held)


async def test_bids_become_holds(worker: Worker, redis_server: RealServer) -> None:
    """The end of a request places a hold per bid in its advertiser's log and takes the mark away; told twice it is
    the same hold; without bids the mark alone goes."""
    exposure = await worker.exposure()
    exposure.held += [bid_record(1), bid_record(2, STORE)]
    worker.writer.finish([exposure], 60)
    worker.writer.finish([exposure], 60)
    await worker.hold(bid_record(1))
    assert await worker.records() == [(HOLD, 60, 1)]
    assert await worker.records(STORE) == [(HOLD, 60, 1)]
    assert (await worker.look()).verdict(SHOP, DAILY) is Verdict.HELD
    await worker.settled()
    with redis_server.client() as client:
        assert not client.exists(MARKS)
        assert 50 < client.ttl(LOGS) <= 61


async def test_a_hold_falls_by_itself(worker: Worker) -> None:
    """A hold that nobody speaks of counts until its time has come, and is gone from the store with the next write."""
    await worker.hold(bid_record(1))
    worker.clock.advance(60)
    assert (await worker.look()).verdict(SHOP, DAILY) is Verdict.HELD
    worker.clock.advance(1)
    assert (await worker.look()).verdict(SHOP, DAILY) is Verdict.PASSES
    await worker.hold(bid_record(2))
    assert await worker.records() == [(HOLD, 121, 1)]


async def test_no_hold_stays_for_longer_than_thirty_days(worker: Worker, redis_server: RealServer) -> None:
    """Whatever is asked for: logs and marks have an end, at most 30 days away."""
    await worker.hold(bid_record(1), hold_s=1e12)
    await worker.exposure()
    with redis_server.client() as client:
        assert all(0 < client.ttl(key) <= MAX_WINDOW_S for key in (LOGS, MARKS))


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
    exposure.held.append(bid_record(1))
    assert (await two.look()).busy == 1
    one.writer.finish([exposure], 60)
    await one.settled()
    after = await two.look()
    assert (after.busy, after.verdict(SHOP, DAILY)) == (0, Verdict.HELD)


async def test_marks_fall_by_themselves(new_worker: NewWorker, redis_server: RealServer) -> None:
    """A dead worker's mark is gone after its time, also where others go on; and the server lets go of the key."""
    dead, living = await new_worker(), await new_worker()
    await dead.exposure()
    living.clock.advance(0.200)
    await living.exposure()
    living.clock.advance(0.099)
    assert (await living.look()).busy == 2
    living.clock.advance(0.001)
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
    first.chosen(bid_record(1))
    assert first.verdict(SHOP, DAILY) is Verdict.HELD
    first.dropped(bid_record(1))
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


async def test_a_server_that_forgot_the_scripts_is_taught(
    worker: Worker, redis_server: RealServer, tally: Tally
) -> None:
    """After SCRIPT FLUSH every end still has its effect and every read its answer, in the same order."""
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
            exposure.held.append(bid_record(step))
            worker.writer.finish(reading.exposures, 60)
            await worker.settled()
        assert await worker.records() == [(HOLD, 60, 1)] * 3
        await worker.settled()
        assert not client.exists(MARKS)
    assert _cell(tally, "lost_total") == 0


async def test_a_server_that_refuses_scripts_is_down(
    own_server: RealServer, connect: Connect, tally: Tally
) -> None:
    """Where scripts are forbidden the read ends, nobody's views are known, and holds are counted as lost."""
    worker = Worker(await connect(own_server.url), tally)
    await worker.connection.call("ACL", "SETUSER", "default", "-eval", "-evalsha")
    reading = await worker.read(Lookup(ME))
    assert reading == Reading([None], ReadStatus.DOWN, [None])
    worker.writer.finish([_read(b"12345678", 1), _read(b"12345679")], 60)
    await worker.settled()
    assert (_cell(tally, "ends_total"), _cell(tally, "lost_total")) == (2, 1)


async def test_what_a_dead_server_did_not_take_is_repeated(
    own_server: RealServer, connect: Connect, tally: Tally
) -> None:
    """Ends that were under way or made while the server was gone have their effect after its restart, each once; and
    no view is known meanwhile."""
    worker = Worker(await connect(own_server.url), tally)
    await worker.hold(bid_record(1))
    exposures = [await worker.exposure() for _ in range(3)]
    own_server.pause()
    exposures[0].held.append(bid_record(2))
    worker.writer.finish(exposures[:2], 60)
    await asyncio.sleep(0)
    own_server.kill()
    await eventually(lambda: not worker.connection.ready)
    exposures[2].held += [bid_record(2), bid_record(3)]
    worker.writer.finish(exposures[2:], 60)
    assert (await worker.reader.read([Lookup(ME)], FAR_NS, [1])).exposures == [None]
    assert worker.writer.kept == 3
    own_server.restart()
    await eventually(lambda: worker.connection.ready and not worker.writer.kept)
    await worker.settled()
    log = open_log((await worker.look()).views[SHOP], 0)
    assert sorted(r[4] for r in log.records if r[4] != 1) == [2, 3]
    assert _cell(tally, "lost_total") == 0
    assert _cell(tally, "repeated_total") >= 3
    with own_server.client() as client:
        await worker.settled()
        assert not client.exists(MARKS)


async def test_what_a_server_will_not_take_just_now_is_repeated(
    own_server: RealServer, connect: Connect, tally: Tally
) -> None:
    """A server that refuses writes (too few replicas; a slot that is moving is the same) gets the holds when it
    takes them: none is lost."""
    worker = Worker(await connect(own_server.url), tally)
    await worker.hold(bid_record(1))
    exposure = await worker.exposure()
    await worker.connection.call("CONFIG", "SET", "min-replicas-to-write", 1)
    exposure.held.append(bid_record(2))
    worker.writer.finish([exposure], 60)
    await eventually(lambda: worker.writer.kept)
    await worker.connection.call("CONFIG", "SET", "min-replicas-to-write", 0)
    await eventually(lambda: not worker.writer.kept)
    await worker.settled()
    log = open_log((await worker.look()).views[SHOP], 0)
    assert sorted(record[4] for record in log.records) == [1, 2]
    assert _cell(tally, "lost_total") == 0
    assert _cell(tally, "repeated_total") >= 1


async def test_kept_calls_are_bounded(
    connect: Connect, tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At MAX_KEPT all wait; one more and the oldest is lost and counted; closing gives up the rest."""
    monkeypatch.setattr(module, "MAX_KEPT", 3)
    connection = await connect("redis://127.0.0.1:1")
    writer = FrequencyWriter(connection, tally)
    for tag in range(3):
        writer.finish([_read(b"12345678", tag)], 60)
    assert (writer.kept, _cell(tally, "lost_total")) == (3, 0)
    writer.finish([_read(b"12345678")], 60)
    assert (writer.kept, _cell(tally, "lost_total")) == (3, 1)
    writer.close()
    assert (writer.kept, _cell(tally, "lost_total")) == (0, 4)


async def test_a_worker_ends_when_all_is_taken(
    own_server: RealServer, connect: Connect, tally: Tally
) -> None:
    """`drain` waits for the store to take what was written, and no longer than it may."""
    worker = Worker(await connect(own_server.url), tally)
    exposure = await worker.exposure()
    own_server.pause()
    exposure.held.append(bid_record(1))
    worker.writer.finish([exposure], 60)
    assert not await worker.writer.drain(0.03)
    own_server.resume()
    assert await worker.writer.drain(60)
    assert await worker.records() == [(HOLD, 60, 1)]


async def test_every_cell_is_in_the_catalogue(worker: Worker, tally: Tally) -> None:
    """What the writer counts is declared; a person is ended once."""
    exposure = await worker.look()
    worker.writer.finish([exposure, None], 60)
    worker.writer.lost(1)
    names = {cell.name for cell, _ in tally.samples() if cell.name.startswith("paceline_frequency")}
    assert names <= {metric.name for metric in METRICS}
    assert (_cell(tally, "ends_total"), _cell(tally, "lost_total")) == (1, 1)


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
            exposure.held.append(bid_record(secrets.randbits(32)))
        each.writer.finish([exposure], 60)
        return bids

    for _ in range(40):
        made += sum(await asyncio.gather(*(request(each) for each in workers)))
    assert 1 <= made <= limit
