"""The journal of an advertiser, from its first entry on: durable segments on disk, then what the store still holds.

Place: one process at a time runs `archive`; `audit` reads `whole_journal`, also while that runs.
Shapes: folder/<advertiser>/<number of the first entry, 16 digits>.jsonl, one JSON object per line and entry;
    folder/<advertiser>/lost-<number>.jsonl: entries that the store has forgotten, see `archive`.
Limits: a segment ends at SEGMENT_BYTES; BATCH entries per round trip. The store's stream is trimmed only up to what
    is on the disk, so a torn last line, left by kill -9 or by a power cut, loses nothing: it is cut off, and its entry
    comes again.
Raises: Damaged where a line that is not the last cannot be read, or where an entry is missing between two others;
    Busy where another process archives into the folder; LedgerDown.
"""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import IO, Final, Protocol, Self
from urllib.parse import quote

import msgspec

from budget.entries import Entry
from budget.store import Store

SEGMENT_BYTES: Final = 64 * 1024 * 1024
BATCH: Final = 1_000
TAIL_BYTES: Final = 64 * 1024  # hundreds of entries; a torn one is at the very end

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Entry).decode


class Damaged(Exception):
    """A segment cannot be read, or the journal has a hole."""


class Busy(Exception):
    """Another process archives into this folder."""


class JournaledStore(Store, Protocol):
    """A store whose journal can be drained."""

    async def entries(self, advertiser: str, after: int, count: int) -> list[Entry]:
        """At most `count` entries with a number above `after` that the store still holds, in order."""

    async def trim(self, advertiser: str, through: int) -> None:
        """Forget the journal up to and with an entry: it is kept elsewhere."""

    async def last_entry(self, advertiser: str) -> int:
        """The number of the last entry ever written; 0: none."""


