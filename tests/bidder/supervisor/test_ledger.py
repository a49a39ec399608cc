"""What the supervisor looks at and puts into a ledger before anything is bid."""

import asyncio
import logging
from pathlib import Path

import pytest

from bidder.campaigns.demo import demo_book_path
from bidder.campaigns.load import load_book
from bidder.config import Config
from bidder.settings import Ledger, Stores
from bidder.stores.errors import AddressError
from bidder.supervisor import ledger
from bidder.supervisor.ledger import PLAY_MONEY, fund_demo, misgivings, opened, prepare
from budget.memory_store import MemoryStore
from budget.money import Micros
from budget.store import LedgerDown
from tests.servers import RealServer, eventually

SHOPS = [advertiser.id for advertiser in load_book(demo_book_path()).advertisers]


def told(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    """Messages of a level."""
    return [record.getMessage() for record in caplog.records if record.levelno == level]


async def funded(store: MemoryStore, shop: str) -> int | None:
    """What a wallet was given."""
    return (await store.books(shop)).accounts["wallet"].limit


async def test_a_good_server_raises_no_doubts(own_server: RealServer) -> None:
    """Ours keeps an append-only file and forgets nothing."""
    assert await misgivings(own_server.url) == []


@pytest.mark.parametrize(
    ("setting", "value"),
    [("maxmemory-policy", "allkeys-lru"), ("appendonly", "no"), ("appendfsync", "no")],
)
async def test_what_is_bad_for_money_is_named(own_server: RealServer, setting: str, value: str) -> None:
    """Each setting by itself, with what follows from it; once, however many servers have it."""
    with own_server.client() as client:
        client.config_set(setting, value)
    (doubt,) = await misgivings(f"{own_server.url},{own_server.url}")
    assert doubt.startswith(f"{setting} is {value}: it forgets")


async def test_a_server_that_tells_nothing_is_said(tmp_path: Path) -> None:
    """Where CONFIG is forbidden, the operator is told what to look for."""
    server = RealServer(tmp_path / "store", settings='rename-command CONFIG ""\n')
    server.start()
    try:
        (doubt,) = await misgivings(server.url)
    finally:
        server.close()
    assert doubt.startswith("it does not tell its configuration: see for yourself that maxmemory-policy is ")


async def test_doubts_are_said_loudly_and_once(
    own_server: RealServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A warning for each, with the address; none about a server of our own."""
    with own_server.client() as client:
        client.config_set("appendonly", "no")
    await prepare(Stores(redis_url=own_server.url), given=True, demo=False)
    (warning,) = told(caplog, logging.WARNING)
    assert warning.startswith(f"THE LEDGER AT {own_server.url} MAY LOSE MONEY: appendonly is no")
    caplog.clear()
    await prepare(Stores(redis_url=own_server.url), given=False, demo=False)
    assert not caplog.records


async def test_a_ledger_that_is_down_is_asked_until_it_answers(
    own_server: RealServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error without the password; when it is there, it is looked at and the demo has its money."""
    monkeypatch.setattr(ledger, "RETRY_S", 0.01)
    own_server.kill()
    store = Stores(redis_url=own_server.url.replace("redis://", "redis://:hunter2@"))
    with pytest.raises(LedgerDown):
        await misgivings(store.redis_url)
    preparing = asyncio.create_task(prepare(Stores(redis_url=own_server.url), given=True, demo=True))
    await eventually(lambda: told(caplog, logging.ERROR))
    own_server.restart()
    await preparing
    async with opened(Stores(redis_url=own_server.url)) as real:
        assert await real.advertisers() == sorted(SHOPS)
    assert "hunter2" not in caplog.text


async def test_play_money_comes_once(caplog: pytest.LogCaptureFixture) -> None:
    """Each shop gets it at the first start; a second start, a spent or an own budget changes nothing."""
    store = MemoryStore()
    await store.fund(SHOPS[0], "own", Micros(5))
    await fund_demo(store)
    await fund_demo(store)
    assert [await funded(store, shop) for shop in SHOPS] == [5, *[PLAY_MONEY] * (len(SHOPS) - 1)]
    warnings = told(caplog, logging.WARNING)
    assert len(warnings) == len(SHOPS) - 1
    assert all("play money" in warning for warning in warnings)


async def test_an_address_that_is_none(own_server: RealServer) -> None:
    """It is a mistake of the operator, told as such."""
    with pytest.raises(AddressError):
        async with opened(Stores(redis_url="http://127.0.0.1")):
            pass


def test_a_shared_cluster_is_one_for_the_ledger_too() -> None:
    """Whether a URL is a cluster's is told beside that URL."""
    people, own = Stores(redis_url="redis://p", cluster=True), Ledger(redis_url="redis://l")
    assert Config(stores=people).ledger_store("redis://p").cluster
    assert not Config(stores=people, ledger=own).ledger_store("redis://l").cluster
    assert not Config(stores=Stores(cluster=True)).ledger_store("unix:///embedded").cluster
    assert Config(ledger=Ledger(redis_url="redis://l", cluster=True)).ledger_store("redis://l").cluster
