"""What advertisers ask for: advertiser > campaign > line item > creative, as written in the campaign files.

Place: load.py fills these from YAML with every error located; index.py compiles them for the path of a bid.
Units: amounts are decimals of the advertiser's currency; prices per thousand say `cpm`.
Limits: lengths and counts in the types; a line item's vector has VECTOR_DIMENSIONS numbers.
Never: knows requests, stores or the clock.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta, Struct

from bidder.campaigns.durations import PATTERN

VECTOR_DIMENSIONS = 32
MAX_CAPS = 8
"""Caps of one level; each is held against a person's views on the path of a bid."""
MAX_VIEWS = 200
"""Of one cap: a person's views are kept one by one."""

# \Z ends a pattern: $ would also let a line break at the end through.
Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}\Z")]
Text = Annotated[str, Meta(min_length=1, max_length=500)]
Url = Annotated[str, Meta(pattern=r"^https?://[^\s\x00-\x1f\x7f\"'<>]+\Z", max_length=2000)]
Domain = Annotated[str, Meta(pattern=r"^[a-z0-9]([a-z0-9.-]{0,252}[a-z0-9])?\Z")]
CurrencyCode = Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")]
Amount = Annotated[Decimal, Meta(description="above 0, at most MAX_UNITS, not finer than a millionth")]
"""Its bounds stand in rules.py: msgspec takes none for decimals."""
Moment = Annotated[datetime, Meta(tz=True)]
Pixels = Annotated[int, Meta(ge=1, le=10_000)]
Share = Annotated[float, Meta(ge=0, le=1)]
Duration = Annotated[str, Meta(pattern=PATTERN)]
"""90s, 15m, 6h, 30d."""
Pacing = Literal["even", "traffic", "asap", "front_loaded"]
"""How a budget is spread over its time: the same each minute, as the traffic comes, as soon as possible, or most of it
early."""


