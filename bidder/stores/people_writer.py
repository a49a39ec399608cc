"""People as the service writes them: profiles, rows of the match table, erasure. Off the path of a bid.

Place: the demo's seeding writes; no path of a request does.
Shapes: see stores/keys; a person's hash holds a field per advertiser, a field per row of the match table that
    leads to the person (value `<I` seconds when it was matched, then the source; where the row was taken over from
    somebody, MARK and `<I` seconds when), and when the person was last seen.
Units: `now_s` seconds since the epoch, `ttl_s` seconds.
Limits: MAX_TTL_S since last seen, whatever is asked for; MAX_LISTED matches per person. Of more the oldest of the
    source that has most goes: a shop that makes up ids pushes out its own, and nobody else's.
Raises: redis.RedisError.
Rule: a row may be led to another person, since an exchange's browsers lose our cookies. Where it led to somebody who is
    still known, the new person's list says when it was taken over: within TAKEN_S the new person's opting out removes
    the row and leaves no tombstone, so that nobody opts others out by taking their ids. (Whoever comes back to a row
    that their own list has did not take it over.)
Never: a match before the person's hash lists it, so that erasure finds every match; a word about somebody who has opted
    out, or was erased not long ago, or under an id that was opted out.
"""

import time
from collections.abc import Iterable, Mapping
from enum import Enum
from itertools import islice
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from bidder.audience.identity import match_key as match_name
from bidder.audience.person import Profile, field_name, pack
from bidder.settings import Stores
from bidder.stores import keys, removal
from bidder.stores.address import parse_all
from bidder.stores.guards import guard_key
from bidder.stores.removal import LIST, MARK, ROW, SECONDS, call, done, listed

MAX_TTL_S = 30 * 86_400
MAX_LISTED = 64  # a browser meets some ten exchanges; a script that invents ids must not grow the hash
MAX_SOURCE = 64  # bytes of a source's name that the list of matches keeps, so that a person can read it
MAX_CONNECTIONS = 16
POOL_TIMEOUT_S = 5.0
SOCKET_TIMEOUT_S = 5.0
PEOPLE_PER_PIPELINE = 500

Client = Redis | RedisCluster


class Matched(Enum):
    """What became of a match; true where it is written."""

    DONE = "matched"
    PERSON_OUT = "person_out"
    """The person has opted out."""
    PERSON_ERASED = "person_erased"
    """The person was erased not long ago, or meanwhile: the number is nobody's."""
    ID_OUT = "id_out"
    """The source's id was opted out; of the person that says nothing."""

    def __bool__(self) -> bool:
        return self is Matched.DONE


_UNLISTED = {0: Matched.PERSON_OUT, -1: Matched.PERSON_ERASED}
"""What the script of lists answers in the place of a list."""


def open_client(stores: Stores) -> Client:
    """A redis.asyncio client for all off the path of a bid; raises AddressError, connects when used."""
    addresses = parse_all(stores.redis_url)
    timeouts: dict[str, Any] = {
        "socket_timeout": SOCKET_TIMEOUT_S,
        "socket_connect_timeout": SOCKET_TIMEOUT_S,
    }
    urls = [url.strip() for url in stores.redis_url.split(",") if url.strip()]
    if stores.cluster or len(addresses) > 1:
        nodes = [ClusterNode(address.host, address.port) for address in addresses]
        return RedisCluster.from_url(urls[0], startup_nodes=nodes, **timeouts)
    pool = BlockingConnectionPool.from_url(
        urls[0],
        max_connections=MAX_CONNECTIONS,
        timeout=POOL_TIMEOUT_S,
        retry=Retry(ExponentialWithJitterBackoff(cap=1.0, base=0.05), 3),
        **timeouts,
    )
    return Redis.from_pool(pool)


