"""Opting out, erasure, its proof and the sweep on a cluster: every node is looked at, guards lie where they must."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
import pytest

from bidder.audience.person import Profile
from bidder.clock import ManualClock
from bidder.metrics import Tally
from bidder.rights.erase import Eraser
from bidder.rights.holdings import holdings
from bidder.rights.sweep import rewrite_logs, sweep_store
from bidder.rights.verify import in_store
from bidder.settings import Stores
from bidder.spending.exposures import PeopleLogs
from bidder.spending.sightings import Sighting, Verb
from bidder.stores.cluster import open_source
from bidder.stores.people_writer import PeopleWriter, open_client
from bidder.stores.removal import Client
from bidder.stores.visitors import VisitorStore
from tests.bidder.rights.conftest import NOW_S
from tests.nodes import Nodes

PEOPLE = [bytes([n]) * 16 for n in range(1, 25)]


@pytest.fixture
async def client(nodes: Nodes) -> AsyncIterator[Client]:
    """A cluster in which many are known, two of them by one login."""
    for server in nodes.servers:
        server.flush()
    client = open_client(Stores(redis_url=nodes.urls))
    writer, visitors = PeopleWriter(client), VisitorStore(client, Tally())
    try:
        for number, person in enumerate(PEOPLE):
            await writer.save(person, {"shop": Profile(NOW_S, np.zeros(2, np.float16))}, NOW_S)
            assert await writer.match("exchange", str(number), person, NOW_S)
        for person in PEOPLE[:2]:
            await visitors.join(person, "shop", "ab" * 32, NOW_S)
        yield client
    finally:
        await client.aclose()


async def test_rights_cross_nodes(client: Client, nodes: Nodes) -> None:
    """Each person can be erased and shown to be gone; late views are refused on every node; others stay."""
    source = await open_source(Stores(redis_url=nodes.servers[0].url, cluster=True), Tally())
    logs = PeopleLogs(source, Tally(), ManualClock(NOW_S))
    logs.simulated_ms = lambda: NOW_S * 1_000
    for number, person in enumerate(PEOPLE[1:7]):
        assert await in_store(client, person)
        await Eraser(client).erase(person, NOW_S, "test")
        place = (number, 2, 3, 86_400, float(NOW_S), NOW_S + 900, NOW_S - 9)
        await logs.apply([Sighting(Verb.VIEW, person, False, "shop", bytes([number]) * 12, *place)])
        assert await in_store(client, person) == []
    assert len((await holdings(client, PEOPLE[9], NOW_S)).matches) == 1
    await PeopleWriter(client).opt_out(PEOPLE[0], NOW_S)
    assert await in_store(client, PEOPLE[0]) == []
    assert await PeopleWriter(client).opted_out(PEOPLE[0])
    await source.close()


async def test_the_sweep_meets_every_node(client: Client, nodes: Nodes) -> None:
    """It finds what lies wrong on each, and mends it there."""
    expected = 0
    for server in nodes.servers:
        with server.client() as look:
            expected += int(str(look.dbsize()))
            name = next(iter(look.scan_iter("p:*")))
            look.persist(name)
    found = await sweep_store(client, NOW_S, pause_s=0)
    assert found.keys == expected
    assert (found.violations["p"], found.mended, found.open) == (3, 3, 0)
    assert await rewrite_logs(client) in (True, False)
