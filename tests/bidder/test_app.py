"""A worker from its start on, over real stores."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from benchmarks.books import synthetic
from bidder.app import Worker
from bidder.campaigns.rates import load_rates
from bidder.config import Config, WorkerSetup
from bidder.live import Live, build_world
from bidder.notices.keys import Keyring
from bidder.stores.embedded import free_port
from budget.accounts import WALLET
from budget.entries import Verb
from budget.money import Micros
from budget.redis_store import RedisStore
from tests.servers import RealServer

FUNDED = Micros(1_000_000_000)


async def test_who_cannot_open_its_ports_sends_its_leases_home(
    tmp_path: Path, redis_server: RealServer
) -> None:
    """It says why, ends, and keeps no money from the others, who would miss it for an hour."""
    book, rates = synthetic(40, 1), load_rates()

    def load(config: Config, keyring: Keyring, base_url: str) -> Live:
        return Live(build_world(config, (book, rates), keyring, base_url), book, rates, time.time())

    store = RedisStore.connect(redis_server.url)
    try:
        for shop in book.advertisers:
            await store.fund(shop.id, "test", FUNDED)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            setup = WorkerSetup(
                slot=0,
                redis_url=redis_server.url,
                ledger_url=redis_server.url,
                spool_dir=str(tmp_path / "spool"),
                tally_path="",
                token_keys=((1, bytes(32)),),
                exchange_port=taken.getsockname()[1],
                public_port=free_port(),
                base_url="http://127.0.0.1",
                announce_fd=os.open(os.devnull, os.O_WRONLY),
                data_dir=str(tmp_path),
            )
            with pytest.raises(OSError, match="in use"):
                await Worker(Config(), setup, load).run()
        os.close(setup.announce_fd)
        for shop in book.advertisers:
            wallet = (await store.accounts(shop.id))[WALLET]
            assert (wallet.leased, wallet.spent) == (0, 0)
            entries = await store.entries(shop.id, 0, 100)
            assert any(entry.verb is Verb.LEASE for entry in entries)
    finally:
        await store.close()
