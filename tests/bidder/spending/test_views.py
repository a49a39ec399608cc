"""Bids, and what notices tell of them, meet in people's logs on a real server: holds, views, losses and wins in any
order, and what the next read makes of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import uvloop

from bidder.audience.frequency import (
    HOLD,
    MAX_WINDOW_S,
    VIEW,
    VISITOR_WINDOW_S,
    Basis,
    BidRecord,
    Verdict,
    open_log,
)
from bidder.audience.identity import Lookup, is_visitor, visitor_id
from bidder.campaigns.caps import CREATIVE, Cap
from bidder.metrics import Tally
from bidder.spending.exposures import PeopleLogs
from bidder.spending.sightings import Sighting, Verb
from bidder.stores import keys
from bidder.stores.address import parse
from bidder.stores.connection import Connection
from bidder.stores.errors import StoreDown, StoreReplyError
from bidder.stores.people import ReadStatus
from tests.bidder.stores.worker import (
    DAILY,
    DAY_S,
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


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """On the loop that serves."""
    return {"uvloop": uvloop.new_event_loop}


class Teller(Worker):
    """A worker that is also told what became of bids."""

    def __init__(self, connection: Connection, tally: Tally) -> None:
        super().__init__(connection, tally)
        self.tally = tally
        self.logs = PeopleLogs(connection, tally, self.clock)
        self.logs.simulated_ms = self.now_ms

    async def tell(
        self, verb: Verb, bid: BidRecord, *, person: bytes = ME, age_s: float = 0, left_s: float = 300
    ) -> None:
        """A notice that came `age_s` ago, of a bid that stands for `left_s` more."""
        await self.settled()
        now_s = self.clock.now_s()
        told = Sighting(
            verb=verb,
            person=person,
            visitor=is_visitor(person),
            advertiser_id=bid.field.decode().removeprefix("a:"),
            bid_id=bid.bid_tag.to_bytes(4, "little") + bytes(8),
            campaign_key=bid.campaign,
            line_key=bid.line,
            creative_key=bid.creative,
            window_s=bid.window_s,
            seen_s=now_s - age_s,
            deadline_s=int(now_s + left_s),
        )
        await self.logs.apply([told])

    async def view(self, bid: BidRecord, *, person: bytes = ME, age_s: float = 0) -> None:
        """The bid was seen."""
        await self.tell(Verb.VIEW, bid, person=person, age_s=age_s)


@asynccontextmanager
async def _teller(server: RealServer) -> AsyncIterator[Teller]:
    tally = Tally()
    connection = Connection(parse(server.url), 4_096, tally)
    assert await connection.open()
    yield Teller(connection, tally)
    await connection.close()


@pytest.fixture
async def worker(redis_server: RealServer) -> AsyncIterator[Teller]:
    """One worker, on a server that knows the scripts."""
    teach(redis_server)
    async with _teller(redis_server) as worker:
        yield worker


async def test_a_person_and_what_the_person_was_shown(worker: Teller, redis_server: RealServer) -> None:
    """One read brings both; a person who has seen nothing, or of whom nothing is known, has an exposure too."""
    with redis_server.client() as client:
        client.hset(keys.person_key(TAG), mapping={b"a:shop": b"profile"})
    await worker.view(bid_record())
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


async def test_a_hold_becomes_a_view(worker: Teller, redis_server: RealServer) -> None:
    """The end of a request places holds; an impression makes its hold a view that counts for the window."""
    await worker.hold(bid_record(1), bid_record(2, STORE))
    assert await worker.records() == [(HOLD, 60, 1)]
    assert await worker.records(STORE) == [(HOLD, 60, 1)]
    assert (await worker.look()).verdict(SHOP, DAILY) is Verdict.HELD
    worker.clock.advance(20.5)
    await worker.view(bid_record(1))
    assert await worker.records() == [(VIEW, 21, 1)]
    assert (await worker.look()).verdict(SHOP, DAILY) is Verdict.REACHED
    with redis_server.client() as client:
        await worker.settled()
        assert DAY_S - 5 < client.ttl(LOGS) <= DAY_S
        assert not client.exists(MARKS)


async def test_a_view_takes_lapsed_holds_out(worker: Teller) -> None:
    """A hold whose time has come is gone from the store with the next view."""
    await worker.hold(bid_record(1))
    worker.clock.advance(61)
    await worker.view(bid_record(2))
    assert await worker.records() == [(VIEW, 61, 1)]


async def test_a_loss_ends_a_hold(worker: Teller, redis_server: RealServer) -> None:
    """A loss drops its own hold alone, and nothing is left of a log without records."""
    await worker.hold(bid_record(1), bid_record(2))
    await worker.tell(Verb.DROP, bid_record(1))
    assert await worker.records() == [(HOLD, 60, 1)]
    await worker.tell(Verb.DROP, bid_record(2))
    await worker.tell(Verb.DROP, bid_record(2))
    assert await worker.records() == []
    with redis_server.client() as client:
        assert not client.exists(LOGS)


async def test_a_win_prolongs_a_hold(worker: Teller, redis_server: RealServer) -> None:
    """A win raises until when a view may come, never lowers it, and places the hold anew where it has lapsed."""
    await worker.hold(bid_record(1))
    await worker.tell(Verb.PROLONG, bid_record(1), left_s=300)
    assert await worker.records() == [(HOLD, 300, 1)]
    await worker.tell(Verb.PROLONG, bid_record(1), left_s=10)
    assert await worker.records() == [(HOLD, 300, 1)]
    with redis_server.client() as client:
        assert 290 < client.ttl(LOGS) <= 302
    worker.clock.advance(301)
    await worker.tell(Verb.PROLONG, bid_record(1), left_s=10)
    assert await worker.records() == [(HOLD, 311, 1)]


ORDERS = {
    "view before hold": ("view", "hold"),
    "twice seen": ("hold", "view", "view"),
    "twice held": ("view", "hold", "hold"),
    "loss after view": ("hold", "view", "drop"),
    "win after view": ("hold", "view", "prolong"),
    "view after loss": ("hold", "drop", "view"),
    "win before hold": ("prolong", "hold", "view"),
    "all twice": ("hold", "prolong", "hold", "view", "prolong", "view", "drop", "drop"),
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
async def test_any_order_counts_one_view(worker: Teller, order: tuple[str, ...]) -> None:
    """Whatever comes twice or out of turn: a bid that was seen is one view and no hold."""
    for event in order:
        if event == "hold":
            await worker.hold(bid_record(7))
        else:
            await worker.tell(Verb(event), bid_record(7))
    assert await worker.records() == [(VIEW, 0, 1)]


async def test_a_loss_before_its_hold_costs_a_hold(worker: Teller) -> None:
    """A loss that overtakes its bid finds nothing: the hold then stands until its time, which is too careful by one."""
    await worker.tell(Verb.DROP, bid_record(1))
    await worker.hold(bid_record(1))
    assert await worker.records() == [(HOLD, 60, 1)]


async def test_late_views_keep_their_time(worker: Teller) -> None:
    """A view that is told late counts from when it was seen; one older than every window is not kept, and neither is
    one that is older than can be written down."""
    await worker.view(bid_record(1), age_s=3_600)
    await worker.view(bid_record(2), age_s=DAY_S)
    await worker.view(bid_record(3), age_s=1e12)
    assert await worker.records() == [(VIEW, -3_600, 1)]


async def test_an_unknown_id_is_counted_for(worker: Teller, redis_server: RealServer) -> None:
    """The first id of a request that leads to nobody has views and marks of its own, until it leads to a person."""
    lookup = Lookup(None, ("x/one", "x/two"))
    exposure = await worker.exposure(lookup)
    assert (exposure.basis, exposure.tag, exposure.views) == (Basis.MATCH, keys.match_tag("x/one"), {})
    assert (await worker.exposure(lookup)).busy == 1
    exposure.held.append(bid_record(1))
    worker.writer.finish([exposure], 60)
    await worker.view(bid_record(1), person=exposure.id)
    again = await worker.exposure(lookup)
    assert again.verdict(SHOP, DAILY) is Verdict.REACHED
    with redis_server.client() as client:
        client.set(keys.match_key(keys.match_tag("x/two")), ME)
    known = await worker.exposure(lookup)
    assert (known.basis, known.id) == (Basis.PERSON, ME)


async def test_a_match_leads_to_views(worker: Teller, redis_server: RealServer) -> None:
    """Whoever an id leads to is read with the views; of several the one that is known is counted for."""
    gone = b"\x08" * 16
    with redis_server.client() as client:
        client.set(keys.match_key(keys.match_tag("x/gone")), gone)
        client.set(keys.match_key(keys.match_tag("x/right")), ME)
        client.hset(keys.person_key(TAG), mapping={b"a:shop": b"profile"})
    await worker.view(bid_record())
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


async def test_a_visitor_is_counted_for_an_hour(worker: Teller, redis_server: RealServer) -> None:
    """An address and agent have views too, no longer than an hour, and are not counted as people looked for."""
    visitor = visitor_id(b"secret", "203.0.113.7", "agent")
    assert visitor is not None
    assert is_visitor(visitor)
    lookup = Lookup(None, (), visitor)
    assert (await worker.exposure(lookup)).basis is Basis.VISITOR
    await worker.view(bid_record(1, window_s=MAX_WINDOW_S), person=visitor)
    assert (await worker.exposure(lookup)).verdict(SHOP, DAILY) is Verdict.REACHED
    with redis_server.client() as client:
        assert 0 < client.ttl(keys.views_key(keys.person_tag(visitor))) <= VISITOR_WINDOW_S
    worker.clock.advance(3_601)
    assert (await worker.exposure(lookup)).verdict(SHOP, DAILY) is Verdict.PASSES
    unasked = await worker.read(lookup, imps=[0])
    assert (unasked.status, unasked.exposures) == (ReadStatus.SKIPPED, ())
    assert worker.tally.cells[worker.tally.slot("paceline_people_asked_total")] == 0


async def test_nothing_stays_for_longer_than_thirty_days(worker: Teller, redis_server: RealServer) -> None:
    """Every key has an end, at most 30 days away; and while one advertiser's views keep a key alive, what another
    showed longer ago than its windows is taken out."""
    await worker.view(bid_record(1, STORE, window_s=3_600))
    await worker.view(bid_record(2, SHOP, window_s=10 * MAX_WINDOW_S))
    await worker.hold(bid_record(3), hold_s=1e12)
    await worker.tell(Verb.PROLONG, bid_record(4), person=b"\x07" * 16, left_s=1e12)
    await worker.exposure(Lookup(b"\x08" * 16))
    await worker.settled()
    with redis_server.client() as client:
        found = list(client.scan_iter())
        assert {key[:2] for key in found} == {b"f:", b"b:"}
        assert all(0 < client.ttl(key) <= MAX_WINDOW_S for key in found)
        assert client.hexists(LOGS, STORE)
        worker.clock.advance(3_600)
        await worker.view(bid_record(5))
        assert not client.hexists(LOGS, STORE)
        assert client.hexists(LOGS, SHOP)


async def test_a_damaged_log_reaches_every_cap(worker: Teller, redis_server: RealServer) -> None:
    """A log that cannot be read counts as full, also after the next view was written to it, for 30 days."""
    with redis_server.client() as client:
        client.hset(LOGS, mapping={SHOP: b"\x09 damaged", STORE: b""})
    many = (Cap(CREATIVE, 30, 1_000, MAX_WINDOW_S),)
    for _ in range(2):
        exposure = await worker.look()
        assert exposure.verdict(SHOP, many) is Verdict.REACHED
        assert exposure.verdict(STORE, many) is Verdict.REACHED
        await worker.view(bid_record(1))
        await worker.view(bid_record(1, STORE))
    worker.clock.advance(MAX_WINDOW_S)
    assert (await worker.look()).verdict(SHOP, many) is Verdict.PASSES


async def test_scripts_that_are_forgotten_at_any_time_are_taught(
    worker: Teller, redis_server: RealServer
) -> None:
    """With SCRIPT FLUSH before each step of a bid and of its notices, all has its effect, and no mark is left."""
    with redis_server.client() as client:
        for step in range(3):
            client.script_flush()
            await worker.hold(bid_record(step))
            await worker.settled()
            client.script_flush()
            await worker.view(bid_record(step))
            client.script_flush()
            await worker.tell(Verb.PROLONG, bid_record(90))
            client.script_flush()
            await worker.tell(Verb.DROP, bid_record(90))
        assert await worker.records() == [(VIEW, 0, 1)] * 3
        await worker.settled()
        assert not client.exists(MARKS)


async def test_a_server_that_refuses_scripts_is_an_error(own_server: RealServer) -> None:
    """Where scripts are forbidden nothing is taken for told."""
    async with _teller(own_server) as worker:
        await worker.connection.call("ACL", "SETUSER", "default", "-eval", "-evalsha")
        with pytest.raises(StoreReplyError, match="NOPERM"):
            await worker.view(bid_record())


async def test_what_a_dead_server_did_not_take_is_told_again(own_server: RealServer) -> None:
    """Telling what is under way while the server dies, or while it is gone, is an error; told again after the
    restart, each view and win stands there once."""
    async with _teller(own_server) as worker:
        await worker.view(bid_record(1))
        own_server.pause()
        under_way = asyncio.create_task(worker.view(bid_record(3)))
        await eventually(lambda: worker.connection.in_flight)
        own_server.kill()
        with pytest.raises(StoreDown):
            await under_way
        await eventually(lambda: not worker.connection.ready)
        for told in (worker.view(bid_record(1)), worker.tell(Verb.PROLONG, bid_record(2))):
            with pytest.raises(StoreDown):
                await told
        own_server.restart()
        await eventually(lambda: worker.connection.ready)
        await worker.view(bid_record(1))
        await worker.tell(Verb.PROLONG, bid_record(2))
        await worker.view(bid_record(3))
        log = open_log((await worker.look()).views[SHOP], 0)
        assert sorted((r[4], r[5]) for r in log.records) == [(1, VIEW), (2, HOLD), (3, VIEW)]
        await worker.settled()
