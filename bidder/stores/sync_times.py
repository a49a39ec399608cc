"""How often a person's id was handed to each exchange today: a small field of the person's hash.

Place: shop/syncs asks before it hands an id out.
Shapes: the field `y` holds `<IHB` for each exchange of the last day on which there was one: key32 of its name, the day
    (days since the epoch, modulo 65,536), how often.
Limits: MAX_EXCHANGES; the field lives as long as its person, TTL_S for somebody new.
Raises: redis.RedisError.
"""

import struct
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from bidder.keys import key32
from bidder.stores import keys
from bidder.stores.removal import SECONDS, Client, call
from bidder.stores.scripts import Script

MAX_EXCHANGES: Final = 64
TTL_S: Final = 86_400
"""Of somebody of whom nothing else is known: the count is of a day."""
DAY_S: Final = 86_400

_TAKE: Final = Script("sync_take", ())
_ENTRY: Final = struct.Struct("<IHB")
_KEY: Final = struct.Struct("<I")


class Synced(Struct, frozen=True):
    """That an id was handed out."""

    exchange: int
    """key32 of its name."""
    day: int
    times: int


def unpack_syncs(value: bytes) -> list[Synced]:
    """What the field holds; what is damaged is left out."""
    whole = len(value) - len(value) % _ENTRY.size
    return [Synced(*entry) for entry in _ENTRY.iter_unpack(value[:whole])]


class SyncTimes:
    """Counts through a redis.asyncio client; never wrap its calls in a time-out."""

    def __init__(self, client: Client) -> None:
        """The client stays its owner's to close."""
        self._client = client

    async def take(
        self, person_id: bytes, limits: Sequence[tuple[str, int]], most: int, now_s: float
    ) -> list[str] | None:
        """The names, at most `most` of them, that may have the id once more today, each counted; None where the person
        has opted out. `limits` are (exchange name, times a day)."""
        limits = limits[:MAX_EXCHANGES]
        pairs: list[bytes | int] = []
        for name, limit in limits:
            pairs += (_KEY.pack(key32(name)), limit)
        granted = await call(
            self._client,
            _TAKE,
            (keys.person_key(keys.person_tag(person_id)),),
            *(keys.OPT_OUT_FIELD, keys.SYNC_FIELD, keys.SEEN_FIELD),
            *(SECONDS.pack(int(now_s)), TTL_S, int(now_s) // DAY_S % 65_536, most),
            *pairs,
        )
        return [limits[place - 1][0] for place in granted] if isinstance(granted, list) else None
