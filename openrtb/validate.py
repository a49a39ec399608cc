"""Which requests are malformed as a whole, beyond what their types say.

Place: intake, after `upgrade`. The bounds of single values (ids, sizes, counts) are in the types: `codec`
    has checked them already.
Shapes: an imp is usable if at least one of its media is. A request of which no imp is usable is malformed;
    with one that is, it is served for that one, and the others simply get no bid.
Raises: `Violation`.
Source: OpenRTB 2.6 section 3.2; the request-level rules that Prebid Server answers with 400; real traffic.
Never: judges business. More than one of site, app and dooh, or none, a negative floor, an unknown number of
    an enumeration and a native request that cannot be parsed are no violations: real exchanges send them, and
    they lead to a no-bid, or do no harm.
"""

from __future__ import annotations

from openrtb.request import Banner, BidRequest, Imp
from openrtb.violation import Violation


def validate(request: BidRequest) -> None:
    """Raise `Violation` for a request that deserves 400."""
    imps = request.imp
    if len(imps) > 1:
        _check_ids(imps)
    regs = request.regs
    if regs is not None and regs.gdpr is not None and regs.gdpr not in (0, 1):
        raise Violation("regs.gdpr", "must be 0 or 1")
    for imp in imps:
        if _is_usable(imp):
            return
    raise _why_unusable(imps[0])


def _check_ids(imps: list[Imp]) -> None:
    seen = set()
    for i, imp in enumerate(imps):
        if imp.id in seen:
            raise Violation(f"imp[{i}].id", "must be unique")
        seen.add(imp.id)


def _is_usable(imp: Imp) -> bool:
    banner = imp.banner
    if banner is not None and (imp.instl or _names_size(banner)):
        return True
    video = imp.video
    if video is not None and video.mimes:
        return True
    audio = imp.audio
    if audio is not None and audio.mimes:
        return True
    native = imp.native
    return native is not None and bool(native.request)


def _names_size(banner: Banner) -> bool:
    """Whether a banner says anything of its size; an interstitial may leave that to the screen."""
    if banner.format or banner.w or banner.h:
        return True
    return bool(banner.wmax or banner.wmin or banner.hmax or banner.hmin)


def _why_unusable(imp: Imp) -> Violation:
    """The first reason why an imp without a usable medium has none."""
    if imp.banner is not None:
        return Violation("imp[0].banner", "must have a size")
    if imp.video is not None:
        return Violation("imp[0].video.mimes", "must name at least one type")
    if imp.audio is not None:
        return Violation("imp[0].audio.mimes", "must name at least one type")
    if imp.native is not None:
        return Violation("imp[0].native.request", "is required")
    return Violation("imp[0]", "must offer banner, video, audio or native")
