"""What shops learn of people: the contract of the store in memory, on a server and on a cluster."""

from __future__ import annotations

import asyncio
import struct
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from msgspec.structs import replace

from bidder.audience.history import MAX_VISITS
from bidder.audience.known import Known
from bidder.audience.person import field_name, pack, segments_of
from bidder.audience.visit import EventKind
from bidder.keys import segment_key
from bidder.metrics import Tally
from bidder.settings import Stores
from bidder.stores import keys, visitors
from bidder.stores.guards import guard_key
from bidder.stores.people_writer import MAX_TTL_S, PeopleWriter, open_client
from bidder.stores.scripts import Script
from bidder.stores.visitors import Observed
from tests.bidder.audience.visits import NOW_S
from tests.bidder.stores.visiting import (
    DAY_S,
    KEY,
    ONE,
    SHOP,
    STORE,
    TWO,
    counted,
    hash_of,
    history_of,
    light,
    seen,
)
from tests.bidder.stores.visitor_stores import Shelf
from tests.servers import RealServer


async def test_what_is_seen_is_known(shelf: Shelf) -> None:
    """History, affinity, segments and products, latest first; of that shop alone."""
    observed = await shelf.store.observe(ONE, SHOP, [seen(1, at_s=NOW_S - 60), seen(2)], NOW_S)
    assert observed == Observed(kept=2)
    known = await shelf.store.known(ONE, "shop")
    assert [visit.product for visit in known.history.visits] == [2, 1]
    assert known.profile is not None
    assert known.profile.updated_s == NOW_S
    assert known.profile.segments == ((KEY, NOW_S + 7 * DAY_S),)
    assert known.profile.products == ((2, NOW_S), (1, NOW_S - 60))
    assert np.allclose(known.profile.affinity, 0.2, atol=1e-3)
    assert await shelf.store.known(ONE, "store") == Known()
    assert await shelf.store.known(TWO, "shop") == Known()


async def test_the_path_of_a_bid_reads_it(shelf: Shelf) -> None:
    """What is written stands where a bid looks for it, with when the person was last seen."""
    await shelf.store.observe(ONE, SHOP, [seen(1)], NOW_S)
    fields = await shelf.fields(hash_of(ONE))
    assert fields.keys() == {field_name("shop"), keys.SEEN_FIELD}
    assert tuple(segments_of(fields[field_name("shop")], NOW_S)) == ((KEY, NOW_S + 7 * DAY_S),)
    assert int.from_bytes(fields[keys.SEEN_FIELD], "little") == NOW_S


async def test_the_same_event_changes_nothing(shelf: Shelf) -> None:
    """Told again, it is repeated; not a byte is written, though the rest of the call is."""
    await shelf.store.observe(ONE, SHOP, [seen(1)], NOW_S)
    before = await shelf.standing()
    assert await shelf.store.observe(ONE, SHOP, [seen(1)], NOW_S + 5) == Observed(repeated=1)
    assert await shelf.standing() == before
    assert await shelf.store.observe(ONE, SHOP, [seen(1), seen(2)], NOW_S) == Observed(1, 1)
    assert counted(shelf, "repeated") == 1
    assert counted(shelf, "kept") == 2


async def test_all_that_is_personal_ends(shelf: Shelf) -> None:
    """Whatever is asked for, every key has an end within 30 days: people, histories, clusters, sizes."""
    await shelf.store.join(ONE, "shop", "login", NOW_S)
    await shelf.store.join(TWO, "shop", "login", NOW_S)
    await shelf.store.observe(ONE, SHOP, [seen(1)], NOW_S, ttl_s=MAX_TTL_S * 12)
    ends = await shelf.ends()
    assert {key[:1] for key in ends} == {b"p", b"h", b"c", b"g"}
    assert all(0 < end_s <= MAX_TTL_S for end_s in ends.values()), ends


async def test_a_visit_prolongs_and_never_shortens(shelf: Shelf) -> None:
    """A life of `ttl_s` from now, or what it was where that is longer; at least a second."""
    await shelf.store.observe(ONE, SHOP, [seen(1)], NOW_S, ttl_s=0)
    ends = await shelf.ends()
    assert 0 < ends[hash_of(ONE)] <= 1
    await shelf.store.observe(ONE, SHOP, [seen(2)], NOW_S, ttl_s=5_000)
    await shelf.store.observe(ONE, SHOP, [seen(3)], NOW_S, ttl_s=100)
    ends = await shelf.ends()
    assert 4_000 < ends[hash_of(ONE)] <= 5_000
    assert 4_000 < ends[history_of(ONE)] <= 5_000


