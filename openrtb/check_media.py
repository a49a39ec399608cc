"""The part of the last look that depends on the medium: is it offered, does it fit the slot.

Place: called by `check` for every bid.
Units: sizes in pixels, durations in whole seconds.
Source: OpenRTB 2.6 sections 3.2.6-3.2.10 and 4.2.3; AdCOM lists.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from openrtb.enums import BannerType, CreativeAttribute, MarkupType
from openrtb.media import Audio, Banner, Native, Video
from openrtb.request import Imp
from openrtb.response import Bid
from openrtb.vast import duration_fits

Note = Callable[[tuple[str, str]], None]
"""Takes (field of the bid, rule that it breaks)."""

BANNER, VIDEO = int(MarkupType.BANNER), int(MarkupType.VIDEO)
AUDIO, NATIVE = int(MarkupType.AUDIO), int(MarkupType.NATIVE)
TYPES = {BANNER: "banner", VIDEO: "video", AUDIO: "audio", NATIVE: "native"}
"""Bid.mtype as `ext.prebid.type` spells it."""

_IFRAME, _JAVASCRIPT = int(BannerType.IFRAME), int(BannerType.JAVASCRIPT)
_XHTML_BANNER = int(BannerType.XHTML_BANNER)
_SKIP_BUTTON = int(CreativeAttribute.SKIP_BUTTON)


def media_faults(imp: Imp, bid: Bid, note: Note) -> None:
    """Note what keeps a bid from filling the slot of its medium."""
    mtype = bid.mtype
    medium: Banner | Video | Audio | Native | None = None
    if mtype == BANNER:
        medium = imp.banner
    elif mtype == VIDEO:
        medium = imp.video
    elif mtype == AUDIO:
        medium = imp.audio
    elif mtype == NATIVE:
        medium = imp.native
    if medium is None:
        note(("mtype", "must be a medium that the imp offers"))
        return
    ext = bid.ext
    if ext is not None and ext.prebid is not None and ext.prebid.type != TYPES[mtype or 0]:
        note(("ext.prebid.type", "must say the same as mtype"))
    if bid.attr and medium.battr and not set(bid.attr).isdisjoint(medium.battr):
        note(("attr", "is in the slot's battr"))
    if bid.apis and not set(bid.apis).issubset(medium.api or ()):
        note(("apis", "must be offered by the slot"))
    if isinstance(medium, Banner):
        _banner(medium, bid, note)
    elif not isinstance(medium, Native):
        _stream(medium, bid, note)


def _banner(banner: Banner, bid: Bid, note: Note) -> None:
    if bid.wratio is not None or bid.hratio is not None:
        _ratio(banner, bid, note)
    elif bid.w is None or bid.h is None:
        note(("w", "and h are required of a banner"))
    elif not size_fits(banner, bid.w, bid.h):
        note(("w", "and h must be a size of the slot"))
    if banner.btype and bid.adm and banner_type(bid.adm) in banner.btype:
        note(("adm", "is of a type in the slot's btype"))


def size_fits(banner: Banner, w: int, h: int) -> bool:
    """Whether a slot takes a banner of this size: a listed one, its own, one of a listed ratio or range.

    A slot that names no size at all (interstitials may) takes any.
    """
    formats = banner.format
    if formats:
        for each in formats:
            if each.w == w and each.h == h:
                return True
    if banner.w == w and banner.h == h:
        return True
    if formats and any(
        each.wratio and each.hratio and w * each.hratio == h * each.wratio and w >= (each.wmin or 0)
        for each in formats
    ):
        return True
    return _in_range(banner, w, h) if not formats else False


def _in_range(banner: Banner, w: int, h: int) -> bool:
    """Whether a size lies in the range of 2.4 (wmin to wmax, hmin to hmax), or none is named."""
    bounds = (banner.wmin, banner.wmax, banner.hmin, banner.hmax)
    if not any(bounds):
        return not banner.w and not banner.h
    wide = (banner.wmin or 0) <= w <= (banner.wmax or banner.w or w)
    return wide and (banner.hmin or 0) <= h <= (banner.hmax or banner.h or h)


def _ratio(banner: Banner, bid: Bid, note: Note) -> None:
    """A flex ad says its ratio instead of its size."""
    if bid.w is not None or bid.h is not None:
        note(("wratio", "and hratio exclude w and h"))
    elif not any(
        each.wratio == bid.wratio and each.hratio == bid.hratio and bid.wratio and bid.hratio
        for each in banner.format or ()
    ):
        note(("wratio", "and hratio must be a ratio of the slot"))


def banner_type(adm: str) -> int:
    """Return the banner type (a number of `btype`) that markup is: iframe, JavaScript or plain XHTML."""
    text = adm.lower()
    if "<iframe" in text:
        return _IFRAME
    return _JAVASCRIPT if "<script" in text else _XHTML_BANNER


def _stream(slot: Video | Audio, bid: Bid, note: Note) -> None:
    """Video and audio: the protocol is listed, the length allowed, the skip button not ours to add."""
    if slot.protocols and bid.protocol not in slot.protocols:
        note(("protocol", "must be one of the slot's"))
    if not slot.mimes:
        note(("mtype", "is a slot without mimes"))
    if bid.dur is not None:
        if not duration_fits(1000 * bid.dur, slot):
            note(("dur", "must be a length that the slot allows"))
    elif _bounded(slot):
        note(("dur", "is required where the slot bounds it"))
    if isinstance(slot, Video) and slot.skip and _SKIP_BUTTON in _listed(bid.attr):
        note(("attr", "must not claim the skip button that the publisher adds"))


def _bounded(slot: Video | Audio) -> bool:
    return bool(slot.rqddurs or slot.minduration or slot.maxduration)


def _listed(values: Sequence[int] | None) -> Sequence[int]:
    return values or ()
