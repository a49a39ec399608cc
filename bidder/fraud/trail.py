"""What was heard of a bid so far, by all workers of a host: a table in a shared file, of one size for ever.

Place: beacons.py writes down every notice and asks what came before it.
Shapes: a slot of two u64 for each bid, found by the first bytes of its id: the rest of the id; and what was heard
    (low 8 bits), clicks (4 bits, no more than 15), when it was shown (ms, above them). A bid that comes to the slot of
    another takes it over: the older one is forgotten.
Limits: SLOTS bids, 4 MB; two workers that write one slot in the same microsecond may lose a bit: nothing but a mark of
    suspicion depends on it.
Never: a person; a bid's id is random and names nobody.
"""

import mmap
import os
from pathlib import Path
from typing import Final

from msgspec import Struct

SLOTS: Final = 1 << 18
WON, BILLED, LOST, SHOWN, CLICKED, PLAYED = 1, 2, 4, 8, 16, 32
_CLICKS_AT, _TIME_AT, _MOST = 8, 12, 15


class Heard(Struct, frozen=True, gc=False):
    """What was known of a bid before a notice."""

    bits: int = 0
    clicks: int = 0
    """15 stands for more."""
    shown_ms: int = 0
    """0: it was not, as far as we know."""


NOTHING: Final = Heard()


class Trail:
    """The table. Without a path it belongs to this process alone."""

    def __init__(self, path: Path | None = None, slots: int = SLOTS) -> None:
        """Open or make the file; raises OSError. `slots` is a power of two."""
        assert slots.bit_count() == 1, "a slot is found by bits of an id"
        self._mask, size = slots - 1, 16 * slots
        if path is None:
            self._map = mmap.mmap(-1, size)
        else:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            try:
                if os.fstat(descriptor).st_size < size:
                    os.posix_fallocate(descriptor, 0, size)
                self._map = mmap.mmap(descriptor, size)
            finally:
                os.close(descriptor)
        self._cells = memoryview(self._map).cast("Q")

    def heard(self, bid_id: bytes) -> Heard:
        """What is known of a bid."""
        place, rest = self._slot(bid_id)
        cells = self._cells
        return _read(cells[place + 1]) if cells[place] == rest else NOTHING

    def note(self, bid_id: bytes, bit: int, now_ms: int) -> Heard:
        """Something is heard of a bid; returns what was known before."""
        place, rest = self._slot(bid_id)
        cells = self._cells
        before = _read(cells[place + 1]) if cells[place] == rest else NOTHING
        clicks = min(before.clicks + (bit == CLICKED), _MOST)
        shown_ms = before.shown_ms or (now_ms if bit == SHOWN else 0)
        cells[place] = rest
        cells[place + 1] = before.bits | bit | clicks << _CLICKS_AT | shown_ms << _TIME_AT
        return before

    def _slot(self, bid_id: bytes) -> tuple[int, int]:
        return (int.from_bytes(bid_id[:4], "big") & self._mask) * 2, int.from_bytes(bid_id[4:12], "big")


def _read(cell: int) -> Heard:
    return Heard(cell & 0xFF, cell >> _CLICKS_AT & _MOST, cell >> _TIME_AT)
