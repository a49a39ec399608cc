"""Nothing of a person outlives its days: every key and file is looked at, and what is wrong is found and mended."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest

from bidder.audience.history import History, pack_history
from bidder.audience.person import Profile, field_name, pack
from bidder.audience.segments import compile_rules
from bidder.audience.visit import EventKind, Visit
from bidder.campaigns.model import Advertiser
from bidder.events.parquet import hour_path
from bidder.metrics import Tally
from bidder.rights.deletion import Accepted, Identifier
from bidder.rights.erase import Eraser
from bidder.rights.requests import Desk
from bidder.rights.sweep import (
    KINDS,
    UNKNOWN,
    Files,
    Swept,
    rewrite_logs,
    sweep,
    sweep_files,
    sweep_store,
    tell,
)
from bidder.rights.verify import in_store
from bidder.stores import keys
from bidder.stores.people_writer import MAX_TTL_S
from bidder.stores.removal import OPT_OUT_S, done
from bidder.stores.visitors import Seen, ShopRules
from tests.bidder.rights.conftest import NOW_S, ONE, TAG, TWO, House

DAY_S = 86_400


async def _lived(house: House, advertisers: tuple[Advertiser, ...]) -> None:
    """All that writes about people has written."""
    shop = ShopRules("shop", compile_rules(advertisers[0]))
    visit = Seen(Visit(EventKind.PRODUCT_VIEW, NOW_S, 7, 8, 9, 10), None)
    await house.visitors.observe(b"\x88" * 16, shop, [visit], NOW_S)
    await house.writer.opt_out(b"\x55" * 16, NOW_S)
    await house.writer.match("exchange", "out", b"\x66" * 16, NOW_S)
    await house.writer.opt_out(b"\x66" * 16, NOW_S)
    eraser = Eraser(house.client)
    await eraser.erase(b"\x77" * 16, NOW_S, "test")
    await Desk(house.client, eraser, house.visitors).accept(Accepted("a" * 32, Identifier(person=TWO)))
    with house.server.client() as client:
        client.hset("ml:{shop}:w", "available", 1)
        client.hset("l:0123456789abcdef", "grid", 1)


async def test_all_that_we_write_is_in_order(known: House, advertisers: tuple[Advertiser, ...]) -> None:
    """After everything has written, a sweep finds no violation and mends nothing."""
    await _lived(known, advertisers)
    found = await sweep_store(known.client, NOW_S, pause_s=0)
    assert not found.violations
    assert (found.mended, found.pruned, found.open) == (0, 0, 0)
    assert found.keys == len(known.standing())
    assert {kind for kind, count in found.kinds.items() if count} >= {
        "p",
        "h",
        "m",
        "c",
        "g",
        "x",
        "j",
        "ml",
        "l",
    }


async def test_after_thirty_days_nothing_personal_is_left(
    known: House, advertisers: tuple[Advertiser, ...]
) -> None:
    """A server's clock cannot be set, so every key's time to live is cut by 30 days: what stays are tombstones, counts
    and money, and none of it names anybody."""
    await _lived(known, advertisers)
    with known.server.client() as client:
        for key in list(client.scan_iter()):
            left = client.ttl(key)
            assert isinstance(left, int)
            if left >= 0:
                client.expire(key, left - MAX_TTL_S)  # an end in the past is an end now
    assert {kind.prefix[:2] for kind in KINDS for key in known.standing() if key.startswith(kind.prefix)} == {
        b"p:",
        b"m:",
        b"ml",
        b"l:",
    }
    for person in (ONE, TWO, b"\x55" * 16, b"\x66" * 16):
        assert await in_store(known.client, person) == []


async def test_what_has_no_end_gets_one(known: House) -> None:
    """Keys of people without an end, or with one too far, are told and mended; a sweep that only looks leaves them."""
    names = [keys.person_key(TAG), keys.match_key(b"0" * 32), keys.views_key(TAG), keys.history_key(TAG)]
    with known.server.client() as client:
        client.persist(names[0])
        client.set(names[1], ONE)
        client.hset(names[2], "a:shop", "x")
        client.expire(names[3], MAX_TTL_S * 2)
    looked = await sweep_store(known.client, NOW_S, mend=False, pause_s=0)
    assert (dict(looked.violations), looked.mended, looked.open) == ({"p": 1, "m": 1, "f": 1, "h": 1}, 0, 4)
    mended = await sweep_store(known.client, NOW_S, pause_s=0)
    assert (mended.violations, mended.mended, mended.open) == (looked.violations, 4, 0)
    with known.server.client() as client:
        assert all(0 < int(str(client.ttl(name))) <= MAX_TTL_S for name in names)
    assert not (await sweep_store(known.client, NOW_S, pause_s=0)).violations


async def test_what_nobody_knows_is_told_and_left(known: House) -> None:
    """A key of no known kind is a violation even with an end, and is not touched."""
    with known.server.client() as client:
        client.set("session:abc", "me", ex=60)
        found = await sweep_store(known.client, NOW_S, pause_s=0)
        assert found.violations == {UNKNOWN: 1}
        assert found.open == 1
        assert client.exists("session:abc")


async def test_tombstones_may_live_longer(known: House) -> None:
    """For 390 days where they say nothing else; without an end they get that end; with more they are none."""
    await known.writer.opt_out(ONE, NOW_S)
    assert not (await sweep_store(known.client, NOW_S, pause_s=0)).violations
    with known.server.client() as client:
        client.persist(keys.person_key(TAG))
        assert (await sweep_store(known.client, NOW_S, pause_s=0)).mended == 1
        assert MAX_TTL_S < int(str(client.ttl(keys.person_key(TAG)))) <= OPT_OUT_S
        client.hset(keys.person_key(TAG), "s", "x")
        assert (await sweep_store(known.client, NOW_S, pause_s=0)).violations == {"p": 1}
        assert int(str(client.ttl(keys.person_key(TAG)))) <= MAX_TTL_S


async def test_fields_have_ages_of_their_own(known: House) -> None:
    """What a shop learned more than 30 days ago goes, though another sees the person every day; so do lists of matches,
    places in clusters, and what cannot be read; what is younger stays."""
    old_s = NOW_S - 31 * DAY_S
    profile, visit = Profile(old_s, np.zeros(2, np.float16)), Visit(EventKind.CART, old_s, 1)
    old = struct.pack("<I", old_s)
    await done(
        known.client.hset(
            keys.person_key(TAG),
            mapping={
                field_name("shop"): pack(profile),
                keys.match_field(b"1" * 32): old + b"x",
                b"a:bad": b"\1",
            },
        )
    )
    await done(known.client.hset(keys.history_key(TAG), field_name("old"), pack_history(History((visit,)))))
    cluster = keys.cluster_key(keys.cluster_tag("shop", "ab" * 32))
    await done(known.client.hset(cluster, TWO, old))
    found = await sweep_store(known.client, NOW_S, pause_s=0)
    assert found.pruned == 5
    fields = await done(known.client.hkeys(keys.person_key(TAG)))
    assert field_name("shop") not in fields
    assert b"a:bad" not in fields
    assert {field_name("other"), keys.SEEN_FIELD} <= set(fields)
    assert await done(known.client.hkeys(keys.history_key(TAG))) == [field_name("shop")]
    assert await done(known.client.hkeys(cluster)) == [ONE]
    assert (await sweep_store(known.client, NOW_S + 40 * DAY_S, pause_s=0, mend=False)).pruned == 0
    assert (await sweep_store(known.client, NOW_S + 8 * DAY_S, 7 * DAY_S, pause_s=0)).pruned > 4


async def test_old_visits_of_somebody_who_comes_often_go(known: House) -> None:
    """A visit ends after its days, also where a later one of the same shop stays."""
    visits = tuple(Visit(EventKind.CART, NOW_S - days * DAY_S, days) for days in (1, 29, 31))
    await done(known.client.hset(keys.history_key(TAG), field_name("shop"), pack_history(History(visits))))
    await sweep_store(known.client, NOW_S, pause_s=0)
    left = await known.visitors.known(ONE, "shop")
    assert [visit.product for visit in left.history.visits] == [1, 29]


async def test_a_key_of_another_type_stops_nothing(known: House) -> None:
    """It is skipped where fields are looked for, and gets its end like any other."""
    with known.server.client() as client:
        client.set("p:{" + "9" * 32 + "}", "text")
    assert (await sweep_store(known.client, NOW_S, pause_s=0)).mended == 1


def _file(path: Path, at_s: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"somebody")
    os.utime(path, (at_s, at_s))


async def test_files_are_looked_at(known: House, tmp_path: Path) -> None:
    """Spools and segments that lie for more than their days, and hours of events that are not nobody's by then."""
    events, spool = tmp_path / "events", tmp_path / "spool"
    for at_s in (NOW_S - 31 * DAY_S, NOW_S - DAY_S):
        _file(spool / f"000-{at_s}" / "0.spool", at_s)
        _file(events / "segments" / f"000-{at_s}-aa.sealed", at_s)
    files = Files(events, spool)
    found = await sweep(known.client, files, NOW_S)
    assert found.violations == {"segments": 1, "spool": 1}
    tally = Tally()
    tell(tally, found, NOW_S)
    told = {
        cell.labels: value for cell, value in tally.samples() if cell.name == "paceline_retention_violations"
    }
    assert told[("spool",)] == 1
    assert told[("p",)] == 0
    nothing = Swept()
    sweep_files(Files(tmp_path / "absent", tmp_path / "absent"), NOW_S, nothing)
    assert not nothing.violations


def test_hours_of_events_are_looked_at(tmp_path: Path) -> None:
    """An old hour that still names people is told; one that is nobody's, and a young one, are not."""
    from bidder.events.parquet import Workshop

    hours = [(NOW_S - days * DAY_S) // 3_600 for days in (40, 35, 1)]
    with Workshop(tmp_path) as shop:
        for hour, anonymous in zip(hours, (False, True, False), strict=True):
            shop.write("SELECT 1 AS at_ms", {}, hour_path(tmp_path, "shop", hour), anonymous=anonymous)
    found = Swept()
    sweep_files(Files(tmp_path), NOW_S, found)
    assert found.violations == {"events": 1}


async def test_append_only_files_are_written_anew(known: House, caplog: pytest.LogCaptureFixture) -> None:
    """Where the server does it; where it does not, that is told."""
    assert await rewrite_logs(known.client)
    with caplog.at_level("INFO"):
        again = await rewrite_logs(known.client)
    assert again or "append-only" in caplog.text
