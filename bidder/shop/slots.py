"""Places for calls that are worked on at a time: so many in all, and so many for one of a kind.

Place: receive (pixels, batches) and matches (uploads) take one for each call, for as long as it lasts.
Rule: whoever calls often takes places from itself first: who has its share gets none, while others find room.
"""

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import NamedTuple


class Share(NamedTuple):
    """Of whom a call is, and how many of its calls may have a place at a time."""

    owner: Hashable
    most: int


class Slots:
    """The places of a worker."""

    def __init__(self, most: int) -> None:
        self._most, self._taken = most, 0
        self._by_owner: dict[Hashable, int] = {}

    @contextmanager
    def place(self, *shares: Share) -> Iterator[bool]:
        """Hold a place within each of these shares; False: there is none, and none is held."""
        held = self._by_owner
        if self._taken >= self._most or any(held.get(owner, 0) >= most for owner, most in shares):
            yield False
            return
        self._taken += 1
        for owner, _ in shares:
            held[owner] = held.get(owner, 0) + 1
        try:
            yield True
        finally:
            self._taken -= 1
            for owner, _ in shares:
                held[owner] -= 1
                if not held[owner]:
                    del held[owner]
