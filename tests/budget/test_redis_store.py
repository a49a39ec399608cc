"""The ledger on a real server keeps the contract, and says so when it cannot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from msgspec import structs
from redis.exceptions import ResponseError

from budget.money import Micros
from budget.redis_store import RedisStore, _lease
from budget.scripts import NAMES, source
from budget.store import KEEP_S, MAX_AMOUNT, LeaseRequest, LedgerDown, Status
from tests.budget.calls import ADV, FUNDS, PATH, T0, leased, request, settlement
from tests.budget.contract import StoreContract
from tests.servers import RealServer


@pytest.fixture
async def store(redis_server: RealServer) -> AsyncIterator[RedisStore]:
    """An empty one."""
    store = RedisStore.connect(redis_server.url)
    yield store
    await store.close()


class TestRedisStore(StoreContract):
    """The contract."""


def test_each_script_says_what_it_takes_and_returns() -> None:
    """Headed by its caption, KEYS and ARGV, and what it returns."""
    for name in NAMES:
        text = source(name)
        assert "-- KEYS 4" in text, name
        assert "ARGV 2" in text, name
        assert "-- Returns " in text, name


async def test_scripts_are_loaded_again_where_the_server_forgot_them(
    store: RedisStore, redis_server: RealServer
) -> None:
    """NOSCRIPT in a batch is no error of the caller."""
    lease_id = await leased(store)
    with redis_server.client() as client:
        client.script_flush()
    statuses = await store.settle(ADV, [settlement(lease_id, 1) for _ in range(3)], T0)
    assert statuses == [Status.SETTLED] * 3


async def test_calls_of_one_moment_go_together(store: RedisStore, redis_server: RealServer) -> None:
    """Many callers at once share a round trip; each gets its own answer, and the one that is wrong its own error."""
    lease_id = await leased(store)
    asked = request("other", 5, lease_id)
    other = structs.replace(asked, path=asked.path[:-1])
    with redis_server.client() as client:
        before = client.info("stats")["total_reads_processed"]
        found = await asyncio.gather(
            *(store.poll(ADV, 1, "", 60.0, T0) for _ in range(40)),
            store.pause(ADV, "p", "line/1", True, T0),
            store._scripts.run("lease", *_call(other)),
            return_exceptions=True,
        )
        reads = client.info("stats")["total_reads_processed"] - before
    assert [type(answer).__name__ for answer in found[:40]] == ["Poll"] * 40
    assert found[40] is Status.DONE
    assert isinstance(found[41], ValueError)
    assert reads < 10


def _call(wanted: LeaseRequest) -> tuple[Sequence[str], Sequence[str]]:
    _, keys, args = _lease(ADV, wanted, str(T0))
    return keys, args


async def test_a_ledger_that_lost_its_keys_gives_no_number_twice(
    store: RedisStore, redis_server: RealServer
) -> None:
    """They begin at the second of the epoch, in an empty ledger and in an old copy: a token of before speaks of no
    lease of today."""
    with redis_server.client() as client:
        client.set("ml:incarnations", 41)
        old = await store.incarnation()
        redis_server.flush()
        assert await store.incarnation() >= old > 1_700_000_000
        client.set("ml:incarnations", 4_100_000_000)
        assert await store.incarnation() == 4_100_000_001


async def test_the_clock_is_the_servers_own(store: RedisStore) -> None:
    """Production tells no moment."""
    await store.fund(ADV, "a", FUNDS)
    assert (await store.books(ADV)).clock_s > T0


async def test_every_key_of_an_advertiser_stands_in_its_slot_and_ends(
    store: RedisStore, redis_server: RealServer
) -> None:
    """One hash tag; what is kept by bid or by op has an expiry."""
    lease_id = await leased(store)
    await store.settle(ADV, [settlement(lease_id, 1)], T0)
    with redis_server.client() as client:
        keys = [key.decode() for key in client.scan_iter()]
        assert {key for key in keys if f"{{{ADV}}}" not in key} == {"ml:advertisers", "ml:incarnations"}
        passing = [key for key in keys if ":s:" in key or ":op:" in key]
        assert len(passing) == 2
        assert all(client.ttl(key) > 0 for key in passing)


async def test_a_bug_in_a_call_is_not_taken_for_an_outage(
    store: RedisStore, redis_server: RealServer
) -> None:
    """A server that answers with an error of ours raises that."""
    with redis_server.client() as client:
        client.set(f"ml:{{{ADV}}}:a", "no hash")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await store.fund(ADV, "a", FUNDS, T0)


async def test_a_ledger_without_room_is_down(store: RedisStore, redis_server: RealServer) -> None:
    """noeviction: the server refuses writes, and the caller keeps what it wanted to apply."""
    with redis_server.client() as client:
        client.config_set("maxmemory", 1)
        try:
            with pytest.raises(LedgerDown, match="maxmemory"):
                await store.fund(ADV, "a", FUNDS, T0)
        finally:
            client.config_set("maxmemory", 0)
    assert await store.fund(ADV, "a", FUNDS, T0) is Status.DONE


async def test_a_ledger_that_does_not_let_us_is_down(own_server: RealServer) -> None:
    """Whoever took our permissions away gives them back: no charge is dropped for it."""
    store = RedisStore.connect(own_server.url)
    lease_id = await leased(store)
    one = settlement(lease_id, 30)
    with own_server.client() as client:
        client.execute_command("ACL", "SETUSER", "default", "-evalsha")
        with pytest.raises(LedgerDown, match="evalsha"):
            await store.settle(ADV, [one], T0)
        client.execute_command("ACL", "SETUSER", "default", "+evalsha")
    assert await store.settle(ADV, [one], T0) == [Status.SETTLED]
    await store.close()


class Restless(RedisStore):
    """Between looking up which leases there are and asking for them, one of them goes home."""

    goes_home = 0

    async def _lease_ids(self, advertiser: str, workers: Sequence[int]) -> list[list[str]]:
        found = await super()._lease_ids(advertiser, workers)
        if self.goes_home:
            lease_id, self.goes_home = self.goes_home, 0
            op = f"home-{lease_id}"
            assert await self.give_back(advertiser, op, lease_id, Micros(MAX_AMOUNT), T0) is Status.DONE
        return found


async def test_leases_that_change_meanwhile_are_looked_up_again(redis_server: RealServer) -> None:
    """Books and reclaims are of one moment, and hold every lease of it."""
    store = Restless.connect(redis_server.url)
    lease_id = await leased(store)
    requests = [request(f"op-{i}", 10, lease_id + i) for i in range(1, 4)]
    await store.lease(ADV, requests, T0)
    store.goes_home = lease_id + 1
    assert set((await store.books(ADV)).leases) == {lease_id, lease_id + 2, lease_id + 3}
    store.goes_home = lease_id + 2
    assert await store.reclaim(ADV, "r", lease_id >> 32, T0 + 10 * KEEP_S) is Status.DONE
    books = await store.books(ADV)
    assert (books.leases, {balance.leased for balance in books.accounts.values()}) == ({}, {0})
    (reclaimed,) = (await store.entries(ADV, 0, 100))[-1:]
    assert [held for held, _ in reclaimed.leases] == [lease_id, lease_id + 3]
    await store.close()


async def test_leases_that_never_hold_still_are_an_outage(redis_server: RealServer) -> None:
    """After TRIES the caller is told to come again."""

    class Blind(RedisStore):
        """Never sees a lease."""

        async def _lease_ids(self, advertiser: str, workers: Sequence[int]) -> list[list[str]]:
            return [[] for _ in workers]

    store = Blind.connect(redis_server.url)
    lease_id = await leased(store)
    with pytest.raises(LedgerDown, match="do not hold still"):
        await store.books(ADV)
    with pytest.raises(LedgerDown, match="do not hold still"):
        await store.reclaim(ADV, "r", lease_id >> 32, T0 + 10 * KEEP_S)
    await store.close()


async def test_a_killed_ledger_is_down_and_comes_back_whole(own_server: RealServer) -> None:
    """Every verb raises LedgerDown meanwhile; after a restart the same calls are duplicates."""
    store = RedisStore.connect(own_server.url)
    with own_server.client() as client:
        client.config_set("appendfsync", "always")
    lease_id = await leased(store)
    one = settlement(lease_id, 30)
    await store.settle(ADV, [one], T0)
    before = await store.books(ADV)
    own_server.kill()
    for call in (
        store.incarnation(),
        store.advertisers(),
        store.fund(ADV, "b", Micros(5), T0),
        store.settle(ADV, [one], T0),
        store.books(ADV),
        store.entries(ADV, 0, 5),
        store.trim(ADV, 0),
        store.reclaim(ADV, "r", 1, T0),
    ):
        with pytest.raises(LedgerDown):
            await call
    own_server.restart()
    assert await store.settle(ADV, [one], T0) == [Status.DUPLICATE]
    assert await store.books(ADV) == before
    assert tuple(before.leases[lease_id].path) == PATH
    await store.close()


async def test_a_paused_ledger_is_down_and_applies_late_calls_once(own_server: RealServer) -> None:
    """What was sent twice by the client, and again by the caller, is charged once when the server wakes."""
    store = RedisStore.connect(own_server.url, timeout_s=0.1)
    lease_id = await leased(store)
    one = settlement(lease_id, 30)
    own_server.pause()
    for _ in range(2):
        with pytest.raises(LedgerDown):
            await store.settle(ADV, [one], T0)
        with pytest.raises(LedgerDown):
            await store.lease(ADV, [request("more", 50, lease_id)], T0)
    own_server.resume()
    patient = RedisStore.connect(own_server.url)
    assert await patient.settle(ADV, [one], T0) == [Status.DUPLICATE]
    assert (await patient.lease(ADV, [request("more", 50, lease_id)], T0))[0].granted == 50
    lease = (await patient.books(ADV)).leases[lease_id]
    assert (lease.granted, lease.settled) == (1_050, 30)
    await patient.close()
    await store.close()
