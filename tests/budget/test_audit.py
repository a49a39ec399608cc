"""The audit proves true books, and finds what was done to false ones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from budget.audit import Audit, audit
from budget.journal import archive
from budget.money import Micros
from budget.redis_store import RedisStore
from tests.budget.calls import ADV, DAY, FUNDS, T0, leased, request, settlement
from tests.servers import RealServer

KEY = f"ml:{{{ADV}}}:"


@pytest.fixture
async def store(redis_server: RealServer) -> AsyncIterator[RedisStore]:
    """A ledger with some history: a lease, a settlement, late money, absorbed money."""
    store = RedisStore.connect(redis_server.url)
    lease_id = await leased(store, 1_000)
    await store.settle(ADV, [settlement(lease_id, 100)], T0)
    await store.settle(ADV, [settlement(lease_id, 7)], T0 + 61)
    await store.lease(ADV, [request("lower", 1, lease_id, 1_000)], T0 + 62)
    await store.settle(ADV, [settlement(lease_id, 9)], T0 + 63)
    yield store
    await store.close()


def said(proof: Audit) -> list[tuple[str, str]]:
    """Findings as pairs."""
    return [(finding.subject, finding.what) for finding in proof.findings]


async def test_true_books_are_proven(store: RedisStore, tmp_path: Path) -> None:
    """Without findings, with the totals; before and after the journal went to the disk."""
    for _ in range(2):
        proof = await audit(store, tmp_path, ADV)
        assert said(proof) == []
        assert (proof.funded, proof.spent, proof.late) == (FUNDS, 107, 7)
        assert (proof.absorbed, proof.leased, proof.entries) == (9, 900, 6)
        assert proof.overspend == {"wallet": 0, DAY: 0}
        await archive(store, tmp_path)


async def test_a_balance_changed_by_hand_is_named(
    store: RedisStore, redis_server: RealServer, tmp_path: Path
) -> None:
    """The account, what it holds, and what it should."""
    with redis_server.client() as client:
        client.hincrby(f"{KEY}a", f"{DAY}|spent", -5)
    assert said(await audit(store, tmp_path, ADV)) == [
        (DAY, "spent is 102 in the books and 107 by the journal")
    ]


async def test_an_account_that_was_slipped_in_or_taken_out_is_named(
    store: RedisStore, redis_server: RealServer, tmp_path: Path
) -> None:
    """Both ways round."""
    with redis_server.client() as client:
        client.hset(f"{KEY}a", "line/ghost|spent", 1)
        client.hdel(f"{KEY}a", *(f"line/l|{what}" for what in ("leased", "spent", "late")))
    assert said(await audit(store, tmp_path, ADV)) == [
        ("line/ghost", "stands in the books alone"),
        ("line/l", "stands in the journal alone"),
    ]


async def test_a_lease_changed_by_hand_is_named(
    store: RedisStore, redis_server: RealServer, tmp_path: Path
) -> None:
    """A worker cannot be given more than the journal says."""
    with redis_server.client() as client:
        lease = next(iter((await store.books(ADV)).leases))
        client.hincrby(f"{KEY}x:{lease:016x}", "left", 50)
    assert said(await audit(store, tmp_path, ADV)) == [
        (f"lease {lease:x}", "left is 950 in the books and 900 by the journal")
    ]


async def test_a_missing_entry_is_found(store: RedisStore, redis_server: RealServer, tmp_path: Path) -> None:
    """By its number, and by what no longer adds up without it."""
    with redis_server.client() as client:
        client.xdel(f"{KEY}j", "3-0")
    found = said(await audit(store, tmp_path, ADV))
    assert ("journal", "entries 3 to 3 are missing") in found
    assert ("wallet", "spent is 107 in the books and 7 by the journal") in found


async def test_a_missing_lease_entry_is_found(
    store: RedisStore, redis_server: RealServer, tmp_path: Path
) -> None:
    """What was settled from it has nowhere to come from."""
    with redis_server.client() as client:
        lease = next(iter((await store.books(ADV)).leases))
        client.xdel(f"{KEY}j", "2-0")
    found = said(await audit(store, tmp_path, ADV))
    assert ("journal", "entries 2 to 2 are missing") in found
    assert ("journal", f"entry 3: lease {lease:x} is not there") in found


async def test_a_journal_without_its_end_is_found(
    store: RedisStore, redis_server: RealServer, tmp_path: Path
) -> None:
    """The books are further than the journal."""
    with redis_server.client() as client:
        client.xdel(f"{KEY}j", "6-0")
    assert ("journal", "entries 6 to 6 are missing") in said(await audit(store, tmp_path, ADV))


async def test_what_happens_during_an_audit_is_left_to_the_next(store: RedisStore, tmp_path: Path) -> None:
    """The books of a moment are proven by the journal up to that moment."""

    class Busy(RedisStore):
        async def books(self, advertiser: str):  # type: ignore[no-untyped-def]  # what it wraps is typed
            told = await super().books(advertiser)
            await super().fund(advertiser, "meanwhile", Micros(1), T0)
            return told

    proof = await audit(Busy(store._client), tmp_path, ADV)
    assert (said(proof), proof.entries) == ([], 6)


async def test_a_funding_written_twice_is_found(
    store: RedisStore, redis_server: RealServer, tmp_path: Path
) -> None:
    """Even where the books agree with the journal: the same op cannot count twice, nor the same bid."""
    with redis_server.client() as client:
        for entry_id in ("1-0", "3-0"):
            ((_, fields),) = client.xrange(f"{KEY}j", entry_id, entry_id)
            number = client.hincrby(f"{KEY}c", "n", 1)
            client.xadd(f"{KEY}j", fields, id=f"{number}-0")
    found = [what for subject, what in said(await audit(store, tmp_path, ADV)) if subject == "journal"]
    assert found[0] == "entry 7: funds was counted before"
    assert found[1].startswith("entry 8: bid ")


async def test_spending_above_every_limit_is_an_overspend(
    store: RedisStore, redis_server: RealServer, tmp_path: Path
) -> None:
    """A late charge that no rule allows, written into the journal by hand, is told per account."""
    with redis_server.client() as client:
        number = client.hincrby(f"{KEY}c", "n", 1)
        fields = {"verb": "late", "at": "0", "bid": "ff", "amount": "1000000", "deadline": "0"}
        client.xadd(f"{KEY}j", {**fields, "accounts": f"wallet\n{DAY}"}, id=f"{number}-0")
    proof = await audit(store, tmp_path, ADV)
    assert proof.overspend == {"wallet": 107, DAY: 107 + 1_000_000 - 400_000}
    assert any("above the highest limit" in what for _, what in said(proof))
