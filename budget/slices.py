"""What a worker holds of the money: slices, one lease each, and the line items and advertisers that they are of.

Place: allowance reserves from slices on the path of a bid; the treasurer leases, renews and gives back between bids.
Shapes: a slice is the money of one line item for one period (a day, an hour, or for ever): what is free, and what is
    reserved for bids, summed up in buckets of BUCKET_S by the last moment at which a bid can be charged.
    granted = free + reserved + settled + given back, always; the ledger's lease holds free + reserved, less what was
    settled and is not heard of yet.
Units: Micros of the advertiser's currency; seconds since the epoch.
Never: I/O, a clock, memory per bid.
"""

import math
from typing import Final

from budget.accounts import Limits, path_at

BUCKET_S: Final = 10
"""Reservations are freed by time in steps of this: so much longer than needed may money stay reserved."""
TAU_S: Final = 10.0
"""Spend rates forget with this time constant."""
MIN_SAMPLE_S: Final = 1.0
"""A rate is never taken over less: two bids within a millisecond are no flood."""


class Unreserved(Exception):
    """The ledger tells of a bid for which nothing is reserved here: its books and ours are of two worlds, as after it
    was put back to an earlier state."""


class Book:
    """One advertiser, as one worker sees it."""

    __slots__ = (
        "advertiser",
        "clock_s",
        "grants",
        "paused",
        "sequence",
        "slices",
        "until_s",
        "wheel",
        "worker",
    )

    def __init__(self, advertiser: str, worker: int) -> None:
        self.advertiser = advertiser
        self.worker = worker
        """Under which incarnation this worker is known to the advertiser's ledger."""
        self.until_s = 0.0
        """No bid may stay unsettled beyond this."""
        self.clock_s = 0.0
        """The ledger's, as last heard."""
        self.sequence = 0
        """Of the ledger's journal, as last heard."""
        self.grants = 0
        """How often the ledger granted this worker money, as heard."""
        self.paused: frozenset[str] = frozenset()
        self.slices: dict[int, Slice] = {}
        """By lease, those that are closed but not empty too."""
        self.wheel: dict[int, list[Slice]] = {}
        """Bucket to the slices with reservations in it."""

    def expire(self, clock_s: float) -> int:
        """Free all reservations whose last moment is before the ledger's clock; returns how much that is."""
        over, freed = int(clock_s) // BUCKET_S, 0
        for bucket in [bucket for bucket in self.wheel if bucket < over]:
            for piece in self.wheel.pop(bucket):
                money = piece.buckets.pop(bucket, 0)
                piece.free += money
                piece.line.freed += money
                freed += money
        return freed

    def pause(self, accounts: frozenset[str]) -> None:
        """Exactly these accounts are paused now."""
        if accounts != self.paused:
            self.paused = accounts
            for piece in self.slices.values():
                piece.set_gate()

    @property
    def reserved(self) -> int:
        """For bids that may yet be charged."""
        return sum(piece.reserved for piece in self.slices.values())

    @property
    def idle(self) -> int:
        """Leased and not reserved."""
        return sum(piece.free for piece in self.slices.values())


class Line:
    """One line item's need of money, over all its slices."""

    __slots__ = (
        "advertiser",
        "backoff_s",
        "current",
        "freed",
        "halted",
        "heard_s",
        "key",
        "limits",
        "mark",
        "mark_s",
        "over",
        "rate",
        "refused",
        "remaining",
        "retry_s",
        "settled_before",
        "slices",
        "untold",
        "used_s",
        "useful",
        "wins",
        "workers",
    )

    def __init__(self, key: int, advertiser: str, limits: Limits) -> None:
        self.key, self.advertiser, self.limits = key, advertiser, limits
        self.current: Slice | None = None
        """Out of which is bid; None until the first lease, and after a period's end."""
        self.slices: list[Slice] = []
        """The current one and those that are closed but not empty."""
        self.settled_before = 0
        """Settled out of slices that are no more."""
        self.halted = False
        """The pace has it wait."""
        self.over = False
        """More is leased and spent than its limits, which were lowered, allow: nothing is reserved meanwhile."""
        self.untold = False
        """The ledger has not heard of its limits."""
        self.freed = self.wins = 0
        """What was reserved and then not charged; impressions that were charged."""
        self.refused = 0
        """What bids wanted and did not get, since the last request for money."""
        self.useful = 0
        """The largest cost of one bid that was short of money."""
        self.rate = 0.0
        """Micros per second that leave what is free for good: reserved less what comes back."""
        self.mark, self.mark_s = 0, 0.0
        self.used_s = 0.0
        """When `engaged` was last seen to change."""
        self.remaining: int | None = None
        """Available at the ledger on the tightest level, as last heard; None: nothing was heard."""
        self.heard_s = 0.0
        """When."""
        self.workers = 1
        """Alive at the advertiser's ledger, as last heard."""
        self.retry_s, self.backoff_s = 0.0, 0.0
        """After an empty-handed answer: not asked again before."""

    @property
    def committed(self) -> int:
        """Reserved now for bids that may yet be charged."""
        return sum(piece.reserved for piece in self.slices)

    @property
    def idle(self) -> int:
        """Leased and not reserved."""
        return sum(piece.free for piece in self.slices)

    @property
    def settled(self) -> int:
        """Charged, ever."""
        return self.settled_before + sum(piece.settled for piece in self.slices)

    @property
    def engaged(self) -> int:
        """Reserved now and settled ever, by this worker: what pacing counts as spent."""
        total = self.settled_before
        for piece in self.slices:
            total += piece.granted - piece.free - piece.given_back
        return total

    def measure(self, now_s: float) -> None:
        """Bring the spend rate up to now: quick to rise, with TAU_S to fall."""
        elapsed_s = now_s - self.mark_s
        if elapsed_s <= 0:
            return
        engaged = self.engaged
        if engaged != self.mark or not self.mark_s:
            self.used_s = now_s
        if self.mark_s:
            sample = max(0.0, (engaged - self.mark) / max(elapsed_s, MIN_SAMPLE_S))
            weight = 1 - math.exp(-elapsed_s / TAU_S)
            self.rate += max(weight, 0.5 if sample > self.rate else 0.0) * (sample - self.rate)
        self.mark, self.mark_s = engaged, now_s

    def check(self) -> None:
        """What must hold at every moment."""
        assert self.current is None or (self.current in self.slices and not self.current.closed)
        for piece in self.slices:
            piece.check()


