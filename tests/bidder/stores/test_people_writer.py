"""Writing people: what stands in the store afterwards, for how long, and what erasure leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
import pytest
import redis

from bidder.audience.identity import MAX_ID_LENGTH, Lookup, match_key
from bidder.audience.person import Profile, field_name, unpack
from bidder.metrics import Tally
from bidder.settings import Stores
from bidder.stores import keys
from bidder.stores.address import AddressError
from bidder.stores.guards import GUARD_PREFIX
from bidder.stores.people import PeopleReader, ReadStatus
from bidder.stores.people_writer import (
    MAX_LISTED,
    MAX_TTL_S,
    PEOPLE_PER_PIPELINE,
    PeopleWriter,
    open_client,
)
from tests.bidder.stores.conftest import Connect
from tests.servers import RealServer

NOW_S = 1_790_000_000.0
FAR_NS = 1 << 62
ONE, TWO = b"\x01" * 16, b"\x02" * 16


def _profile(seed: int = 0) -> Profile:
    affinity = np.arange(seed, seed + 4, dtype=np.float16)
    return Profile(int(NOW_S), affinity, ((seed, 2_000_000_000),), ((seed, int(NOW_S)),))


def _key(person_id: bytes) -> bytes:
    return keys.person_key(keys.person_tag(person_id))


def _row(source: str, uid: str) -> bytes:
    return keys.match_key(keys.match_tag(match_key(source, uid)))


def _standing(client: redis.Redis) -> set[bytes]:
    """All keys but guards, which name nobody."""
    return {key for key in client.scan_iter() if not key.startswith(GUARD_PREFIX)}


@pytest.fixture
async def writer(redis_server: RealServer) -> AsyncIterator[PeopleWriter]:
    """A writer on the shared server."""
    client = open_client(Stores(redis_url=redis_server.url))
    yield PeopleWriter(client)
    await client.aclose()


@pytest.fixture
async def reader(redis_server: RealServer, connect: Connect, tally: Tally) -> PeopleReader:
    """A reader on the same server."""
    return PeopleReader(await connect(redis_server.url), Stores(read_timeout_ms=30_000), tally)


async def test_what_is_saved_is_read(writer: PeopleWriter, reader: PeopleReader) -> None:
    """Profiles come back as they were, each under its advertiser; saving one keeps the others."""
    await writer.save(ONE, {"shop": _profile(1), "store": _profile(2)}, NOW_S)
    await writer.save(ONE, {"shop": _profile(3)}, NOW_S)
    await writer.match("exchange", "uid-1", ONE, NOW_S)
    lookups = [Lookup(ONE), Lookup(None, (match_key("exchange", "uid-1"),)), Lookup(TWO)]
    reading = await reader.read(lookups, FAR_NS)
    assert reading.status is ReadStatus.OK
    known, matched, unknown = reading.people
    assert known == matched
    assert unknown is None
    assert known is not None
    for advertiser, seed in (("shop", 3), ("store", 2)):
        profile = unpack(known.fields[field_name(advertiser)])
        assert profile is not None
        assert profile.affinity.tolist() == [seed, seed + 1, seed + 2, seed + 3]
        assert profile.segments == ((seed, 2_000_000_000),)
    assert int.from_bytes(known.fields[keys.SEEN_FIELD], "little") == NOW_S


async def test_nothing_lives_longer_than_thirty_days(writer: PeopleWriter, redis_server: RealServer) -> None:
    """Whatever is asked for, every key in the store has an end at most 30 days away."""
    await writer.save(ONE, {"shop": _profile()}, NOW_S, ttl_s=MAX_TTL_S * 12)
    await writer.match("exchange", "uid-1", ONE, NOW_S, ttl_s=MAX_TTL_S * 12)
    await writer.match("exchange", "uid-2", TWO, NOW_S, ttl_s=MAX_TTL_S * 12)
    await writer.match_many([("exchange", "uid-3", b"\x03" * 16)], NOW_S, ttl_s=MAX_TTL_S * 12)
    await writer.save_many([(b"\x04" * 16, {})], NOW_S, ttl_s=0.1)
    with redis_server.client() as client:
        ends = [client.ttl(key) for key in client.scan_iter()]
    assert len(ends) == 7
    assert all(0 < end <= MAX_TTL_S for end in ends)


async def test_a_short_match_does_not_shorten_a_life(writer: PeopleWriter, redis_server: RealServer) -> None:
    """A match prolongs a person's life or leaves it, and the match itself ends when it was told to."""
    await writer.save(ONE, {"shop": _profile()}, NOW_S, ttl_s=1_000)
    await writer.match("exchange", "uid-1", ONE, NOW_S, ttl_s=10)
    with redis_server.client() as client:
        assert 900 < client.ttl(_key(ONE)) <= 1_000
        assert 0 < client.ttl(_row("exchange", "uid-1")) <= 10
    await writer.match("exchange", "uid-1", ONE, NOW_S, ttl_s=5_000)
    with redis_server.client() as client:
        assert 1_000 < client.ttl(_key(ONE)) <= 5_000


async def test_erasure_leaves_nothing(writer: PeopleWriter, redis_server: RealServer) -> None:
    """The hash and every match that leads to the person are gone; another's stay; twice is harmless."""
    await writer.save(ONE, {"shop": _profile()}, NOW_S)
    await writer.save(TWO, {"shop": _profile()}, NOW_S)
    for uid in ("a", "b", "moved"):
        await writer.match("exchange", uid, ONE, NOW_S)
    await writer.match("exchange", "moved", TWO, NOW_S)
    assert await writer.erase(ONE) == 3
    assert await writer.erase(ONE) == 0
    with redis_server.client() as client:
        assert _standing(client) == {_key(TWO), _row("exchange", "moved")}
        assert client.get(_row("exchange", "moved")) == TWO


