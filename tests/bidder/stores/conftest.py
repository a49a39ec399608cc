"""Stores are tested on the loop that serves: uvloop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import uvloop

from bidder.metrics import Tally
from bidder.stores.address import parse
from bidder.stores.connection import Connection
from tests.bidder.stores.visiting import shelf

__all__ = ["shelf"]

Connect = Callable[..., Awaitable[Connection]]


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every asynchronous test of this folder runs on uvloop."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def tally() -> Tally:
    """Counters in memory."""
    return Tally()


@pytest.fixture
async def connect(tally: Tally) -> AsyncIterator[Connect]:
    """Opens connections by URL, and closes them after the test."""
    made: list[Connection] = []

    async def _connect(url: str, max_in_flight: int = 4_096) -> Connection:
        connection = Connection(parse(url), max_in_flight, tally)
        made.append(connection)
        await connection.open()
        return connection

    yield _connect
    for connection in made:
        await connection.close()