class Archive:
    """One advertiser's segments, open for appending; `with Archive(folder, advertiser) as archive:`."""

    def __init__(self, folder: Path, advertiser: str, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Takes the folder, cuts off a torn last line; raises Busy, Damaged."""
        self.folder = folder_of(folder, advertiser)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._segment_bytes = segment_bytes
        self._file: IO[bytes] | None = None
        self._lock = (self.folder / "lock").open("wb")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise Busy(f"another process archives into {self.folder}") from None
        self.last = self._mend()
        """The number of the last entry that is on the disk; 0: none."""

    def append(self, entries: Sequence[Entry]) -> None:
        """Write the entries that are not here yet, and return when they are on the disk; raises Damaged."""
        fresh = [entry for entry in entries if entry.n > self.last]
        if not fresh:
            return
        for before, entry in pairwise([self.last, *(entry.n for entry in fresh)]):
            if entry != before + 1:
                raise Damaged(f"entries {before + 1} to {entry - 1} are missing")
        file = self._segment(fresh[0].n)
        file.write(b"".join(_encode(entry) + b"\n" for entry in fresh))
        file.flush()
        os.fsync(file.fileno())
        self.last = fresh[-1].n

    def cut(self, first: int) -> None:
        """Set aside all entries from a number on: the store has forgotten them and counts from there again."""
        self._leave()
        lost = [entry for entry in read(self.folder, first - 1) if entry.n >= first]
        kept = self.folder / f"lost-{first:016d}-{self.last:016d}.jsonl"
        with kept.open("wb") as file:
            file.write(b"".join(_encode(entry) + b"\n" for entry in lost))
            file.flush()
            os.fsync(file.fileno())
        for path in _segments(self.folder):
            if int(path.stem) >= first:
                path.unlink()
        if paths := _segments(self.folder):
            size = sum(len(line) for line in _lines(paths[-1]) if _decode(line).n < first)
            os.truncate(paths[-1], size)
        _sync_folder(self.folder)
        self.last = first - 1

    def close(self) -> None:
        """Let go of the folder."""
        self._leave()
        self._lock.close()

    def _segment(self, first: int) -> IO[bytes]:
        """The file to append to: the last one, or a new one where that is full."""
        if self._file is not None and self._file.tell() >= self._segment_bytes:
            self._leave()
        if self._file is None:
            paths = _segments(self.folder)
            if paths and paths[-1].stat().st_size < self._segment_bytes:
                self._file = paths[-1].open("ab")
            else:
                self._file = (self.folder / f"{first:016d}.jsonl").open("ab")
                _sync_folder(self.folder)
        return self._file

    def _mend(self) -> int:
        """Cut off a torn last line, drop a segment without a whole one; returns the last entry's number."""
        for path in reversed(_segments(self.folder)):
            n, size = _tail(path)
            if n:
                os.truncate(path, size)
                return n
            path.unlink()
        return 0

    def _leave(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def folder_of(folder: Path, advertiser: str) -> Path:
    """Where an advertiser's segments stand, whatever its id."""
    return folder / quote(advertiser, safe="").replace(".", "%2E")


def read(folder: Path, after: int) -> Iterator[Entry]:
    """All entries of one advertiser's segments with a number above `after`; raises Damaged.

    A last line without its end is one that is being written, or torn: it is no entry yet.
    """
    paths = _segments(folder)
    for path, following in pairwise([*paths, None]):
        assert path is not None
        if following is not None and int(following.stem) <= after + 1:
            continue
        wrong = ""
        for number, line in enumerate(_lines(path), 1):
            if wrong:
                break
            try:
                entry = _decode(line)
            except msgspec.DecodeError as error:
                wrong = f"{path.name}, line {number}: {error}"
            else:
                if entry.n > after:
                    yield entry
        else:
            if following is None:
                return
        if wrong:
            raise Damaged(wrong)


async def archive(store: JournaledStore, folder: Path, segment_bytes: int = SEGMENT_BYTES) -> dict[str, int]:
    """Drain every advertiser's journal into segments, then trim it in the store; returns how many entries each.

    A store that lost its last second (`appendfsync everysec`) counts on from an earlier number: what is archived
    beyond that is set aside in a file lost-..., for `audit` to tell and for a person to look at.
    """
    drained = {}
    for advertiser in await store.advertisers():
        with Archive(folder, advertiser, segment_bytes) as segments:
            drained[advertiser] = await _drain(store, advertiser, segments)
    return drained


async def whole_journal(store: JournaledStore, folder: Path, advertiser: str) -> AsyncIterator[Entry]:
    """Every entry in order: from the segments, then from the store. Holes are the reader's to see."""
    mine, last, looked_again = folder_of(folder, advertiser), 0, False
    while True:
        before = last
        for entry in read(mine, last):
            yield entry
            last = entry.n
        batch = await store.entries(advertiser, last, BATCH)
        if (not batch or batch[0].n > last + 1) and (not looked_again or last > before):
            looked_again = True  # an archiver may be quicker: what it trimmed meanwhile is on the disk now
            continue
        if not batch:
            return
        looked_again = False
        for entry in batch:
            yield entry
            last = entry.n


def lost(folder: Path, advertiser: str) -> list[str]:
    """Names of the files of entries that the store has forgotten."""
    return sorted(path.name for path in folder_of(folder, advertiser).glob("lost-*.jsonl"))


async def _drain(store: JournaledStore, advertiser: str, segments: Archive) -> int:
    before = segments.last
    forgotten = await _forgotten(store, advertiser, segments)
    if forgotten:
        await asyncio.to_thread(segments.cut, forgotten)
        before = segments.last
    while batch := await store.entries(advertiser, segments.last, BATCH):
        await asyncio.to_thread(segments.append, batch)
    if segments.last:
        await store.trim(advertiser, segments.last)
    return segments.last - before


async def _forgotten(store: JournaledStore, advertiser: str, segments: Archive) -> int:
    """The first archived entry that the store does not have as it is here; 0: there is none."""
    after = 0
    while batch := await store.entries(advertiser, after, BATCH):
        if batch[0].n > segments.last:
            break  # the common case: what is on the disk was trimmed
        archived = read(segments.folder, batch[0].n - 1)
        for held, kept in zip(batch, archived, strict=False):
            if held != kept:
                return kept.n
        after = batch[-1].n
    last = await store.last_entry(advertiser)
    return last + 1 if last < segments.last else 0


def _segments(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.jsonl") if path.stem.isdigit())


def _lines(path: Path) -> Iterator[bytes]:
    """Whole lines, each with its end."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line


def _tail(path: Path) -> tuple[int, int]:
    """The number of the last entry that is whole, and where it ends; 0, 0: there is none."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        block = TAIL_BYTES
        while True:
            start = max(0, size - block)
            file.seek(start)
            lines = file.read().splitlines(keepends=True)
            end = size
            for line in reversed(lines[1:] if start else lines):
                with contextlib.suppress(msgspec.DecodeError):
                    if line.endswith(b"\n"):
                        return _decode(line).n, end
                end -= len(line)
            if not start:
                return 0, 0
            block *= 4


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
