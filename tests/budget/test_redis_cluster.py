"""The ledger on a cluster: every advertiser's keys on one node, each advertiser on its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import RedisCluster

from bidder.stores.embedded import free_port
from budget.audit import audit
from budget.journal import archive
from budget.redis_store import RedisStore
from budget.store import KEEP_S, Status
from tests.budget import calls
from tests.budget.calls import HOLD_S, PATH, T0, leased, released, settlement
from tests.servers import RealServer

SLOTS = 16_384
SETTINGS = "cluster-enabled yes\ncluster-port {bus}\ncluster-require-full-coverage no\n"
ADVERTISERS = [f"shop-{i}" for i in range(8)]


def _complete(told: dict[str, str]) -> bool:
    """Whether a node has heard of every slot, and answers for the cluster."""
    return told["cluster_state"] == "ok" and told["cluster_slots_ok"] == str(SLOTS)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[RedisStore]:
    """A ledger on two masters with half of the slots each."""
    buses = [free_port() for _ in range(2)]
    servers = [RealServer(tmp_path / str(bus), settings=SETTINGS.format(bus=bus)) for bus in buses]
    for i, server in enumerate(servers):
        server.start()
        with server.client() as client:
            client.execute_command("CLUSTER ADDSLOTSRANGE", i * SLOTS // 2, (i + 1) * SLOTS // 2 - 1)
    with servers[0].client() as client:
        client.execute_command("CLUSTER MEET", "127.0.0.1", servers[1].port, buses[1])
    for server in servers:
        with server.client() as client:
            while not _complete(client.execute_command("CLUSTER INFO")):
                pass
    cluster = RedisCluster.from_url(servers[0].url)
    yield RedisStore(cluster)
    await cluster.aclose()
    for server in servers:
        server.close()


async def test_every_verb_works_on_whichever_node_an_advertiser_stands(
    store: RedisStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All keys of a call are declared and hash to one slot; the audit proves the books."""
    for advertiser in ADVERTISERS:
        monkeypatch.setattr(calls, "ADV", advertiser)
        lease_id = await leased(store)
        worker, many = lease_id >> 32, [settlement(lease_id, 10) for _ in range(20)]
        assert set(await store.settle(advertiser, many[:10], T0)) == {Status.SETTLED}
        lost = [released(bid) for bid in many[10:]]
        assert set(await store.release(advertiser, lost, T0)) == {Status.RELEASED}
        poll = await store.poll(advertiser, worker, "", HOLD_S, T0)
        assert len(poll.entries) == 20
        assert await store.pause(advertiser, "p", PATH[1], True, T0) is Status.DONE
        assert await store.give_back(advertiser, "g", lease_id, 100, T0) is Status.DONE
        assert await store.goodbye(advertiser, "b", worker, 1.0, T0) is Status.DONE
        assert await store.reclaim(advertiser, "r", worker, T0 + KEEP_S) is Status.DONE
        assert await store.settle(advertiser, [settlement(lease_id, 5)], T0 + KEEP_S) == [Status.LATE]
        assert await store.close_periods(advertiser, "c", PATH, T0) == 1
        assert await store.withdraw(advertiser, "w", 5, T0) is Status.DONE
    assert await store.advertisers() == ADVERTISERS
    assert set((await archive(store, tmp_path)).values()) == {29}
    for advertiser in ADVERTISERS:
        proof = await audit(store, tmp_path, advertiser)
        assert (proof.findings, proof.spent, proof.leased) == ((), 105, 0)
