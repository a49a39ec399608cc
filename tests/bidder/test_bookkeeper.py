"""The bookkeeper on a real ledger: one leads, the pace follows the money, the journal reaches the disk."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from bidder.bookkeeper import SILENT_S, Bookkeeper
from bidder.config import Announcement, Config, WorkerSetup
from bidder.metrics import Tally
from bidder.settings import Ledger
from bidder.spending.board import Board
from bidder.stores.embedded import EmbeddedServer
from bidder.treasury import rules_of
from budget.accounts import Level
from budget.audit import audit
from budget.money import Micros
from budget.redis_store import RedisStore
from budget.store import KEEP_S, LeaseRequest, Status
from tests.bidder.campaigns.written import BOOK

LEASE = 1 << 32 | 1
OLD_DAY = "line/viewers/day/2020-01-01"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedServer]:
    async with EmbeddedServer(tmp_path / "ledger") as running:
        yield running


class Desk:
    """A bookkeeper with its folder, over a ledger."""

    def __init__(self, folder: Path, url: str, name: str = "one") -> None:
        (folder / "book.yaml").write_text(BOOK)
        self.tally = folder / f"{name}.tally"
        self.journal = folder / f"journal-{name}"
        self.reader, writer = os.pipe()
        config = Config(campaigns=str(folder / "book.yaml"), ledger=Ledger(pacing_period_s=0.2))
        self.keeper = Bookkeeper(
            config,
            WorkerSetup(
                slot=1,
                redis_url=url,
                ledger_url=url,
                tally_path=str(self.tally),
                token_keys=((1, bytes(32)),),
                exchange_port=1,
                public_port=2,
                base_url="http://127.0.0.1",
                announce_fd=writer,
                journal_dir=str(self.journal),
            ),
        )

    def gauge(self, name: str) -> list[int]:
        return [value for cell, value in Tally(self.tally).samples() if cell.name == name]

    def labelled(self, name: str) -> dict[tuple[str, ...], int]:
        return {cell.labels: value for cell, value in Tally(self.tally).samples() if cell.name == name}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.keeper.run())
        try:
            line = await asyncio.to_thread(os.read, self.reader, 1_000)
            assert Announcement(ready=True).ready is (b'"ready":true' in line)
            yield
        finally:
            self.keeper._stopping.set()
            await task


def _funded(*desks: Desk) -> list[list[int]]:
    return [desk.gauge("paceline_wallet_funded_micros") for desk in desks]


async def _until(look: object, what: str) -> None:
    for _ in range(600):
        if look() if callable(look) else False:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"waited in vain for {what}")


async def _spend(store: RedisStore, account: str) -> None:
    """A wallet with money, a lease along a path that ends in an account, and most of it given back."""
    await store.fund("shop", "gift", Micros(1_000_000))
    path = (Level("wallet"), Level("campaign/spring"), Level("line/viewers"), Level(account, Micros(500_000)))
    request = LeaseRequest("op", 1, LEASE, path, Micros(9_000), Micros(9_000), 900.0)
    (grant,) = await store.lease("shop", [request])
    assert grant.status is Status.DONE
    assert await store.give_back("shop", "back", LEASE, Micros(9_000)) is Status.DONE


async def test_it_paces_and_tells(tmp_path: Path, server: EmbeddedServer) -> None:
    """A pace for every line item stands on the board, wallets and line items are gauges, the journal is on disk and
    proves the books; an account of a day long over is gone."""
    client = Redis.from_url(server.url)
    store = RedisStore(client)
    await _spend(store, OLD_DAY)
    desk = Desk(tmp_path, server.url)
    async with desk.running():
        await _until(lambda: desk.gauge("paceline_wallet_funded_micros") == [1_000_000], "a wallet's gauge")
        paces = await Board(client).paces()
        assert paces is not None
        assert len(paces.keys) == 1
        assert desk.gauge("paceline_line_item_budget_micros") == [10_000_000]
        await _until(lambda: desk.gauge("paceline_journal_archived_timestamp_seconds"), "an archive")
    assert OLD_DAY not in await store.accounts("shop")
    assert list((desk.journal / "shop").glob("*.jsonl"))
    assert (await audit(store, desk.journal, "shop")).findings == ()
    await client.aclose()


async def test_it_sends_home_what_a_dead_worker_held(tmp_path: Path, server: EmbeddedServer) -> None:
    """Of an advertiser that no campaign file names any more, whose leases no worker looks after."""
    store = RedisStore.connect(server.url)
    long_ago_s = time.time() - KEEP_S - 2
    await store.fund("gone", "gift", Micros(1_000), long_ago_s)
    for worker, hold_s in ((1, 0.0), (2, 3_600.0)):
        path, lease = (Level("wallet"),), worker << 32 | 1
        request = LeaseRequest(f"{worker}", worker, lease, path, Micros(400), Micros(400), hold_s)
        (grant,) = await store.lease("gone", [request], long_ago_s)
        assert grant.granted == 400
    desk = Desk(tmp_path, server.url)
    async with desk.running():
        await _until(lambda: desk.gauge("paceline_journal_archived_timestamp_seconds"), "an archive")
    assert list((await store.books("gone")).leases) == [2 << 32 | 1]
    assert await store.withdraw("gone", "back", Micros(600)) is Status.DONE
    await store.close()


async def test_it_tells_what_is_stranded(tmp_path: Path, server: EmbeddedServer) -> None:
    """Money of a worker that has been silent for a minute, by the advertiser's currency; not that of one who is there;
    and nothing once it is home."""
    store = RedisStore.connect(server.url)
    silent_s = time.time() - 2 * SILENT_S
    await store.fund("shop", "gift", Micros(1_000), silent_s)
    hold_s = rules_of(Config()).hold_s
    for worker, at_s in ((1, silent_s), (2, 0.0)):
        path, lease = (Level("wallet"),), worker << 32 | 1
        request = LeaseRequest(f"{worker}", worker, lease, path, Micros(300), Micros(300), hold_s)
        (grant,) = await store.lease("shop", [request], at_s)
        assert grant.granted == 300
    desk = Desk(tmp_path, server.url)
    async with desk.running():
        await _until(lambda: desk.gauge("paceline_wallet_funded_micros"), "its lead")
        await desk.keeper._seek()
        assert desk.labelled("paceline_money_stranded_micros") == {("EUR",): 300}
        assert await store.give_back("shop", "back", 1 << 32 | 1, Micros(300)) is Status.DONE
        await desk.keeper._seek()
        assert desk.labelled("paceline_money_stranded_micros") == {("EUR",): 0}
    await store.close()


async def test_one_of_two_leads(tmp_path: Path, server: EmbeddedServer) -> None:
    """The second tells nothing while the first leads, and takes over when the first is gone."""
    client = Redis.from_url(server.url)
    await RedisStore(client).fund("shop", "gift", Micros(77))
    one, two = Desk(tmp_path, server.url, "one"), Desk(tmp_path, server.url, "two")
    async with two.running():
        async with one.running():
            await _until(
                lambda: (
                    [77]
                    in (
                        one.gauge("paceline_wallet_funded_micros"),
                        two.gauge("paceline_wallet_funded_micros"),
                    )
                ),
                "a leader",
            )
            told = [desk.gauge("paceline_wallet_funded_micros") for desk in (one, two)]
            assert sorted(told) == [[], [77]]
        await _until(lambda: two.gauge("paceline_wallet_funded_micros") == [77], "the second to lead")
    await client.aclose()


async def test_a_ledger_that_comes_back_is_paced_again(tmp_path: Path) -> None:
    """It waits out an outage and goes on."""
    folder = tmp_path / "ledger"
    async with EmbeddedServer(folder) as server:
        desk = Desk(tmp_path, server.url)
        first = RedisStore.connect(server.url)
        await first.fund("shop", "gift", Micros(5))
        await first.close()
        async with desk.running():
            await _until(lambda: desk.gauge("paceline_wallet_funded_micros") == [5], "a gauge")
            await asyncio.to_thread(server.close)
            await asyncio.sleep(0.5)
            server.start()
            second = RedisStore.connect(server.url)
            await second.fund("shop", "more", Micros(6))
            await _until(lambda: desk.gauge("paceline_wallet_funded_micros") == [11], "the new sum")
            await second.close()


async def test_a_bad_campaign_file_changes_nothing(tmp_path: Path, server: EmbeddedServer) -> None:
    """Reloading what does not load keeps the line items that were there; a good file brings others."""
    desk = Desk(tmp_path, server.url)
    async with desk.running():
        (tmp_path / "book.yaml").write_text("advertisers: 1")
        desk.keeper.reload()
        await desk.keeper._reloading
        assert [line.id for line in desk.keeper._lines] == ["viewers"]
        (tmp_path / "book.yaml").write_text(BOOK.replace("viewers", "others"))
        desk.keeper.reload()
        await desk.keeper._reloading
        assert [line.id for line in desk.keeper._lines] == ["others"]
        (tmp_path / "book.yaml").write_text(BOOK.replace("currency: EUR", "currency: JPY"))
        desk.keeper.reload()
        await desk.keeper._reloading
        assert [line.id for line in desk.keeper._lines] == ["others"]
