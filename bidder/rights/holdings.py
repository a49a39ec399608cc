"""All that the store holds of a person, as it stands there: what access, export and the privacy pages show.

Place: readable.py puts it into words.
Units: seconds since the epoch; `expires_in_s` seconds from now.
Shapes: see stores/keys and audience/person. What is damaged, or of another version, is left out of the words, and told
    by `unreadable`.
Raises: redis.RedisError.
Never: an exchange's id: nobody here knows it, its rows are named by hashes.
"""

import struct
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from bidder.audience.frequency import HEADER, Log, open_log
from bidder.audience.history import History, unpack_history
from bidder.audience.person import Profile, unpack
from bidder.stores import keys
from bidder.stores.removal import Client, done, source_of
from bidder.stores.sync_times import Synced, unpack_syncs

_SECONDS: Final = struct.Struct("<I")
_SHOP: Final = b"a:"
_VIEW_KIND, _COUNT, _AT = 5, 6, 0


class ShopHolding(Struct, frozen=True, kw_only=True):
    """What one advertiser knows of the person."""

    advertiser_id: str
    profile: Profile | None = None
    history: History = History()
    views: int = 0
    """Ads of theirs that were counted."""
    last_view_s: int = 0
    unreadable: bool = False


class Match(Struct, frozen=True):
    """Somebody else's id leads to the person."""

    source: str
    """Empty: nobody noted who."""
    matched_s: int
    views: int = 0
    """Ads that were counted under that id."""


class Cluster(Struct, frozen=True):
    """The person showed a shop a login that others showed, too."""

    advertiser_id: str
    joined_s: int


class Holdings(Struct, frozen=True, kw_only=True):
    """Everything of one person."""

    person: bytes
    opted_out_s: int = 0
    """0: not opted out."""
    seen_s: int = 0
    expires_in_s: int = 0
    shops: tuple[ShopHolding, ...] = ()
    matches: tuple[Match, ...] = ()
    clusters: tuple[Cluster, ...] = ()
    syncs: tuple[Synced, ...] = ()
    """Exchanges that the id was handed to, on the last day on which it was."""

    @property
    def nothing(self) -> bool:
        """Whether there is nothing but, perhaps, a tombstone."""
        return not (self.shops or self.matches or self.clusters or self.syncs or self.seen_s)


async def holdings(client: Client, person_id: bytes, now_s: float) -> Holdings:
    """All that stands of a person."""
    tag = keys.person_tag(person_id)
    fields: dict[bytes, bytes] = await done(client.hgetall(keys.person_key(tag)))
    histories: dict[bytes, bytes] = await done(client.hgetall(keys.history_key(tag)))
    logs: dict[bytes, bytes] = await done(client.hgetall(keys.views_key(tag)))
    left = max(0, int(await done(client.ttl(keys.person_key(tag)))))
    names = sorted({name for name in (*fields, *histories, *logs) if name.startswith(_SHOP)})
    return Holdings(
        person=person_id,
        opted_out_s=_seconds(fields.get(keys.OPT_OUT_FIELD, b"")),
        seen_s=_seconds(fields.get(keys.SEEN_FIELD, b"")),
        expires_in_s=left,
        shops=tuple(_shop(name, fields, histories, logs, now_s) for name in names),
        matches=await _matches(client, fields, now_s),
        clusters=tuple(
            Cluster(value[_SECONDS.size :].decode("utf-8", "replace"), _seconds(value))
            for name, value in sorted(fields.items())
            if name.startswith(keys.CLUSTER_FIELD_PREFIX)
        ),
        syncs=tuple(unpack_syncs(fields.get(keys.SYNC_FIELD, b""))),
    )


def _shop(
    name: bytes,
    fields: Mapping[bytes, bytes],
    histories: Mapping[bytes, bytes],
    logs: Mapping[bytes, bytes],
    now_s: float,
) -> ShopHolding:
    profile = unpack(fields[name]) if name in fields else None
    history = unpack_history(histories[name]) if name in histories else History()
    views, last_s = _views(logs.get(name, b""), now_s)
    return ShopHolding(
        advertiser_id=name.removeprefix(_SHOP).decode("utf-8", "replace"),
        profile=profile,
        history=history or History(),
        views=views,
        last_view_s=last_s,
        unreadable=(name in fields and profile is None) or history is None,
    )


async def _matches(client: Client, fields: Mapping[bytes, bytes], now_s: float) -> tuple[Match, ...]:
    found = []
    for name, value in sorted(fields.items()):
        if name.startswith(keys.MATCH_FIELD_PREFIX):
            log = await done(client.hgetall(keys.views_key(name.removeprefix(keys.MATCH_FIELD_PREFIX))))
            views = sum(_views(each, now_s)[0] for each in log.values())
            source = source_of(value).decode("utf-8", "replace")
            found.append(Match(source, _seconds(value), views))
    return tuple(found)


def _views(value: bytes, now_s: float) -> tuple[int, int]:
    """(views counted, when the latest was)."""
    if len(value) < HEADER.size:
        return 0, 0
    log: Log = open_log(value, int(now_s))
    seen = [record for record in log.records if not record[_VIEW_KIND]]
    times = [record[_AT] for record in seen]
    return log.given_up + sum(record[_COUNT] for record in seen), max(times, default=0)


def _seconds(value: bytes) -> int:
    return int(_SECONDS.unpack_from(value)[0]) if len(value) >= _SECONDS.size else 0
