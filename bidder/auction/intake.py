"""Step 1 of a bid: bytes -> BidRequest -> a Context with one Opportunity per impression.

Place: called once per request by run; the last place that reads OpenRTB field names for targeting.
Raises: Violation for a malformed request (400). A request that we cannot serve is an Outcome.
Limits: those of openrtb.limits; a request with more than one of site, app, dooh is read as the first of them.
"""

from collections.abc import Container

from bidder.auction.devices import describe
from bidder.auction.floors import USD, Factor, floor_cpm_micros
from bidder.auction.hours import hour_of_week
from bidder.campaigns.ads import mask_of
from bidder.exchanges import Exchange
from bidder.opportunity import AUDIO, BANNER, MTYPE, NATIVE, VIDEO, Context, DealOffer, Opportunity
from bidder.privacy.gate import Permissions
from openrtb.codec import decode_request
from openrtb.enums import AuctionType
from openrtb.request import Banner, BidRequest, Deal, Device, Geo, Imp
from openrtb.upgrade import upgrade
from openrtb.validate import validate

FIRST_PRICE = int(AuctionType.FIRST_PRICE)
SECOND_PRICE = int(AuctionType.SECOND_PRICE)
FIXED_PRICE = int(AuctionType.FIXED_PRICE)
VIEWABILITY = "viewability"
LONG_LIST = 64
"""A look-up in a longer list costs more than making a set of it, shared by a few candidates."""


def read_request(body: bytes) -> BidRequest:
    """A valid OpenRTB 2.6 request; raises Violation."""
    request = decode_request(body)
    upgrade(request)
    validate(request)
    return request


def deadline_ns(request: BidRequest, exchange: Exchange, received_ns: int) -> int:
    """When the answer must have left: the exchange's tmax, less what the network takes."""
    tmax_ms = request.tmax
    if not tmax_ms or tmax_ms < 0:
        tmax_ms = exchange.tmax_default_ms
    return received_ns + (min(tmax_ms, 60_000) - exchange.margin_ms) * 1_000_000


def seat_allowed(request: BidRequest, seat: str) -> bool:
    """Whether the request lets our seat bid; both lists present are read as an intersection."""
    if request.wseat and seat not in request.wseat:
        return False
    return not (request.bseat and seat in request.bseat)


def bid_currency(request: BidRequest, preferred: str, factor: Factor) -> str:
    """The currency to answer in; "" where we have a rate for none that is allowed."""
    allowed = request.cur or (USD,)
    if preferred in allowed:
        return preferred
    return next((currency for currency in allowed if factor(preferred, currency) is not None), "")


def context_of(
    request: BidRequest, exchange: Exchange, permissions: Permissions, now_s: float, currency: str
) -> Context:
    """What all impressions share; `opportunities` is filled by `opportunities_of`."""
    device = request.device
    geo = _geo(request, device)
    site, app, dooh = request.site, request.app, request.dooh
    source = site or app or dooh
    publisher = source.publisher if source is not None else None
    content = source.content if source is not None else None
    system, kind = describe(device)
    country = (geo.country or "").upper() if geo is not None else ""
    # By position, in the order of the fields: 25 names would make this call 1.5 us dearer.
    return Context(
        exchange,
        request,
        currency,
        request.at == FIRST_PRICE,
        request.test == 1,
        "site" if site is not None else "app" if app is not None else "dooh" if dooh is not None else "",
        _domain(source.domain) if source is not None else "",
        (app.bundle or "") if app is not None and site is None else "",
        (source.id or "") if source is not None else "",
        (publisher.id or "") if publisher is not None else "",
        country,
        f"{country}-{geo.region.upper().removeprefix(country + '-')}"
        if geo is not None and geo.region
        else "",
        f"{country}-{geo.city.lower()}" if geo is not None and geo.city else "",
        f"{country}-{geo.zip}" if geo is not None and geo.zip and permissions.precise_geo else "",
        _place(geo) if permissions.precise_geo else None,
        kind,
        system,
        (device.connectiontype or 0) if device is not None else 0,
        _language(device.language or device.langb) if device is not None else "",
        _language(content.language or content.langb) if content is not None else "",
        hour_of_week(now_s, geo.utcoffset if geo is not None else None, country),
        permissions.child,
        permissions.personalise,
        permissions.measure,
        _listed(request.bcat),
        _listed(request.acat),
    )


