"""What a treasurer has to do for one advertiser, and what the ledger has not answered.

Place: treasurer.py holds one desk per advertiser.
"""

from collections.abc import Iterator

from msgspec import Struct

from budget.money import Micros
from budget.slices import Line, Slice


class Return(Struct, frozen=True):
    """Free money on its way home."""

    op_id: str
    amount: Micros


class Desk:
    """One advertiser: what is to be done, and what is not answered."""

    def __init__(self, advertiser: str) -> None:
        self.advertiser = advertiser
        self.cursor = ""
        self.polled_s = 0.0
        self.retry_s = 0.0
        """The ledger was down: not before this."""
        self.wanting: dict[int, Line] = {}
        self.pending: dict[int, Slice] = {}
        """By lease: what the ledger was asked and has not answered."""
        self.dead: dict[int, None] = {}
        """Workers whose leases are to be reclaimed."""
        self.sweep: Iterator[Slice] = iter(())
        self.swept_s = 0.0
