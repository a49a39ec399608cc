"""Reading people: the contract, and what a bid sees of a store in trouble."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from bidder.audience.identity import MAX_MATCHES, Lookup
from bidder.audience.person import Person, field_name, unpack
from bidder.clock import ManualClock, SystemClock
from bidder.metrics import Tally
from bidder.settings import Stores
from bidder.stores import keys
from bidder.stores.connection import Batch, Done
from bidder.stores.people import METRICS, PeopleReader, Reading, ReadStatus
from tests.bidder.stores.conftest import Connect
from tests.servers import RealServer, eventually

FAR_NS = 1 << 62
PATIENT = Stores(read_timeout_ms=30_000)
HASTY = Stores(read_timeout_ms=5, breaker_failures=1_000)


def _id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def _key(number: int) -> bytes:
    return keys.person_key(keys.person_tag(_id(number)))


def _row(match: str) -> bytes:
    return keys.match_key(keys.match_tag(match))


def _seed(server: RealServer, *numbers: int) -> None:
    with server.client() as client:
        for number in numbers:
            client.hset(_key(number), mapping={b"a:shop": b"profile-%d" % number})


def _count(tally: Tally, status: str) -> int:
    return tally.cells[tally.slot("paceline_people_reads_total", status)]


def _cell(tally: Tally, name: str) -> int:
    return tally.cells[tally.slot(f"paceline_people_{name}")]


def _numbers(people: Sequence[Person | None]) -> list[int | None]:
    """Who they are; a person with another's fields is a failure."""
    for person in people:
        if person is not None:
            number = int.from_bytes(person.id, "big")
            assert person.fields[b"a:shop"] == b"profile-%d" % number
    return [None if person is None else int.from_bytes(person.id, "big") for person in people]


class _Scripted:
    """A source whose replies the test hands in."""

    in_flight = 0

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def submit(self, commands: Sequence[bytes], tags: Sequence[bytes], done: Done) -> Batch:
        assert len(commands) == len(tags)
        self.batches.append(Batch(len(commands), done))
        return self.batches[-1]


async def test_people_come_in_the_order_of_the_lookups(
    redis_server: RealServer, connect: Connect, tally: Tally
) -> None:
    """Known people are found, unknown ones and those not asked for are None; the same person may be asked twice."""
    _seed(redis_server, 1, 2, 3)
    reader = PeopleReader(await connect(redis_server.url), PATIENT, tally)
    wanted = [2, 9, None, 1, 2, 3]
    reading = await reader.read([None if n is None else Lookup(_id(n)) for n in wanted], FAR_NS)
    assert reading.status is ReadStatus.OK
    assert _numbers(reading.people) == [2, None, None, 1, 2, 3]
    assert (_cell(tally, "asked_total"), _cell(tally, "found_total")) == (5, 4)


async def test_matches_lead_to_people(redis_server: RealServer, connect: Connect, tally: Tally) -> None:
    """The first match that leads to somebody wins; one that leads to nobody is passed over."""
    _seed(redis_server, 1, 2, 3)
    with redis_server.client() as client:
        for match, number in (("x/one", 1), ("y/two", 2), ("x/gone", 8)):
            client.set(_row(match), _id(number))
    reader = PeopleReader(await connect(redis_server.url), PATIENT, tally)
    reading = await reader.read(
        [
            Lookup(None, ("x/one", "y/two")),
            Lookup(None, ("x/none", "y/two", "x/one")),
            Lookup(_id(3)),
            Lookup(None, ("x/gone", "x/one")),
            Lookup(None, ("x/none",)),
            Lookup(None, ()),
            Lookup(None, ("y/two", "y/two")),
        ],
        FAR_NS,
    )
    assert reading.status is ReadStatus.OK
    assert _numbers(reading.people) == [1, 2, 3, 1, None, None, 2]