class PeopleWriter:
    """Writes people through a redis.asyncio client; never wrap its calls in a time-out."""

    def __init__(self, client: Client, keep_s: float = MAX_TTL_S) -> None:
        """The client stays its owner's to close. Nobody is kept for longer than `keep_s`, at most MAX_TTL_S."""
        self._client = client
        self._keep_s = min(int(keep_s), MAX_TTL_S)

    async def save(
        self, person_id: bytes, profiles: Mapping[str, Profile], now_s: float, ttl_s: float = MAX_TTL_S
    ) -> None:
        """Set a person's profiles, by advertiser id; the person then lives `ttl_s`, at most MAX_TTL_S."""
        await self.save_many([(person_id, profiles)], now_s, ttl_s)

    async def save_many(
        self,
        people: Iterable[tuple[bytes, Mapping[str, Profile]]],
        now_s: float,
        ttl_s: float = MAX_TTL_S,
    ) -> int:
        """`save` for many, PEOPLE_PER_PIPELINE per round trip; returns how many."""
        stream, saved = iter(people), 0
        while chunk := list(islice(stream, PEOPLE_PER_PIPELINE)):
            pipeline = self._pipeline()
            for person_id, profiles in chunk:
                key = keys.person_key(keys.person_tag(person_id))
                fields = {field_name(advertiser): pack(profile) for advertiser, profile in profiles.items()}
                pipeline.hset(key, mapping={**fields, keys.SEEN_FIELD: SECONDS.pack(int(now_s))})
                pipeline.expire(key, self._bounded(ttl_s))
            await pipeline.execute()
            saved += len(chunk)
        return saved

    async def match(
        self,
        source: str,
        uid: str,
        person_id: bytes,
        now_s: float,
        ttl_s: float = MAX_TTL_S,
    ) -> Matched:
        """Let `source`'s id `uid` lead to a person; where the person or the id was opted out, or the person erased,
        nothing is written. Raises ValueError for an id that is empty or too long.

        Being matched is being seen: the person lives `ttl_s` longer, and never less than before.
        """
        tag = keys.match_tag(match_name(source, uid))
        own = keys.person_tag(person_id)
        key, field = keys.person_key(own), keys.match_field(tag)
        now, value = SECONDS.pack(int(now_s)), _matched(source, now_s)
        seen = (self._bounded(ttl_s), keys.SEEN_FIELD, now, keys.OPT_OUT_FIELD)
        row = await done(self._client.get(keys.match_key(tag)))
        if row == keys.OPTED_OUT:
            return Matched.PERSON_OUT if await self.opted_out(person_id) else Matched.ID_OUT
        mark = MARK + now if await self._is_anothers(row, person_id) else b""
        answer = await call(self._client, LIST, (key, guard_key(own)), field, value, *seen, mark)
        if not isinstance(answer, list):
            return _UNLISTED[answer]
        fields = dict(zip(answer[::2], answer[1::2], strict=True))
        lead = (person_id, self._bounded(ttl_s), keys.OPTED_OUT)
        if not await call(self._client, ROW, (keys.match_key(tag),), *lead):
            await done(self._client.hdel(key, field))
            return Matched.ID_OUT
        if not await done(self._client.hexists(key, field)):
            await removal.remove_rows(self._client, person_id, [tag], now_s)  # erased meanwhile
            return Matched.PERSON_ERASED
        await self._forget(key, person_id, _surplus(fields))
        return Matched.DONE

    async def match_many(
        self, matches: Iterable[tuple[str, str, bytes]], now_s: float, ttl_s: float = MAX_TTL_S
    ) -> int:
        """`match` for many (source, uid, person_id), for seeding: MAX_LISTED is the caller's to keep."""
        stream, matched = iter(matches), 0
        while chunk := list(islice(stream, PEOPLE_PER_PIPELINE)):
            listing, rows = self._pipeline(), self._pipeline()
            for source, uid, person_id in chunk:
                tag = keys.match_tag(match_name(source, uid))
                key = keys.person_key(keys.person_tag(person_id))
                listing.hset(key, keys.match_field(tag), _matched(source, now_s))
                listing.expire(key, self._bounded(ttl_s), nx=True)
                rows.set(keys.match_key(tag), person_id, ex=self._bounded(ttl_s))
            await listing.execute()
            await rows.execute()
            matched += len(chunk)
        return matched

    async def erase(self, person_id: bytes, now_s: float | None = None) -> int:
        """See removal.erase; `now_s` None: now."""
        return await removal.erase(self._client, person_id, time.time() if now_s is None else now_s)

    async def opt_out(self, person_id: bytes, now_s: float) -> int:
        """See removal.opt_out."""
        return await removal.opt_out(self._client, person_id, now_s)

    async def opt_in(self, person_id: bytes) -> bool:
        """See removal.opt_in."""
        return await removal.opt_in(self._client, person_id)

    async def opted_out(self, person_id: bytes) -> bool:
        """Whether the store knows that a person has opted out."""
        key = keys.person_key(keys.person_tag(person_id))
        return bool(await done(self._client.hexists(key, keys.OPT_OUT_FIELD)))

    async def _is_anothers(self, row: bytes | None, person_id: bytes) -> bool:
        """Whether a row leads to another person, of whom something is known."""
        if row is None or row == person_id:
            return False
        return bool(await done(self._client.exists(keys.person_key(keys.person_tag(row)))))

    async def _forget(self, key: bytes, person_id: bytes, tags: list[bytes]) -> None:
        """Remove rows of the match table that lead to this person, what was shown under their ids, and the list."""
        if tags:
            await removal.remove_rows(self._client, person_id, tags, None)
            await done(self._client.hdel(key, *(keys.match_field(tag) for tag in tags)))

    def _bounded(self, ttl_s: float) -> int:
        return max(1, min(int(ttl_s), self._keep_s))

    def _pipeline(self) -> Any:
        if isinstance(self._client, RedisCluster):
            return self._client.pipeline()
        return self._client.pipeline(transaction=False)


def _surplus(fields: Mapping[bytes, bytes]) -> list[bytes]:
    """The tags beyond MAX_LISTED: each the oldest of the source that has most of those that are left."""
    tags = listed(fields, keys.MATCH_FIELD_PREFIX)
    if len(tags) <= MAX_LISTED:
        return []
    sources: dict[bytes, list[tuple[int, bytes]]] = {}
    for tag in tags:
        value = fields[keys.match_field(tag)]
        sources.setdefault(removal.source_of(value), []).append((_matched_s(value), tag))
    for rows in sources.values():
        rows.sort(reverse=True)
    surplus = []
    for _ in range(len(tags) - MAX_LISTED):
        fullest = max(sources.values(), key=lambda rows: (len(rows), -rows[-1][0]))
        surplus.append(fullest.pop()[1])
    return surplus


def _matched(source: str, now_s: float) -> bytes:
    return SECONDS.pack(int(now_s)) + source.encode("utf-8", "replace").replace(MARK, b"")[:MAX_SOURCE]


def _matched_s(value: bytes) -> int:
    return int(SECONDS.unpack_from(value)[0]) if len(value) >= SECONDS.size else 0