def opportunities_of(context: Context, factor: Factor) -> tuple[Opportunity, ...]:
    """The impressions of a request that hold a medium we can read."""
    found = []
    for number, imp in enumerate(context.request.imp):
        media = _media(imp)
        if media:
            found.append(_opportunity(number, imp, media, (context.currency, factor)))
    return tuple(found)


def _opportunity(number: int, imp: Imp, media: int, rate: tuple[str, Factor]) -> Opportunity:
    banner = imp.banner if media & BANNER else None
    slot = banner or imp.video or imp.audio
    pmp = imp.pmp
    deals = _deals(imp, pmp.deals, rate) if pmp is not None and pmp.deals else ()
    return Opportunity(
        number,
        imp,
        media,
        _sizes(banner) if banner is not None else (),
        mask_of(banner.btype) if banner is not None and banner.btype else 0,
        floor_cpm_micros(imp, MTYPE[BANNER], None, None, rate) if imp.bidfloor else 0,
        imp.secure != 0,
        (getattr(slot, "pos", 0) or 0) if slot is not None else 0,
        imp.rwdd == 1,
        imp.instl == 1,
        _viewability(imp),
        deals,
        pmp is not None and bool(pmp.private_auction),  # whatever number says so
        imp.video,
        imp.audio,
    )


def _media(imp: Imp) -> int:
    media = 0
    if imp.banner is not None:
        media |= BANNER
    if imp.video is not None and imp.video.mimes:
        media |= VIDEO
    if imp.audio is not None and imp.audio.mimes:
        media |= AUDIO
    if imp.native is not None and imp.native.request:
        media |= NATIVE
    return media


def _sizes(banner: Banner) -> tuple[tuple[int, int], ...]:
    sizes = [(f.w, f.h) for f in banner.format or () if f.w and f.h]
    if banner.w and banner.h:
        sizes.append((banner.w, banner.h))
    return tuple(sizes) if len(sizes) < 2 else tuple(dict.fromkeys(sizes))


def _listed(values: list[str] | None) -> Container[str]:
    """A list to look names up in; a long one as a set, for every candidate is held against it."""
    if not values:
        return ()
    return values if len(values) <= LONG_LIST else frozenset(values)


def _deals(imp: Imp, deals: list[Deal], rate: tuple[str, Factor]) -> tuple[DealOffer, ...]:
    """The deals of an impression; of one that is listed twice the first, as the response check reads it."""
    first = {deal.id: deal for deal in reversed(deals)}
    return tuple([_deal(imp, deal, rate) for deal in reversed(first.values())])


def _deal(imp: Imp, deal: Deal, rate: tuple[str, Factor]) -> DealOffer:
    floor = floor_cpm_micros(imp, MTYPE[BANNER], None, deal, rate)
    first_price = deal.at == FIRST_PRICE if deal.at in (FIRST_PRICE, SECOND_PRICE) else None
    return DealOffer(deal, floor, deal.at == FIXED_PRICE, first_price)


def _viewability(imp: Imp) -> float:
    for metric in imp.metric or ():
        if metric.type == VIEWABILITY and metric.value is not None:
            return float(metric.value)
    return -1.0


def _geo(request: BidRequest, device: Device | None) -> Geo | None:
    if device is not None and device.geo is not None:
        return device.geo
    return request.user.geo if request.user is not None else None


def _place(geo: Geo | None) -> tuple[float, float] | None:
    if (
        geo is None
        or geo.lat is None
        or geo.lon is None
        or not (-90 <= geo.lat <= 90 and -180 <= geo.lon <= 180)
    ):
        return None
    return None if geo.lat == 0 and geo.lon == 0 else (geo.lat, geo.lon)  # 0, 0 is how unknown is written


def _domain(domain: str | None) -> str:
    return domain.lower().removeprefix("www.") if domain else ""


def _language(tag: str | None) -> str:
    return tag[:2].lower() if tag else ""
