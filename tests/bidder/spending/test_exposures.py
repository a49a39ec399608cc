"""What notices tell reaches the people's logs on a real server, and is told again where it may not have."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from bidder.audience.frequency import HOLD, VIEW, VISITOR_WINDOW_S, bid_tag, open_log
from bidder.clock import ManualClock
from bidder.metrics import Tally
from bidder.spending import exposures as module
from bidder.spending.exposures import CALLS, PeopleLogs
from bidder.spending.sightings import Sighting, Verb
from bidder.stores.address import parse
from bidder.stores.connection import Batch, Connection, Done
from bidder.stores.errors import StoreError, StoreOverloaded, StoreReplyError
from bidder.stores.guards import guard_key
from bidder.stores.keys import person_tag, views_key
from tests.bidder.notices.support import NOW_S, PERSON
from tests.servers import RealServer

FIELD = b"a:shop-1"


def told(verb: Verb, number: int = 1, **changes: object) -> Sighting:
    """What a notice tells of a bid at NOW_S whose deadline is 900 s later."""
    fields: dict[str, object] = {
        "verb": verb,
        "person": PERSON,
        "visitor": False,
        "advertiser_id": "shop-1",
        "bid_id": number.to_bytes(4, "little") + bytes(8),
        "campaign_key": 10,
        "line_key": 20,
        "creative_key": 30,
        "window_s": 86_400,
        "seen_s": float(NOW_S),
        "deadline_s": NOW_S + 900,
        "issued_s": NOW_S - 5,
    }
    return Sighting(**{**fields, **changes})  # type: ignore[arg-type]  # a table of fields for tests


class People:
    """A connection to the server, and the logs over it."""

    def __init__(self, server: RealServer, connection: Connection) -> None:
        self.server, self.connection = server, connection
        self.tally, self.clock = Tally(), ManualClock(NOW_S)
        self.logs = PeopleLogs(connection, self.tally, self.clock)
        self.logs.simulated_ms = lambda: int(self.clock.now_s() * 1_000)

    def records(self, person: bytes = PERSON) -> list[tuple[int, int, int]]:
        """(bid tag, kind, at after NOW_S) of what stands in a log."""
        with self.server.client() as client:
            value = client.hget(views_key(person_tag(person)), FIELD)
        if value is None:
            return []
        assert isinstance(value, bytes)
        return sorted((r[4], r[5], r[0] - NOW_S) for r in open_log(value, 0).records)


@pytest.fixture
async def people(redis_server: RealServer) -> AsyncIterator[People]:
    """A fresh server's people."""
    connection = Connection(parse(redis_server.url), 4_096, Tally())
    assert await connection.open()
    yield People(redis_server, connection)
    await connection.close()


async def test_a_view_stands_when_it_was_seen(people: People) -> None:
    """Told ten seconds later, the view is of the moment of its notice; told again it is the same view."""
    people.clock.advance(10)
    await people.logs.apply([told(Verb.VIEW)])
    people.clock.advance(5)
    await people.logs.apply([told(Verb.VIEW)])
    assert people.records() == [(bid_tag(told(Verb.VIEW).bid_id), VIEW, 0)]


async def test_a_win_holds_until_the_deadline_and_a_loss_ends_it(people: People) -> None:
    """The hold stands for what is left until the deadline; a loss takes it, and takes no view."""
    people.clock.advance(100)
    await people.logs.apply([told(Verb.PROLONG, 1), told(Verb.VIEW, 2)])
    assert people.records() == [(1, HOLD, 900), (2, VIEW, 0)]
    await people.logs.apply([told(Verb.DROP, 1), told(Verb.DROP, 2), told(Verb.DROP, 3)])
    assert people.records() == [(2, VIEW, 0)]


async def test_a_visitors_view_is_kept_for_an_hour(people: People) -> None:
    """What was counted for an address and agent counts for no longer, whatever the cap's window."""
    await people.logs.apply([told(Verb.VIEW, visitor=True)])
    people.clock.advance(VISITOR_WINDOW_S + 1)
    await people.logs.apply([told(Verb.VIEW, 2, visitor=True, seen_s=people.clock.now_s())])
    assert [tag for tag, _, _ in people.records()] == [2]


