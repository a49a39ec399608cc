"""How many of the requests that wait are decided, and which: the rest are answered 204 unread.

Place: the exchange port asks once per tick, before any body is inflated or decoded.
Shapes: pure; what time deciding takes is told, not measured.
Units: cost_ns, spent_ns, budget_ns nanoseconds.
Limits: MIN_PER_TICK, so that a wrong estimate can never close the port.
Source: Google asks for an explicit no-bid rather than a late answer, and throttles above 15 % late or bad.
"""

from collections.abc import Hashable, Sequence
from typing import TypeVar

MIN_PER_TICK = 16
"""Decided in any tick however dear a request seems: in a batch of 16 what a step costs once is shared."""
FIRST_COST_NS = 50_000
"""Assumed before anything is measured: about what a whole bid takes."""
MEMORY_REQUESTS = 512
"""Over how many requests the cost is smoothed."""

Item = TypeVar("Item")


class Admission:
    """The cost of deciding, smoothed over requests, and the room it leaves in a tick."""

    __slots__ = ("budget_ns", "cost_ns", "max_in_flight")

    def __init__(self, max_in_flight: int, budget_ns: int) -> None:
        self.max_in_flight = max_in_flight
        self.budget_ns = budget_ns
        self.cost_ns = float(FIRST_COST_NS)

    def measured(self, requests: int, spent_ns: int) -> None:
        """Learn from deciding `requests` in `spent_ns`; each request weighs the same whatever its batch."""
        share = requests / (requests + MEMORY_REQUESTS)
        self.cost_ns += (spent_ns / requests - self.cost_ns) * share

    def room(self, in_flight: int) -> int:
        """How many more requests may be taken in this tick."""
        in_time = max(MIN_PER_TICK, int(self.budget_ns / max(self.cost_ns, 1.0)))
        return max(0, min(in_time, self.max_in_flight - in_flight))


def share(waiting: Sequence[Item], keys: Sequence[Hashable], room: int) -> tuple[list[Item], list[Item]]:
    """Split what waits into (taken, left) so that no key takes more than its fair part of the room.

    Max-min fair: keys that ask for little get all of it, the rest of the room is divided equally.
    Within a key the earlier goes first. Both lists keep the order of arrival.
    """
    asked: dict[Hashable, int] = {}
    for key in keys:
        asked[key] = asked.get(key, 0) + 1
    granted = _water_fill(asked, room)
    taken: list[Item] = []
    left: list[Item] = []
    for item, key in zip(waiting, keys, strict=True):
        if granted[key]:
            granted[key] -= 1
            taken.append(item)
        else:
            left.append(item)
    return taken, left


def _water_fill(asked: dict[Hashable, int], room: int) -> dict[Hashable, int]:
    granted: dict[Hashable, int] = {}
    keys_left = len(asked)
    for key in sorted(asked, key=asked.__getitem__):
        granted[key] = min(asked[key], -(-room // keys_left))
        room -= granted[key]
        keys_left -= 1
    return granted
