"""What is on offer, in our own words: one Context per bid request, one Opportunity per impression.

Place: intake fills them; past it nobody reads an OpenRTB field name, but hands `imp` and `request` back to
    openrtb (the response check, native and video answers).
Units: prices are CPM micros of the currency that stands beside them.
Shapes: absent text is "", absent numbers are 0 or None as said; texts are as the exchange sent them unless
    a field says otherwise.
"""

from collections.abc import Container

from msgspec import Struct

from bidder.exchanges import Exchange
from openrtb.enums import MarkupType
from openrtb.request import Audio, BidRequest, Deal, Imp, Video

BANNER, VIDEO, AUDIO, NATIVE = 1, 2, 4, 8
"""Media as bits, so that what a slot takes is one number."""
MEDIA_NAMES = {BANNER: "banner", VIDEO: "video", AUDIO: "audio", NATIVE: "native"}
MTYPE = {
    BANNER: int(MarkupType.BANNER),
    VIDEO: int(MarkupType.VIDEO),
    AUDIO: int(MarkupType.AUDIO),
    NATIVE: int(MarkupType.NATIVE),
}


class DealOffer(Struct, gc=False):
    """A deal that an impression may be bought under."""

    deal: Deal
    floor_cpm_micros: int
    """In the bid currency, for creatives without a duration."""
    fixed: bool
    """The price is the floor, no more and no less."""
    first_price: bool | None
    """What the deal says of its auction; None: the request's word holds."""


class Opportunity(Struct, gc=False):
    """One impression on offer."""

    number: int
    """Its place in the request."""
    imp: Imp
    media: int
    """Bits of the media that it takes and that we can read."""
    sizes: tuple[tuple[int, int], ...]
    """Banner sizes, each once, in the exchange's order of preference."""
    blocked_types: int
    """Banner types that it refuses, bit n standing for OpenRTB value n."""
    floor_cpm_micros: int
    """In the bid currency, for media without a duration."""
    secure: bool
    position: int
    rewarded: bool
    interstitial: bool
    viewability: float
    """0 to 1; -1 where it is not told."""
    deals: tuple[DealOffer, ...]
    private: bool
    """Deal bids only."""
    video: Video | None
    audio: Audio | None


class Context(Struct, gc=False):
    """What all impressions of one request share."""

    exchange: Exchange
    request: BidRequest
    currency: str
    """The one that we bid in."""
    first_price: bool
    test: bool
    inventory: str
    """site, app, dooh or ""."""
    domain: str
    """Lower case."""
    bundle: str
    site_id: str
    publisher: str
    country: str
    """ISO 3166-1 alpha-3."""
    region: str
    """Country and subdivision, DEU-BE; likewise city (lower case) and zip."""
    city: str
    zip: str
    place: tuple[float, float] | None
    """Latitude and longitude, where they may be used."""
    device_type: int
    os: str
    connection: int
    browser_language: str
    content_language: str
    hour_of_week: int
    """0 = Monday 00-01 in the viewer's time zone; -1 where that is unknown."""
    coppa: bool
    personal: bool
    """What is known of the person may be used."""
    measure: bool
    """The person may be recorded with impressions and clicks."""
    blocked_categories: Container[str]
    """bcat; empty: none."""
    allowed_categories: Container[str]
    """acat; empty: any."""
    opportunities: tuple[Opportunity, ...] = ()
    person_id: bytes = b""
    """The 16 bytes of the person who was read for this request; empty: nobody is known."""
    suspect: bool = False
    """It may be invalid traffic: what is bought is recorded so."""
