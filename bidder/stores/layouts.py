"""Views and clicks of layouts as all workers count them. Off every path.

Place: render/bandit exchanges its counts here.
Shapes: `l:<16 hexadecimal digits of a line item's key>` is a hash: field `<layout>/<day>/<v|c>` to a number; days are
    those since the epoch.
Limits: days older than KEEP_DAYS are removed when they are read; the key goes after KEEP_DAYS without news.
    LINES_PER_PIPELINE line items per round trip.
Raises: redis.RedisError. Never wrap its calls in a time-out.
Never: a person.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast, get_args

from redis.asyncio import RedisCluster

from bidder.campaigns.model import Layout
from bidder.stores.keys import layout_key
from bidder.stores.people_writer import Client

KEEP_DAYS: Final = 28
LINES_PER_PIPELINE: Final = 500

_LAYOUTS: Final = {name.encode(): cast(Layout, name) for name in get_args(Layout)}
_PARTS: Final = (b"v", b"c")

Counts = dict[tuple[Layout, int], tuple[int, int]]
"""(views, clicks) by (layout, day)."""


class LayoutStore:
    """All workers' counts of layouts."""

    def __init__(self, client: Client) -> None:
        """The client stays its owner's to close."""
        self._client = client

    async def exchange(
        self, news: Mapping[int, Counts], wanted: Sequence[int], day: int
    ) -> dict[int, Counts]:
        """Add what is new, by line item key; return the counts of the wanted line items, `day` being today."""
        told = list(news.items())
        for start in range(0, len(told), LINES_PER_PIPELINE):
            adding = self._pipeline()
            for key, counts in told[start : start + LINES_PER_PIPELINE]:
                for (layout, of), numbers in counts.items():
                    for part, number in zip(_PARTS, numbers, strict=True):
                        if number:
                            field = b"%b/%d/%b" % (layout.encode(), of, part)
                            adding.hincrby(layout_key(key), field, number)
                adding.expire(layout_key(key), KEEP_DAYS * 86_400)
            await adding.execute()
        found: dict[int, Counts] = {}
        for start in range(0, len(wanted), LINES_PER_PIPELINE):
            found |= await self._read(wanted[start : start + LINES_PER_PIPELINE], day)
        return found

    async def _read(self, wanted: Sequence[int], day: int) -> dict[int, Counts]:
        reading, removing = self._pipeline(), self._pipeline()
        for key in wanted:
            reading.hgetall(layout_key(key))
        found: dict[int, Counts] = {}
        stale = False
        for key, fields in zip(wanted, await reading.execute(), strict=True):
            found[key], old = _counts(fields, day - KEEP_DAYS)
            if old:
                removing.hdel(layout_key(key), *old)
                stale = True
        if stale:
            await removing.execute()
        return found

    def _pipeline(self) -> Any:
        if isinstance(self._client, RedisCluster):
            return self._client.pipeline()
        return self._client.pipeline(transaction=False)


def _counts(fields: Mapping[bytes, bytes], oldest: int) -> tuple[Counts, list[bytes]]:
    """The counts of a hash, and the fields that are older than the oldest day, or that nobody knows."""
    counts: Counts = {}
    old = []
    for field, value in fields.items():
        name, _, rest = field.partition(b"/")
        of, _, part = rest.partition(b"/")
        layout = _LAYOUTS.get(name)
        if layout is None or part not in _PARTS or not of.isdigit() or int(of) <= oldest:
            old.append(field)
            continue
        views, clicks = counts.get((layout, int(of)), (0, 0))
        number = int(value)
        counts[layout, int(of)] = (views + number, clicks) if part == b"v" else (views, clicks + number)
    return counts, old
