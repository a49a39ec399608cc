"""The shop is tested on the loop that serves: uvloop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop

from tests.bidder.shop.support import Stand, standing
from tests.servers import RealServer


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every asynchronous test of this folder runs on uvloop."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def stand(redis_server: RealServer) -> AsyncIterator[Stand]:
    """A public port over a real store."""
    async with standing(redis_server.url) as made:
        yield made


@pytest.fixture
async def outage(redis_server: RealServer) -> AsyncIterator[Stand]:
    """The same while the store is down."""
    async with standing(redis_server.url, down=True) as made:
        yield made
