"""What is recorded, as versioned Structs: shop events, impressions and clicks.

Place: shop/ and notices hand them to writer.py; compaction, training, learning and reports read them.
Shapes: a record is one msgpack array, its tag first, its version second; fields are only ever added at the end, with a
    default, so that every version reads those before it.
Units: `at_ms` milliseconds since the epoch: of a shop's event when it happened, of an impression or a click when its
    bid was made, so that whatever tells of one bid falls into one hour; `after_ms` later it was shown or clicked.
    Amounts are micros of `currency`.
Limits: text is at most TEXT characters where it is written.
Never: an address, a user agent, a name; a person is there only where the permissions of that moment allowed it, and
    for 30 days at most.
"""

from typing import Final

from msgspec import Struct

VERSION: Final = 1
TEXT: Final = 128


class Item(Struct, frozen=True, array_like=True, gc=False):
    """One product of an event."""

    product: str
    category: str = ""
    price_micros: int = 0
    """Of one."""
    quantity: int = 1


class ShopEvent(Struct, frozen=True, array_like=True, tag="shop", gc=False, kw_only=True):
    """Something that happened in a shop."""

    version: int = VERSION
    id: str
    """The advertiser's or the tag's; with the advertiser it is counted once."""
    at_ms: int
    advertiser: str
    kind: str
    """As in audience.visit.KINDS."""
    person: bytes = b""
    """16 bytes, or empty."""
    items: tuple[Item, ...] = ()
    category: str = ""
    currency: str = ""
    value_micros: int = 0
    order: str = ""
    conversion: str = ""
    """The advertiser's word for a kind of conversion, or for a custom event."""
    device: str = ""
    """phone, tablet, desktop, tv or empty: all that is kept of a user agent."""
    referrer: str = ""
    """The domain that the visit came from, nothing behind it."""
    source: str = ""
    """tag, pixel or server."""


class Impression(Struct, frozen=True, array_like=True, tag="imp", gc=False, kw_only=True):
    """An ad was shown."""

    version: int = VERSION
    id: str
    """The bid's id, 24 hexadecimal digits."""
    at_ms: int
    advertiser: str
    campaign: str
    line_item: str
    creative: int
    """`key64` of the advertiser's id, a slash and the creative's."""
    exchange: str
    person: bytes = b""
    spent_micros: int = 0
    currency: str = ""
    """The advertiser's."""
    suspect: bool = False
    """Marked as invalid traffic."""
    after_ms: int = 0
    """From the bid to the impression."""


class Click(Struct, frozen=True, array_like=True, tag="click", gc=False, kw_only=True):
    """An ad was clicked."""

    version: int = VERSION
    id: str
    """The bid's id."""
    at_ms: int
    advertiser: str
    campaign: str
    line_item: str
    creative: int
    exchange: str
    person: bytes = b""
    product: str = ""
    """The key of the product that was clicked (bidder/keys), 16 hexadecimal digits."""
    layout: str = ""
    suspect: bool = False
    after_ms: int = 0
    """From the bid to the click."""


Record = ShopEvent | Impression | Click
