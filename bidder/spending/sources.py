"""What lanes read orders from: batches of records and marks of how far they came; and the source that is memory.

Place: spool.py is the durable one.
Limits: MAX_HELD records in memory.
"""

from collections import deque
from typing import Final, Protocol

from msgspec import Struct

from bidder.spending.segments import READERS

MAX_HELD: Final = 50_000
"""Records in memory while the disk takes none: half a minute at 1,500 notices a second, some 20 MB."""


class Batch(Struct, frozen=True):
    """Records in their order."""

    payloads: tuple[bytes, ...]
    end: int
    """The position behind them."""
    doubtful: bool
    """Some of them were sent once, by a process that died before it heard the answer."""


class Source(Protocol):
    """What lanes read from."""

    def peek(self, reader: int, limit: int) -> Batch | None:
        """What comes next; None: nothing. The same again until it is finished."""

    def send(self, reader: int, position: int) -> None:
        """What stands before a position is about to be sent."""

    def finish(self, reader: int, position: int) -> None:
        """What stands before a position is applied, and never read again."""

    def waiting(self, reader: int) -> int:
        """Bytes that are not applied yet."""


class Held:
    """Records in memory, for while the disk takes none; they die with the process."""

    def __init__(self, limit: int = MAX_HELD) -> None:
        self._limit = limit
        self._records: deque[bytes] = deque()
        self._begin = 0
        self._done = [0] * READERS
        self._sent = [0] * READERS

    def append(self, payload: bytes) -> bool:
        """Keep a record; False: full."""
        if len(self._records) >= self._limit:
            return False
        self._records.append(payload)
        return True

    def peek(self, reader: int, limit: int) -> Batch | None:
        """Up to `limit` records; positions count them."""
        skip = self._done[reader] - self._begin
        found = tuple([self._records[i] for i in range(skip, min(len(self._records), skip + limit))])
        doubtful = self._sent[reader] > self._done[reader]
        return Batch(found, self._done[reader] + len(found), doubtful) if found else None

    def send(self, reader: int, position: int) -> None:
        """See Source."""
        self._sent[reader] = max(position, self._sent[reader])

    def finish(self, reader: int, position: int) -> None:
        """See Source."""
        self._done[reader] = position
        while self._begin < min(self._done):
            self._records.popleft()
            self._begin += 1

    def waiting(self, reader: int) -> int:
        """Records, each taken for one byte."""
        return self._begin + len(self._records) - self._done[reader]