async def test_nothing_is_written_for_who_opted_out(shelf: Shelf) -> None:
    """Neither a visit nor a login; not a byte, and the person is told as such."""
    await shelf.put(hash_of(ONE), keys.OPT_OUT_FIELD, struct.pack("<I", NOW_S))
    before = await shelf.standing()
    assert await shelf.store.observe(ONE, SHOP, [seen(1)], NOW_S) == Observed(opted_out=True)
    assert await shelf.store.join(ONE, "shop", "login", NOW_S) is False
    assert await shelf.store.known(ONE, "shop") == Known(opted_out=True)
    assert await shelf.standing() == before


async def test_who_opts_out_in_between_stays_out(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """An opt-out between reading and writing wins."""
    compute = visitors.added

    def _after_opt_out(*arguments: object) -> object:
        new = compute(*arguments)  # type: ignore[arg-type]  # handed through
        pending.append(asyncio.ensure_future(shelf.put(hash_of(ONE), keys.OPT_OUT_FIELD, b"\0\0\0\0")))
        return new

    pending: list[asyncio.Future[None]] = []
    write = shelf.store._write

    async def _later(*arguments: object) -> object:
        await asyncio.gather(*pending)
        return await write(*arguments)  # type: ignore[arg-type]  # handed through

    monkeypatch.setattr(visitors, "added", _after_opt_out)
    monkeypatch.setattr(shelf.store, "_write", _later)
    assert await shelf.store.observe(ONE, SHOP, [seen(1)], NOW_S) == Observed(opted_out=True)
    assert await shelf.fields(hash_of(ONE)) == {keys.OPT_OUT_FIELD: b"\0\0\0\0"}
    assert await shelf.fields(history_of(ONE)) == {}


async def test_concurrent_observers_lose_nothing(shelf: Shelf) -> None:
    """Many at once, of several processes, about one person: every visit is kept once."""
    stores = [shelf.store, shelf.another(), shelf.another()]
    events = range(1, 1 + MAX_VISITS)
    found = await asyncio.gather(
        *(stores[n % 3].observe(ONE, SHOP, [light(n), light(1)], NOW_S) for n in events)
    )
    known = await shelf.store.known(ONE, "shop")
    assert sorted(visit.event for visit in known.history.visits) == list(events)
    assert sum(each.kept for each in found) == MAX_VISITS
    assert known.history.version == sum(each.kept > 0 for each in found)
    assert not sum(each.lost for each in found)
    assert known.profile is not None
    assert np.allclose(known.profile.affinity, 0.01 * MAX_VISITS, atol=0.02)


async def test_what_is_older_than_an_erasure_is_not_kept(shelf: Shelf) -> None:
    """A batch that tells late what a person did before being erased brings nothing back; what came later is kept."""
    await shelf.value(guard_key(keys.person_tag(ONE)), b"%d" % NOW_S)
    before = await shelf.standing()
    late = [seen(1, at_s=NOW_S - 5), seen(2)]
    assert await shelf.store.observe(ONE, SHOP, late, NOW_S + 60) == Observed()
    assert await shelf.store.join(ONE, "shop", "login", NOW_S) is False
    assert await shelf.standing() == before
    assert counted(shelf, "erased") == 1
    observed = await shelf.store.observe(ONE, SHOP, [*late, seen(3, at_s=NOW_S + 1)], NOW_S + 60)
    assert observed == Observed(kept=1)
    assert await shelf.store.join(ONE, "shop", "login", NOW_S + 1)
    assert [visit.event for visit in (await shelf.store.known(ONE, "shop")).history.visits] == [3]


async def test_who_is_erased_in_between_stays_erased(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """An erasure between reading and writing wins, though there was nothing to erase."""
    write = shelf.store._write

    async def _later(*arguments: object) -> object:
        await shelf.value(guard_key(keys.person_tag(ONE)), b"%d" % NOW_S)
        return await write(*arguments)  # type: ignore[arg-type]  # handed through

    monkeypatch.setattr(shelf.store, "_write", _later)
    assert await shelf.store.observe(ONE, SHOP, [seen(1)], NOW_S) == Observed()
    assert (await shelf.standing()).keys() == {guard_key(keys.person_tag(ONE))}


async def test_what_is_too_old_is_removed(shelf: Shelf) -> None:
    """Of somebody who still comes to other shops: old visits and products go, ended segments, then the profile; the
    others' bytes and the ends of keys stay as they are."""
    await shelf.store.observe(ONE, SHOP, [seen(1, at_s=NOW_S - 9), seen(2)], NOW_S)
    await shelf.store.observe(ONE, STORE, [seen(3)], NOW_S)
    before = await shelf.standing()
    assert await shelf.store.age(ONE, "shop", NOW_S) is False
    assert await shelf.standing() == before
    assert await shelf.store.age(ONE, "shop", NOW_S + MAX_TTL_S - 9) is True
    known = await shelf.store.known(ONE, "shop")
    assert [visit.event for visit in known.history.visits] == [2]
    assert known.profile is not None
    assert known.profile.products == ((2, NOW_S),)
    assert known.profile.segments == ()
    assert await shelf.store.age(ONE, "shop", NOW_S + MAX_TTL_S) is True
    assert await shelf.store.age(ONE, "shop", NOW_S + MAX_TTL_S) is False
    after = await shelf.standing()
    assert after[hash_of(ONE)].keys() == {field_name("store"), keys.SEEN_FIELD}
    assert after[history_of(ONE)] == {field_name("store"): before[history_of(ONE)][field_name("store")]}
    assert after[hash_of(ONE)][field_name("store")] == before[hash_of(ONE)][field_name("store")]


async def test_who_comes_back_while_ageing_is_kept(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """A visit between looking and removing wins."""
    await shelf.store.observe(ONE, SHOP, [seen(1)], NOW_S)
    late_s, run, other = NOW_S + MAX_TTL_S, shelf.store._run, shelf.another()

    async def _later(script: Script, *rest: object) -> object:
        if script is visitors.AGE:
            await other.observe(ONE, SHOP, [seen(2, at_s=late_s)], late_s)
        return await run(script, *rest)  # type: ignore[arg-type]  # handed through

    monkeypatch.setattr(shelf.store, "_run", _later)
    assert await shelf.store.age(ONE, "shop", late_s) is False
    assert [visit.event for visit in (await other.known(ONE, "shop")).history.visits] == [2]


async def test_an_operator_may_keep_less(shelf: Shelf) -> None:
    """A store of seven days keeps no key, no visit and no segment for longer; nobody can keep more than 30."""
    week = shelf.another(keep_s=7 * DAY_S)
    visits = [seen(1, at_s=NOW_S - 7 * DAY_S), seen(2), seen(3, EventKind.PURCHASE)]
    assert (await week.observe(ONE, SHOP, visits, NOW_S)).kept == 2
    await week.join(ONE, "shop", "login", NOW_S)
    ends = await shelf.ends()
    assert all(end_s <= 7 * DAY_S for key, end_s in ends.items() if not key.startswith(b"g:"))
    profile = (await week.known(ONE, "shop")).profile
    assert profile is not None
    assert {expires_s for _, expires_s in profile.segments} == {NOW_S + 7 * DAY_S}
    longer = shelf.another(keep_s=99 * DAY_S)
    await longer.observe(TWO, SHOP, [seen(1)], NOW_S)
    assert all(end_s <= MAX_TTL_S for end_s in (await shelf.ends()).values())


def test_workers_at_once_lose_nothing(redis_server: RealServer) -> None:
    """Threads with loops and connections of their own write one person of one cluster: nothing is lost or doubled."""
    workers, each = 4, MAX_VISITS // 4

    async def _work(worker: int) -> Tally:
        shelf = Shelf(open_client(Stores(redis_url=redis_server.url)), Tally())
        await shelf.store.join(ONE if worker % 2 else TWO, "shop", "login", NOW_S)
        begin.wait()
        for n in range(each):
            await shelf.store.observe(ONE if worker % 2 else TWO, SHOP, [light(1 + worker * each + n)], NOW_S)
        await shelf.close()
        return shelf.tally

    async def _look() -> None:
        shelf = Shelf(open_client(Stores(redis_url=redis_server.url)), Tally())
        for person in (ONE, TWO):
            known = await shelf.store.known(person, "shop")
            assert sorted(visit.event for visit in known.history.visits) == list(range(1, 1 + workers * each))
            assert known.profile is not None
            assert np.allclose(known.profile.affinity, 0.01 * workers * each, atol=0.02)
        await shelf.close()

    begin = threading.Barrier(workers)
    with ThreadPoolExecutor(workers) as pool:
        tallies = list(pool.map(lambda worker: asyncio.run(_work(worker)), range(workers)))
    assert not sum(tally.cells[tally.slot("paceline_visitors_total", "lost")] for tally in tallies)
    asyncio.run(_look())


async def test_too_many_conflicts_are_told(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another process always comes first, the visits are lost after MAX_TRIES, and counted."""
    monkeypatch.setattr(visitors, "MAX_TRIES", 3)
    write, other, events = shelf.store._write, shelf.another(), iter(range(100, 200))

    async def _late(*arguments: object) -> object:
        await other.observe(ONE, SHOP, [seen(next(events))], NOW_S)
        return await write(*arguments)  # type: ignore[arg-type]  # handed through

    monkeypatch.setattr(shelf.store, "_write", _late)
    assert await shelf.store.observe(ONE, SHOP, [seen(1), seen(2)], NOW_S) == Observed(lost=2)
    assert counted(shelf, "lost") == 1
    assert shelf.tally.cells[shelf.tally.slot("paceline_visitor_conflicts_total")] == 3
    assert len((await shelf.store.known(ONE, "shop")).history.visits) == 3


async def test_damage_is_begun_anew(shelf: Shelf) -> None:
    """A field that nobody can read is as good as none, and is replaced by the next visit."""
    await shelf.put(hash_of(ONE), field_name("shop"), b"\xff\xff")
    await shelf.put(history_of(ONE), field_name("shop"), b"\xff\xff")
    assert await shelf.store.known(ONE, "shop") == Known()
    assert await shelf.store.observe(ONE, SHOP, [seen(1)], NOW_S) == Observed(kept=1)
    assert len((await shelf.store.known(ONE, "shop")).history.visits) == 1


async def test_segments_of_others_hands_stay(shelf: Shelf) -> None:
    """A segment that no definition makes holds until it expires; one that a definition makes is told anew."""
    await shelf.store.observe(ONE, SHOP, [seen(1)], NOW_S)
    profile = (await shelf.store.known(ONE, "shop")).profile
    assert profile is not None
    given = replace(
        profile, segments=((7, NOW_S + 50), (8, NOW_S + 5), (segment_key("shop", "buyers"), NOW_S + 90))
    )
    await shelf.put(hash_of(ONE), field_name("shop"), pack(given))
    await shelf.store.observe(ONE, SHOP, [seen(2)], NOW_S + 5)
    profile = (await shelf.store.known(ONE, "shop")).profile
    assert profile is not None
    assert profile.segments == ((KEY, NOW_S + 7 * DAY_S), (7, NOW_S + 50))


async def test_sizes_are_people(shelf: Shelf) -> None:
    """Each person counts once in a segment, however often and on how many days; others' segments are not counted."""
    for n in range(50):
        for event in (1, 2):
            await shelf.store.observe(n.to_bytes(16, "big"), SHOP, [seen(event)], NOW_S)
    await shelf.store.observe(bytes(16), SHOP, [seen(3, at_s=NOW_S + DAY_S)], NOW_S + DAY_S)
    await shelf.store.observe(ONE, STORE, [seen(1)], NOW_S)
    sizes = await shelf.store.sizes("shop", ["viewers", "buyers", "unknown"], NOW_S + DAY_S)
    assert 45 <= sizes["viewers"] <= 55
    assert (sizes["buyers"], sizes["unknown"]) == (0, 0)
    assert await shelf.store.sizes("store", ["viewers"], NOW_S) == {"viewers": 1}
    assert await shelf.store.sizes("shop", ["viewers"], NOW_S + 31 * DAY_S) == {"viewers": 0}


async def test_a_match_leads_to_somebody(shelf: Shelf) -> None:
    """The first row that there is: a person, or the mark of who opted out; nobody where there is none."""
    await shelf.row("exchange/2", TWO)
    await shelf.row("exchange/3", keys.OPTED_OUT)
    assert await shelf.store.resolve(["exchange/1", "exchange/2", "exchange/3"]) == TWO
    assert await shelf.store.resolve(["exchange/3", "exchange/2"]) == keys.OPTED_OUT
    assert await shelf.store.resolve(["exchange/1"]) is None
    assert await shelf.store.resolve([]) is None


async def test_a_server_without_the_scripts_is_taught(redis_server: RealServer) -> None:
    """Scripts that a server has forgotten are sent again."""
    shelf = Shelf(open_client(Stores(redis_url=redis_server.url)), Tally())
    await shelf.store.observe(ONE, SHOP, [seen(1)], NOW_S)
    with redis_server.client() as client:
        client.script_flush()
    assert await shelf.store.observe(ONE, SHOP, [seen(2)], NOW_S) == Observed(kept=1)
    await shelf.close()


async def test_a_person_of_the_writer_is_known(redis_server: RealServer) -> None:
    """A profile that the writer saved is moved on by visits, its matches untouched."""
    client = open_client(Stores(redis_url=redis_server.url))
    shelf = Shelf(client, Tally())
    await shelf.store.observe(ONE, SHOP, [seen(1)], NOW_S)
    known = await shelf.store.known(ONE, "shop")
    assert known.profile is not None
    writer = PeopleWriter(client)
    await writer.save(TWO, {"shop": known.profile}, NOW_S)
    await writer.match("exchange", "uid", TWO, NOW_S)
    await shelf.store.observe(TWO, SHOP, [seen(2)], NOW_S)
    profile = (await shelf.store.known(TWO, "shop")).profile
    assert profile is not None
    assert [product for product, _ in profile.products] == [1, 2]
    assert await shelf.store.resolve(["exchange/uid"]) == TWO
    await shelf.close()
