"""A ledger that waits for its replica: what the replica has not acknowledged is not answered as done."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from msgspec import structs
from redis.asyncio import Redis

from budget.journal import archive
from budget.money import Micros
from budget.redis_store import RedisStore
from budget.store import LedgerDown, Status, Unconfirmed, Waits
from tests.bidder.supervisor.serving import until
from tests.budget.calls import ADV, HOLD_S, PATH, T0, leased, released, request, settlement
from tests.servers import RealServer


@pytest.fixture
def replica(own_server: RealServer, tmp_path: Path) -> Iterator[RealServer]:
    """A replica of the test's own server, in touch with it."""
    replica = RealServer(
        tmp_path / "replica", settings=f"replicaof 127.0.0.1 {own_server.port}\nrepl-diskless-sync-delay 0\n"
    )
    with own_server.client() as client:
        client.config_set("repl-diskless-sync-delay", 0)
        client.config_set("shutdown-timeout", 0)  # of a server whose replica stands still
    replica.start()

    def follows() -> bool:
        with own_server.client() as client:
            client.set("heard of", "")
            return bool(client.wait(1, 1_000) == 1)  # one that is online may be silent for a moment yet

    try:
        until(follows, "a replica in touch")
        yield replica
    finally:
        replica.kill()  # a replica without its primary takes its time to stop
        replica.close()


@pytest.fixture
async def store(own_server: RealServer, replica: RealServer) -> AsyncIterator[RedisStore]:
    """A ledger that waits for one replica."""
    client = Redis.from_url(own_server.url)
    yield RedisStore(client, Waits(1, 300))
    await client.aclose()


async def test_what_a_replica_has_is_done(store: RedisStore, replica: RealServer, tmp_path: Path) -> None:
    """Every verb answers as without waiting, and the replica knows it by then."""
    lease_id = await leased(store)
    assert await store.settle(ADV, [settlement(lease_id, 30)], T0) == [Status.SETTLED]
    assert await store.withdraw(ADV, "w", Micros(5), T0) is Status.DONE
    with replica.client() as client:
        held = client.hgetall(f"ml:{{{ADV}}}:a")
    assert (held[b"wallet|spent"], held[b"wallet|funded"]) == (b"30", b"999995")
    assert sum((await archive(store, tmp_path)).values()) == 4


async def test_what_a_replica_has_not_is_repeated_until_it_has(
    store: RedisStore, replica: RealServer, tmp_path: Path
) -> None:
    """Money out, leases, charges, releases, pauses and the journal are unconfirmed while the replica stands still, and
    so is their repetition, which changes nothing; what may be forgotten is answered. Then each is done, once."""
    lease_id = await leased(store)
    one, two = settlement(lease_id, 30), settlement(lease_id, 40)
    more = request("more", 50, lease_id)
    replica.pause()
    for _ in range(2):
        for call in (
            store.settle(ADV, [one], T0),
            store.release(ADV, [released(two)], T0),
            store.lease(ADV, [more], T0),
            store.fund(ADV, "f", Micros(7), T0),
            store.withdraw(ADV, "w", Micros(5), T0),
            store.pause(ADV, "p", PATH[1], True, T0),
            store.incarnation(),
            archive(store, tmp_path),
        ):
            with pytest.raises(Unconfirmed, match="1 replicas were to have it, and 0 of them said so"):
                await call
    poll = await store.poll(ADV, lease_id >> 32, "", HOLD_S, T0)
    assert poll.grants == 2
    assert await store.give_back(ADV, "g", lease_id, Micros(1), T0) is Status.DONE
    replica.resume()
    assert await store.settle(ADV, [one], T0) == [Status.DUPLICATE]
    assert await store.release(ADV, [released(two)], T0) == [Status.DUPLICATE]
    assert (await store.lease(ADV, [more], T0))[0].granted == 50
    assert await store.fund(ADV, "f", Micros(7), T0) is Status.DONE, "its name waited for the replica"
    with replica.client() as client:
        assert client.hget(f"ml:{{{ADV}}}:a", "wallet|spent") == b"30"


async def test_who_repeats_a_charge_that_another_made_waits_for_it_too(
    store: RedisStore, own_server: RealServer, replica: RealServer
) -> None:
    """A repetition writes nothing, and a connection that wrote nothing has nothing to wait for: it is unconfirmed all
    the same, as where a worker takes over the spool of one that died."""
    lease_id = await leased(store)
    one = settlement(lease_id, 30)
    replica.pause()
    with pytest.raises(Unconfirmed):
        await store.settle(ADV, [one], T0)
    client = Redis.from_url(own_server.url)
    heir = RedisStore(client, Waits(1, 300))
    with pytest.raises(Unconfirmed):
        await heir.settle(ADV, [one], T0)
    replica.resume()
    assert await heir.settle(ADV, [one], T0) == [Status.DUPLICATE]
    await client.aclose()


async def test_who_may_not_write_the_barrier_is_confirmed_nothing(
    store: RedisStore, own_server: RealServer
) -> None:
    """Without the right to it a connection may have written nothing, and WAIT would speak of nothing: what it answers,
    even that all replicas are there, confirms no charge."""
    lease_id = await leased(store)
    one = settlement(lease_id, 30)
    assert await store.settle(ADV, [one], T0) == [Status.SETTLED]
    with own_server.client() as client:
        client.acl_setuser(
            "heir", enabled=True, nopass=True, keys=["ml:*:a", "ml:*:[c-z]*"], commands=["+@all"]
        )
    client = Redis.from_url(own_server.url, username="heir", password="any")
    with pytest.raises(Unconfirmed, match="the write that replicas are asked for was refused"):
        await RedisStore(client, Waits(1, 300)).settle(ADV, [one], T0)
    await client.aclose()


async def test_calls_that_need_no_replica_do_not_share_the_fate_of_those_that_do(
    store: RedisStore, replica: RealServer
) -> None:
    """They go together, and a wrong one is wrong, whether it could be confirmed or not."""
    lease_id = await leased(store)
    asked = request("other", 5, lease_id)
    wrong = structs.replace(asked, path=asked.path[:-1])
    replica.pause()
    with pytest.raises(ValueError, match="PATH"):
        await store.lease(ADV, [wrong], T0)
    replica.resume()


async def test_a_server_that_dies_while_replicas_are_waited_for_is_down(
    store: RedisStore, own_server: RealServer, replica: RealServer
) -> None:
    """LedgerDown, as of any server that is gone."""
    lease_id = await leased(store)
    own_server.kill()
    with pytest.raises(LedgerDown):
        await store.settle(ADV, [settlement(lease_id, 30)], T0)