async def test_many_at_once_are_told_in_turns_and_in_order(people: People) -> None:
    """More than CALLS go in several batches; for one person what came first is told first."""
    many = [told(Verb.PROLONG, n) for n in range(1, CALLS)]
    await people.logs.apply([*many, told(Verb.DROP, 1), told(Verb.VIEW, 2), *[told(Verb.VIEW, CALLS)] * 3])
    held = people.records()
    assert [tag for tag, kind, _ in held if kind == VIEW] == [2, CALLS]
    assert len(held) == CALLS - 1


async def test_a_server_that_forgot_the_scripts_learns_them_again(people: People) -> None:
    """After SCRIPT FLUSH the next call is made with its text: nothing is lost."""
    with people.server.client() as client:
        client.script_flush()
    await people.logs.apply([told(Verb.VIEW, 1), told(Verb.PROLONG, 2)])
    assert [tag for tag, _, _ in people.records()] == [1, 2]


async def test_a_key_of_another_type_is_counted_and_holds_up_nobody(people: People) -> None:
    """What the store refuses for one person is counted once; the others are told."""
    other = bytes(15) + b"\x01"
    with people.server.client() as client:
        client.set(views_key(person_tag(PERSON)), "damage")
    await people.logs.apply([told(Verb.VIEW), told(Verb.VIEW, person=other)])
    assert people.tally.cells[people.tally.slot("paceline_sightings_refused_total")] == 1
    assert len(people.records(other)) == 1


async def test_what_a_broken_connection_may_have_lost_is_an_error(people: People) -> None:
    """With the server gone every call raises, so that the lane asks again."""
    await people.connection.close()
    with pytest.raises(StoreError):
        await people.logs.apply([told(Verb.VIEW)])


async def test_a_server_that_takes_no_writes_now_is_asked_again(people: People) -> None:
    """An error that passes, such as a replica's or that of full memory, is an error for all of the batch."""
    with people.server.client() as client:
        client.config_set("maxmemory", "1mb")
        client.config_set("maxmemory-policy", "noeviction")
        try:
            with pytest.raises(StoreReplyError, match="OOM"):
                await people.logs.apply([told(Verb.VIEW)])
        finally:
            client.config_set("maxmemory", "0")
    await people.logs.apply([told(Verb.VIEW)])
    assert len(people.records()) == 1


class Silent:
    """A source that takes calls and never answers, or answers with trouble for one of them."""

    in_flight = 0

    def __init__(self, trouble: StoreError | None = None) -> None:
        self.trouble = trouble

    def submit(self, commands: Sequence[bytes], tags: Sequence[bytes], done: Done) -> Batch:
        batch = Batch(len(commands), done)
        if self.trouble is not None:
            batch.replies = [1, self.trouble]
            asyncio.get_running_loop().call_soon(done, batch)
        return batch


async def test_a_silent_store_is_left_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without answers a call ends as TimeoutError, never hangs its lane."""
    monkeypatch.setattr(module, "ANSWER_S", 0.01)
    logs = PeopleLogs(Silent(), Tally(), ManualClock(NOW_S))
    with pytest.raises(TimeoutError):
        await logs.apply([told(Verb.VIEW)])


async def test_trouble_with_one_node_is_an_error() -> None:
    """Where a cluster answers for some and not for others, all are asked again."""
    logs = PeopleLogs(Silent(StoreOverloaded("full")), Tally(), ManualClock(NOW_S))
    with pytest.raises(StoreOverloaded):
        await logs.apply([told(Verb.VIEW), told(Verb.VIEW, 2)])


async def test_what_was_bid_before_an_erasure_leaves_no_trace(people: People) -> None:
    """Notices of bids that were made before somebody was erased write nothing; those of later bids count."""
    with people.server.client() as client:
        client.set(guard_key(person_tag(PERSON)), NOW_S)
    before = [told(verb, issued_s=NOW_S) for verb in (Verb.PROLONG, Verb.VIEW, Verb.DROP)]
    await people.logs.apply(before)
    with people.server.client() as client:
        assert not client.exists(views_key(person_tag(PERSON)))
    await people.logs.apply([told(Verb.VIEW, 2, issued_s=NOW_S + 1), *before])
    assert [tag for tag, _, _ in people.records()] == [2]
