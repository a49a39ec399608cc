"""The stores of visitors that the contract holds for: in memory, on one server, on a cluster of three."""

from __future__ import annotations

from typing import Any

from bidder.metrics import Tally
from bidder.stores import keys
from bidder.stores.memory_visitors import MemoryVisitorStore
from bidder.stores.people_writer import MAX_TTL_S, Client, open_client
from bidder.stores.visitors import VisitorStore

Standing = dict[bytes, Any]
"""All that stands, by key: the fields of a hash, or the bytes of a value."""


class Shelf:
    """A store, and what stands in it byte by byte."""

    def __init__(self, client: Client | None, tally: Tally) -> None:
        self.tally = tally
        self._client = client
        self.store: VisitorStore = (
            MemoryVisitorStore(tally) if client is None else VisitorStore(client, tally)
        )

    def another(self, keep_s: float = MAX_TTL_S) -> VisitorStore:
        """A store of another process, over the same keys."""
        if self._client is not None:
            return VisitorStore(self._client, self.tally, keep_s)
        assert isinstance(self.store, MemoryVisitorStore)
        other = MemoryVisitorStore(self.tally, keep_s)
        other.hashes, other.values = self.store.hashes, self.store.values
        other.counts, other.ttl_s = self.store.counts, self.store.ttl_s
        return other

    async def standing(self) -> Standing:
        """Every key with its value."""
        if isinstance(self.store, MemoryVisitorStore):
            hashes = {key: dict(fields) for key, fields in self.store.hashes.items()}
            counts = {key: sorted(people) for key, people in self.store.counts.items()}
            return {**hashes, **self.store.values, **counts}
        found: Standing = {}
        assert self._client is not None
        async for key in self._client.scan_iter():
            kind = await self._client.type(key)
            found[key] = await (self._client.hgetall(key) if kind == b"hash" else self._client.get(key))  # type: ignore[misc]  # awaitable here
        return found

    async def fields(self, key: bytes) -> dict[bytes, bytes]:
        """Of a hash; empty where there is none."""
        found: dict[bytes, bytes] = (await self.standing()).get(key, {})
        return found

    async def ends(self) -> dict[bytes, int]:
        """Seconds that each key has to live; -1: for ever."""
        if isinstance(self.store, MemoryVisitorStore):
            return {key: self.store.ttl_s.get(key, -1) for key in await self.standing()}
        assert self._client is not None
        return {key: await self._client.ttl(key) for key in await self.standing()}

    async def put(self, key: bytes, field: bytes, value: bytes) -> None:
        """Set a field as somebody else would."""
        if isinstance(self.store, MemoryVisitorStore):
            self.store.hashes.setdefault(key, {})[field] = value
        else:
            assert self._client is not None
            await self._client.hset(key, field, value)  # type: ignore[arg-type, misc]  # bytes; awaitable here

    async def row(self, match: str, person_id: bytes) -> None:
        """A row of the match table."""
        await self.value(keys.match_key(keys.match_tag(match)), person_id)

    async def value(self, key: bytes, value: bytes) -> None:
        """Set a value that is no hash."""
        if isinstance(self.store, MemoryVisitorStore):
            self.store.values[key] = value
        else:
            assert self._client is not None
            await self._client.set(key, value)

    async def remove(self, key: bytes) -> None:
        """End a key."""
        if isinstance(self.store, MemoryVisitorStore):
            self.store.forget(key)
        else:
            assert self._client is not None
            await self._client.delete(key)

    async def close(self) -> None:
        """End its client."""
        if self._client is not None:
            await self._client.aclose()


__all__ = ["Shelf", "Standing", "open_client"]
