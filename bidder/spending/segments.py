"""Records in append-only files, and how far each reader came: what is on disk is read back, or known to be torn.

Place: spool.py builds its queue from these.
Shapes: a record is `<II` (length, CRC-32) and its bytes; a segment is a file of records named by the position of its
    first byte in the queue, 16 hexadecimal digits; a cursor is a file of two u64 per reader, mapped into memory:
    `done` (everything before it is applied) and `sent` (everything before it was sent, its answer perhaps not heard).
Limits: MAX_RECORD bytes per record, none of them empty: a disk that lost power shows zeros where nothing was written.
Raises: OSError where the disk refuses.
"""

import mmap
import os
import struct
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final
from zlib import crc32

MAX_RECORD: Final = 8_192
READERS: Final = 2
SUFFIX: Final = ".spool"

_HEAD: Final = struct.Struct("<II")
HEAD_BYTES: Final = _HEAD.size
_MAGIC: Final = int.from_bytes(b"PACESPL1", "little")
_CURSOR_BYTES: Final = mmap.PAGESIZE


def framed(payload: bytes) -> bytes:
    """A record as it stands in a file; `payload` has 1 to MAX_RECORD bytes."""
    assert 0 < len(payload) <= MAX_RECORD, "a record has a bounded size"
    return _HEAD.pack(len(payload), crc32(payload)) + payload


def records(data: bytes) -> Iterator[tuple[bytes, int]]:
    """The whole records at the beginning of some bytes, each with where it ends; stops at what is torn."""
    at = 0
    while at + HEAD_BYTES <= len(data):
        size, check = _HEAD.unpack_from(data, at)
        end = at + HEAD_BYTES + size
        if not 0 < size <= MAX_RECORD or end > len(data):
            return
        payload = data[at + HEAD_BYTES : end]
        if crc32(payload) != check:
            return
        yield payload, end
        at = end


class Segment:
    """One file of records; `end` is the position behind its last whole write."""

    __slots__ = ("_file", "base", "end", "path", "torn")

    def __init__(self, path: Path, base: int, *, fresh: bool) -> None:
        """Open or make it; raises OSError."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND if fresh else os.O_RDONLY
        self._file = os.open(path, flags | os.O_CLOEXEC, 0o600)
        self.path, self.base = path, base
        self.end = base + os.fstat(self._file).st_size
        self.torn = False
        """Half a record stands behind `end`: nothing can be appended any more."""

    def append(self, record: bytes) -> bool:
        """Write a record by one call; False, with the file as it was, where the disk takes less than all of it.
        Raises OSError, and is `torn`, where not even that could be undone."""
        try:
            whole = os.write(self._file, record) == len(record)
        except OSError:
            whole = False
        if whole:
            self.end += len(record)
            return True
        self.torn = True
        os.ftruncate(self._file, self.end - self.base)
        self.torn = False
        return False

    def read(self, position: int, size: int) -> bytes:
        """Up to `size` bytes from a position on."""
        return os.pread(self._file, min(size, self.end - position), position - self.base)

    def share(self) -> int:
        """A second descriptor of the file, for a thread to sync and close."""
        return os.dup(self._file)

    def close(self) -> None:
        """Close the file and leave it."""
        os.close(self._file)

    def remove(self) -> None:
        """Close the file and delete it."""
        self.close()
        self.path.unlink(missing_ok=True)


def segments_of(folder: Path) -> list[Segment]:
    """The segments that lie in a folder, in order, for reading."""
    found = sorted((int(path.stem, 16), path) for path in folder.glob(f"*{SUFFIX}"))
    segments = [Segment(path, base, fresh=False) for base, path in found]
    for segment, following in pairwise(segments):
        segment.end = min(segment.end, following.base)  # behind a torn write the next file goes on
    return segments


def new_segment(folder: Path, base: int) -> Segment:
    """An empty segment for appending; raises OSError."""
    return Segment(folder / f"{base:016x}{SUFFIX}", base, fresh=True)


class Cursor:
    """How far each reader came; what was set is in the page cache at once, so kill -9 loses none of it."""

    def __init__(self, path: Path) -> None:
        """Open or make it; raises OSError. One that is short or strange begins anew."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(descriptor).st_size != _CURSOR_BYTES:
                os.ftruncate(descriptor, 0)
                os.posix_fallocate(descriptor, 0, _CURSOR_BYTES)  # a hole in a full disk would be a SIGBUS
            self._map = mmap.mmap(descriptor, _CURSOR_BYTES)
        finally:
            os.close(descriptor)
        self._cells = memoryview(self._map).cast("Q")
        if self._cells[0] != _MAGIC:
            for cell in range(1, 1 + 2 * READERS):
                self._cells[cell] = 0
            self._cells[0] = _MAGIC

    def done(self, reader: int) -> int:
        """Everything before this position is applied."""
        return self._cells[1 + 2 * reader]

    def sent(self, reader: int) -> int:
        """Everything before this position was sent once, and may have been applied."""
        return self._cells[2 + 2 * reader]

    def send(self, reader: int, position: int) -> None:
        """What stands before a position is about to be sent."""
        self._cells[2 + 2 * reader] = position

    def finish(self, reader: int, position: int) -> None:
        """What stands before a position is applied."""
        self._cells[1 + 2 * reader] = position

    def close(self) -> None:
        """Unmap it."""
        self._cells.release()
        self._map.close()
