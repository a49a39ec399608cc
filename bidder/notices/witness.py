"""What notices tell, as recorded events: an impression for the bill and for the beacon, a click for the click.

Place: apply.py hands each accepted notice here where somebody records.
Rule: a person is named only where the token says that it may be (its flag MEASURE) and that it is one of our people; a
    visitor, and whoever is counted for frequency alone, is nobody here.
Shapes: the id of both is the bid's; bill and beacon of one bid make one impression, by compaction.
"""

import re
from typing import Final, Protocol

from msgspec import Struct

from bidder.events.records import Click, Impression, Record
from bidder.notices.token import NOBODY, Claim

_PRODUCT: Final = re.compile(r"[0-9a-f]{16}")
_LAYOUT: Final = re.compile(r"[a-z]{1,16}")


class Records(Protocol):
    """Who records: events.writer.Recorder."""

    def record(self, record: Record) -> bool:
        """Keep it, and return at once; False: it is dropped."""


class Sight(Struct, frozen=True, gc=False, kw_only=True):
    """What is known when a notice is accepted."""

    bid: Claim
    advertiser_id: str
    campaign_id: str
    line_item_id: str
    exchange: str
    now_s: float
    suspect: bool


def impression(sight: Sight, spent_micros: int, currency: str) -> Impression:
    """An ad was shown; `spent_micros` of the advertiser's currency where this notice is the one that bills."""
    bid = sight.bid
    return Impression(
        id=bid.bid_id.hex(),
        at_ms=bid.issued_s * 1_000,
        advertiser=sight.advertiser_id,
        campaign=sight.campaign_id,
        line_item=sight.line_item_id,
        creative=bid.creative,
        exchange=sight.exchange,
        person=_person(bid),
        spent_micros=spent_micros,
        currency=currency,
        suspect=sight.suspect,
        after_ms=_after_ms(sight),
    )


def click(sight: Sight, product: str, layout: str) -> Click:
    """An ad was clicked; texts that are no product's key, or no layout's name, are left out."""
    bid = sight.bid
    return Click(
        id=bid.bid_id.hex(),
        at_ms=bid.issued_s * 1_000,
        advertiser=sight.advertiser_id,
        campaign=sight.campaign_id,
        line_item=sight.line_item_id,
        creative=bid.creative,
        exchange=sight.exchange,
        person=_person(bid),
        product=product if _PRODUCT.fullmatch(product) else "",
        layout=layout if _LAYOUT.fullmatch(layout) else "",
        suspect=sight.suspect,
        after_ms=_after_ms(sight),
    )


def _person(bid: Claim) -> bytes:
    named = bid.measured and not bid.visitor and bid.person != NOBODY
    return bid.person if named else b""


def _after_ms(sight: Sight) -> int:
    return max(0, int((sight.now_s - sight.bid.issued_s) * 1_000))
