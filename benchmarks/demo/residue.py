"""Whether the store and the recorded events hold what they must not: anybody who did not agree, was erased, opted out.

Place: session.py asks at the end of a run, when the service has had time to erase.
Shapes: ids of 32 hexadecimal digits; places are `key ...` or `file ...`.
Limits: one walk over all keys. What is counted for frequency caps (`f:`, `b:`) is left out: exchanges go on sending the
    id of somebody who was erased, and a cap then counts anew under it.
Raises: redis.RedisError, OSError.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path
from typing import Final

from msgspec import Struct

from bidder.events import erasure
from bidder.rights.walk import asked, batches
from bidder.settings import Stores
from bidder.stores.keys import OPT_OUT_FIELD
from bidder.stores.people_writer import Client, open_client

_PERSON: Final = b"p:{"
_HISTORY: Final = b"h:{"
_MATCH: Final = b"m:{"
_ID: Final = slice(3, 35)


class Residue(Struct, frozen=True):
    """What was found."""

    people: int = 0
    """In the store."""
    opted_out: int = 0
    """Of whom the store knows that alone."""
    strangers: tuple[str, ...] = ()
    """Keys of people who should not be known."""
    again: tuple[str, ...] = ()
    """Places that hold somebody who was erased or opted out."""


class Gone(Struct, frozen=True):
    """Who wanted to be forgotten."""

    erased: tuple[str, ...] = ()
    """Must not be anywhere."""
    opted_out: tuple[str, ...] = ()
    """Must be in the store with nothing but that."""


async def residue(url: str, events: Path, known: Collection[str], gone: Gone) -> Residue:
    """Look everywhere; `known` may be in the store."""
    client = open_client(Stores(redis_url=url))
    try:
        people, tombs, matched = await _keys(client)
    finally:
        await client.aclose()
    wanted = {*gone.erased, *gone.opted_out}
    again = [f"key of {name}" for name in sorted((people | matched) & wanted)]
    for name in gone.erased:
        again += await asyncio.to_thread(_recorded, events, name)
    strangers = sorted(people - set(known) - wanted)
    return Residue(len(people), len(tombs), tuple(strangers), tuple(again))


async def _keys(client: Client) -> tuple[set[str], set[str], set[str]]:
    """Ids of people who are known, of those who are known to have opted out, and of those whom matches lead to."""
    people, tombs, matched = set[str](), set[str](), set[str]()
    async for names in batches(client):
        hashes = [name for name in names if name.startswith(_PERSON)]
        for name, fields in zip(hashes, await asked(client, "HKEYS", hashes), strict=True):
            (tombs if set(fields) == {OPT_OUT_FIELD} else people).add(name[_ID].decode())
        people |= {name[_ID].decode() for name in names if name.startswith(_HISTORY)}
        rows = [name for name in names if name.startswith(_MATCH)]
        matched |= {value.hex() for value in await asked(client, "GET", rows) if isinstance(value, bytes)}
    return people, tombs, matched


def _recorded(events: Path, name: str) -> list[str]:
    """Files with events of somebody's visits."""
    found = erasure.events_of(events, bytes.fromhex(name)) if events.is_dir() else []
    return [f"event {event.get('kind', '')} of {name}" for event in found if event["record"] == "shop"]
