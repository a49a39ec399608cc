"""What an accepted notice asks to be done, complete in itself: whoever applies it, now or after a restart, looks
nothing up.

Place: apply.py makes one and hands it to its `Queue`; spending/ keeps it on disk and carries it out.
Units: Micros of the advertiser's currency; seconds since the epoch.
Rule: a bill, or the beacon where that bills, SETTLEs and is a VIEW; another beacon is a VIEW; a loss RELEASEs and
    DROPs the hold; a win PROLONGs it. Only a bid of a capped line item for somebody has verbs of frequency, and
    only one that was reserved for has something to release. Where nobody knows the line item any more, it and the
    campaign are "" and the path is the wallet alone; the ledger takes the lease's own path while that lives.
"""

from typing import Final, Protocol

from msgspec import Struct

from bidder.notices.token import NOBODY

SETTLE: Final = 1
RELEASE: Final = 2
VIEW: Final = 4
"""The person saw the ad: the hold of this bid, where there is one, becomes a view."""
DROP: Final = 8
"""The hold of this bid goes; a view of it stays."""
PROLONG: Final = 16
"""The hold of this bid lasts until its deadline."""
OF_MONEY: Final = SETTLE | RELEASE
OF_FREQUENCY: Final = VIEW | DROP | PROLONG


class Order(Struct, frozen=True, gc=False, array_like=True, kw_only=True):
    """One notice's work; on disk its fields stand in this order, and new ones are added at the end."""

    verbs: int
    advertiser_id: str
    campaign_id: str
    line_item_id: str
    bid_id: bytes
    lease: int
    price: int
    """What was reserved: the most that the impression can cost."""
    amount: int
    """Of SETTLE: what it costs."""
    path: tuple[str, ...]
    """Of SETTLE: the accounts that bounded the line item when it was bid."""
    issued_s: int
    deadline_s: int
    accepted_s: float
    person: bytes = NOBODY
    visitor: bool = False
    campaign_key: int = 0
    line_key: int = 0
    creative_key: int = 0
    """32-bit keys of the log of a person's views."""
    window_s: int = 0
    """The longest window of the caps that bind the line item."""


class Queue(Protocol):
    """What takes orders over."""

    def accept(self, order: Order) -> bool:
        """Keep it until it is done, and return at once; False: there is no room, nothing will be done."""