class Terms(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a line item wants and does not want of one dimension; a plain list in YAML is `include`.

    Nothing included means anything goes; a value that the request does not tell never satisfies `include`.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


class Categories(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Content categories in one taxonomy (OpenRTB `cattax`); in taxonomy 1, IAB7 stands for all IAB7-*."""

    taxonomy: Annotated[int, Meta(ge=1, le=9)] = 1
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


class Circle(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A place and the distance around it."""

    lat: Annotated[float, Meta(ge=-90, le=90)]
    lon: Annotated[float, Meta(ge=-180, le=180)]
    radius_km: Annotated[float, Meta(gt=0, le=500)]


class Segments(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Audience rules over the advertiser's own segments: at least one of `any`, and none of `none`."""

    any: tuple[Id, ...] = ()
    none: tuple[Id, ...] = ()


class Deals(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Private deals; with `open` the line item also bids in the open auction."""

    ids: Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=128)], ...], Meta(min_length=1)]
    open: bool = False
    guaranteed: bool = False
    """Promised to the publisher: bids before everything that is not, and never in the open auction."""


EventName = Literal["page_view", "product_view", "category_view", "search", "cart", "purchase", "custom"]


class EventRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Events of one kind that a person must have, or must not have, behind them."""

    event: EventName
    categories: Annotated[tuple[Text, ...], Meta(max_length=200)] = ()
    """Of the product or the page, any of them, as whole paths (`Shoes > Trail`, whatever the case); empty: whatever
    category."""
    products: Annotated[tuple[Text, ...], Meta(max_length=200)] = ()
    custom: Id | None = None
    """The name of a custom event."""
    at_least: Annotated[int, Meta(ge=1, le=50)] = 1
    within: Duration = "30d"
    """Counted back from now; from 1m to 30d."""
    min_value: Amount | None = None
    """Of each event: unit price times quantity, summed over its products that the rule speaks of."""


class Segment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """People of the advertiser's shop: all of `when` hold, and none of `unless`."""

    id: Id
    when: Annotated[tuple[EventRule, ...], Meta(min_length=1, max_length=8)]
    unless: Annotated[tuple[EventRule, ...], Meta(max_length=8)] = ()
    keep: Duration = "30d"
    """The longest that somebody stays without a new event that `when` counts; from 1m to 30d."""


class DeclaredEvents(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an advertiser's pixel may send; everything else is refused."""

    kinds: tuple[EventName, ...] = (
        "page_view",
        "product_view",
        "category_view",
        "search",
        "cart",
        "purchase",
    )
    custom: Annotated[tuple[Id, ...], Meta(max_length=50)] = ()
    """Names of custom events."""
    conversions: Annotated[tuple[Id, ...], Meta(max_length=50)] = ()
    """Types of conversions that a purchase or a custom event may name."""
    origins: Annotated[tuple[Domain, ...], Meta(max_length=50)] = ()
    """Domains of shop pages beside the advertiser's own; subdomains are meant, too."""


class Feed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an advertiser's products are listed."""

    location: Annotated[str, Meta(min_length=1, max_length=2000)]
    """An https URL, or a path from the campaign file's folder."""
    format: Literal["csv", "jsonl", "xml"]
    """Comma- or tab-separated with a header, JSON lines, or Google Merchant XML."""
    every: Duration = "1h"
    """How often it is fetched; from 1m to 7d."""


class Targeting(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where and to whom a line item is shown. Absent: everywhere, to everyone."""

    exchanges: Terms | None = None
    inventory: Terms | None = None
    """site, app, dooh."""
    countries: Terms | None = None
    """ISO 3166-1 alpha-3."""
    regions: Terms | None = None
    """Country and ISO 3166-2 subdivision: DEU-BE."""
    cities: Terms | None = None
    """Country and the exchange's city name in lower case: DEU-berlin."""
    zips: Terms | None = None
    """Country and postal code: DEU-10115."""
    near: tuple[Circle, ...] = ()
    device_types: Terms | None = None
    """phone, tablet, mobile, desktop, tv, connected, set_top_box, ooh."""
    os: Terms | None = None
    """android, ios, windows, macos, linux, chromeos, other."""
    connections: Terms | None = None
    """ethernet, wifi, cellular, 2g, 3g, 4g, 5g."""
    browser_languages: Terms | None = None
    """ISO 639-1."""
    content_languages: Terms | None = None
    domains: Terms | None = None
    """A domain stands for its subdomains."""
    bundles: Terms | None = None
    sites: Terms | None = None
    """The exchange's ids of sites and apps."""
    publishers: Terms | None = None
    categories: Categories | None = None
    keywords: Terms | None = None
    positions: Terms | None = None
    """unknown, above_fold, below_fold, header, footer, sidebar, full_screen, locked."""
    hours: tuple[Annotated[str, Meta(max_length=40)], ...] = ()
    """In the viewer's time zone: `mon-fri 08-20`, `sat,sun 10-24`."""
    segments: Segments | None = None
    exchange_segments: Terms | None = None
    """user.data segments: the provider's name or id, a slash, the segment's id."""
    viewability_min: Share | None = None
    rewarded: bool | None = None
    interstitial: bool | None = None
    child_directed: bool = False
    """May be shown where COPPA applies; nothing else ever is."""


class MediaFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One encoding of a video or audio creative."""

    url: Url
    mime: Annotated[str, Meta(pattern=r"^[a-z]+/[a-z0-9.+-]+\Z")]
    bitrate_kbps: Annotated[int, Meta(ge=1, le=100_000)]
    w: Pixels | None = None
    h: Pixels | None = None


class NativeAssets(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The parts of a native ad, in the sizes that exist."""

    title: Text
    sponsored_by: Text
    description: Text | None = None
    call_to_action: Text | None = None
    price: Text | None = None
    rating: Text | None = None
    image_url: Url | None = None
    image_w: Pixels | None = None
    image_h: Pixels | None = None
    icon_url: Url | None = None
    icon_w: Pixels | None = None
    icon_h: Pixels | None = None


class FrequencyCap(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """At most so many views within any stretch of that length."""

    views: Annotated[int, Meta(ge=1, le=MAX_VIEWS)]
    per: Duration
    """From 1m to 30d."""


class Frequency(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often one person may be shown something; a plain list in YAML is `caps`. All bounds of all levels hold."""

    caps: Annotated[tuple[FrequencyCap, ...], Meta(max_length=MAX_CAPS)] = ()
    min_gap: Duration | None = None
    """The least time between two views; from 1s to 30d."""


class ItemFrequency(Frequency, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That of a line item."""

    visitors: bool = False
    """People without an id are told apart by truncated address and browser, so that they too are shown no more."""


Layout = Literal["single", "grid", "carousel", "list"]
"""How products stand in an ad."""


class Creative(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One ad. Which fields it needs follows from `kind`; load.py checks."""

    id: Id
    kind: Literal["image", "html", "iframe", "native", "video", "audio", "products"]
    landing_url: Url
    """Where a click leads; the only place the click endpoint redirects to."""
    w: Pixels | None = None
    h: Pixels | None = None
    image_url: Url | None = None
    iframe_url: Url | None = None
    html: Annotated[str, Meta(max_length=65_536)] | None = None
    """May use ${CLICK_URL}, ${CLICK_URL_ESC}, ${IMPRESSION_URL}, ${CACHEBUSTER} and the AUCTION_ macros."""
    alt: Annotated[str, Meta(max_length=200)] = ""
    native: NativeAssets | None = None
    media_files: tuple[MediaFile, ...] = ()
    duration_s: Annotated[int, Meta(ge=1, le=600)] | None = None
    title: Annotated[str, Meta(max_length=200)] = ""
    language: Annotated[str, Meta(pattern=r"^[a-z]{2}\Z")] | None = None
    category_taxonomy: Annotated[int, Meta(ge=1, le=9)] = 1
    categories: tuple[Annotated[str, Meta(min_length=1, max_length=16)], ...] = ()
    attributes: tuple[Annotated[int, Meta(ge=1, le=63)], ...] = ()
    """OpenRTB creative attributes."""
    apis: tuple[Annotated[int, Meta(ge=1, le=63)], ...] = ()
    """Frameworks that the ad needs."""
    frequency: Frequency | None = None
    layouts: Annotated[tuple[Layout, ...], Meta(max_length=8)] = ()
    """Of kind `products`: those that the layout is chosen from; empty: all that suit the size."""


class Goal(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an impression is worth: `cpm` per thousand shown, `cpc` per click, `cpa` per conversion."""

    kind: Literal["cpm", "cpc", "cpa"]
    value: Amount


class Budget(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Money that may be spent, in the advertiser's currency."""

    total: Amount | None = None
    daily: Amount | None = None
    """Days are those of the advertiser's time zone."""


class ItemBudget(Budget, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line item's part of its campaign's."""

    hourly: Amount | None = None


class LineItem(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One bidding instruction."""

    id: Id
    goal: Goal
    max_bid_cpm: Amount
    creatives: Annotated[tuple[Id, ...], Meta(min_length=1, max_length=200)]
    targeting: Targeting = Targeting()
    deals: Deals | None = None
    vector: Annotated[tuple[float, ...], Meta(max_length=VECTOR_DIMENSIONS)] = ()
    """Where the line item's products lie in the space of affinity vectors; shorter is filled with zeros."""
    click_rate: Annotated[float, Meta(gt=0, lt=1)] | None = None
    """What is known of it beforehand; absent: the prior of its medium."""
    conversion_rate: Annotated[float, Meta(gt=0, lt=1)] | None = None
    budget: ItemBudget = ItemBudget()
    pacing: Pacing | None = None
    """Absent: the campaign's."""
    frequency: ItemFrequency | None = None
    start: Moment | None = None
    """A part of the campaign's flight; absent: as that."""
    end: Moment | None = None
    active: bool = True


class Campaign(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Line items with one budget and one flight."""

    id: Id
    name: Text
    line_items: Annotated[tuple[LineItem, ...], Meta(min_length=1)]
    budget: Budget = Budget()
    pacing: Pacing = "traffic"
    frequency: Frequency | None = None
    start: Moment | None = None
    end: Moment | None = None
    """The flight ends before this moment."""
    active: bool = True


class Transparency(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the Digital Services Act wants shown: on whose behalf, and who paid."""

    behalf: Annotated[str, Meta(min_length=1, max_length=100)]
    paid: Annotated[str, Meta(min_length=1, max_length=100)]


class Advertiser(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A shop: one currency, one domain, its creatives and campaigns."""

    id: Id
    name: Text
    domain: Domain
    currency: CurrencyCode
    creatives: Annotated[tuple[Creative, ...], Meta(min_length=1)]
    campaigns: Annotated[tuple[Campaign, ...], Meta(min_length=1)]
    bundle: Annotated[str, Meta(max_length=200)] | None = None
    """The advertised app, for blocks by app."""
    time_zone: Text = "UTC"
    """IANA: budgets are counted in its days and hours."""
    frequency: Frequency | None = None
    transparency: Transparency | None = None
    active: bool = True
    country: Annotated[str, Meta(pattern=r"^([A-Z]{3})?\Z")] = ""
    """ISO 3166-1 alpha-3: whose law a visit to the shop is presumed under where no signal names one."""
    child_directed: bool = False
    """The shop is meant for children: nothing about its visitors is kept or read."""
    events: DeclaredEvents = DeclaredEvents()
    segments: Annotated[tuple[Segment, ...], Meta(max_length=64)] = ()
    feed: Feed | None = None


class Book(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All campaigns of all advertisers: one whole snapshot."""

    advertisers: tuple[Advertiser, ...] = ()
