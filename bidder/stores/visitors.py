"""People as shops see them: what they did, what follows from it, and the clusters of one login. Off the path of a bid.

Place: shop/ observes, render/ and rights/ ask; stores/people reads for bids what is written here.
Shapes: see stores/keys; profile and history of one advertiser change in one step, by a script that compares them with
    what was read. Whoever else wrote in between, the visits are added to that; nothing is lost or written twice.
Units: `now_s` seconds since the epoch, `ttl_s` seconds.
Limits: MAX_TTL_S since last seen, or less where the store is told so; MAX_MEMBERS people in a cluster and
    MAX_CLUSTERS of a person with an advertiser; of more nobody joins, since whoever left would leave
    copies of what they did with the others, where their erasure would not find them. MAX_TRIES against other processes
    that write the same person.
Raises: redis.RedisError. Never wrap its calls in a time-out.
Never: anything for a person who opted out, or of visits before the person was erased (see stores/guards); one
    advertiser's data because of another's.
"""

import asyncio
import struct
import time
from collections.abc import Awaitable, Sequence
from typing import Any, Final, cast
from weakref import WeakValueDictionary

from msgspec import Struct
from redis.exceptions import NoScriptError

from bidder.audience.history import History, pack_history, unpack_history
from bidder.audience.known import DAY_S, Added, Known, Seen, ShopRules, added, aged
from bidder.audience.person import field_name, pack, unpack
from bidder.metrics import Metric, Tally
from bidder.stores import keys
from bidder.stores.guards import guard_key
from bidder.stores.people_writer import MAX_TTL_S, Client
from bidder.stores.scripts import Script

__all__ = ["Known", "Observed", "Seen", "ShopRules", "VisitorStore"]

MAX_MEMBERS: Final = 8
"""A household's browsers; a login that many people share says nothing of one."""
MAX_CLUSTERS: Final = 4
"""Logins that one browser shows to one advertiser: a script that invents logins must not grow the hash."""
MAX_LOGIN: Final = 256
MAX_TRIES: Final = 64
MAX_SPLITS: Final = 8
"""Times that a cluster is looked at again while it is split and somebody joins."""
SIZE_DAYS: Final = 30

METRICS: tuple[Metric, ...] = (
    Metric("paceline_visitors_total", "counter", "What became of people's visits with one shop", ("result",)),
    Metric(
        "paceline_visitor_conflicts_total",
        "counter",
        "Writes that were done again: somebody else's came first",
    ),
)

READ: Final = Script("visitors_read", ("visitors_standing",))
WRITE: Final = Script("visitors_write", ("visitors_standing",))
JOIN: Final = Script("visitors_join", ("visitors_standing",))
ENTER: Final = Script("visitors_enter", ("visitors_standing",))
STAY: Final = Script("visitors_stay", ())
DROP: Final = Script("visitors_drop", ())
COUNT: Final = Script("visitors_count", ())
AGE: Final = Script("visitors_age", ())

_Argument = bytes | str | int
_SECONDS: Final = struct.Struct("<I")
_DONE: Final = 1
_NOT_IN_CLUSTER: Final = 0


class Observed(Struct, frozen=True):
    """What became of visits."""

    kept: int = 0
    repeated: int = 0
    """Of events that were known."""
    opted_out: bool = False
    lost: int = 0
    """Visits that are not kept because other processes wrote the same person MAX_TRIES times in between."""


class _Standing(Struct, frozen=True):
    """What was read of a person and one advertiser."""

    opted_out: bool
    profile: bytes
    history: bytes
    clusters: tuple[bytes, ...]
    """Tags."""
    guard: bytes
    """When the person was erased, in seconds as text; empty: nobody asked for it."""

    def known(self) -> Known:
        """It, opened; what is damaged is begun anew."""
        return Known(
            unpack(self.profile) if self.profile else None,
            (unpack_history(self.history) if self.history else None) or History(),
            self.opted_out,
        )

    def since(self, seen: Sequence[Seen], now_s: int) -> list[Seen]:
        """The visits that came after the person was erased."""
        guard_s = int(self.guard or -1)
        return [each for each in seen if min(each.visit.at_s, now_s) > guard_s]