async def test_erasure_takes_what_was_shown(writer: PeopleWriter, redis_server: RealServer) -> None:
    """The person's views and marks go, and those under each id that led to the person; another's stay."""
    await writer.match("exchange", "mine", ONE, NOW_S)
    await writer.match("exchange", "moved", ONE, NOW_S)
    await writer.match("exchange", "moved", TWO, NOW_S)
    tags = [keys.match_tag(match_key("exchange", uid)) for uid in ("mine", "moved")]
    mine, moved = ([name(tag) for name in (keys.views_key, keys.marks_key)] for tag in tags)
    with redis_server.client() as client:
        for key in (
            *mine,
            *moved,
            keys.views_key(keys.person_tag(ONE)),
            keys.marks_key(keys.person_tag(ONE)),
        ):
            client.hset(key, "a:shop", "views")
        await writer.erase(ONE)
        assert _standing(client) == {_key(TWO), _row("exchange", "moved"), *moved}


async def test_listed_matches_are_bounded(writer: PeopleWriter, redis_server: RealServer) -> None:
    """At MAX_LISTED all stay; one more and the oldest goes, from the list and from the match table."""
    for i in range(MAX_LISTED):
        await writer.match("exchange", f"uid-{i}", ONE, NOW_S + i)
    with redis_server.client() as client:
        assert client.dbsize() == 1 + MAX_LISTED
        await writer.match("exchange", "one-more", ONE, NOW_S + MAX_LISTED)
        assert client.dbsize() == 1 + MAX_LISTED
        assert not client.exists(_row("exchange", "uid-0"))
        assert client.exists(_row("exchange", "uid-1"))
        names = client.hkeys(_key(ONE))
    assert sum(name.startswith(keys.MATCH_FIELD_PREFIX) for name in names) == MAX_LISTED


async def test_made_up_ids_push_out_their_own(writer: PeopleWriter, redis_server: RealServer) -> None:
    """A source that tells ever more ids of a person loses its own oldest; the older rows of others stay."""
    for name in ("exchange", "ifa", "shop.other"):
        await writer.match(name, "uid", ONE, NOW_S)
    for i in range(2 * MAX_LISTED):
        await writer.match("shop.noisy", f"uid-{i}", ONE, NOW_S + 1 + i)
    with redis_server.client() as client:
        assert client.dbsize() == 1 + MAX_LISTED
        assert all(client.exists(_row(name, "uid")) for name in ("exchange", "ifa", "shop.other"))
        assert client.exists(_row("shop.noisy", f"uid-{2 * MAX_LISTED - 1}"))
        assert not client.exists(_row("shop.noisy", f"uid-{MAX_LISTED}"))


async def test_no_exchange_id_is_stored(writer: PeopleWriter, redis_server: RealServer) -> None:
    """Neither a key, nor a field, nor a value holds the id that the exchange gave."""
    await writer.match("exchange.test", "secret-uid-4711", ONE, NOW_S)
    with redis_server.client() as client:
        stored = b" ".join(client.dump(key) + key for key in client.scan_iter())
    assert b"secret-uid" not in stored
    assert b"exchange.test" in stored  # the person may read who knows them


async def test_bulk_writes_cross_pipelines(
    writer: PeopleWriter, reader: PeopleReader, redis_server: RealServer
) -> None:
    """More people than fit one pipeline are all written, and found by id and by match."""
    people = [i.to_bytes(16, "big") for i in range(PEOPLE_PER_PIPELINE + 1)]
    assert await writer.save_many(((p, {"shop": _profile()}) for p in people), NOW_S) == len(people)
    matches = ((str(i), "uid", person) for i, person in enumerate(people))
    assert await writer.match_many(matches, NOW_S) == len(people)
    last = len(people) - 1
    reading = await reader.read([Lookup(people[-1]), Lookup(None, (f"{last}/uid",))], FAR_NS)
    assert [person and person.id for person in reading.people] == [people[-1]] * 2
    assert await writer.erase(people[-1]) == 2


@pytest.mark.parametrize("uid", ["", "x" * (MAX_ID_LENGTH + 1)])
async def test_ids_out_of_bounds_are_refused(writer: PeopleWriter, uid: str) -> None:
    """An empty or over-long id raises before anything is written."""
    with pytest.raises(ValueError, match="1 to 256"):
        await writer.match("exchange", uid, ONE, NOW_S)


def test_a_client_needs_a_url() -> None:
    """Without a URL there is no client."""
    with pytest.raises(AddressError):
        open_client(Stores())


async def test_a_writer_may_keep_people_for_less(redis_server: RealServer) -> None:
    """A configuration that keeps people for a week bounds every key that the writer sets, whatever is asked for."""
    client = open_client(Stores(redis_url=redis_server.url))
    week = PeopleWriter(client, 7 * 86_400)
    await week.save(ONE, {"shop": _profile()}, NOW_S)
    await week.match("exchange", "uid-1", ONE, NOW_S, MAX_TTL_S)
    await week.match_many([("exchange", "uid-2", TWO)], NOW_S)
    lives = [await client.ttl(key) async for key in client.scan_iter()]
    await client.aclose()
    assert len(lives) == 4
    assert all(0 < life <= 7 * 86_400 for life in lives)