class Slice:
    """The money of one lease."""

    __slots__ = (
        "book",
        "buckets",
        "closed",
        "end_s",
        "free",
        "gate_s",
        "given_back",
        "granted",
        "lease_id",
        "line",
        "low",
        "path",
        "pending",
        "settled",
        "start_s",
    )

    def __init__(self, lease_id: int, line: Line, book: Book, start_s: float, end_s: float) -> None:
        """Of the period that `start_s` is in, and that ends at `end_s`; infinity where none bounds the line item."""
        self.lease_id, self.line, self.book, self.start_s, self.end_s = lease_id, line, book, start_s, end_s
        self.path = path_at(line.limits, start_s)
        self.free = 0
        self.low = 0
        """A reservation that leaves less than this says that more is needed."""
        self.gate_s = end_s
        """No reservation from this moment on: the period's end, or 0 where it is paused, closed or has too much."""
        self.buckets: dict[int, int] = {}
        self.granted = self.settled = self.given_back = 0
        self.closed = False
        """Nothing is reserved out of it any more; what comes back goes home."""
        self.pending: object | None = None
        """The treasurer's: what the ledger was asked about this lease and has not answered; one thing at a time."""
        self.set_gate()

    @property
    def reserved(self) -> int:
        """For bids that may yet be charged."""
        return sum(self.buckets.values())

    @property
    def empty(self) -> bool:
        """Whether nothing of it is left, here or on its way."""
        return self.pending is None and self.granted == self.settled + self.given_back

    def follow(self, limits: Limits) -> bool:
        """Take other limits over; False where the accounts are others, which needs another slice."""
        path = path_at(limits, self.start_s)
        if [level.account for level in path] != [level.account for level in self.path]:
            return False
        self.path = path
        return True

    def set_gate(self) -> None:
        """Open while the period lasts, unless closed, halted, paused or over its limits."""
        paused = self.book.paused
        shut = (
            self.closed
            or self.line.halted
            or self.line.over
            or (paused and any(level.account in paused for level in self.path))
        )
        self.gate_s = 0.0 if shut else self.end_s

    def grant(self, amount: int, low: int) -> None:
        """A lease brought money; below `low` more is needed."""
        assert amount >= 0
        self.granted += amount
        self.free += amount
        self.low = low

    def take_back(self, amount: int) -> None:
        """Money leaves for the ledger."""
        assert 0 <= amount <= self.free
        self.free -= amount
        self.given_back += amount
        self.low = min(self.low, self.free)

    def unreserve(self, cost: int, deadline_s: int) -> None:
        """What was reserved is free again; nothing where it was freed by time already."""
        bucket = deadline_s // BUCKET_S
        if self.buckets.get(bucket, 0) >= cost:
            self.buckets[bucket] -= cost
            self.free += cost

    def settle(self, price: int, amount: int, deadline_s: int) -> None:
        """A bid that reserved `price` was charged `amount`, 0 where it was released; raises Unreserved."""
        bucket = deadline_s // BUCKET_S
        reserved = self.buckets.get(bucket, 0)
        if not 0 <= amount <= price <= reserved:
            raise Unreserved(f"lease {self.lease_id:x}: {price} of {reserved} until {deadline_s}")
        self.buckets[bucket] = reserved - price
        self.free += price - amount
        self.settled += amount
        self.line.freed += price - amount
        self.line.wins += amount > 0

    def check(self) -> None:
        """What must hold at every moment."""
        reserved = self.reserved
        assert self.granted == self.free + reserved + self.settled + self.given_back
        assert min(self.free, self.settled, self.given_back, self.low, reserved) >= 0
        assert all(money >= 0 for money in self.buckets.values())
        assert all(self in self.book.wheel.get(bucket, ()) for bucket, money in self.buckets.items() if money)