class _Visitor(Struct, frozen=True):
    """Whose visits are added, to what and when."""

    person_id: bytes
    shop: ShopRules
    now_s: int
    ttl_s: int
    cluster: bytes = b""
    """The tag of the cluster by which somebody who was not seen is told."""


class VisitorStore:
    """Reads and writes through a redis.asyncio client, of one server or a cluster; belongs to one event loop."""

    def __init__(self, client: Client, tally: Tally, keep_s: float = MAX_TTL_S) -> None:
        """The client stays its owner's to close. Nothing is kept for longer than `keep_s`, at most MAX_TTL_S."""
        self._client = client
        self._keep_s = max(1, min(int(keep_s), MAX_TTL_S))
        self._tally = tally
        self._locks: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    async def known(self, person_id: bytes, advertiser_id: str) -> Known:
        """What an advertiser knows of a person."""
        return (await self._read(person_id, advertiser_id)).known()

    async def observe(
        self, person_id: bytes, shop: ShopRules, seen: Sequence[Seen], now_s: int, ttl_s: float = MAX_TTL_S
    ) -> Observed:
        """Add visits to what a shop knows of a person and of the others in the person's clusters with the shop.

        The person then lives `ttl_s`, at most what the store keeps; the others, who were not seen, no longer than
        before.
        """
        observed, clusters = await self._add(_Visitor(person_id, shop, now_s, self._bounded(ttl_s)), seen)
        if observed.kept:
            told = {person_id}
            for tag in clusters:
                for member in await self._enter(tag, person_id, now_s) or ():
                    if member not in told:
                        told.add(member)
                        await self._add(_Visitor(member, shop, now_s, 0, tag), seen)
        return observed

    async def join(self, person_id: bytes, advertiser_id: str, login: str, now_s: int) -> bool:
        """A person showed an advertiser a login (hashed, and with consent): what the person does there from now on is
        known of all who showed the same. False where the person opted out, or was erased since, or one of the bounds
        was reached; raises ValueError above MAX_LOGIN."""
        tag = _cluster_tag(advertiser_id, login)
        value = _SECONDS.pack(now_s) + advertiser_id.encode()
        own = keys.person_tag(person_id)
        names = [keys.person_key(own), guard_key(own)]
        if (
            await self._run(JOIN, names, [keys.cluster_field(tag), value, self._keep_s, MAX_CLUSTERS])
            != _DONE
        ):
            return False
        return await self._enter(tag, person_id, now_s) is not None

    async def split(self, advertiser_id: str, login: str) -> int:
        """Erase a cluster, and all that the advertiser knows of the people in it; returns how many they were."""
        tag, erased = _cluster_tag(advertiser_id, login), 0
        cluster = keys.cluster_key(tag)
        for _ in range(MAX_SPLITS):
            members: list[bytes] = await self._ask("HKEYS", cluster)
            if not members:
                break
            for member in members:
                own = keys.person_tag(member)
                names = [keys.person_key(own), keys.history_key(own), keys.views_key(own)]
                await self._run(DROP, names, [field_name(advertiser_id), keys.cluster_field(tag)])
                erased += int(await self._ask("HDEL", cluster, member))
        return erased

    async def sizes(self, advertiser_id: str, segment_ids: Sequence[str], now_s: int) -> dict[str, int]:
        """About how many people were in each segment within the last SIZE_DAYS days."""
        days = [_day(now_s - n * DAY_S) for n in range(SIZE_DAYS)]
        found = {}
        for segment_id in segment_ids:
            names = [keys.size_key(advertiser_id, segment_id, day) for day in days]
            found[segment_id] = int(await self._ask("PFCOUNT", *names))
        return found

    async def erased(self, person_id: bytes) -> bool:
        """Whether a person was erased not long ago, or opted out and in again: then the number is not to be used anew.
        Who opted out, and did not come back, was not: that is to stay known."""
        standing = await self._read(person_id, "")
        return bool(standing.guard) and not standing.opted_out

    async def resolve(self, matches: Sequence[str]) -> bytes | None:
        """The person that the first of these match keys (`source/id`) leads to, OPTED_OUT as such; None: nobody."""
        for match in matches:
            value = await self._ask("GET", keys.match_key(keys.match_tag(match)))
            if value is not None and len(value) == keys.PERSON_ID_BYTES:
                return bytes(value)
        return None

    async def traced(self, matches: Sequence[str]) -> tuple[bytes | None, int]:
        """`resolve`, and the latest moment up to which somebody whom one of these led to was erased or opted out; -1:
        nobody, as far as guards tell."""
        found, guard_s = None, -1
        for match in matches:
            tag = keys.match_tag(match)
            value, guard = await self._ask("MGET", keys.match_key(tag), guard_key(tag))
            guard_s = max(guard_s, int(guard or -1))
            if found is None and value is not None and len(value) == keys.PERSON_ID_BYTES:
                found = bytes(value)
        return found, guard_s

    async def lives(self, person_id: bytes) -> bool:
        """Whether something is known of a person who has not opted out."""
        fields = await self._ask("HKEYS", keys.person_key(keys.person_tag(person_id)))
        return bool(fields) and keys.OPT_OUT_FIELD not in fields

    async def age(self, person_id: bytes, advertiser_id: str, now_s: int) -> bool:
        """Remove what is too old of what an advertiser knows of a person who does not come any more; the keys' own ends
        do so only where the person comes to no shop. Returns whether there was something."""
        standing = await self._read(person_id, advertiser_id)
        if standing.opted_out:
            return False
        known = standing.known()
        stays = aged(known, now_s, self._keep_s)
        profile = b"" if stays.profile is None else pack(stays.profile)
        history = pack_history(stays.history) if stays.history.visits else b""
        if (profile, history) == (standing.profile, standing.history):
            return False
        tag = keys.person_tag(person_id)
        names = [keys.person_key(tag), keys.history_key(tag)]
        before = standing.profile, standing.history
        answer: int = await self._run(AGE, names, [field_name(advertiser_id), *before, profile, history])
        return answer == _DONE

    def _bounded(self, ttl_s: float) -> int:
        return max(1, min(int(ttl_s), self._keep_s))

    async def _add(self, visitor: _Visitor, seen: Sequence[Seen]) -> tuple[Observed, tuple[bytes, ...]]:
        """(what became of the visits, tags of the person's clusters)."""
        lock = self._locks.setdefault(visitor.person_id, asyncio.Lock())
        async with lock:  # so that only other processes come in between
            standing = await self._read(visitor.person_id, visitor.shop.advertiser_id)
            for _ in range(MAX_TRIES):
                if standing.opted_out:
                    return self._ended("opted_out", Observed(opted_out=True)), ()
                since = standing.since(seen, visitor.now_s)
                if seen and not since:
                    return self._ended("erased", Observed()), ()
                new = added(standing.known(), visitor.shop, since, visitor.now_s, self._keep_s)
                if not new.kept:
                    return self._ended("repeated", Observed(0, new.repeated)), ()
                answer = await self._write(visitor, standing, new)
                if answer == _DONE:
                    await self._count(visitor, new.entered)
                    return self._ended("kept", Observed(new.kept, new.repeated)), standing.clusters
                if answer == _NOT_IN_CLUSTER:
                    await self._ask("HDEL", keys.cluster_key(visitor.cluster), visitor.person_id)
                    return self._ended("gone", Observed()), ()
                self._tally.count("paceline_visitor_conflicts_total")
                standing = _standing(answer)
        return self._ended("lost", Observed(lost=len(seen))), ()

    async def _read(self, person_id: bytes, advertiser_id: str) -> _Standing:
        names = _names(keys.person_tag(person_id))
        return _standing(await self._run(READ, names, [field_name(advertiser_id), advertiser_id]))

    async def _write(self, visitor: _Visitor, standing: _Standing, new: Added) -> Any:
        """Compare and set; see the script for the answers."""
        names, owner = _names(keys.person_tag(visitor.person_id)), visitor.shop.advertiser_id
        arguments: list[_Argument] = [field_name(owner), owner, standing.profile, standing.history]
        arguments += [standing.guard, pack(new.profile), pack_history(new.history), visitor.ttl_s]
        arguments += [
            b"" if visitor.cluster else _SECONDS.pack(visitor.now_s),
            keys.cluster_field(visitor.cluster),
        ]
        return await self._run(WRITE, names, arguments)

    async def _enter(self, tag: bytes, person_id: bytes, now_s: int) -> list[bytes] | None:
        """A person was seen in a cluster; returns the others who are in it, None where the person is not: the cluster
        was full, or the person has left meanwhile, by an erasure or by opting out."""
        cluster, field, now = keys.cluster_key(tag), keys.cluster_field(tag), _SECONDS.pack(now_s)
        arguments: list[_Argument] = [person_id, now, self._keep_s, MAX_MEMBERS]
        entered, gone, members = await self._run(ENTER, [cluster], arguments)
        if not entered and await self._thin(cluster, field, members):
            entered, more, members = await self._run(ENTER, [cluster], arguments)
            gone = [*gone, *more]
        for other in gone:
            await self._ask("HDEL", keys.person_key(keys.person_tag(other)), field)
        own = keys.person_key(keys.person_tag(person_id))
        if not entered:
            await self._ask("HDEL", own, field)
            return None
        if not await self._run(STAY, [own], [field, now]):
            await self._ask("HDEL", cluster, person_id)
            return None
        return cast("list[bytes]", members)

    async def _thin(self, cluster: bytes, field: bytes, members: Sequence[bytes]) -> bool:
        """Take those out of a cluster of whom nothing is known any more; whether there were any."""
        thinner = False
        for member in members:
            if not await self._ask("HEXISTS", keys.person_key(keys.person_tag(member)), field):
                thinner = bool(await self._ask("HDEL", cluster, member)) or thinner
        return thinner

    async def _count(self, visitor: _Visitor, entered: Sequence[int]) -> None:
        """Count a person in the sizes of segments that the person is in today."""
        if entered:
            owner, ids, day = visitor.shop.advertiser_id, visitor.shop.rules.ids, _day(visitor.now_s)
            names = [keys.size_key(owner, ids[key], day) for key in entered]
            await self._run(COUNT, names, [visitor.person_id, SIZE_DAYS * DAY_S])

    def _ended(self, result: str, observed: Observed) -> Observed:
        self._tally.count("paceline_visitors_total", result)
        return observed

    async def _run(self, script: Script, names: Sequence[bytes], arguments: Sequence[_Argument]) -> Any:
        """Call a script by its digest; a server that does not know it is taught it."""
        rest = (len(names), *names, *arguments)
        try:
            return await self._ask("EVALSHA", script.digest, *rest)
        except NoScriptError:
            return await self._ask("EVAL", script.text, *rest)

    async def _ask(self, *command: _Argument) -> Any:
        return await cast("Awaitable[Any]", self._client.execute_command(*command))


def _standing(answer: Sequence[Any]) -> _Standing:
    opted_out, profile, history, tags, guard = answer
    size = keys.TAG_LENGTH
    clusters = tuple([tags[n : n + size] for n in range(0, len(tags), size)])
    return _Standing(bool(opted_out), profile, history, clusters, guard)


def _names(tag: bytes) -> list[bytes]:
    """The keys of what stands of a person, in one slot."""
    return [keys.person_key(tag), keys.history_key(tag), guard_key(tag)]


def _cluster_tag(advertiser_id: str, login: str) -> bytes:
    if not 1 <= len(login) <= MAX_LOGIN:
        raise ValueError(f"a login has 1 to {MAX_LOGIN} characters")
    return keys.cluster_tag(advertiser_id, login)


def _day(at_s: int) -> str:
    return time.strftime("%Y%m%d", time.gmtime(at_s))
