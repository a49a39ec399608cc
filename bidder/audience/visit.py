"""What a person did in a shop, in the words that everything about people shares.

Place: shop/ makes visits of what pixels and servers send; history.py keeps them, segments.py and affinity.py read
    them.
Units: seconds since the epoch; values are micros of the advertiser's currency.
Shapes: names are keys (bidder/keys): 64 bits of a product, 32 of a category, an event's id or an order's; 0: none.
"""

from enum import IntEnum
from typing import Final

from msgspec import Struct


class EventKind(IntEnum):
    """What happened; the names in lower case are those of the pixel and of the campaign files."""

    PAGE_VIEW = 1
    PRODUCT_VIEW = 2
    CATEGORY_VIEW = 3
    SEARCH = 4
    CART = 5
    PURCHASE = 6
    CUSTOM = 7


KINDS: Final = {kind.name.lower(): kind for kind in EventKind}


class Visit(Struct, frozen=True, gc=False):
    """One thing that a person did, about one product at most: an event of three products is three visits."""

    kind: EventKind
    at_s: int
    product: int = 0
    category: int = 0
    value_micros: int = 0
    """Unit price times quantity."""
    event: int = 0
    """Of the event's id: the same event is kept once."""
    order: int = 0
    custom: int = 0
    """Of a custom event's name."""
