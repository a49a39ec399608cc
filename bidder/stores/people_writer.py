"""People as the service writes them: profiles, rows of the match table, erasure. Off the path of a bid.

Place: the demo's seeding writes; no path of a request does.
Shapes: see stores/keys; a person's hash holds a field per advertiser, a field per row of the match table that
    leads to the person (value `<I` seconds when it was matched), and when the person was last seen.
Units: `now_s` seconds since the epoch, `ttl_s` seconds.
Limits: MAX_TTL_S since last seen, whatever is asked for; MAX_LISTED matches per person, the oldest go first.
Raises: redis.RedisError.
Never: a match before the person's hash lists it, so that erasure finds every match.
"""

import struct
from collections.abc import Awaitable, Iterable, Mapping
from itertools import islice
from typing import Any, cast

from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from bidder.audience.identity import match_key as match_name
from bidder.audience.person import Profile, field_name, pack
from bidder.config import Stores
from bidder.stores import keys
from bidder.stores.address import parse_all

MAX_TTL_S = 30 * 86_400
MAX_LISTED = 64  # a browser meets some ten exchanges; a script that invents ids must not grow the hash
MAX_CONNECTIONS = 16
POOL_TIMEOUT_S = 5.0
SOCKET_TIMEOUT_S = 5.0
PEOPLE_PER_PIPELINE = 500

_SECONDS = struct.Struct("<I")

Client = Redis | RedisCluster


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

    def __init__(self, client: Client) -> None:
        """The client stays its owner's to close."""
        self._client = client

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
                pipeline.hset(key, mapping={**fields, keys.SEEN_FIELD: _SECONDS.pack(int(now_s))})
                pipeline.expire(key, _bounded(ttl_s))
            await pipeline.execute()
            saved += len(chunk)
        return saved

    async def match(
        self, source: str, uid: str, person_id: bytes, now_s: float, ttl_s: float = MAX_TTL_S
    ) -> None:
        """Let `source`'s id `uid` lead to a person; raises ValueError for an id that is empty or too long.

        Being matched is being seen: the person lives `ttl_s` longer, and never less than before.
        """
        tag = keys.match_tag(match_name(source, uid))
        key = keys.person_key(keys.person_tag(person_id))
        pipeline = self._pipeline()
        pipeline.hset(
            key,
            mapping={
                keys.match_field(tag): _SECONDS.pack(int(now_s)),
                keys.SEEN_FIELD: _SECONDS.pack(int(now_s)),
            },
        )
        pipeline.expire(key, _bounded(ttl_s), nx=True)
        pipeline.expire(key, _bounded(ttl_s), gt=True)
        pipeline.hgetall(key)
        fields = (await pipeline.execute())[-1]
        await _done(self._client.set(keys.match_key(tag), person_id, ex=_bounded(ttl_s)))
        await self._forget(key, person_id, _surplus(fields))

    async def match_many(
        self, matches: Iterable[tuple[str, str, bytes]], now_s: float, ttl_s: float = MAX_TTL_S
    ) -> int:
        """`match` for many (source, uid, person_id), for seeding: MAX_LISTED is the caller's to keep."""
        stream, matched = iter(matches), 0
        while chunk := list(islice(stream, PEOPLE_PER_PIPELINE)):
            tagged = [(keys.match_tag(match_name(source, uid)), person) for source, uid, person in chunk]
            listing, rows = self._pipeline(), self._pipeline()
            for tag, person_id in tagged:
                key = keys.person_key(keys.person_tag(person_id))
                listing.hset(key, keys.match_field(tag), _SECONDS.pack(int(now_s)))
                listing.expire(key, _bounded(ttl_s), nx=True)
                rows.set(keys.match_key(tag), person_id, ex=_bounded(ttl_s))
            await listing.execute()
            await rows.execute()
            matched += len(tagged)
        return matched

    async def erase(self, person_id: bytes) -> int:
        """Remove all that is known of a person, what the person was shown, and every row that leads there, with what
        was shown under its id before; returns the keys removed."""
        tag = keys.person_tag(person_id)
        key = keys.person_key(tag)
        fields = await _done(self._client.hkeys(key))
        removed = await self._forget(key, person_id, _listed(fields))
        return removed + int(await _done(self._client.unlink(key, keys.views_key(tag), keys.marks_key(tag))))

    async def _forget(self, key: bytes, person_id: bytes, tags: list[bytes]) -> int:
        """Remove rows of the match table that lead to this person, what was shown under their ids, and the list."""
        if not tags:
            return 0
        reading = self._pipeline()
        for tag in tags:
            reading.get(keys.match_key(tag))
        values = await reading.execute()
        ours = [tag for tag, value in zip(tags, values, strict=True) if value == person_id]
        removing = self._pipeline()
        for tag in ours:
            for name in (keys.match_key(tag), keys.views_key(tag), keys.marks_key(tag)):
                removing.execute_command("UNLINK", name)  # a cluster's pipeline has no `unlink`
        removing.hdel(key, *(keys.match_field(tag) for tag in tags))
        return sum(map(int, (await removing.execute())[:-1]))

    def _pipeline(self) -> Any:
        if isinstance(self._client, RedisCluster):
            return self._client.pipeline()
        return self._client.pipeline(transaction=False)


def _bounded(ttl_s: float) -> int:
    return max(1, min(int(ttl_s), MAX_TTL_S))


def _listed(fields: Iterable[bytes]) -> list[bytes]:
    """The tags of the rows that lead to a person, from the names of the person's fields."""
    prefix = keys.MATCH_FIELD_PREFIX
    return [name[len(prefix) :] for name in fields if name.startswith(prefix)]


def _surplus(fields: Mapping[bytes, bytes]) -> list[bytes]:
    """The tags beyond MAX_LISTED, the oldest first."""
    tags = sorted(_listed(fields), key=lambda tag: _matched_s(fields[keys.match_field(tag)]))
    return tags[: max(0, len(tags) - MAX_LISTED)]


def _matched_s(value: bytes) -> int:
    return int(_SECONDS.unpack(value)[0]) if len(value) == _SECONDS.size else 0


async def _done(answer: Any) -> Any:
    """redis.asyncio types its answers as either awaitable or not; ours are awaitable."""
    return await cast("Awaitable[Any]", answer)
