"""The queue of erasures in Redis: who asks once is erased on every host that recorded something.

Place: rights put people in; each host's caretaker reads it and erases in its own files.
Shapes: `erasures` is a sorted set: digest of a person (erased.digest) -> when, in seconds. It names nobody.
Limits: an entry stays KEEP_S, as long as anything of the person could still come; PAGE entries are read at a time.
Raises: redis.RedisError.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final

from bidder.events.erased import KEEP_S, Book, digest

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.cluster import RedisCluster

    Client = Redis | RedisCluster

ERASURES: Final = b"erasures"
PAGE: Final = 10_000


async def request(client: "Client", people: Collection[bytes], now_s: float) -> None:
    """Ask every host to erase these people from what it recorded; a person of 16 bytes each."""
    named: dict[Any, float] = {digest(person): now_s for person in people}
    if named:
        await client.zadd(ERASURES, named)
        await client.expire(ERASURES, KEEP_S)


async def requested(client: "Client", now_s: float) -> dict[bytes, float]:
    """Digests of all who are to be erased, with when they asked; entries beyond their time are deleted."""
    await client.zremrangebyscore(ERASURES, "-inf", now_s - KEEP_S)
    found: dict[bytes, float] = {}
    start = 0
    while True:
        page: Any = await client.zrange(ERASURES, start, start + PAGE - 1, withscores=True)
        found |= {bytes(name): float(at_s) for name, at_s in page}
        start += PAGE
        if len(page) < PAGE:
            return found


def outstanding(asked: dict[bytes, float], book: Book) -> dict[bytes, float]:
    """Who is asked to be erased and is not yet, by the book of this host."""
    return {
        name: at_s
        for name, at_s in asked.items()
        if name not in book or not book[name].done or book[name].at_ms < int(at_s * 1_000)
    }
