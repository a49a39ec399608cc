"""Append-only files of records: opened by one writer, sealed when full or when the writer is gone, read by all.

Place: writer.py appends; compaction, erasure and dataset read; the caretaker seals what a killed process left.
Shapes: `segments/<slot>-<start in ms>-<random>` with `.open` while its writer holds its lock (flock), `.sealed` after;
    `.bad` where it could not be made into Parquet.
Raises: OSError where the disk refuses.
Never: a file that is appended to by two, or changed in place once it is sealed.
"""

import fcntl
import itertools
import os
import secrets
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import Final

from bidder.events.files import PART, replace
from bidder.events.frames import MAGIC, decoded, encode_record, framed, payloads
from bidder.events.records import Record

FOLDER: Final = "segments"
OPEN: Final = ".open"
SEALED: Final = ".sealed"
BAD: Final = ".bad"
_MADE: Final = itertools.count()
"""Of this process: the order of segments of one millisecond."""


class OpenSegment:
    """The file that a recorder appends to."""

    def __init__(self, folder: Path, slot: int, now_s: float) -> None:
        """Make it, in the folder of all that is recorded."""
        inside = folder / FOLDER
        inside.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = f"{slot:03d}-{int(now_s * 1_000):013d}-{next(_MADE):08x}{secrets.token_hex(4)}"
        hidden = inside / (name + PART)
        self._file = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # before anybody can see it
            _write(self._file, MAGIC)
            self.path = hidden.rename(inside / (name + OPEN))
        except OSError:
            os.close(self._file)
            hidden.unlink(missing_ok=True)
            raise
        self.size, self.started_s = len(MAGIC), now_s
        self.torn = False
        """Half a frame stands at the end: nothing can be appended any more."""

    def append(self, frames: bytes) -> None:
        """Write whole frames; where the disk takes less than all of them it raises, and the file is as it was, or
        `torn`."""
        self.torn = True
        try:
            _write(self._file, frames)
        except OSError:
            os.ftruncate(self._file, self.size)
            self.torn = False
            raise
        self.torn = False
        self.size += len(frames)

    def seal(self) -> None:
        """End it: what is in it is on the disk, and nothing is appended any more."""
        try:
            os.fsync(self._file)
            self.path.rename(self.path.with_suffix(SEALED))
        finally:
            os.close(self._file)

    def abandon(self) -> None:
        """Let go of it as it stands, as the end of the process does."""
        os.close(self._file)


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def seal_orphans(folder: Path) -> int:
    """Seal the segments whose writers are gone; how many. A segment that is being written stays as it is."""
    for path in (folder / FOLDER).glob(
        f"[0-9]*{PART}"
    ):  # killed before anybody could see it: nothing is in it
        _end_orphan(path, None)
    return sum(_end_orphan(path, SEALED) for path in sorted((folder / FOLDER).glob(f"*{OPEN}")))


def _end_orphan(path: Path, suffix: str | None) -> bool:
    """Seal a file, or delete it where there is no suffix for it; False while its writer lives."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:  # its writer sealed it just now
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if suffix is None:
            path.unlink()
        else:
            os.fsync(file)
            path.rename(path.with_suffix(suffix))
    except (BlockingIOError, FileNotFoundError):
        return False
    finally:
        os.close(file)
    return True


def sealed(folder: Path) -> list[Path]:
    """The sealed segments, the oldest first."""
    return sorted((folder / FOLDER).glob(f"*{SEALED}"), key=_order)


def set_aside(folder: Path) -> list[Path]:
    """The segments that could not be made into Parquet."""
    return sorted((folder / FOLDER).glob(f"*{BAD}"), key=_order)


def readable(folder: Path) -> list[Path]:
    """Every segment that holds records, also those that are being written and those set aside."""
    found = (path for path in (folder / FOLDER).glob("*-*-*") if path.suffix in (OPEN, SEALED, BAD))
    return sorted(found, key=_order)


def waiting(folder: Path) -> list[Path]:
    """The segments that compaction will take, also those that are being written."""
    return [path for path in readable(folder) if path.suffix != BAD]


def count(path: Path) -> int:
    """How many events are in a segment; none where it was compacted meanwhile."""
    for candidate in (path, path.with_suffix(SEALED)):
        try:
            with candidate.open("rb") as file:
                return sum(1 for _ in payloads(file))
        except FileNotFoundError:
            continue
    return 0


def _order(path: Path) -> tuple[int, str]:
    """Older ones first."""
    return started_ms(path), path.name


def started_ms(path: Path) -> int:
    """When its first record was written."""
    return int(path.name.split("-")[1])


def records(path: Path) -> Iterator[Record]:
    """The records of a segment up to its last whole frame; those that nobody knows are left out."""
    with path.open("rb") as file:
        yield from _records(file)


def _records(file: BufferedReader) -> Iterator[Record]:
    for payload in payloads(file):
        record = decoded(payload)
        if record is not None:
            yield record


def records_or_none(path: Path) -> Iterator[Record]:
    """The same; none where it was sealed or compacted meanwhile under another name."""
    for candidate in (path, path.with_suffix(SEALED)):
        try:
            file = candidate.open("rb")
        except FileNotFoundError:
            continue
        with file:
            yield from _records(file)
        return


def rewrite(path: Path, keep: Callable[[Record], Record | None]) -> int:
    """Put `keep` of each record in its place, None takes it out; how many changed. Atomic; a file of which nothing
    changes is not touched."""
    changed = 0
    kept: list[bytes] = []
    for record in records(path):
        after = keep(record)
        changed += after is not record
        if after is not None:
            kept.append(framed(encode_record(after)))
    if changed:
        replace(path, (MAGIC, *kept))
    return changed
