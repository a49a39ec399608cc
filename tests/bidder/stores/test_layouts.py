"""Counts of layouts in the store that workers share."""

from collections.abc import AsyncIterator

import pytest

from bidder.settings import Stores
from bidder.stores.keys import layout_key
from bidder.stores.layouts import KEEP_DAYS, LayoutStore
from bidder.stores.people_writer import Client, open_client
from tests.servers import RealServer

DAY = 20_000


@pytest.fixture
async def client(redis_server: RealServer) -> AsyncIterator[Client]:
    opened = open_client(Stores(redis_url=redis_server.url))
    yield opened
    await opened.aclose()


async def test_counts_of_all_workers_add_up(client: Client) -> None:
    """By line item, layout and day; line items that nobody counted are empty."""
    one, other = LayoutStore(client), LayoutStore(client)
    await one.exchange({7: {("grid", DAY): (3, 1), ("single", DAY): (2, 0)}}, [], DAY)
    found = await other.exchange({7: {("grid", DAY): (4, 0), ("grid", DAY - 1): (5, 2)}}, [7, 8], DAY)
    assert found == {
        7: {("grid", DAY): (7, 1), ("grid", DAY - 1): (5, 2), ("single", DAY): (2, 0)},
        8: {},
    }


async def test_old_days_and_strange_fields_are_removed(client: Client) -> None:
    """What is older than KEEP_DAYS goes when it is read, and the key with it when nothing comes for as long."""
    store = LayoutStore(client)
    await store.exchange({7: {("grid", DAY): (3, 1)}}, [], DAY)
    key = layout_key(7)
    await client.hset(key, mapping={b"grid/x/v": 1, b"hexagon/20000/v": 1, b"grid/20000/w": 1, b"": 1})  # type: ignore[misc]  # awaitable here
    await store.exchange({7: {("list", DAY + 1): (1, 0)}}, [7], DAY + 1)
    assert sorted(await client.hkeys(key)) == [b"grid/20000/c", b"grid/20000/v", b"list/20001/v"]  # type: ignore[misc]  # likewise
    assert 0 < await client.ttl(key) <= KEEP_DAYS * 86_400
    assert (await store.exchange({}, [7], DAY + KEEP_DAYS))[7] == {("list", DAY + 1): (1, 0)}
    assert await client.hkeys(key) == [b"list/20001/v"]  # type: ignore[misc]  # likewise
