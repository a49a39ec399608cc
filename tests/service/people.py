"""A person whom the shop knows, and a slow line to the store that remembers them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import numpy as np
from redis.exceptions import ResponseError

from bidder.audience.person import Profile
from bidder.keys import segment_key
from bidder.settings import Stores
from bidder.stores.people_writer import PeopleWriter, open_client
from tests.service.client import bid_request

SYNCED_MS: Final = 5_000
VISITOR: Final = "00112233445566778899aabbccddeeff"
STRANGER: Final = "ffeeddccbbaa99887766554433221100"
CONTEXTUAL, PERSONAL = 3.0, 6.0
"""What data/book.yaml bids to nobody in particular and to a visitor, three quarters of each value."""


def visitor_request(**more: Any) -> bytes:
    """A request of the visitor."""
    return bid_request(user={"buyeruid": VISITOR}, **more)


def stranger_request() -> bytes:
    """A request of somebody whom nobody knows."""
    return bid_request(user={"buyeruid": STRANGER})


async def remember(redis_url: str) -> None:
    """Let the shop know the visitor, and have it on the disk where the server can say so: an append-only file that is
    synced every second may lack the last second, and a kill would take it."""
    now_s = time.time()
    client = open_client(Stores(redis_url=redis_url))
    try:
        visited = ((segment_key("shop", "visited"), int(now_s) + 86_400),)
        profile = Profile(int(now_s), np.zeros(32, np.float16), visited, ())
        await PeopleWriter(client).save(bytes.fromhex(VISITOR), {"shop": profile}, now_s)
        with suppress(ResponseError):  # servers before 7.2, and those without an append-only file
            await client.execute_command("WAITAOF", 1, 0, SYNCED_MS)
    finally:
        await client.aclose()


class SlowLine:
    """A TCP proxy whose answers come `delay_s` later."""

    def __init__(self, port: int) -> None:
        self.delay_s = 0.0
        self.port = 0
        self._to = port
        self._tasks: set[asyncio.Task[None]] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until either end, or the test, ends it."""
        task = asyncio.current_task()
        assert task is not None
        try:
            back, forth = await asyncio.open_connection("127.0.0.1", self._to)
        except ConnectionError:  # nobody is there: so is nobody here
            writer.close()
            return
        self._tasks.add(task)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, forth, False))
                group.create_task(self._pump(back, writer, True))
        except* ConnectionError:
            pass
        finally:
            self._tasks.discard(task)
            for end in (writer, forth):
                end.close()
                with suppress(ConnectionError):
                    await end.wait_closed()

    async def close(self) -> None:
        """Cut every connection."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, slow: bool) -> None:
        loop = asyncio.get_running_loop()
        due_s = 0.0
        while data := await reader.read(65_536):
            due_s = max(due_s, loop.time() + (self.delay_s if slow else 0.0))
            if due_s > loop.time():  # the order of bytes must stand, whatever the delay becomes
                loop.call_at(due_s, writer.write, data)
                due_s += 1e-6
            else:
                writer.write(data)
        raise ConnectionResetError  # one end is gone: so is the line


@asynccontextmanager
async def slow_line(port: int) -> AsyncIterator[SlowLine]:
    """A line to a port of this machine, quick until told otherwise."""
    line = SlowLine(port)
    server = await asyncio.start_server(line.accept, "127.0.0.1", 0)
    line.port = server.sockets[0].getsockname()[1]
    try:
        yield line
    finally:
        server.close()
        await line.close()
