"""Step 5 of a bid, for one candidate: does the line item have a creative that this slot and request accept?

Place: choose asks it, best candidate first.
Shapes: fit() -> a Fitting, or the Drop that names the first rule the nearest creative broke.
Limits: NATIVE_CACHE parsed native requests are remembered, and by each ad the NATIVE_FITS it met last: a slot asks
    for the same assets every time, and matching them costs 8 us.
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
from openrtb.native import NativeRequest, parse_native
from openrtb.native_answer import Fit as NativeFit
from openrtb.native_answer import fit as fit_native
from openrtb.request import Audio, Banner, BidRequest, Native, Video
from openrtb.vast import MediaFile, choose_media, choose_protocol, duration_fits
from openrtb.violation import Violation

NATIVE_CACHE = 1_024
NATIVE_FITS = 32
SKIP_BUTTON = 1 << 16
"""Creative attribute 16: the ad brings its own skip button, which a slot that adds one does not want."""
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
        broken = _ad_allowed(context.request, slot, ad)
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


def _ad_allowed(request: BidRequest, slot: Opportunity, ad: Ad) -> Drop | None:
    """The rules that hold for every medium."""
    if slot.secure and not ad.secure:
        return Drop.INSECURE
    languages = request.wlang or request.wlangb
    if languages and not (ad.language and language_listed(ad.language, languages)):
        return Drop.LANGUAGE
    if (request.bcat or request.acat) and not _category_allowed(request, ad):
        return Drop.CATEGORY_BLOCKED
    return None


def _category_allowed(request: BidRequest, ad: Ad) -> bool:
    taxonomy = request.cattax or CONTENT_1
    if not ad.categories or ad.taxonomy != taxonomy:
        return False
    blocked, allowed = request.bcat, request.acat
    if blocked:
        for name in ad.category_names:
            if name in blocked:
                return False
    return not allowed or all(category_listed(category, allowed, taxonomy) for category in ad.categories)


def _in_slot(slot: Opportunity, ad: Ad) -> Fitting | Drop:
    imp = slot.imp
    if ad.medium == BANNER and imp.banner is not None:
        return _in_banner(imp.banner, ad)
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


def _in_banner(banner: Banner, ad: Ad) -> Fitting | Drop:
    if banner.btype and ad.btypes & mask_of(banner.btype):
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
    text = slot.request
    if not isinstance(text, str):
        return Drop.NATIVE_ASSETS
    fits = ad.native_fits
    if text not in fits:
        if len(fits) >= NATIVE_FITS:
            fits.clear()
        wanted = _parsed(text)
        fits[text] = fit_native(wanted, ad.native) if wanted is not None and ad.native is not None else None
    matched = fits[text]
    return Drop.NATIVE_ASSETS if matched is None else Fitting(ad, native=matched)


@lru_cache(NATIVE_CACHE)
def _parsed(text: str) -> NativeRequest | None:
    parsed = parse_native(text)
    return None if isinstance(parsed, Violation) else parsed
