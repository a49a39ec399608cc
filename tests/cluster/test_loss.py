"""What is lost when a primary dies with writes that its replica never saw; with `wait_replicas`: nothing.

Shapes: `Trader` is a worker's money: the treasurer and the allowance of the real service, on the cluster.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bidder.audience.frequency import Verdict
from bidder.audience.identity import Lookup
from bidder.campaigns.caps import ADVERTISER, Cap
from bidder.clock import SystemClock
from bidder.keys import field_name
from bidder.metrics import Tally
from bidder.settings import Stores
from bidder.spending.exposures import PeopleLogs
from bidder.spending.sightings import Sighting, Verb
from bidder.spending.sizing import Rules
from bidder.spending.treasurer import Treasurer
from bidder.stores.cluster import open_source
from bidder.stores.keys import person_tag
from bidder.stores.people import PeopleReader
from bidder.stores.people_writer import open_client
from budget.accounts import WALLET, Limits
from budget.allowance import Allowance
from budget.audit import audit
from budget.journal import archive
from budget.money import Micros
from budget.redis_store import RedisStore
from budget.store import LedgerDown, Settlement, Status, Unconfirmed, Waits
from tests.cluster.shards import Shards

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

SHOP = "shop"
PERSON = bytes(range(16))
FUNDS = 100_000
PRICE = 1_000
LINE = 7
PATH = (WALLET, "campaign/c", "line/1")
SAFE = Waits(1, 100)
RULES = Rules(hold_s=300.0, poll_s=0.0, idle_poll_s=0.0, bids=10, horizon_s=60.0)
_ids = count(1)


class Trader:
    """One worker's hand on the money."""

    def __init__(self, store: RedisStore) -> None:
        self.store, self.tally, self.allowance = store, Tally(), Allowance()
        self.allowance.adopt({LINE: (SHOP, Limits("c", "1", ZoneInfo("UTC")))})
        self.treasurer = Treasurer(store, self.allowance, SystemClock(), self.tally, RULES)

    async def step(self) -> None:
        """A round, whenever the last one failed."""
        for desk in self.treasurer._desks.values():
            desk.retry_s = 0.0
        await self.treasurer.step(time.time())

    def bid(self) -> Settlement | None:
        """A bid, if there is money: what it will be billed."""
        now_s = int(time.time())
        lease = self.allowance.reserve(LINE, Micros(PRICE), now_s, now_s + 200)
        if not lease:
            return None
        bid_id = next(_ids).to_bytes(12, "big")
        return Settlement(bid_id, lease, Micros(PRICE), Micros(PRICE), now_s + 200, PATH)

    async def bids(self, most: int) -> list[Settlement]:
        """Bids, as many as there is money for, with rounds in between."""
        made: list[Settlement] = []
        for _ in range(8):
            while len(made) < most and (one := self.bid()):
                made.append(one)
            if len(made) == most:
                break
            await self.step()
        return made

    @property
    def began_anew(self) -> int:
        """How often it noticed that its leases are none."""
        return self.tally.cells[self.tally.slot("paceline_leases_lost_total")]


@asynccontextmanager
async def ledger(shards: Shards, waits: Waits) -> AsyncIterator[RedisStore]:
    """The ledger on the cluster."""
    client = open_client(Stores(redis_url=shards.urls))
    try:
        yield RedisStore(client, waits)
    finally:
        await client.aclose()


async def done(trader: Trader, asked: list[Settlement]) -> list[Status]:
    """Charge, however often it must be asked for."""
    while True:
        try:
            return await trader.store.settle(SHOP, asked)
        except LedgerDown:
            await asyncio.sleep(0.05)


async def test_without_waiting_what_the_replica_never_saw_is_lost_and_nothing_is_overspent(
    tmp_path: Path, shards: Shards
) -> None:
    """Settled charges, leases and money of the window are gone. A lost lease is bid out of until its worker asks the
    next time, then it begins anew, though others have written on. What was promised twice is at most what was granted
    and charged in the window, and no advertiser pays for it: it is absorbed where there is no room. The audit says what
    is gone."""
    async with ledger(shards, Waits()) as store:
        await store.fund(SHOP, "first", Micros(FUNDS))
        one, two = Trader(store), Trader(store)
        kept = await one.bids(3)
        assert await store.settle(SHOP, kept) == [Status.SETTLED] * 3
        await asyncio.to_thread(shards.whole)
        replica = await asyncio.to_thread(shards.cut, SHOP)
        before = await store.books(SHOP)
        gone = await one.bids(5)
        assert await store.settle(SHOP, gone) == [Status.SETTLED] * 5
        await one.step()
        await store.fund(SHOP, "lost", Micros(50_000))
        risky = await one.bids(12)  # out of leases of the window, too
        after = await store.books(SHOP)
        window = granted(after) - granted(before)
        assert window > 0
        await archive(store, tmp_path)
        await asyncio.to_thread(shards.lose, SHOP, replica)
        await asyncio.to_thread(shards.mend)
        back = await store.books(SHOP)
        assert back.accounts[WALLET].limit == FUNDS
        assert back.accounts[WALLET].spent == 3 * PRICE
        others = await two.bids(1_000)
        assert await done(two, others) == [Status.SETTLED] * len(others)
        assert (await store.books(SHOP)).sequence > after.sequence, "the journal is longer than ever"
        risky += [bid for bid in iter(one.bid, None) if bid]
        statuses = await done(one, risky)
        await one.step()
        assert one.began_anew == 1
        assert two.began_anew == 0
        promised = (3 + len(gone) + len(risky) + len(others)) * PRICE
        wallet = (await store.books(SHOP)).accounts[WALLET]
        assert wallet.spent + wallet.leased <= FUNDS, "nobody pays more than there was"
        assert promised - FUNDS <= window + len(gone) * PRICE
        assert wallet.absorbed == PRICE * statuses.count(Status.ABSORBED) <= window
        await archive(store, tmp_path)
        found = await audit(store, tmp_path, SHOP)
        assert any("forgotten" in finding.what for finding in found.findings)
        assert not any(found.overspend.values())
        lost = len(gone) * PRICE
        print(
            f"\nlost: {len(gone)} charges of {lost}, {window} granted, 50000 funded;"
            f" promised {promised} of {FUNDS}, absorbed {wallet.absorbed}"
        )


