"""Where and to whom an ad would show: site, app, screen, content, device, place, user.

Place: part of `openrtb.request`, which re-exports everything here.
Shapes: purely descriptive fields that no bidder decides by (artist, producer, flash version) are left out.
Source: OpenRTB 2.6-202606 sections 3.2.13-3.2.24, 3.2.27-3.2.30, 3.2.32; 2.5 and 2.4 places under `ext`.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from openrtb.limits import MAX_CODES, MAX_EIDS, MAX_PROVIDERS, MAX_UIDS, MAX_WORDS
from openrtb.wire import Categories, CodeNames, Flag, Float, Int, Keywords, Name, Size, Wire, Words


class Segment(Wire):
    """3.2.22: one segment of a data provider."""

    id: str | None = None
    name: str | None = None
    value: str | None = None


class Data(Wire):
    """3.2.21: segments of one data provider."""

    id: str | None = None
    name: str | None = None
    cids: Words | None = None
    segment: Annotated[list[Segment], Meta(max_length=MAX_WORDS)] | None = None


class Publisher(Wire):
    """3.2.15: who owns the media."""

    id: str | None = None
    name: str | None = None
    cattax: Int | None = None
    cat: Categories | None = None
    domain: str | None = None


class Network(Wire):
    """3.2.23: the network that airs the content."""

    id: str | None = None
    name: str | None = None
    domain: str | None = None


class Channel(Wire):
    """3.2.24: the channel that airs the content."""

    id: str | None = None
    name: str | None = None
    domain: str | None = None


class Content(Wire):
    """3.2.16: the content around or before the ad, as far as targeting reads it."""

    id: str | None = None
    title: str | None = None
    series: str | None = None
    genre: str | None = None
    gtax: Int | None = None
    genres: Words | None = None
    url: str | None = None
    cattax: Int | None = None
    cat: Categories | None = None
    prodq: Int | None = None
    context: Int | None = None
    contentrating: str | None = None
    qagmediarating: Int | None = None
    keywords: Keywords | None = None
    kwarray: Words | None = None
    livestream: Int | None = None
    len: Int | None = None
    language: Name | None = None
    langb: Name | None = None
    data: Annotated[list[Data], Meta(max_length=MAX_PROVIDERS)] | None = None
    network: Network | None = None
    channel: Channel | None = None


class InventoryExt(Wire):
    """The 2.5 place of `inventorypartnerdomain`."""

    inventorypartnerdomain: str | None = None


class Site(Wire):
    """3.2.13: the web site."""

    id: str | None = None
    name: str | None = None
    domain: str | None = None
    cattax: Int | None = None
    cat: Categories | None = None
    sectioncat: Categories | None = None
    pagecat: Categories | None = None
    page: str | None = None
    ref: str | None = None
    search: str | None = None
    mobile: Flag | None = None
    privacypolicy: Flag | None = None
    publisher: Publisher | None = None
    content: Content | None = None
    keywords: Keywords | None = None
    kwarray: Words | None = None
    inventorypartnerdomain: str | None = None
    ext: InventoryExt | None = None


class App(Wire):
    """3.2.14: the app; `bundle` is the store id."""

    id: str | None = None
    name: str | None = None
    bundle: str | None = None
    domain: str | None = None
    storeurl: str | None = None
    cattax: Int | None = None
    cat: Categories | None = None
    sectioncat: Categories | None = None
    pagecat: Categories | None = None
    ver: str | None = None
    privacypolicy: Flag | None = None
    paid: Flag | None = None
    publisher: Publisher | None = None
    content: Content | None = None
    keywords: Keywords | None = None
    kwarray: Words | None = None
    inventorypartnerdomain: str | None = None
    ext: InventoryExt | None = None


class DOOH(Wire):
    """3.2.32: a screen outside the home."""

    id: str | None = None
    name: str | None = None
    venuetype: Categories | None = None
    venuetypetax: Int | None = None
    publisher: Publisher | None = None
    domain: str | None = None
    keywords: Keywords | None = None
    content: Content | None = None


class Geo(Wire):
    """3.2.19: a place; `country` is ISO 3166-1 alpha-3, `utcoffset` minutes."""

    lat: Float | None = None
    lon: Float | None = None
    type: Int | None = None
    accuracy: Int | None = None
    ipservice: Int | None = None
    country: Name | None = None
    region: Name | None = None
    metro: str | None = None
    city: Name | None = None
    zip: Name | None = None
    utcoffset: Int | None = None


class BrandVersion(Wire):
    """3.2.30: a browser or platform and its version, most significant part first."""

    brand: str | None = None
    version: CodeNames | None = None


class UserAgent(Wire):
    """3.2.29: structured user agent, preferred over `device.ua` where present."""

    browsers: Annotated[list[BrandVersion], Meta(max_length=MAX_CODES)] | None = None
    platform: BrandVersion | None = None
    mobile: Flag | None = None
    architecture: str | None = None
    bitness: str | None = None
    model: str | None = None
    source: Int | None = None


class DeviceExt(Wire):
    """The 2.5 place of `sua`; what kind of id `ifa` is; iOS tracking authorisation (0-3)."""

    sua: UserAgent | None = None
    ifa_type: str | None = None
    atts: Int | None = None


class Device(Wire):
    """3.2.18: the device, and the person's settings on it (`dnt`, `lmt`)."""

    geo: Geo | None = None
    dnt: Flag | None = None
    lmt: Flag | None = None
    ua: str | None = None
    sua: UserAgent | None = None
    ip: str | None = None
    ipv6: str | None = None
    devicetype: Int | None = None
    make: str | None = None
    model: str | None = None
    os: str | None = None
    osv: str | None = None
    hwv: str | None = None
    h: Size | None = None
    w: Size | None = None
    ppi: Size | None = None
    pxratio: Float | None = None
    js: Flag | None = None
    geofetch: Flag | None = None
    language: Name | None = None
    langb: Name | None = None
    carrier: str | None = None
    mccmnc: str | None = None
    connectiontype: Int | None = None
    ifa: str | None = None
    ext: DeviceExt | None = None


class UID(Wire):
    """3.2.28: one id within an EID."""

    id: str | None = None
    atype: Int | None = None


class EID(Wire):
    """3.2.27: ids of one source; `mm` 3-5 says that they were inferred."""

    source: str | None = None
    uids: Annotated[list[UID], Meta(max_length=MAX_UIDS)] | None = None
    inserter: str | None = None
    matcher: str | None = None
    mm: Int | None = None


class UserExt(Wire):
    """The 2.5 places of `consent` and `eids`."""

    consent: str | None = None
    eids: Annotated[list[EID], Meta(max_length=MAX_EIDS)] | None = None


class User(Wire):
    """3.2.20: the person, by ids; `buyeruid` is ours."""

    id: str | None = None
    buyeruid: str | None = None
    yob: Int | None = None
    gender: str | None = None
    keywords: Keywords | None = None
    kwarray: Words | None = None
    customdata: str | None = None
    geo: Geo | None = None
    data: Annotated[list[Data], Meta(max_length=MAX_PROVIDERS)] | None = None
    consent: str | None = None
    eids: Annotated[list[EID], Meta(max_length=MAX_EIDS)] | None = None
    ext: UserExt | None = None
