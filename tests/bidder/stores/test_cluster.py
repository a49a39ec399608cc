"""Reads from a real cluster of three masters: routing, moved slots, a lost node."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest

from bidder.audience.frequency import BidRecord, Verdict
from bidder.audience.identity import Lookup, match_key
from bidder.audience.person import Person, Profile
from bidder.campaigns.caps import ADVERTISER, Cap
from bidder.clock import SystemClock
from bidder.metrics import Tally
from bidder.settings import Stores
from bidder.spending.exposures import PeopleLogs
from bidder.spending.sightings import Sighting, Verb
from bidder.stores import cluster as module
from bidder.stores import keys
from bidder.stores.address import parse
from bidder.stores.cluster import Cluster, open_source
from bidder.stores.connection import Connection
from bidder.stores.errors import StoreDown
from bidder.stores.frequency_writer import FrequencyWriter
from bidder.stores.people import PeopleReader, ReadStatus
from bidder.stores.people_writer import PeopleWriter, open_client
from tests.nodes import NODES, Nodes
from tests.servers import RealServer, eventually

FAR_NS = 1 << 62
NOW_S = 1_790_000_000.0
PEOPLE = [i.to_bytes(16, "big") for i in range(64)]
LOOKUPS = [Lookup(person) for person in PEOPLE]
_NO_AFFINITY = np.zeros(0, np.float16)


def _owner(person_id: bytes) -> int:
    return keys.tag_slot(keys.person_tag(person_id)) * NODES // keys.SLOTS


@pytest.fixture
async def writer(nodes: Nodes) -> AsyncIterator[PeopleWriter]:
    """A writer that knows all nodes; nothing stands in them, no guard of an erasure either."""
    for node in range(NODES):
        nodes.ask(node, "FLUSHALL")
    client = open_client(Stores(redis_url=nodes.urls))
    yield PeopleWriter(client)
    await client.aclose()


@pytest.fixture
async def source(nodes: Nodes, writer: PeopleWriter, tally: Tally) -> AsyncIterator[Cluster]:
    """A Cluster that knows one node and finds the others; 64 people and their matches stand in it."""
    await writer.save_many(((person, {"shop": Profile(1, _NO_AFFINITY)}) for person in PEOPLE), NOW_S)
    for i, person in enumerate(PEOPLE):
        await writer.match("exchange", str(i), person, NOW_S)
    source = await open_source(Stores(redis_url=nodes.servers[0].url, cluster=True), tally)
    assert isinstance(source, Cluster)
    yield source
    await source.close()


def _seen(person: bytes) -> Sighting:
    now_s, bid_id = time.time(), (1).to_bytes(4, "little") + bytes(8)
    return Sighting(Verb.VIEW, person, False, "shop", bid_id, 1, 1, 1, 3_600, now_s, int(now_s) + 900)


def _people(people: Sequence[Person | None]) -> list[bytes | None]:
    return [person.id if person is not None else None for person in people]


async def test_people_of_all_nodes(source: Cluster, nodes: Nodes, tally: Tally) -> None:
    """People and matches are read from whichever node holds them, without a redirection; slots are the server's."""
    assert {_owner(person) for person in PEOPLE} == {0, 1, 2}
    tag = keys.person_tag(PEOPLE[5])
    for key in (keys.person_key(tag), keys.match_key(tag)):
        assert nodes.ask(0, "CLUSTER", "KEYSLOT", key) == keys.tag_slot(tag)
    assert source.ready
    reader = PeopleReader(source, Stores(read_timeout_ms=30_000), tally)
    reading = await reader.read(LOOKUPS, FAR_NS)
    assert (reading.status, _people(reading.people)) == (ReadStatus.OK, PEOPLE)
    by_match = [Lookup(None, (match_key("exchange", str(i)),)) for i in range(len(PEOPLE))]
    reading = await reader.read(by_match, FAR_NS)
    assert (reading.status, _people(reading.people)) == (ReadStatus.OK, PEOPLE)
    assert tally.cells[tally.slot("paceline_store_moved_total")] == 0
    assert source.in_flight == 0


async def test_a_moved_slot_is_followed(source: Cluster, nodes: Nodes, tally: Tally) -> None:
    """While a slot moves (ASK) and after it has (MOVED), its person is read at once; then the map is known."""
    reader = PeopleReader(source, Stores(read_timeout_ms=30_000), tally)
    person = PEOPLE[0]
    tag = keys.person_tag(person)
    slot, old = keys.tag_slot(tag), _owner(person)
    new = (old + 1) % NODES
    nodes.migrate(slot, keys.person_key(tag), old, new)
    reading = await reader.read(LOOKUPS, FAR_NS)
    assert (reading.status, _people(reading.people)) == (ReadStatus.OK, PEOPLE)
    moved = tally.slot("paceline_store_moved_total")
    assert tally.cells[moved] == 1
    nodes.give(slot, old, new)
    reading = await reader.read([Lookup(person)], FAR_NS)
    assert (reading.status, _people(reading.people)) == (ReadStatus.OK, [person])
    assert tally.cells[moved] == 2
    await eventually(lambda: source._slots[slot] is source._nodes["127.0.0.1", nodes.servers[new].port])
    reading = await reader.read([Lookup(person)], FAR_NS)
    assert reading.status is ReadStatus.OK
    assert tally.cells[moved] == 2
    nodes.migrate(slot, keys.person_key(tag), new, old)
    nodes.give(slot, new, old)
    nodes.agree()


async def test_erasure_crosses_nodes(source: Cluster, writer: PeopleWriter, tally: Tally) -> None:
    """A person and the matches are erased wherever they stand."""
    assert await writer.erase(PEOPLE[7]) == 2
    reader = PeopleReader(source, Stores(read_timeout_ms=30_000), tally)
    reading = await reader.read([LOOKUPS[7], Lookup(None, (match_key("exchange", "7"),))], FAR_NS)
    assert (reading.status, reading.people) == (ReadStatus.OK, [None, None])


