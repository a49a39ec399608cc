"""Opting out and erasure in the store: what stands afterwards, and that nothing brings a person back."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator

import numpy as np
import pytest
import redis as plain

from bidder.audience.identity import match_key
from bidder.audience.person import Profile
from bidder.settings import Stores
from bidder.stores import keys, removal
from bidder.stores.guards import GUARD_PREFIX, GUARD_S, guard_key
from bidder.stores.people_writer import MAX_TTL_S, Matched, PeopleWriter, open_client
from bidder.stores.removal import OPT_OUT_S, Client
from tests.servers import RealServer

NOW_S = 1_790_000_000.0
ONE, TWO = b"\x01" * 16, b"\x02" * 16
TAG = keys.person_tag(ONE)
CLUSTER = keys.cluster_tag("shop", "ab" * 32)
PROFILE = Profile(int(NOW_S), np.zeros(2, np.float16))


def _row(uid: str) -> bytes:
    return keys.match_tag(match_key("exchange", uid))


@pytest.fixture
async def client(redis_server: RealServer) -> AsyncIterator[Client]:
    """A client of the shared server."""
    opened = open_client(Stores(redis_url=redis_server.url))
    yield opened
    await opened.aclose()


@pytest.fixture
def writer(client: Client) -> PeopleWriter:
    """A writer over it."""
    return PeopleWriter(client)


@pytest.fixture
async def known(writer: PeopleWriter, redis_server: RealServer) -> PeopleWriter:
    """A person of whom everything is known, with somebody else beside."""
    for person in (ONE, TWO):
        await writer.save(person, {"shop": PROFILE}, NOW_S)
    for uid in ("a", "b"):
        assert await writer.match("exchange", uid, ONE, NOW_S)
    with redis_server.client() as look:
        look.hset(keys.history_key(TAG), "a:shop", "visits")
        for tag in (TAG, _row("a")):
            look.hset(keys.views_key(tag), "a:shop", "views")
            look.hset(keys.marks_key(tag), "mark", "busy")
        look.hset(keys.person_key(TAG), keys.cluster_field(CLUSTER), "1")
        look.hset(keys.person_key(TAG), keys.SYNC_FIELD, "times")
        look.hset(keys.cluster_key(CLUSTER), mapping={ONE: "1", TWO: "1"})  # type: ignore[dict-item]  # bytes are fields, too
    return writer


def _dump(server: RealServer) -> dict[bytes, object]:
    """Everything that stands, but for guards, as what it is."""
    with server.client() as look:
        return {
            key: look.hgetall(key) if look.type(key) == b"hash" else look.get(key)
            for key in look.scan_iter()
            if not key.startswith(GUARD_PREFIX)
        }


def _ttl(look: plain.Redis, key: bytes) -> int:
    left = look.ttl(key)
    assert isinstance(left, int)
    return left


async def test_opting_out_leaves_a_tombstone(known: PeopleWriter, redis_server: RealServer) -> None:
    """The hash holds the one field, the rows say opted out, for 390 days; all else of the person is gone."""
    assert await known.opt_out(ONE, NOW_S) == 4  # two rows, and one id's views and marks
    left = _dump(redis_server)
    tombstone = {keys.OPT_OUT_FIELD: struct.pack("<I", int(NOW_S))}
    rows = {keys.match_key(_row(uid)): keys.OPTED_OUT for uid in ("a", "b")}
    other = keys.person_key(keys.person_tag(TWO))
    assert left.pop(other)
    assert left == {keys.person_key(TAG): tombstone, keys.cluster_key(CLUSTER): {TWO: b"1"}, **rows}
    with redis_server.client() as look:
        for key in (keys.person_key(TAG), *rows):
            assert MAX_TTL_S < _ttl(look, key) <= OPT_OUT_S
        assert 0 < _ttl(look, guard_key(TAG)) <= GUARD_S
    assert await known.opted_out(ONE)
    assert not await known.opted_out(TWO)


async def test_nothing_is_written_after_opting_out(known: PeopleWriter, redis_server: RealServer) -> None:
    """A match of the person, or of an id that led there, is refused and leaves everything as it is."""
    await known.opt_out(ONE, NOW_S)
    before = _dump(redis_server)
    assert not await known.match("exchange", "new", ONE, NOW_S)
    assert _dump(redis_server) == before
    assert not await known.match("exchange", "a", TWO, NOW_S)
    assert _dump(redis_server)[keys.match_key(_row("a"))] == keys.OPTED_OUT
    assert keys.match_field(_row("a")) not in _dump(redis_server)[keys.person_key(keys.person_tag(TWO))]  # type: ignore[operator]  # a hash


async def test_concurrent_matches_bring_nobody_back(known: PeopleWriter, redis_server: RealServer) -> None:
    """However matches and opting out interleave, the tombstone stands alone and no row leads to the person."""
    for turn in range(20):
        jobs = [known.match("exchange", f"{turn}-{n}", ONE, NOW_S) for n in range(6)]
        await asyncio.gather(*jobs[:3], known.opt_out(ONE, NOW_S), *jobs[3:])
        left = _dump(redis_server)
        assert left[keys.person_key(TAG)] == {keys.OPT_OUT_FIELD: struct.pack("<I", int(NOW_S))}
        assert ONE not in left.values()
        assert await known.opt_in(ONE)


async def test_concurrent_matches_survive_no_erasure(known: PeopleWriter, redis_server: RealServer) -> None:
    """However matches and an erasure interleave, no row leads to somebody whose hash does not list it."""
    for turn in range(20):
        jobs = [known.match("exchange", f"{turn}-{n}", ONE, NOW_S) for n in range(6)]
        await asyncio.gather(*jobs[:3], known.erase(ONE, NOW_S), *jobs[3:])
        left = _dump(redis_server)
        listed = left.get(keys.person_key(TAG), {})
        assert isinstance(listed, dict)
        rows = {key for key, value in left.items() if value == ONE}
        assert rows <= {keys.match_key(field[2:]) for field in listed if field.startswith(b"m:")}


async def test_opting_in_takes_the_tombstone_away(known: PeopleWriter, redis_server: RealServer) -> None:
    """The hash is gone at once; an id's row stays out, whoever sends it, and the old number is nobody's."""
    await known.opt_out(ONE, NOW_S)
    assert await known.opt_in(ONE)
    assert not await known.opt_in(ONE)
    assert keys.person_key(TAG) not in _dump(redis_server)
    assert await known.match("exchange", "new", ONE, NOW_S) is Matched.PERSON_ERASED
    assert await known.match("exchange", "a", TWO, NOW_S) is Matched.ID_OUT
    assert await known.match("exchange", "new", TWO, NOW_S)


async def test_nobody_opts_others_out_by_taking_their_ids(
    known: PeopleWriter, redis_server: RealServer
) -> None:
    """A row that was taken over from somebody who is known is removed by the taker's opting out, however often it was
    matched since; the other matches it again, and opts out with it as ever."""
    for later in (0, 60):
        assert await known.match("exchange", "a", TWO, NOW_S + later)
    assert await known.match("exchange", "own", TWO, NOW_S)
    await known.opt_out(TWO, NOW_S + 120)
    left = _dump(redis_server)
    assert keys.match_key(_row("a")) not in left
    assert left[keys.match_key(_row("own"))] == keys.OPTED_OUT
    assert await known.match("exchange", "a", ONE, NOW_S + 180)
    await known.opt_out(ONE, NOW_S + 240)
    assert _dump(redis_server)[keys.match_key(_row("a"))] == keys.OPTED_OUT


async def test_a_row_is_the_takers_in_time(known: PeopleWriter, redis_server: RealServer) -> None:
    """After TAKEN_S the row goes with whoever has it; so does one whose person is gone from the beginning."""
    assert await known.match("exchange", "a", TWO, NOW_S)
    with redis_server.client() as look:
        look.delete(keys.person_key(TAG))
    assert await known.match("exchange", "b", TWO, NOW_S)
    await known.opt_out(TWO, NOW_S + removal.TAKEN_S)
    left = _dump(redis_server)
    assert [left[keys.match_key(_row(uid))] for uid in "ab"] == [keys.OPTED_OUT] * 2


async def test_who_was_erased_is_not_matched_again(known: PeopleWriter, redis_server: RealServer) -> None:
    """As long as the guard stands a repeated match writes nothing."""
    await known.erase(ONE, NOW_S)
    before = _dump(redis_server)
    assert await known.match("exchange", "a", ONE, NOW_S + 3_600) is Matched.PERSON_ERASED
    assert _dump(redis_server) == before


async def test_erasure_spares_the_tombstone(known: PeopleWriter, redis_server: RealServer) -> None:
    """Whoever has opted out and is erased stays opted out, for as long as before."""
    await known.opt_out(ONE, NOW_S)
    before = _dump(redis_server)
    await known.erase(ONE, NOW_S)
    assert _dump(redis_server) == before
    with redis_server.client() as look:
        assert MAX_TTL_S < _ttl(look, keys.person_key(TAG)) <= OPT_OUT_S


async def test_erasure_takes_everything(known: PeopleWriter, redis_server: RealServer) -> None:
    """Hash, history, views, marks, rows, the place in the cluster: another's things are all that stays."""
    await known.erase(ONE, NOW_S)
    other = keys.person_key(keys.person_tag(TWO))
    assert set(_dump(redis_server)) == {other, keys.cluster_key(CLUSTER)}
    assert _dump(redis_server)[keys.cluster_key(CLUSTER)] == {TWO: b"1"}


async def test_opting_out_goes_on_where_it_stopped(
    known: PeopleWriter, client: Client, redis_server: RealServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut short behind its first step, it is finished by the next one: no row is forgotten."""

    async def cut(*_: object) -> int:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(removal, "remove_rows", cut)
        with pytest.raises(ConnectionError):
            await removal.opt_out(client, ONE, NOW_S)
    assert not await known.match("exchange", "new", ONE, NOW_S)
    assert await removal.opt_out(client, ONE, NOW_S) == 4
    assert _dump(redis_server)[keys.match_key(_row("a"))] == keys.OPTED_OUT
    assert list(_dump(redis_server)[keys.person_key(TAG)]) == [keys.OPT_OUT_FIELD]  # type: ignore[call-overload]  # a hash
