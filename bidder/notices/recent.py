"""What was seen lately: a bounded set of bids, so that a notice sent twice counts once.

Place: apply.py asks it of every accepted notice.
Limits: remembers at least the last `capacity` and at most twice as many, about 100 bytes each; it is one
    worker's memory, so a repeat that reaches another worker, or comes after a restart, is not seen here.
"""

from typing import Final

CAPACITY: Final = 65_536
"""A minute of retries (once in 10 s is usual) at a thousand notices of one kind per second and worker."""


class Recent:
    """Two generations of ids: when the young one is full, the old one is forgotten whole."""

    __slots__ = ("_capacity", "_old", "_young")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._young: set[bytes] = set()
        self._old: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def first(self, identity: bytes) -> bool:
        """Whether this id was not seen lately; from now on it was."""
        if identity in self._young or identity in self._old:
            return False
        if len(self._young) >= self._capacity:
            self._old, self._young = self._young, set()
        self._young.add(identity)
        return True

    def forget(self, identity: bytes) -> None:
        """Nothing came of it: the next one is the first again."""
        self._young.discard(identity)