async def test_a_lost_node_takes_only_its_own(source: Cluster, nodes: Nodes, tally: Tally) -> None:
    """With one node gone the people of the others are still read, with the status DOWN and the breaker closed;
    when it is back, all are."""
    reader = PeopleReader(source, Stores(read_timeout_ms=30_000, breaker_failures=2), tally)
    nodes.servers[1].kill()
    await eventually(lambda: not source.ready)
    for _ in range(5):
        reading = await reader.read(LOOKUPS, FAR_NS)
        assert reading.status is ReadStatus.DOWN
        assert _people(reading.people) == [p if _owner(p) != 1 else None for p in PEOPLE]
    nodes.servers[1].restart()
    nodes.agree()
    await eventually(lambda: source.ready)
    reading = await reader.read(LOOKUPS, FAR_NS)
    assert (reading.status, _people(reading.people)) == (ReadStatus.OK, PEOPLE)


async def test_a_paused_node_delays_only_its_own(source: Cluster, nodes: Nodes, tally: Tally) -> None:
    """With one node silent the others' people are there at the deadline, and the missing replies are counted."""
    reader = PeopleReader(source, Stores(read_timeout_ms=200, breaker_failures=2), tally)
    nodes.servers[2].pause()
    reading = await reader.read(LOOKUPS, FAR_NS)
    nodes.servers[2].resume()
    assert reading.status is ReadStatus.LATE
    silent = [p for p in PEOPLE if _owner(p) == 2]
    assert _people(reading.people) == [None if p in silent else p for p in PEOPLE]
    assert tally.cells[tally.slot("paceline_people_abandoned_total")] == len(silent)


async def test_a_stale_map_waits_for_a_new_one(
    source: Cluster, tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read sent to a node that we do not know is parked until the map is read anew, up to the bound."""
    reader = PeopleReader(source, Stores(read_timeout_ms=30_000), tally)
    place = next(place for place, node in source._nodes.items() if node is source._slots[0])
    await source._nodes.pop(place).close()
    source._slots = list(source._nodes.values())[:1] * keys.SLOTS
    reading = await reader.read(LOOKUPS, FAR_NS)
    assert (reading.status, _people(reading.people)) == (ReadStatus.OK, PEOPLE)
    await source._nodes.pop(place).close()
    source._slots = list(source._nodes.values())[:1] * keys.SLOTS
    monkeypatch.setattr(module, "MAX_PARKED", 0)
    assert (await reader.read(LOOKUPS, FAR_NS)).status is ReadStatus.DOWN


async def test_no_cluster_at_all(tally: Tally, own_server: RealServer) -> None:
    """Without a node `open` returns, reads are refused at once, and closing is in order."""
    own_server.kill()
    source = Cluster([parse(own_server.url)], 100, tally)
    assert not await source.open()
    with pytest.raises(StoreDown):
        source.submit([keys.read_person(b"0" * 32)], [b"0" * 32], lambda batch: None)
    await source.close()


async def test_one_url_is_one_connection(redis_server: RealServer, tally: Tally) -> None:
    """Without `cluster` a single URL is a plain Connection."""
    source = await open_source(Stores(redis_url=redis_server.url), tally)
    assert isinstance(source, Connection)
    assert source.ready
    await source.close()


async def test_views_cross_nodes(source: Cluster, nodes: Nodes, tally: Tally) -> None:
    """Views, holds and marks are written and read at whichever node has the person; each node is taught the scripts;
    a slot that moves is followed."""
    for node in range(NODES):
        nodes.ask(node, "SCRIPT", "FLUSH")
    reader = PeopleReader(source, Stores(read_timeout_ms=30_000), tally)
    writer, logs = FrequencyWriter(source, tally), PeopleLogs(source, tally, SystemClock())
    caps = (Cap(ADVERTISER, 0, 1, 3_600),)
    reading = await reader.read(LOOKUPS, FAR_NS, [1] * len(LOOKUPS))
    assert (reading.status, _people(reading.people)) == (ReadStatus.OK, PEOPLE)
    for exposure in reading.exposures:
        assert exposure is not None
        assert exposure.verdict(b"a:shop", caps) is Verdict.PASSES
        exposure.held.append(BidRecord(b"a:shop", 1, 1, 1, 1, 3_600))
    writer.finish(reading.exposures, 60)
    await eventually(lambda: not source.in_flight and not writer.kept)
    await logs.apply([_seen(person) for person in PEOPLE[::2]])
    by_match = [Lookup(None, (match_key("exchange", str(i)),)) for i in range(len(PEOPLE))]
    for lookups in (LOOKUPS, by_match):
        reading = await reader.read(lookups, FAR_NS, [1] * len(lookups))
        assert reading.status is ReadStatus.OK
        found = [exposure and exposure.verdict(b"a:shop", caps) for exposure in reading.exposures]
        assert found == [Verdict.REACHED, Verdict.HELD] * (len(PEOPLE) // 2)
        writer.finish(reading.exposures, 60)
        await eventually(lambda: not source.in_flight)
    person = PEOPLE[2]
    slot, old = keys.tag_slot(keys.person_tag(person)), _owner(person)
    wrong = (old + 1) % NODES
    source._slots[slot] = source._nodes["127.0.0.1", nodes.servers[wrong].port]
    reading = await reader.read([Lookup(person)], FAR_NS, [1])
    (exposure,) = reading.exposures
    assert exposure is not None
    assert exposure.verdict(b"a:shop", caps) is Verdict.REACHED
    for node in range(NODES):
        nodes.ask(node, "FLUSHALL")
