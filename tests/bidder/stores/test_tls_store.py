"""Stores over TLS, with certificates on both sides, on a real server: every kind of client that we have."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from bidder.__main__ import main
from bidder.metrics import Tally
from bidder.settings import Stores
from bidder.stores.cluster import Cluster, open_source
from bidder.stores.connection import Connection
from bidder.stores.errors import AddressError, StoreDown
from bidder.stores.people_writer import open_client
from bidder.supervisor.ledger import misgivings
from budget.money import Micros
from budget.redis_store import RedisStore
from budget.store import LedgerDown
from tests.certificates import Authority
from tests.tls_server import TlsServer, tls_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    """One for the module."""
    with tls_server(tmp_path_factory.mktemp("tls")) as running:
        yield running


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    """A cluster of one."""
    with tls_server(tmp_path_factory.mktemp("node"), cluster=True) as running:
        yield running


async def test_people_are_read_over_tls(server: TlsServer) -> None:
    """Our own multiplexed protocol: many commands in flight, answers in order."""
    source = await open_source(Stores(redis_url=server.url), Tally())
    assert isinstance(source, Connection)
    assert source.ready
    said = await asyncio.gather(*(source.call("ECHO", str(number), timeout_s=30) for number in range(200)))
    assert said == [str(number).encode() for number in range(200)]
    assert await source.call("ECHO", "x" * 1_000_000, timeout_s=30) == b"x" * 1_000_000
    await source.close()


async def test_a_cluster_over_tls(node: TlsServer) -> None:
    """The nodes of its slot map are spoken to as the URL says; so does the client that writes."""
    stores = Stores(redis_url=node.url, cluster=True)
    source = await open_source(stores, Tally())
    assert isinstance(source, Cluster)
    assert source.ready
    await source.close()
    client = open_client(stores)
    await client.set("k", "v")
    assert await client.get("k") == b"v"
    await client.aclose()


async def test_money_over_tls(server: TlsServer) -> None:
    """The ledger's verbs, and the look at how it keeps what it is told."""
    client = open_client(Stores(redis_url=server.url))
    store = RedisStore(client)
    await store.fund("tls", "op", Micros(5))
    assert (await store.books("tls")).accounts["wallet"].limit == 5
    await client.aclose()
    assert "it forgets money" not in str(await misgivings(server.url))


@pytest.mark.parametrize("case", ["authority", "client"])
async def test_who_is_not_trusted_gets_nothing(
    server: TlsServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    """A server that another authority signed, and a client without a certificate: said in clear words, no reads, no
    money, and no path on which a bid could wait."""
    url = server.url_of(server.authority.file, with_client=False)
    if case == "authority":
        url = server.url_of(Authority(tmp_path / "others").file, with_client=True)
    caplog.set_level(logging.WARNING)
    source = await open_source(Stores(redis_url=url), Tally())
    assert not source.ready
    with pytest.raises(StoreDown):
        source.submit([b"PING"], [b""], lambda batch: None)
    await source.close()
    assert "certificate" in caplog.text.lower()
    with pytest.raises(LedgerDown):
        await misgivings(url)


def test_files_that_are_not_there_are_named(server: TlsServer) -> None:
    """Before anything is started."""
    url = server.url_of(Path("/nowhere/ca.pem"), with_client=False)
    with pytest.raises(AddressError, match=r"/nowhere/ca\.pem"):
        asyncio.run(open_source(Stores(redis_url=url), Tally()))


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("good", "ok 127.0.0.1:"),
        ("authority", "certificate"),
        ("client", "certificate"),
        ("absent", "/nowhere/ca.pem"),
    ],
)
def test_check_says_what_is_wrong(
    server: TlsServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    case: str,
    words: str,
) -> None:
    """Of the people's store and of the ledger alike."""
    trusted = server.authority.file
    urls = {
        "good": server.url,
        "authority": server.url_of(Authority(tmp_path / "others").file, with_client=True),
        "client": server.url_of(trusted, with_client=False),
        "absent": server.url_of(Path("/nowhere/ca.pem"), with_client=False),
    }
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PACELINE_REDIS_URL", urls[case])
    monkeypatch.setenv("PACELINE_LEDGER_URL", urls[case])
    main(["check"])
    told = {line[7:].partition(":")[0]: line for line in capsys.readouterr().out.splitlines()}
    for name in ("store", "ledger"):
        assert told[name].startswith("ok" if case == "good" else "WRONG"), told
        assert words.removeprefix("ok ") in told[name], told
