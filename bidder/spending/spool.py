"""A durable queue of orders: an accepted notice survives the death of its process, and is applied by whoever finds it.

Place: spools.py keeps a worker's own spool and those it found; lanes read them.
Shapes: a folder of segments, a cursor, and a lock that its process holds as long as it lives.
Rule: one os.write per record, so that a record is in the page cache before its notice is answered: kill -9 loses
    nothing. A power loss costs what the disk had not written: with `sync` every N ms the last N ms, without it what
    the kernel keeps back (30 s where nobody changed it). Those impressions are not charged; no ad is shown for money
    that nobody has, since what was reserved for them simply expires.
Limits: SEGMENT_BYTES per file; a segment goes once every reader is behind it. A torn tail, or a damaged record, ends
    its segment: what follows in that file is not read, and its bytes are counted.
Never: two processes with one spool: the lock is the kernel's (flock), so the folder is on a local disk.
"""

import fcntl
import os
import secrets
from pathlib import Path
from typing import Final

from bidder.spending.segments import READERS, Cursor, Segment, framed, new_segment, records, segments_of
from bidder.spending.sources import Batch

SEGMENT_BYTES: Final = 4 * 1024 * 1024
READ_BYTES: Final = 128 * 1024
_NEW: Final = ".new-"
_LOCK: Final = "lock"
_CURSOR: Final = "cursor"


class Spool:
    """One folder of segments, held by this process."""

    def __init__(self, folder: Path, lock: int) -> None:
        """Of `create` and `adopt`."""
        self.folder, self._lock = folder, lock
        self._cursor = Cursor(folder / _CURSOR)
        self._segments = segments_of(folder)
        self._writing = False
        self._unsynced: set[Segment] = set()
        self.damaged = 0
        """Bytes that were skipped since they were torn or did not match."""
        self._believe()

    @classmethod
    def create(cls, parent: Path, slot: int) -> "Spool":
        """A new, empty spool of a slot, for appending; raises OSError."""
        name = f"{slot:03d}-{secrets.token_hex(6)}"
        hidden = parent / f"{_NEW}{name}"  # nobody adopts it before it is locked
        hidden.mkdir(parents=True, mode=0o700)
        (hidden / _LOCK).touch(mode=0o600)
        lock = _locked(hidden)
        assert lock is not None, "nobody else knows the name"
        folder = hidden.rename(parent / name)
        spool = cls(folder, lock)
        spool._writing = True
        spool._segments.append(new_segment(folder, 0))
        return spool

    @classmethod
    def adopt(cls, folder: Path) -> "Spool | None":
        """A spool that a dead process left, for reading; None while somebody holds it, or where it is gone.
        Raises OSError, or ValueError where a file in it has another name than ours."""
        lock = _locked(folder)
        if lock is None:
            return None
        try:
            return cls(folder, lock)
        except (OSError, ValueError):
            os.close(lock)
            raise

    def _believe(self) -> None:
        """Where the cursor cannot be true, read everything again: repeats are harmless, gaps are not."""
        begin, end = self.begin, self.end
        for reader in range(READERS):
            done, sent = self._cursor.done(reader), self._cursor.sent(reader)
            done = done if begin <= done <= end else begin
            self._cursor.finish(reader, done)
            self._cursor.send(reader, min(max(done, sent), end))

    @property
    def begin(self) -> int:
        """The position of the first byte that is kept."""
        return self._segments[0].base if self._segments else 0

    @property
    def end(self) -> int:
        """The position behind the last record."""
        return self._segments[-1].end if self._segments else 0

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self.end - self.begin

    def append(self, payload: bytes) -> bool:
        """Keep a record; False where the disk does not take it."""
        assert self._writing, "an adopted spool is read"
        record, last = framed(payload), self._segments[-1]
        try:
            if last.torn or last.end - last.base + len(record) > SEGMENT_BYTES:
                self._segments.append(new_segment(self.folder, last.end))
            kept = self._segments[-1].append(record)
        except OSError:
            return False
        if kept:
            self._unsynced.add(self._segments[-1])
        return kept

    def peek(self, reader: int, limit: int) -> Batch | None:
        """Up to `limit` records, and up to READ_BYTES of them."""
        position, sent = self._cursor.done(reader), self._cursor.sent(reader)
        for segment in list(self._segments):
            if position >= segment.end:
                continue
            position = max(position, segment.base)
            found = list(records(segment.read(position, READ_BYTES)))[:limit]
            if position < sent:  # no batch holds both what was sent and what was not
                found = [(payload, end) for payload, end in found if position + end <= sent] or found[:1]
            if found:
                end = position + found[-1][1]
                return Batch(tuple([payload for payload, _ in found]), end, position < sent)
            if reader == 0:
                self.damaged += segment.end - position
            position = segment.end
            self.finish(reader, position)
        return None

    def send(self, reader: int, position: int) -> None:
        """See Source."""
        self._cursor.send(reader, max(position, self._cursor.sent(reader)))

    def finish(self, reader: int, position: int) -> None:
        """See Source; segments that every reader has behind it are deleted."""
        self._cursor.finish(reader, position)
        behind = min(self._cursor.done(each) for each in range(READERS))
        kept = 1 if self._writing else 0
        while len(self._segments) > kept and self._segments[0].end <= behind:
            self._unsynced.discard(self._segments[0])
            self._segments.pop(0).remove()

    def renew(self) -> None:
        """Go on in a new file where every record of this one is applied: what it says of people leaves the disk.
        Raises OSError."""
        if self._writing and self.empty and self.size and not self._segments[-1].torn:
            self._segments.append(new_segment(self.folder, self.end))
            self.finish(0, self._cursor.done(0))

    def waiting(self, reader: int) -> int:
        """See Source."""
        return max(0, self.end - self._cursor.done(reader))

    @property
    def empty(self) -> bool:
        """Whether every record is applied."""
        return not any(self.waiting(reader) for reader in range(READERS))

    def unsynced(self) -> list[int]:
        """What `write_out` needs so that the disk has every record of now; raises OSError."""
        files = [segment.share() for segment in self._unsynced]
        self._unsynced.clear()
        return [*files, os.open(self.folder, os.O_RDONLY | os.O_CLOEXEC)] if files else []

    def close(self) -> None:
        """Let go of it: deleted where every record is applied, else left for whoever comes next."""
        if self.empty:
            for path in list(self.folder.iterdir()):
                path.unlink(missing_ok=True)
            self.folder.rmdir()
        self.abandon()

    def abandon(self) -> None:
        """Let go of it as it stands, as the end of the process does."""
        self._cursor.close()
        for segment in self._segments:
            segment.close()
        os.close(self._lock)


def write_out(files: list[int]) -> None:
    """Wait until the disk has what is in these files, and close them; for a thread. Raises OSError."""
    try:
        for file in files:
            os.fsync(file)
    finally:
        for file in files:
            os.close(file)


def _locked(folder: Path) -> int | None:
    """Hold a spool's lock; None where another process does, or where it went meanwhile."""
    path = folder / _LOCK
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.stat().st_ino == os.fstat(lock).st_ino:
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(lock)
    return None