async def test_waiting_for_the_replica_loses_nothing(tmp_path: Path, shards: Shards) -> None:
    """What the replica has not is no money yet, no charge yet and no funding yet; after its primary's death the same
    requests are granted and charged once, promises are within the funds, and the audit is clean."""
    async with ledger(shards, SAFE) as store:
        await store.fund(SHOP, "first", Micros(FUNDS))
        one, two = Trader(store), Trader(store)
        kept = await one.bids(3)
        assert await done(one, kept) == [Status.SETTLED] * 3
        await asyncio.to_thread(shards.whole)
        replica = await asyncio.to_thread(shards.cut, SHOP)
        held = (await store.books(SHOP)).accounts[WALLET].leased
        made = await one.bids(1_000)
        assert len(made) * PRICE <= held, "bids out of what the replica knows"
        with pytest.raises(Unconfirmed):
            await store.settle(SHOP, made[:5])
        with pytest.raises(LedgerDown):
            await store.fund(SHOP, "more", Micros(50_000))
        with pytest.raises(Unconfirmed):
            await archive(store, tmp_path)
        await one.step()
        await asyncio.to_thread(shards.lose, SHOP, replica)
        await asyncio.to_thread(shards.mend)
        assert await done(one, made) == [Status.SETTLED] * len(made)
        assert await done(one, made) == [Status.DUPLICATE] * len(made)
        assert await store.fund(SHOP, "more", Micros(50_000)) is Status.DONE
        first, second = await one.bids(1_000), await two.bids(1_000)
        assert await done(one, first) == [Status.SETTLED] * len(first)
        assert await done(two, second) == [Status.SETTLED] * len(second)
        promised = (3 + len(made) + len(first) + len(second)) * PRICE
        wallet = (await store.books(SHOP)).accounts[WALLET]
        assert promised == wallet.spent <= FUNDS + 50_000
        assert wallet.absorbed == 0
        await archive(store, tmp_path)
        assert not (await audit(store, tmp_path, SHOP)).findings


async def test_views_that_the_replica_never_saw_are_shown_once_more(shards: Shards) -> None:
    """People's stores are never waited for: a view of the window is forgotten, so that person can be shown as many ads
    above the cap as were shown in the window, and no more; earlier views stand."""
    tally = Tally()
    stores = Stores(redis_url=shards.urls, read_timeout_ms=30_000)
    source = await open_source(stores, tally)
    logs = PeopleLogs(source, tally, SystemClock())
    tag = person_tag(PERSON)
    await logs.apply([_view(1)])
    await asyncio.to_thread(shards.whole)
    replica = await asyncio.to_thread(shards.cut, tag)
    await logs.apply([_view(2), _view(3)])
    assert await _views(stores) == 3
    await asyncio.to_thread(shards.lose, tag, replica)
    await asyncio.to_thread(shards.mend)
    assert await _views(stores) == 1
    await source.close()


def _view(number: int) -> Sighting:
    now_s = time.time()
    bid_id = number.to_bytes(4, "little") + bytes(8)
    return Sighting(Verb.VIEW, PERSON, False, SHOP, bid_id, 1, 1, 1, 3_600, now_s, int(now_s) + 900)


async def _views(stores: Stores) -> int:
    """How many views of one person are known: the highest cap that is reached."""
    source = await open_source(stores, Tally())
    reader = PeopleReader(source, stores, Tally())
    reading = await reader.read([Lookup(PERSON)], 1 << 62, [1])
    await source.close()
    (exposure,) = reading.exposures
    assert exposure is not None
    caps = range(1, 9)
    reached = [
        most
        for most in caps
        if exposure.verdict(field_name(SHOP), (Cap(ADVERTISER, 0, most, 3_600),)) is Verdict.REACHED
    ]
    return max(reached, default=0)


def granted(books: object) -> int:
    """All that live leases were ever granted."""
    return sum(lease.granted for lease in books.leases.values())  # type: ignore[attr-defined]  # Books
