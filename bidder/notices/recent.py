"""What was seen lately: a bounded set of bids, so that a notice sent twice counts once.

Place: apply.py and rendering ask it of every accepted notice.
Shapes: two generations of an open-addressing table of 64-bit hashes, half full at most. Its memory is all there from
    the start: sets of ids would grow for the first half hour, by 100 bytes each, and look like a leak.
Limits: remembers at least the last `capacity` and at most twice as many; it is one worker's memory, so a repeat that
    reaches another worker, or comes after a restart, is not seen here. Of ids whose hashes are equal, one in 2**47 at
    the capacity, the second is taken for a repeat: no money depends on it.
"""

from array import array
from typing import Final

CAPACITY: Final = 65_536
"""A minute of retries (once in 10 s is usual) at a thousand notices of one kind per second and worker."""
_FREE: Final = 0
_GONE: Final = 1
"""Of an id that was forgotten: others that were put behind it must still be found."""
_HASH: Final = (1 << 64) - 1


class Recent:
    """Two generations of ids: when the young one is full, the old one is forgotten whole."""

    __slots__ = ("_capacity", "_count", "_mask", "_old", "_young")

    def __init__(self, capacity: int = CAPACITY) -> None:
        cells = 1 << (2 * capacity - 1).bit_length()
        self._capacity, self._mask = capacity, cells - 1
        self._young, self._old = (array("Q", bytes(8 * cells)) for _ in range(2))
        self._count = 0  # cells of the young generation that are not free

    def __len__(self) -> int:
        return sum(cell > _GONE for table in (self._young, self._old) for cell in table)

    def first(self, identity: bytes) -> bool:
        """Whether this id was not seen lately; from now on it was."""
        number = _number(identity)
        at, known = self._find(self._young, number)
        if known or self._find(self._old, number)[1]:
            return False
        if self._count >= self._capacity:
            self._old, self._young = self._young, self._old
            memoryview(self._young).cast("B")[:] = bytes(8 * len(self._young))
            self._count = 0
            at = number & self._mask
        self._young[at] = number
        self._count += 1
        return True

    def forget(self, identity: bytes) -> None:
        """Nothing came of it: the next one is the first again."""
        at, known = self._find(self._young, _number(identity))
        if known:
            self._young[at] = _GONE

    def _find(self, table: "array[int]", number: int) -> tuple[int, bool]:
        """Where it stands, or the free cell where it would."""
        mask = self._mask
        at = number & mask
        while (cell := table[at]) != _FREE:
            if cell == number:
                return at, True
            at = (at + 1) & mask
        return at, False


def _number(identity: bytes) -> int:
    """A hash by this process's own key that is neither of the two marks."""
    number = hash(identity) & _HASH
    return number if number > _GONE else number + 2
