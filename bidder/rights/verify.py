"""Proof that nothing of a person is left: every key and value of the store, every file that may hold one.

Place: `paceline erase --verify`, tests.
Shapes: a place is one line that an operator can look at; none: nothing was found. A tombstone, a guard and the digest
    in `erasures` name nobody, and are no places.
Limits: CHUNK bytes or ENTRIES of a value at a time; a HyperLogLog holds no ids, only what a count needs of their
    hashes.
Raises: redis.RedisError, OSError.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Final

from bidder.rights.tombstone import is_tombstone
from bidder.rights.walk import asked, batches
from bidder.stores import keys
from bidder.stores.guards import GUARD_PREFIX
from bidder.stores.removal import Client, done

CHUNK: Final = 1 << 20
ENTRIES: Final = 1_000
SMALL: Final = 65_536
"""Bytes of a string, and ENTRIES of a hash, up to which a batch of them is read at once."""


async def in_store(client: Client, person_id: bytes) -> list[str]:
    """Keys that name a person or hold the id in a value, as bytes or as digits."""
    tag = keys.person_tag(person_id)
    wanted, found = (person_id, tag, tag.upper()), list[str]()
    async for names in batches(client):
        others = []
        for name in names:
            if not any(text in name for text in wanted):
                others.append(name)
            elif not name.startswith(GUARD_PREFIX) and not await is_tombstone(client, name):
                found.append(f"key {_shown(name)}")
        found += [f"value of {_shown(name)}" for name in await _holding(client, others, wanted)]
    return sorted(set(found))


def in_files(folders: Iterable[Path], person_id: bytes) -> list[str]:
    """Files of these folders in which the id stands as bytes or digits, uncompressed: spools, artifacts."""
    return sorted(f"file {path}" for folder in folders for path in files_that_hold(folder, person_id))


def files_that_hold(folder: Path, person_id: bytes) -> list[Path]:
    """Those files of a folder."""
    wanted = (person_id, keys.person_tag(person_id))
    return [
        path
        for path in _files(folder)
        if any(any(text in piece for text in wanted) for piece in _pieces(path))
    ]


async def _holding(client: Client, names: list[bytes], wanted: tuple[bytes, ...]) -> list[bytes]:
    """Those of some keys that hold an id: small strings and hashes are read together, the others in pieces."""
    kinds: dict[bytes, list[bytes]] = {}
    for name, kind in zip(names, await asked(client, "TYPE", names), strict=True):
        kinds.setdefault(bytes(kind), []).append(name)
    strings, hashes = kinds.pop(b"string", []), kinds.pop(b"hash", [])
    whole: dict[bytes, list[bytes]] = {}
    for name, size in zip(strings, await asked(client, "STRLEN", strings), strict=True):
        whole.setdefault(b"string" if size <= SMALL else b"long", []).append(name)
    for name, size in zip(hashes, await asked(client, "HLEN", hashes), strict=True):
        whole.setdefault(b"hash" if size <= ENTRIES else b"wide", []).append(name)
    found = []
    for name, value in zip(
        whole.get(b"string", []), await asked(client, "GET", whole.get(b"string", [])), strict=True
    ):
        if isinstance(value, bytes) and any(text in value for text in wanted):
            found.append(name)
    for name, value in zip(
        whole.get(b"hash", []), await asked(client, "HGETALL", whole.get(b"hash", [])), strict=True
    ):
        pieces = b"\n".join(map(bytes, [*value, *value.values()] if isinstance(value, dict) else value or ()))
        if any(text in pieces for text in wanted):
            found.append(name)
    large = {b"string": whole.get(b"long", []), b"hash": whole.get(b"wide", []), **kinds}
    for kind, others in large.items():
        found += [name for name in others if await _holds(client, name, kind, wanted)]
    return found


async def _holds(client: Client, name: bytes, kind: bytes, wanted: tuple[bytes, ...]) -> bool:
    async for piece in _values(client, name, kind):
        if any(text in piece for text in wanted):
            return True
    return False


async def _values(client: Client, name: bytes, kind: bytes) -> AsyncIterator[bytes]:
    """A key's content in pieces; each id stands whole in one."""
    if kind == b"string":
        at = 0
        while piece := await done(client.getrange(name, at, at + CHUNK + keys.TAG_LENGTH)):
            yield bytes(piece)
            at += CHUNK
    elif kind == b"hash":
        async for field, value in client.hscan_iter(name, count=ENTRIES):
            yield bytes(field)
            yield bytes(value)
    elif kind == b"set":
        async for member in client.sscan_iter(name, count=ENTRIES):
            yield bytes(member)
    elif kind == b"zset":
        async for member, _ in client.zscan_iter(name, count=ENTRIES):
            yield bytes(member)
    elif kind == b"list":
        at = 0
        while members := await done(client.lrange(name, at, at + ENTRIES - 1)):
            for member in members:
                yield bytes(member)
            at += ENTRIES
    elif kind == b"stream":
        async for piece in _entries(client, name):
            yield piece


async def _entries(client: Client, name: bytes) -> AsyncIterator[bytes]:
    start = b"-"
    while entries := await done(client.xrange(name, start, "+", count=ENTRIES)):
        for number, fields in entries:
            for field, value in (fields or {}).items():
                yield bytes(field)
                yield bytes(value)
            start = b"(" + bytes(number)
        await asyncio.sleep(0)


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_file():
        yield folder
    elif folder.is_dir():
        yield from (path for path in folder.rglob("*") if path.is_file())


def _pieces(path: Path) -> Iterator[bytes]:
    """A file's content, each piece with the end of the one before."""
    tail = b""
    try:
        with path.open("rb") as file:
            while piece := file.read(CHUNK):
                yield tail + piece
                tail = piece[-keys.TAG_LENGTH :]
    except FileNotFoundError:  # sealed or applied meanwhile
        return


def _shown(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")
