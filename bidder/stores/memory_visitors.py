"""The visitors' store in memory: for tests, and for those who try out a shop without a server.

Place: takes the place of VisitorStore; the same contract tests hold for both.
Shapes: keys and values are those of the server (stores/keys); the scripts are told again in Python, one by one.
Limits: nothing expires by itself: `ttl_s` tells how long a key would live, and `forget` ends one.
"""

import asyncio
import struct
from collections.abc import Callable, Sequence
from typing import Any, Final

from bidder.metrics import Tally
from bidder.stores import keys
from bidder.stores.people_writer import MAX_TTL_S
from bidder.stores.scripts import Script
from bidder.stores.visitors import AGE, COUNT, DROP, ENTER, JOIN, READ, STAY, WRITE, VisitorStore

_SECONDS: Final = struct.Struct("<I")
_Argument = bytes | str | int


class MemoryVisitorStore(VisitorStore):
    """All in dictionaries; each call gives way to others once before it is done, as one to a server does."""

    def __init__(self, tally: Tally | None = None, keep_s: float = MAX_TTL_S) -> None:
        """Empty."""
        tally = Tally() if tally is None else tally
        super().__init__(None, tally, keep_s)  # type: ignore[arg-type]  # no call goes there
        self.hashes: dict[bytes, dict[bytes, bytes]] = {}
        """Hashes by key."""
        self.values: dict[bytes, bytes] = {}
        """Rows of the match table, and guards."""
        self.counts: dict[bytes, set[bytes]] = {}
        """Who was in a segment on a day, exactly."""
        self.ttl_s: dict[bytes, int] = {}
        self._scripts: dict[Script, Callable[[Sequence[bytes], Sequence[Any]], Any]] = {
            READ: self._read_script,
            WRITE: self._write_script,
            JOIN: self._join_script,
            ENTER: self._enter_script,
            STAY: self._stay_script,
            DROP: self._drop_script,
            COUNT: self._count_script,
            AGE: self._age_script,
        }

    def forget(self, key: bytes) -> None:
        """End a key, as its time to live does."""
        for held in (self.hashes, self.values, self.counts, self.ttl_s):
            held.pop(key, None)

    async def _run(self, script: Script, names: Sequence[bytes], arguments: Sequence[_Argument]) -> Any:
        await asyncio.sleep(0)
        return self._scripts[script](names, [_raw(argument) for argument in arguments])

    async def _ask(self, *command: _Argument) -> Any:
        await asyncio.sleep(0)
        name, key, *rest = map(_raw, command)
        if name == b"GET":
            return self.values.get(key)
        if name == b"MGET":
            return [self.values.get(each) for each in (key, *rest)]
        if name == b"PFCOUNT":
            return len(set().union(*(self.counts.get(each, set()) for each in (key, *rest))))
        if name == b"HKEYS":
            return list(self.hashes.get(key, ()))
        if name == b"HEXISTS":
            return int(rest[0] in self.hashes.get(key, {}))
        assert name == b"HDEL", name
        return self._remove(key, *rest)

    def _field(self, key: bytes, field: bytes) -> bytes:
        return self.hashes.get(key, {}).get(field, b"")

    def _set(self, key: bytes, field: bytes, value: bytes) -> None:
        self.hashes.setdefault(key, {})[field] = value

    def _remove(self, key: bytes, *fields: bytes) -> int:
        held = self.hashes.get(key, {})
        removed = sum(held.pop(field, None) is not None for field in fields)
        if not held:
            self.forget(key)
        return removed

    def _keep(self, key: bytes, seconds: int) -> None:
        self.ttl_s[key] = max(self.ttl_s.get(key, 0), min(MAX_TTL_S, max(1, seconds)))

    def _standing(self, names: Sequence[bytes], field: bytes, advertiser: bytes) -> list[Any]:
        person, histories, guard = names
        fields = self.hashes.get(person, {})
        if keys.OPT_OUT_FIELD in fields:
            return [1, b"", b"", b"", b""]
        prefix = keys.CLUSTER_FIELD_PREFIX
        tags = [name[len(prefix) :] for name in _clusters(fields, advertiser)]
        profile, history = self._field(person, field), self._field(histories, field)
        return [0, profile, history, b"".join(tags), self.values.get(guard, b"")]

    def _read_script(self, names: Sequence[bytes], arguments: Sequence[bytes]) -> Any:
        return self._standing(names, arguments[0], arguments[1])

    def _write_script(self, names: Sequence[bytes], arguments: Sequence[bytes]) -> Any:
        person, histories, _ = names
        field, advertiser, profile, history, guard, *new = arguments
        new_profile, new_history, ttl_s, seen, cluster = new
        fields = self.hashes.get(person, {})
        if not seen and cluster not in fields:
            return 0
        standing = self._standing(names, field, advertiser)
        if standing[:3] != [0, profile, history] or standing[4] != guard:
            return standing
        self._set(person, field, new_profile)
        self._set(histories, field, new_history)
        if seen:
            self._set(person, keys.SEEN_FIELD, seen)
            self._keep(person, int(ttl_s))
            self._keep(histories, int(ttl_s))
        else:
            self.ttl_s[histories] = self.ttl_s.get(person, 1)
        return 1

    def _join_script(self, names: Sequence[bytes], arguments: Sequence[bytes]) -> Any:
        person, guard = names
        field, value, ttl_s, most = arguments
        erased_s = int(self.values.get(guard, b"-1"))
        if keys.OPT_OUT_FIELD in self.hashes.get(person, {}) or _seconds(value) <= erased_s:
            return 0
        others = [
            name for name in _clusters(self.hashes.get(person, {}), value[_SECONDS.size :]) if name != field
        ]
        since_s = _seconds(value) - MAX_TTL_S
        ended = [name for name in others if _seconds(self.hashes[person][name]) <= since_s]
        self._remove(person, *ended)
        if len(others) - len(ended) >= int(most):
            return 0
        self._set(person, field, value)
        self._set(person, keys.SEEN_FIELD, value[: _SECONDS.size])
        self._keep(person, int(ttl_s))
        return 1

    def _enter_script(self, names: Sequence[bytes], arguments: Sequence[bytes]) -> Any:
        (cluster,) = names
        person_id, seen, ttl_s, most = arguments
        members = dict(self.hashes.get(cluster, {}))
        known, since_s = members.pop(person_id, None) is not None, _seconds(seen) - MAX_TTL_S
        gone = [each for each, value in members.items() if _seconds(value) <= since_s]
        self._remove(cluster, *gone)
        others = [each for each in members if each not in gone]
        if len(others) >= int(most) and not known:
            return [0, gone, others]
        self._set(cluster, person_id, seen)
        self._keep(cluster, int(ttl_s))
        return [1, gone, others]

    def _stay_script(self, names: Sequence[bytes], arguments: Sequence[bytes]) -> Any:
        (person,), (field, now) = names, arguments
        value = self.hashes.get(person, {}).get(field)
        if value is None:
            return 0
        if len(value) >= _SECONDS.size and _seconds(value) < _seconds(now):
            self._set(person, field, now + value[_SECONDS.size :])
        return 1

    def _drop_script(self, names: Sequence[bytes], arguments: Sequence[bytes]) -> Any:
        person, histories, views = names
        field, cluster = arguments
        removed = self._remove(person, field, cluster)
        return removed + self._remove(histories, field) + self._remove(views, field)

    def _age_script(self, names: Sequence[bytes], arguments: Sequence[bytes]) -> Any:
        field, *values = arguments
        if [self._field(name, field) for name in names] != values[:2]:
            return 0
        for name, value in zip(names, values[2:], strict=True):
            if value:
                self._set(name, field, value)
            else:
                self._remove(name, field)
        return 1

    def _count_script(self, names: Sequence[bytes], arguments: Sequence[bytes]) -> Any:
        person_id, ttl_s = arguments
        for key in names:
            self.counts.setdefault(key, set()).add(person_id)
            self.ttl_s.setdefault(key, int(ttl_s))
        return len(names)


def _raw(argument: _Argument) -> bytes:
    """An argument as a server sees it."""
    return argument if isinstance(argument, bytes) else str(argument).encode()


def _clusters(fields: dict[bytes, bytes], advertiser: bytes) -> list[bytes]:
    """The fields that name the clusters of an advertiser."""
    prefix, size = keys.CLUSTER_FIELD_PREFIX, _SECONDS.size
    return [name for name, value in fields.items() if name.startswith(prefix) and value[size:] == advertiser]


def _seconds(value: bytes) -> int:
    return int.from_bytes(value[: _SECONDS.size], "little")