async def test_matches_are_bounded(redis_server: RealServer, connect: Connect, tally: Tally) -> None:
    """The last of MAX_MATCHES is followed, one beyond is not."""
    _seed(redis_server, 1)
    with redis_server.client() as client:
        client.set(_row("x/right"), _id(1))
    reader = PeopleReader(await connect(redis_server.url), PATIENT, tally)
    inside = (*(f"x/{i}" for i in range(MAX_MATCHES - 1)), "x/right")
    outside = (*(f"x/{i}" for i in range(MAX_MATCHES)), "x/right")
    reading = await reader.read([Lookup(None, inside), Lookup(None, outside)], FAR_NS)
    assert _numbers(reading.people) == [1, None]


async def test_damage_is_nobody(redis_server: RealServer, connect: Connect, tally: Tally) -> None:
    """A key of another type, a match of a wrong length and an id of a wrong length are None, and nothing else is."""
    _seed(redis_server, 1, 2)
    with redis_server.client() as client:
        client.set(_key(5), "not a hash")
        client.set(_row("x/short"), b"short")
        client.rpush(_row("x/list"), "a")
        client.set(_row("x/right"), _id(2))
        client.hset(_key(6), mapping={field_name("shop"): b"\x07 no profile"})
    reader = PeopleReader(await connect(redis_server.url), PATIENT, tally)
    lookups = [Lookup(_id(5)), Lookup(_id(1)), Lookup(b"short"), Lookup(b""), Lookup(_id(6))]
    lookups += [Lookup(None, ("x/short",)), Lookup(None, ("x/list", "x/right"))]
    reading = await reader.read(lookups, FAR_NS)
    assert reading.status is ReadStatus.OK
    damaged = reading.people.pop(4)
    assert damaged is not None
    assert unpack(damaged.fields[b"a:shop"]) is None
    assert _numbers(reading.people) == [None, 1, None, None, None, 2]


@pytest.mark.parametrize("lookups", [[], [None, None], [Lookup(None, ())], [Lookup(b"x")]])
async def test_nobody_asked_for(tally: Tally, lookups: list[Lookup | None]) -> None:
    """A batch without a look-up asks nothing and is done at once."""
    source = _Scripted()
    pending = PeopleReader(source, PATIENT, tally).read(lookups, FAR_NS)
    assert pending.reading == Reading([None] * len(lookups), ReadStatus.SKIPPED)
    assert source.batches == []
    assert _count(tally, "skipped") == 1


async def test_a_late_store_gives_what_came(tally: Tally) -> None:
    """At the time-out those read so far are there, the rest are None, and what comes later changes nothing."""
    source = _Scripted()
    reader = PeopleReader(source, HASTY, tally)
    pending = reader.read([Lookup(_id(n)) for n in (1, 2, 3)], FAR_NS)
    (batch,) = source.batches
    batch.replies += [{b"a:shop": b"profile-1"}, {}]
    reading = await pending
    assert reading.status is ReadStatus.LATE
    assert _numbers(reading.people) == [1, None, None]
    batch.replies.append({b"a:shop": b"profile-3"})
    batch.done(batch)
    assert _numbers(reading.people) == [1, None, None]
    assert (_count(tally, "late"), _count(tally, "ok"), _cell(tally, "abandoned_total")) == (1, 0, 1)


async def test_late_in_the_second_half(tally: Tally) -> None:
    """People known by id are kept when the match table's people come too late."""
    source = _Scripted()
    reader = PeopleReader(source, HASTY, tally)
    pending = reader.read([Lookup(None, ("x/two",)), Lookup(_id(1))], FAR_NS)
    first = source.batches[0]
    first.replies += [{b"a:shop": b"profile-1"}, _id(2)]
    first.done(first)
    reading = await pending
    assert len(source.batches) == 2
    assert reading.status is ReadStatus.LATE
    assert _numbers(reading.people) == [None, 1]


async def test_an_earlier_deadline_is_kept(tally: Tally) -> None:
    """The request's deadline goes before the time-out, also where a later one was set first."""
    reader = PeopleReader(_Scripted(), PATIENT, tally)
    patient = reader.read([Lookup(_id(1))], FAR_NS)
    hasty = reader.read([Lookup(_id(1))], SystemClock.monotonic_ns() + 3_000_000)
    assert (await hasty).status is ReadStatus.LATE
    assert patient.reading is None


