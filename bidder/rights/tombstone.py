"""Tombstones: keys that say somebody opted out, and nothing else.

Place: verify.py and sweep.py, to which they are in order.
Raises: redis.RedisError.
"""

from redis.exceptions import ResponseError

from bidder.stores import keys
from bidder.stores.removal import Client, done


async def is_tombstone(client: Client, name: bytes) -> bool:
    """Whether a key is a person's hash with the opt-out alone, or a row of the match table that leads to it."""
    try:
        if name.startswith(b"p:{"):
            return set(await done(client.hkeys(name))) == {keys.OPT_OUT_FIELD}
        return name.startswith(b"m:{") and await done(client.get(name)) == keys.OPTED_OUT
    except ResponseError:  # of another type
        return False
