"""Every key of a store, one after the other: for those who must be sure of all of them.

Place: verify.py looks into values, sweep.py at times to live.
Limits: BATCH keys per round trip, then a pause: bids are never behind more than a fraction of a millisecond of these.
Raises: redis.RedisError.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from redis.asyncio import RedisCluster

from bidder.stores.removal import Client

BATCH: Final = 500
PAUSE_S: Final = 0.002


async def batches(client: Client, size: int = BATCH, pause_s: float = PAUSE_S) -> AsyncIterator[list[bytes]]:
    """All keys of every node, in lists of up to `size`; one that is written meanwhile may come or not, or twice."""
    batch: list[bytes] = []
    async for key in client.scan_iter(count=size):
        batch.append(key)
        if len(batch) >= size:
            yield batch
            batch = []
            await asyncio.sleep(pause_s)
    if batch:
        yield batch


def pipeline(client: Client) -> Any:
    """Commands that go together, to whatever nodes."""
    return client.pipeline() if isinstance(client, RedisCluster) else client.pipeline(transaction=False)


async def asked(client: Client, command: str, names: list[bytes], *arguments: object) -> list[Any]:
    """One command for each of some keys, in one round trip to each node; an error stands in its place."""
    if not names:
        return []
    calls = pipeline(client)
    for name in names:
        calls.execute_command(command, name, *arguments)
    answers: list[Any] = await calls.execute(raise_on_error=False)
    return answers