async def test_a_deadline_that_has_passed(tally: Tally) -> None:
    """Our own lateness asks nothing, waits for nothing and does not count against the store."""
    source, clock = _Scripted(), ManualClock()
    clock.advance(1.0)
    stores = Stores(breaker_failures=1)
    reader = PeopleReader(source, stores, tally, clock)
    pending = reader.read([Lookup(_id(1))], clock.monotonic_ns())
    assert pending.reading == Reading([None], ReadStatus.LATE)
    assert reader.read([Lookup(_id(1))], clock.monotonic_ns() + 1).reading is None
    assert len(source.batches) == 1


async def test_a_server_that_is_down(own_server: RealServer, connect: Connect, tally: Tally) -> None:
    """Reads answer DOWN at once while there is no server, and people again after its restart, by themselves."""
    _seed(own_server, 1)
    connection = await connect(own_server.url)
    reader = PeopleReader(connection, Stores(read_timeout_ms=30_000, breaker_pause_s=0.01), tally)
    own_server.pause()
    pending = reader.read([Lookup(_id(1))], FAR_NS)
    await asyncio.sleep(0)
    own_server.kill()
    assert (await pending).status is ReadStatus.DOWN
    assert reader.read([Lookup(_id(1))], FAR_NS).reading == Reading([None], ReadStatus.DOWN)
    own_server.restart()
    reading = await reader.read([Lookup(_id(1))], FAR_NS)
    while reading.status is not ReadStatus.OK:
        await asyncio.sleep(0.002)
        reading = await reader.read([Lookup(_id(1))], FAR_NS)
    assert _numbers(reading.people) == [1]
    assert _cell(tally, "breaker_state") == 0


async def test_the_breaker_answers_for_a_paused_server(
    own_server: RealServer, connect: Connect, tally: Tally
) -> None:
    """Late reads in a row open the breaker: then reads cost no turn of the loop; one probe closes it again."""
    _seed(own_server, 1)
    stores = Stores(read_timeout_ms=5, breaker_failures=3, breaker_pause_s=0.02)
    reader = PeopleReader(await connect(own_server.url), stores, tally)
    own_server.pause()
    for _ in range(3):
        assert (await reader.read([Lookup(_id(1))], FAR_NS)).status is ReadStatus.LATE
    assert reader.read([Lookup(_id(1))], FAR_NS).reading == Reading([None], ReadStatus.DOWN)
    assert (_count(tally, "open"), _cell(tally, "breaker_opened_total")) == (1, 1)
    assert _cell(tally, "breaker_state") == 1
    own_server.resume()
    reading = await reader.read([Lookup(_id(1))], FAR_NS)
    while reading.status is not ReadStatus.OK:
        await asyncio.sleep(0.002)
        reading = await reader.read([Lookup(_id(1))], FAR_NS)
    assert _numbers(reading.people) == [1]
    assert _cell(tally, "breaker_state") == 0


async def test_the_in_flight_bound_is_down(own_server: RealServer, connect: Connect, tally: Tally) -> None:
    """Reads above the bound are refused at once and counted as full."""
    reader = PeopleReader(await connect(own_server.url, 4), PATIENT, tally)
    own_server.pause()
    fits = reader.read([Lookup(_id(n)) for n in range(4)], FAR_NS)
    assert fits.reading is None
    assert reader.read([Lookup(_id(9))], FAR_NS).reading == Reading([None], ReadStatus.DOWN)
    assert _count(tally, "full") == 1
    own_server.resume()
    assert (await fits).status is ReadStatus.OK


async def test_a_server_that_refuses_is_down(own_server: RealServer, connect: Connect, tally: Tally) -> None:
    """An error that speaks of the server, not of one key, is DOWN."""
    connection = await connect(own_server.url)
    reader = PeopleReader(connection, PATIENT, tally)
    await connection.call("ACL", "SETUSER", "default", "-hgetall")
    reading = await reader.read([Lookup(_id(1))], FAR_NS)
    assert reading == Reading([None], ReadStatus.DOWN)


