"""Step 8 of a bid: a choice becomes a bid with its markup, signed URLs and everything an exchange asks for.

Place: the last step; run encodes and sends what it returns.
Units: `price` on the wire is CPM in the request's bid currency.
Source: OpenRTB 2.6 sections 4.2.1-4.2.3 and 7.2 (expiry); DSA transparency extension; Prebid's ext.prebid.type.
"""

from collections.abc import Sequence
from copy import copy

from bidder.auction.choose import Choice
from bidder.auction.world import World
from bidder.audience.frequency import Basis, Exposure
from bidder.campaigns.ads import Ad, render_html
from bidder.campaigns.compile import Line
from bidder.exchanges import Exchange
from bidder.keys import key16, key32
from bidder.notices.token import DEAL, LATE_S, MEASURE, NOBODY, PERSONAL, SUSPECT, TEST, VISITOR, Claim, seal
from bidder.notices.urls import IN_ASSETS, NoticeUrls, UrlParts, browser_token, notice_urls
from bidder.opportunity import BANNER, MEDIA_NAMES, MTYPE, Context
from budget.money import cpm_to_units
from openrtb.native_answer import NativeUrls
from openrtb.native_answer import markup as native_markup
from openrtb.response import Bid, BidExt, BidExtDSA, BidExtPrebid, BidResponse, SeatBid
from openrtb.vast import VastUrls

_VISITOR, _PERSON = Basis.VISITOR, Basis.PERSON  # an attribute of an Enum takes 40 ns to find
_EXCHANGE_KEYS: dict[str, int] = {}
_PREBID = {name: BidExtPrebid(name) for name in MEDIA_NAMES.values()}


def respond(context: Context, choices: Sequence[Choice], world: World) -> BidResponse:
    """The answer to one request: all its admitted bids under our one seat."""
    bids = [_bid(context, choice, world) for choice in choices]
    seat = context.exchange.seat or None
    return BidResponse(context.request.id, [SeatBid(bids, seat)], bids[0].id, context.currency)


def _bid(context: Context, choice: Choice, world: World) -> Bid:
    exchange, fitting, line = context.exchange, choice.fitting, choice.line
    ad, slot = fitting.ad, choice.opportunity
    urls = _urls(context, choice, world)
    bid = copy(line.begun.get(ad.key) or _begin(line, ad))
    bid.id = choice.bid_id.hex()
    bid.impid = slot.imp.id
    bid.price = cpm_to_units(choice.bid_cpm_micros)
    bid.nurl = urls.win
    if exchange.billing == "burl":
        bid.burl = urls.bill
    bid.lurl = urls.loss
    bid.adm = _markup(choice, urls, bid.id, world, world.urls[exchange.name])
    bid.protocol = fitting.protocol or None
    if choice.deal is not None:
        bid.dealid = choice.deal.deal.id
    bid.exp = choice.exp_s
    bid.ext = _ext(context, exchange, choice)
    return bid


def _begin(line: Line, ad: Ad) -> Bid:
    """What is the same in all bids of a line item with a creative, made once: a copy costs a tenth of a new Bid."""
    banner = ad.medium == BANNER
    bid = line.begun[ad.key] = Bid(
        id="",
        impid="",
        price=0.0,
        adid=ad.id,
        adomain=line.adomain,
        bundle=line.bundle or None,
        cid=line.campaign_id,
        crid=ad.id,
        cattax=ad.taxonomy if ad.category_list else None,
        cat=ad.category_list,
        attr=ad.attribute_list,
        apis=ad.api_list,
        language=ad.language or None,
        w=ad.size[0] if banner else None,
        h=ad.size[1] if banner else None,
        dur=ad.duration_s or None,
        mtype=MTYPE[ad.medium],
    )
    return bid


def _urls(context: Context, choice: Choice, world: World) -> NoticeUrls:
    """Signed URLs."""
    exchange = context.exchange
    person, standing = (NOBODY, 0) if choice.line.nameless else _whom(context, choice.exposure)
    claim = Claim(
        bid_id=choice.bid_id,
        exchange=exchange_key(exchange),
        advertiser=choice.line.advertiser_key,
        line_item=choice.line.key,
        creative=choice.fitting.ad.key,
        bid_cpm_micros=choice.bid_cpm_micros,
        currency=context.currency,
        rate_ppm=choice.rate_ppm,
        imp=choice.opportunity.number,
        flags=(TEST if context.test else 0)
        | (DEAL if choice.deal is not None else 0)
        | (SUSPECT if context.suspect else 0)
        | standing,
        issued_s=choice.issued_s,
        expires_s=choice.deadline_s + LATE_S,
        lease=choice.lease,
        person=person,
        placement=placement_key(exchange.name, context.publisher, choice.opportunity.imp.tagid),
    )
    return notice_urls(world.urls[exchange.name], seal(claim, world.key))


def placement_key(exchange: str, publisher: str, tag: str | None) -> int:
    """Which placement it is, in 16 bits."""
    return key16(f"{exchange}/{publisher}/{tag}") if tag else key16(f"{exchange}/{publisher}")


def _whom(context: Context, exposure: Exposure | None) -> tuple[bytes, int]:
    """Who stands in the token, and the flags that say as what: whom views count for, or the person who was read, where
    the person may be recorded or shown what they looked at."""
    if exposure is not None and exposure.basis is not _PERSON:
        return exposure.id, VISITOR if exposure.basis is _VISITOR else 0
    uses = (MEASURE if context.measure else 0) | (PERSONAL if context.personal else 0)
    if exposure is not None:
        return exposure.id, uses
    return (context.person_id, uses) if uses and context.person_id else (NOBODY, 0)


def _markup(choice: Choice, urls: NoticeUrls, serving_id: str, world: World, parts: UrlParts) -> str:
    ad = choice.fitting.ad
    if ad.markup is not None:
        drawn = parts.render + browser_token(parts, urls) if ad.showcase is not None else ""
        return render_html(ad, urls.click, urls.imp, drawn)
    native = choice.fitting.native
    if native is not None:
        assets = f"{parts.assets}{browser_token(parts, urls)}&{IN_ASSETS}=" if native.asked else ""
        return native_markup(
            native, NativeUrls(urls.click, (), (urls.imp,), world.privacy_url, assets=assets)
        )
    assert ad.vast is not None, "an ad is a banner, a native or a spot"
    spot = VastUrls(impression=urls.imp, click=urls.click, tracking_base=urls.event)
    return ad.vast[choice.fitting.protocol].render(spot, serving_id, choice.fitting.media)


def _ext(context: Context, exchange: Exchange, choice: Choice) -> BidExt | None:
    prebid = _PREBID[MEDIA_NAMES[choice.fitting.ad.medium]] if exchange.ext_prebid_type else None
    regs, line = context.request.regs, choice.line
    asked = regs.ext.dsa if regs is not None and regs.ext is not None else None
    shown = asked is not None and asked.pubrender != 0  # no ad of ours shows it by itself
    dsa = BidExtDSA(line.behalf, line.paid, adrender=0) if shown and line.behalf else None
    return BidExt(prebid, dsa) if prebid is not None or dsa is not None else None


def exchange_key(exchange: Exchange) -> int:
    """The 32-bit key of a profile's name, for tokens."""
    key = _EXCHANGE_KEYS.get(exchange.name)
    if key is None:
        key = _EXCHANGE_KEYS[exchange.name] = key32(exchange.name)
    return key
