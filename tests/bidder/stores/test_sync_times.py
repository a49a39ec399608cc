"""How often an id was handed out today: counted in one step, for each exchange, with an end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from bidder.keys import key32
from bidder.settings import Stores
from bidder.stores import keys
from bidder.stores.people_writer import Client, PeopleWriter, open_client
from bidder.stores.sync_times import MAX_EXCHANGES, TTL_S, SyncTimes, unpack_syncs
from tests.servers import RealServer

NOW_S = 1_790_000_000.0
OWN = b"0123456789abcdef"
KEY = keys.person_key(keys.person_tag(OWN))


@pytest.fixture
async def client(redis_server: RealServer) -> AsyncIterator[Client]:
    """A client of an empty server."""
    made = open_client(Stores(redis_url=redis_server.url))
    yield made
    await made.aclose()


async def test_each_exchange_has_its_own_count(client: Client) -> None:
    """As often as its limit, then no more that day; at most so many at once."""
    times = SyncTimes(client)
    limits = [("a", 1), ("b", 2), ("c", 1)]
    assert await times.take(OWN, limits, 2, NOW_S) == ["a", "b"]
    assert await times.take(OWN, limits, 2, NOW_S) == ["b", "c"]
    assert await times.take(OWN, limits, 2, NOW_S) == []
    assert await times.take(OWN, limits, 3, NOW_S + 86_400) == ["a", "b", "c"]


async def test_many_at_once_are_granted_no_more(client: Client) -> None:
    """Two hundred calls of one moment get what the limit allows together."""
    times = SyncTimes(client)
    granted = await asyncio.gather(*(times.take(OWN, [("a", 7)], 1, NOW_S) for _ in range(200)))
    assert granted.count(["a"]) == 7


async def test_the_count_ends_with_its_person(client: Client) -> None:
    """Somebody of whom nothing else is known is gone after a day; who is known lives as long as before."""
    times = SyncTimes(client)
    await times.take(OWN, [("a", 1)], 1, NOW_S)
    assert 0 < await client.ttl(KEY) <= TTL_S
    await PeopleWriter(client).match("a", "1", OWN, NOW_S, 2_000_000)
    await times.take(OWN, [("b", 1)], 1, NOW_S)
    assert await client.ttl(KEY) > 1_900_000


async def test_only_the_last_day_is_kept(client: Client) -> None:
    """The field holds what was handed out today: exchange, day, how often."""
    times = SyncTimes(client)
    await times.take(OWN, [("a", 1), ("b", 1)], 2, NOW_S)
    await times.take(OWN, [("b", 2)], 1, NOW_S + 86_400)
    (synced,) = unpack_syncs(await client.hget(KEY, keys.SYNC_FIELD))
    assert (synced.exchange, synced.times) == (key32("b"), 1)


async def test_who_opted_out_is_told_and_nothing_written(client: Client) -> None:
    """None, and the tombstone stays as it is."""
    await PeopleWriter(client).opt_out(OWN, NOW_S)
    before = await client.hgetall(KEY)
    assert await SyncTimes(client).take(OWN, [("a", 1)], 1, NOW_S) is None
    assert await client.hgetall(KEY) == before


async def test_a_damaged_field_is_begun_anew(client: Client) -> None:
    """A field that is cut in the middle costs its last count, not the call."""
    await client.hset(KEY, keys.SYNC_FIELD, b"\x01\x02\x03")
    assert await SyncTimes(client).take(OWN, [("a", 1)], 1, NOW_S) == ["a"]
    assert unpack_syncs(b"\x01\x02\x03") == []


async def test_exchanges_have_a_bound(client: Client) -> None:
    """MAX_EXCHANGES are looked at."""
    limits = [(f"x{n}", 1) for n in range(MAX_EXCHANGES + 5)]
    granted = await SyncTimes(client).take(OWN, limits, 100, NOW_S)
    assert granted == [name for name, _ in limits[:MAX_EXCHANGES]]
