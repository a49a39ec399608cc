"""Step 6 of a bid, for one candidate: does the line item have a creative that this slot and request accept?

Place: choose asks it, best candidate first.
Shapes: fit() -> a Fitting, or the Drop that names the first rule the nearest creative broke.
Limits: NATIVE_CACHE native requests, and as many answers to them, are remembered.
Source: OpenRTB 2.6 section 3.2 (battr, btype, api, secure, wlang, bcat, acat, wadomain), Native 1.2, VAST 4.2;
    what cannot be proved harmless counts as blocked: another taxonomy, no category, no language.
"""

from collections.abc import Sequence
from functools import lru_cache

from msgspec import Struct

from bidder.campaigns.ads import Ad, mask_of
from bidder.campaigns.compile import Line
from bidder.opportunity import AUDIO, BANNER, NATIVE, VIDEO, Context, DealOffer, Opportunity
from bidder.outcome import Drop
from openrtb.blocks import CONTENT_1, category_listed, domain_listed, language_listed
from openrtb.enums import CreativeAttribute
from openrtb.native import NativeRequest, parse_native
from openrtb.native_answer import Fit as NativeFit
from openrtb.native_answer import fit as fit_native
from openrtb.native_assets import asked_text
from openrtb.request import Audio, Banner, Native, Video
from openrtb.vast import MediaFile, choose_media, choose_protocol, duration_fits
from openrtb.violation import Violation

NATIVE_CACHE = 1_024
SKIP_BUTTON = 1 << CreativeAttribute.SKIP_BUTTON
"""As an attribute's bit: the ad brings its own skip button, which a slot that adds one does not want."""
DSA_REQUIRED = 2
"""regs.ext.dsa.dsarequired from here on: a bid without transparency is rejected.
We name who pays and leave the showing to the publisher, so pubrender 0 (it cannot) gets no bid."""


class Fitting(Struct, gc=False):
    """A creative in the form that the slot takes."""

    ad: Ad
    protocol: int = 0
    """VAST protocol code, for video and audio."""
    media: tuple[MediaFile, ...] = ()
    native: NativeFit | None = None


def fit(context: Context, slot: Opportunity, line: Line, deal: DealOffer | None) -> Fitting | Drop:
    """The creative of a line item that suits a slot; else why none does."""
    reason = _line_allowed(context, line, deal)
    if reason is not None:
        return reason
    worst: Drop = Drop.MEDIA
    for ad in _in_order(slot, line):
        broken = _ad_allowed(context, slot, ad)
        if broken is None:
            found = _in_slot(slot, ad)
            if isinstance(found, Fitting):
                return found
            broken = found
        worst = broken
    return worst


def _line_allowed(context: Context, line: Line, deal: DealOffer | None) -> Drop | None:
    regs = context.request.regs
    dsa = regs.ext.dsa if regs is not None and regs.ext is not None else None
    if dsa is not None and (dsa.dsarequired or 0) >= DSA_REQUIRED and (not line.behalf or dsa.pubrender == 0):
        return Drop.DSA
    if deal is not None:
        terms = deal.deal
        if terms.wadomain and not domain_listed(line.adomain, terms.wadomain):
            return Drop.DEAL
        if terms.wseat and context.exchange.seat not in terms.wseat:
            return Drop.DEAL
    return None


def _in_order(slot: Opportunity, line: Line) -> Sequence[Ad]:
    """The creatives that could stand in the slot, the exchange's preferred banner sizes first."""
    if len(slot.sizes) == 1 and slot.media == BANNER:
        return line.banners.get(slot.sizes[0], ())
    found: list[Ad] = []
    for size in slot.sizes:
        if size in line.banners:
            found += line.banners[size]
    if slot.media != BANNER and line.media != BANNER:
        found += [ad for ad in line.ads if ad.medium & slot.media & ~BANNER]
    return found


