"""What a person may ask of the store: to be forgotten, to be left alone, and to be recognised again.

Place: people_writer hands these on; the privacy pages, deletion requests and `paceline erase` ask there.
Shapes: opting out leaves a tombstone: the person's hash with the one field `o`, and OPTED_OUT in each row of the match
    table that led there. It names nobody: the number was the browser's, which has forgotten it. All else goes, and each
    tag that was emptied gets a guard (guards.py), so that notices under way write nothing about it.
Rule: each step may be repeated, and who asks again after a crash goes on where it stopped: the lists of rows and
    clusters go last. A concurrent event finds the tombstone, or its match is found by the second look.
Limits: MAX_LOOKS at a hash that grows while it is erased; what comes later is a new visit.
Raises: redis.RedisError.
Never: a tombstone that erasure takes away.
"""

import struct
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any, Final, cast

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import NoScriptError

from bidder.stores import keys
from bidder.stores.guards import GUARD_S, SKEW_S, guard_key
from bidder.stores.scripts import Script

OPT_OUT_S: Final = 390 * 86_400
"""Of a tombstone: as long as browsers keep the cookie that says the same (400 days at most)."""
MAX_LOOKS: Final = 8
SECONDS: Final = struct.Struct("<I")
MARK: Final = b"\0"
"""In a list of rows: the row was taken over from somebody, when follows as `<I` seconds."""
TAKEN_S: Final = 30 * 86_400
"""So long a row that was taken over is not to be opted out by whoever took it: the other may be back."""

LIST: Final = Script("people_list", ())
ROW: Final = Script("people_row", ())
_UNROW: Final = Script("people_unrow", ())
_OUT: Final = Script("people_out", ())
_ERASE: Final = Script("people_erase", ())
_LISTS: Final = (keys.MATCH_FIELD_PREFIX, keys.CLUSTER_FIELD_PREFIX)

Client = Redis | RedisCluster


async def call(client: Client, script: Script, names: Sequence[bytes], *arguments: bytes | int) -> Any:
    """Call a script whose keys lie in one slot."""
    try:
        return await done(client.evalsha(script.digest.decode(), len(names), *names, *arguments))
    except NoScriptError:
        return await done(client.eval(script.text.decode(), len(names), *names, *arguments))


async def done(answer: Any) -> Any:
    """redis.asyncio types its answers as either awaitable or not; ours are awaitable."""
    return await cast("Awaitable[Any]", answer)


async def opt_out(client: Client, person_id: bytes, now_s: float) -> int:
    """Leave a tombstone of a person and remove the rest; returns the keys of ids that changed."""
    tag = keys.person_tag(person_id)
    arguments = (keys.OPT_OUT_FIELD, SECONDS.pack(int(now_s)), OPT_OUT_S, _guard_s(now_s), GUARD_S, *_LISTS)
    lists: list[bytes] = await call(client, _OUT, _own_keys(tag), *arguments)
    fields = dict(zip(lists[::2], lists[1::2], strict=True))
    taken = {name for name, value in fields.items() if _taken_s(value) > now_s - TAKEN_S}
    rows = await remove_rows(client, person_id, listed(taken, keys.MATCH_FIELD_PREFIX), now_s)
    own = listed(fields.keys() - taken, keys.MATCH_FIELD_PREFIX)
    rows += await remove_rows(client, person_id, own, now_s, keys.OPTED_OUT)
    await _leave(client, person_id, listed(fields, keys.CLUSTER_FIELD_PREFIX))
    if fields:
        await done(client.hdel(keys.person_key(tag), *fields))
    return rows


async def opt_in(client: Client, person_id: bytes) -> bool:
    """Take a person's tombstone away; whether there was one. The tombstones of rows stay: a row does
    not tell whose browser may lift them.
    """
    key = keys.person_key(keys.person_tag(person_id))
    was = await done(client.hdel(key, keys.OPT_OUT_FIELD))
    if was:  # lists that opting out left when it was cut short
        await done(client.unlink(key))
    return bool(was)


async def erase(client: Client, person_id: bytes, now_s: float) -> int:
    """Remove all that is known of a person, what the person was shown, every row that leads there with what was
    shown under its id, and the person's place in clusters; returns the keys removed."""
    tag, removed, gone = keys.person_tag(person_id), 0, set[bytes]()
    found = [field for field in await done(client.hkeys(keys.person_key(tag))) if field.startswith(_LISTS)]
    for _ in range(MAX_LOOKS):
        removed += await remove_rows(client, person_id, listed(found, keys.MATCH_FIELD_PREFIX), now_s)
        await _leave(client, person_id, listed(found, keys.CLUSTER_FIELD_PREFIX))
        gone.update(found)
        head = (keys.OPT_OUT_FIELD, _guard_s(now_s), GUARD_S, *_LISTS)
        count, *found = await call(client, _ERASE, _own_keys(tag), *head, *sorted(gone))
        if count >= 0:  # rows that were listed, and written only now, lead to nobody
            rows = listed(sorted(gone), keys.MATCH_FIELD_PREFIX)
            return removed + int(count) + await remove_rows(client, person_id, rows, now_s)
    return removed


async def remove_rows(
    client: Client, person_id: bytes, tags: Iterable[bytes], now_s: float | None, instead: bytes = b""
) -> int:
    """Remove rows of the match table that lead to this person, or put `instead` into them, and remove what was shown
    under their ids; returns the keys that changed. `now_s` None: nobody asked for it, so notices are let through."""
    removed = 0
    guard = (0, 0) if now_s is None else (_guard_s(now_s), GUARD_S)
    for tag in tags:
        names = (keys.match_key(tag), keys.views_key(tag), keys.marks_key(tag), guard_key(tag))
        removed += await call(client, _UNROW, names, person_id, instead, OPT_OUT_S, *guard)
    return removed


def listed(fields: Iterable[bytes], prefix: bytes) -> list[bytes]:
    """The tags that a person's fields list under a prefix."""
    return [name[len(prefix) :] for name in fields if name.startswith(prefix)]


def source_of(value: bytes) -> bytes:
    """The source in a value of the list of rows."""
    return value[SECONDS.size :].partition(MARK)[0]


def _taken_s(value: bytes) -> int:
    """When a row was taken over from somebody; 0: it was not."""
    at = value[SECONDS.size :].partition(MARK)[2]
    return int(SECONDS.unpack(at)[0]) if len(at) == SECONDS.size else 0


async def _leave(client: Client, person_id: bytes, clusters: Iterable[bytes]) -> None:
    for cluster in clusters:
        await done(client.hdel(keys.cluster_key(cluster), person_id))


def _own_keys(tag: bytes) -> tuple[bytes, ...]:
    """In the order of the scripts; all lie in one slot."""
    own = (keys.person_key(tag), keys.history_key(tag), keys.views_key(tag), keys.marks_key(tag))
    return (*own, guard_key(tag))


def _guard_s(now_s: float) -> int:
    return int(now_s) + SKEW_S
