"""Erasure takes everything of a person and nothing of others, and verification finds whatever is left."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bidder.audience.person import field_name
from bidder.clock import ManualClock
from bidder.events.erased import KEEP_S, digest
from bidder.events.requests import ERASURES, requested
from bidder.metrics import Tally
from bidder.rights import walk
from bidder.rights.erase import Eraser
from bidder.rights.holdings import holdings
from bidder.rights.verify import in_files, in_store
from bidder.spending.exposures import PeopleLogs
from bidder.spending.sightings import Sighting, Verb
from bidder.stores import keys
from bidder.stores.address import parse
from bidder.stores.connection import Connection
from bidder.stores.removal import done
from tests.bidder.rights.conftest import LOGIN, NOW_S, ONE, TAG, TWO, House


def _view(issued_s: int, person: bytes = ONE, visitor: bool = False) -> Sighting:
    place = (1, 2, 3, 86_400, float(NOW_S), NOW_S + 900, issued_s)
    return Sighting(Verb.VIEW, person, visitor, "shop", issued_s.to_bytes(4, "little") + bytes(8), *place)


async def _seen(house: House, *sightings: Sighting) -> None:
    connection = Connection(parse(house.server.url), 64, Tally())
    assert await connection.open()
    logs = PeopleLogs(connection, Tally(), ManualClock(NOW_S))
    logs.simulated_ms = lambda: NOW_S * 1_000
    await logs.apply(sightings)
    await connection.close()


async def test_nothing_is_left(known: House, caplog: pytest.LogCaptureFixture) -> None:
    """After an erasure no key, field or value names the person; before it many do; the log tells it without the id."""
    await _seen(known, _view(NOW_S - 10))
    assert len(await in_store(known.client, ONE)) >= 5
    tally = Tally()
    with caplog.at_level("INFO"):
        await Eraser(known.client, tally).erase(ONE, NOW_S, "the person")
    assert await in_store(known.client, ONE) == []
    assert (await holdings(known.client, ONE, NOW_S)).nothing
    assert TAG.decode() not in caplog.text
    assert f"erased person digest:{digest(ONE).hex()}, asked by" in caplog.text
    assert {cell.name: value for cell, value in tally.samples()}["paceline_erasures_total"] == 1


async def test_a_view_that_comes_later_brings_nobody_back(known: House) -> None:
    """A view of a bid that was made before the erasure is not entered, neither for the person nor for an id that led
    there; one of a bid that was made afterwards is."""
    row = bytes.fromhex(keys.match_tag("exchange/" + ONE.hex()[:8]).decode())
    await Eraser(known.client).erase(ONE, NOW_S, "the person")
    await _seen(known, _view(NOW_S - 10), _view(NOW_S - 10, row, visitor=True))
    assert await in_store(known.client, ONE) == []
    assert keys.views_key(keys.person_tag(row)) not in known.standing()
    await _seen(known, _view(NOW_S + 60))
    assert await in_store(known.client, ONE) == [f"key f:{{{TAG.decode()}}}"]


async def test_linked_devices_lose_what_the_shop_knows(known: House) -> None:
    """What one device did is known of the others of its login, so the shop's part of them goes; another shop's, and
    their own matches, stay."""
    erased = await Eraser(known.client).erase(ONE, NOW_S, "the person")
    assert erased.linked == 1
    fields = await done(known.client.hkeys(keys.person_key(keys.person_tag(TWO))))
    assert field_name("shop") not in fields
    assert field_name("other") in fields
    assert keys.cluster_key(keys.cluster_tag("shop", LOGIN)) not in known.standing()
    assert not await done(known.client.exists(keys.history_key(keys.person_tag(TWO))))
    assert len((await holdings(known.client, TWO, NOW_S)).matches) == 2


async def test_others_stay(known: House) -> None:
    """Erasing somebody who is not known changes nothing of anybody but the list of erasures."""
    before = known.standing()
    erased = await Eraser(known.client).erase(b"\x77" * 16, NOW_S, "batch")
    assert erased.keys == erased.linked == 0
    assert {key for key in known.standing() - before if not key.startswith(b"x:")} == {ERASURES}


async def test_every_host_is_asked(known: House) -> None:
    """The queue that every host's caretaker reads names the person by a digest, for 30 days."""
    await Eraser(known.client).erase(ONE, NOW_S, "batch")
    assert await requested(known.client, NOW_S) == {digest(ONE): NOW_S}
    assert 0 < await done(known.client.ttl(ERASURES)) <= KEEP_S


async def test_who_opts_out_leaves_recorded_events_and_linked_devices_too(known: House) -> None:
    """Opting out removes what an erasure does: every host is asked to clean its files, and the shop's part of other
    devices goes; what is left is a tombstone."""
    await Eraser(known.client).opt_out(ONE, NOW_S, "the person")
    assert await requested(known.client, NOW_S) == {digest(ONE): NOW_S}
    fields = await done(known.client.hkeys(keys.person_key(keys.person_tag(TWO))))
    assert field_name("shop") not in fields
    assert await in_store(known.client, ONE) == []
    assert await known.writer.opted_out(ONE)


async def test_a_tombstone_is_no_holding(known: House) -> None:
    """Who opted out leaves a tombstone, which verification does not count; a field beside it, it does."""
    await known.writer.opt_out(ONE, NOW_S)
    assert await in_store(known.client, ONE) == []
    found = await holdings(known.client, ONE, NOW_S)
    assert found.opted_out_s == NOW_S
    assert found.nothing
    await done(known.client.hset(keys.person_key(TAG), "s", b"1234"))
    assert len(await in_store(known.client, ONE)) == 1


@pytest.mark.parametrize("kind", ["string", "long", "hash", "field", "set", "zset", "list", "stream", "hex"])
async def test_verification_finds_the_id_wherever_it_stands(house: House, kind: str) -> None:
    """In a value of every type, as bytes or as digits, also behind a megabyte."""
    with house.server.client() as client:
        match kind:
            case "string":
                client.set("k", b"..." + ONE + b"...")
            case "long":
                client.set("k", bytes(walk.BATCH) + bytes((1 << 20) - walk.BATCH - 8) + ONE)
            case "hash":
                client.hset("k", "f", ONE)
            case "field":
                client.hset("k", ONE, "v")  # type: ignore[arg-type]  # bytes are fields, too
            case "set":
                client.sadd("k", ONE)
            case "zset":
                client.zadd("k", {ONE: 1})
            case "list":
                client.rpush("k", "a", ONE)
            case "stream":
                client.xadd("k", {"f": ONE})
            case "hex":
                client.set("k", ONE.hex())
    assert await in_store(house.client, ONE) == ["value of k"]
    assert await in_store(house.client, TWO) == []


def test_files_are_searched(tmp_path: Path) -> None:
    """Bytes and digits are found in files of folders, also across the seams of pieces; no folder is no place."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "seam").write_bytes(bytes((1 << 20) - 8) + ONE)
    (tmp_path / "hex").write_text(ONE.hex())
    (tmp_path / "other").write_bytes(TWO)
    assert in_files([tmp_path, tmp_path / "absent"], ONE) == [
        f"file {tmp_path / 'hex'}",
        f"file {tmp_path / 'in' / 'seam'}",
    ]


async def test_walking_meets_every_key(house: House) -> None:
    """In batches of the size that is asked for, none left out."""
    with house.server.client() as client:
        client.mset({f"key-{n}": "v" for n in range(1_234)})
    met: set[bytes] = set()
    async for batch in walk.batches(house.client, 100, 0):
        assert len(batch) <= 100
        met.update(batch)
    assert len(met) == 1_234
    await asyncio.sleep(0)