async def test_late_replies_reach_nobody(own_server: RealServer, connect: Connect, tally: Tally) -> None:
    """Reads of random people with random deadlines, on a server that is paused again and again: whoever is
    returned is who was asked for, each read ends once, and the counts add up."""
    rng = random.Random(20)
    with own_server.client() as client:
        for number in range(50):
            client.hset(_key(number), mapping={b"a:shop": b"profile-%d" % number})
            client.set(_row(f"x/{number}"), _id(number))
    reader = PeopleReader(await connect(own_server.url), Stores(breaker_failures=10_000), tally)
    ends: list[tuple[list[int], Reading]] = []
    asked = 0
    for step in range(120):
        if step % 12 == 3:
            own_server.pause()
        if step % 12 == 9:
            own_server.resume()
        for _ in range(rng.randrange(4)):
            wanted = [rng.randrange(50) for _ in range(rng.randrange(1, 5))]
            lookups = [Lookup(_id(n)) if rng.random() < 0.6 else Lookup(None, (f"x/{n}",)) for n in wanted]
            deadline_ns = SystemClock.monotonic_ns() + rng.choice((1, 2, 5, 30)) * 1_000_000
            asked += 1
            reader.read(lookups, deadline_ns).then(lambda end, wanted=wanted: ends.append((wanted, end)))  # type: ignore[misc]  # the default binds the loop's value
        await asyncio.sleep(0.001)
    own_server.resume()
    await eventually(lambda: len(ends) == asked)
    for wanted, reading in ends:
        for n, found in zip(wanted, _numbers(reading.people), strict=True):
            assert found in ((n,) if reading.status is ReadStatus.OK else (n, None))
    assert {reading.status for _, reading in ends} == {ReadStatus.OK, ReadStatus.LATE}
    assert _count(tally, "ok") + _count(tally, "late") == asked


async def test_then_and_await(tally: Tally) -> None:
    """`then` is called once, at the end or at once where it is over; a caller's bug there hurts no other read."""
    source = _Scripted()
    reader = PeopleReader(source, PATIENT, tally)
    errors: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: errors.append(context["message"]))
    ends: list[Reading] = []
    pending = reader.read([Lookup(_id(1))], FAR_NS)
    pending.then(ends.append)
    broken = reader.read([Lookup(_id(1))], FAR_NS)
    broken.then(lambda reading: 1 / 0)  # type: ignore[arg-type, return-value]  # it never returns
    for batch in source.batches:
        batch.replies.append({})
        batch.done(batch)
    pending.then(ends.append)
    assert ends == [Reading([None], ReadStatus.OK)] * 2
    assert await pending is ends[0]
    assert errors == ["a read's callback failed"]


async def test_a_cancelled_waiter_harms_nobody(
    redis_server: RealServer, connect: Connect, tally: Tally
) -> None:
    """Cancelling a task that awaits a read leaves the read to end on its own."""
    _seed(redis_server, 1)
    reader = PeopleReader(await connect(redis_server.url), PATIENT, tally)

    async def wait() -> Reading:
        return await reader.read([Lookup(_id(1))], FAR_NS)

    gone, stays = asyncio.ensure_future(wait()), asyncio.ensure_future(wait())
    await asyncio.sleep(0)
    gone.cancel()
    assert _numbers((await stays).people) == [1]
    assert _count(tally, "ok") == 2


async def test_every_cell_is_in_the_catalogue(
    redis_server: RealServer, connect: Connect, tally: Tally
) -> None:
    """A reader counts under declared names alone, and its gauge returns to zero."""
    reader = PeopleReader(await connect(redis_server.url), PATIENT, tally)
    await reader.read([Lookup(_id(1))], FAR_NS)
    names = {cell.name for cell, _ in tally.samples() if cell.name.startswith("paceline_people")}
    assert names == {metric.name for metric in METRICS}
    assert _cell(tally, "in_flight") == 0


async def test_a_store_that_answers_with_rubbish_types(tally: Tally) -> None:
    """Replies of any shape are nobody, never an exception."""
    source = _Scripted()
    reader = PeopleReader(source, PATIENT, tally)
    pending = reader.read([Lookup(_id(n)) for n in range(6)], FAR_NS)
    (batch,) = source.batches
    batch.replies += [None, 7, [b"a", b"b"], b"text", True, 1.5]
    batch.done(batch)
    assert (await pending).people == [None] * 6