def _ad_allowed(context: Context, slot: Opportunity, ad: Ad) -> Drop | None:
    """The rules that hold for every medium."""
    request = context.request
    if slot.secure and not ad.secure:
        return Drop.INSECURE
    languages = request.wlang or request.wlangb
    if languages and not (ad.language and language_listed(ad.language, languages)):
        return Drop.LANGUAGE
    if (request.bcat or request.acat) and not _category_allowed(context, ad):
        return Drop.CATEGORY_BLOCKED
    return None


def _category_allowed(context: Context, ad: Ad) -> bool:
    taxonomy = context.request.cattax or CONTENT_1
    if not ad.categories or ad.taxonomy != taxonomy:
        return False
    blocked, allowed = context.blocked_categories, context.allowed_categories
    for name in ad.category_names:
        if name in blocked:
            return False
    return not allowed or all(category_listed(category, allowed, taxonomy) for category in ad.categories)


def _in_slot(slot: Opportunity, ad: Ad) -> Fitting | Drop:
    imp = slot.imp
    if ad.medium == BANNER and imp.banner is not None:
        return _in_banner(slot, imp.banner, ad)
    if ad.medium == VIDEO and imp.video is not None:
        return _in_spot(imp.video, ad)
    if ad.medium == AUDIO and imp.audio is not None:
        return _in_spot(imp.audio, ad)
    if ad.medium == NATIVE and imp.native is not None:
        return _in_native(imp.native, ad)
    return Drop.MEDIA


def _taken(slot: Banner | Video | Audio | Native, ad: Ad) -> Drop | None:
    """Attributes that the slot refuses and frameworks that it lacks."""
    if ad.attributes and slot.battr and ad.attributes & mask_of(slot.battr):
        return Drop.ATTRIBUTE_BLOCKED
    if ad.apis and ad.apis & ~mask_of(slot.api):
        return Drop.API
    return None


def _in_banner(slot: Opportunity, banner: Banner, ad: Ad) -> Fitting | Drop:
    if ad.btypes & slot.blocked_types:
        return Drop.ATTRIBUTE_BLOCKED
    return _taken(banner, ad) or Fitting(ad)


def _in_spot(slot: Video | Audio, ad: Ad) -> Fitting | Drop:
    broken = _taken(slot, ad)
    if broken is not None:
        return broken
    if isinstance(slot, Video) and slot.skip and ad.attributes & SKIP_BUTTON:
        return Drop.ATTRIBUTE_BLOCKED
    protocol = choose_protocol(slot.protocols)
    if protocol is None or ad.vast is None:
        return Drop.PROTOCOL
    media = choose_media(ad.media_files, slot)
    if not media or not duration_fits(1000 * ad.duration_s, slot):
        return Drop.MEDIA
    return Fitting(ad, protocol, media)


def _in_native(slot: Native, ad: Ad) -> Fitting | Drop:
    broken = _taken(slot, ad)
    if broken is not None:
        return broken
    matched = _matched(slot.request, ad) if isinstance(slot.request, str) else None
    return Drop.NATIVE_ASSETS if matched is None else Fitting(ad, native=matched)


def _matched(text: str, ad: Ad) -> NativeFit | None:
    """How an ad answers a native request; remembered, for a slot asks for the same assets every time and matching
    them costs 8 us. A reload makes new ads, which the memory tells from those before them."""
    known = _MATCHED.get((text, ad.key))
    if known is not None and known[0] is ad:
        return known[1]
    if len(_MATCHED) >= NATIVE_CACHE:
        _MATCHED.clear()
    wanted = _parsed(text)
    found = None
    if wanted is not None and ad.native is not None:
        fetched = ad.showcase is not None and bool(wanted.aurlsupport)
        found = fit_native(wanted, ad.native, asked_text(wanted) if fetched else "")
    _MATCHED[text, ad.key] = (ad, found)
    return found


_MATCHED: dict[tuple[str, int], tuple[Ad, NativeFit | None]] = {}


@lru_cache(NATIVE_CACHE)
def _parsed(text: str) -> NativeRequest | None:
    parsed = parse_native(text)
    return None if isinstance(parsed, Violation) else parsed
