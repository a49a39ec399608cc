"""Placements at which nobody sees an ad, and devices that do not fit where they say they are.

Place: score.py asks of every request; facts of the request alone, no memory.
Rule: an impression is impossible where it states sizes and none of them is larger than MIN_PX in both directions: 0x0,
    1x1 and the like. A size that is not stated is no fault; an interstitial's 1x1 means "the whole screen" (OpenRTB
    3.2.4, Prebid), and native and audio have no size. A slot that takes several media is impossible where all that
    state sizes are. Place, time zone and language are soft signals: travellers and expatriates are people.
Units: pixels; minutes east of UTC.
Source: MRC, invalid placements; time zones and languages by country: tz database, CLDR.
"""

from typing import Final

from bidder.fraud.agents import PLATFORMS
from bidder.fraud.reasons import Reason
from bidder.opportunity import Context
from openrtb.request import Banner, Geo, Imp, UserAgent

MIN_PX: Final = 2
"""A side of so many pixels or fewer shows nothing."""
PLACEMENT, TINY, NAMELESS = int(Reason.PLACEMENT), int(Reason.TINY), int(Reason.NAMELESS)
MISMATCH, CONTRADICTION = int(Reason.MISMATCH), int(Reason.CONTRADICTION)
ZONE_SLACK_MIN: Final = 90
"""Summer time and what lies on both sides of a border."""

_ZONES: Final[dict[str, tuple[int, int]]] = {
    # Least and greatest standard offset of the mainland and what belongs to it, minutes east of UTC.
    "ARG": (-180, -180), "AUS": (480, 660), "AUT": (60, 60), "BEL": (60, 60), "BGR": (120, 120),
    "BRA": (-300, -120), "CAN": (-480, -210), "CHE": (60, 60), "CHL": (-360, -180), "CHN": (480, 480),
    "COL": (-300, -300), "CZE": (60, 60), "DEU": (60, 60), "DNK": (60, 60), "EGY": (120, 120),
    "ESP": (0, 60), "FIN": (120, 120), "FRA": (60, 60), "GBR": (0, 0), "GRC": (120, 120),
    "HUN": (60, 60), "IDN": (420, 540), "IND": (330, 330), "IRL": (0, 0), "ISR": (120, 120),
    "ITA": (60, 60), "JPN": (540, 540), "KOR": (540, 540), "MEX": (-480, -300), "MYS": (480, 480),
    "NGA": (60, 60), "NLD": (60, 60), "NOR": (60, 60), "NZL": (720, 765), "PAK": (300, 300),
    "PER": (-300, -300), "PHL": (480, 480), "POL": (60, 60), "PRT": (-60, 0), "ROU": (120, 120),
    "RUS": (120, 720), "SAU": (180, 180), "SGP": (480, 480), "SWE": (60, 60), "THA": (420, 420),
    "TUR": (180, 180), "TWN": (480, 480), "UKR": (120, 120), "USA": (-600, -300), "VNM": (420, 420),
    "ZAF": (120, 120),
}  # fmt: skip
_FAR: Final[dict[str, frozenset[str]]] = {
    # Languages that hardly anybody who lives in these countries has set; English and the neighbours' are never here.
    country: frozenset({"ru", "zh", "ja", "ko", "vi", "th", "uk", "fa", "hi"})
    for country in ("ARG", "BRA", "CHL", "COL", "MEX", "PER", "NGA", "ZAF", "EGY", "SAU", "TUR", "IDN")
}


def impossible(context: Context) -> int:
    """PLACEMENT where no impression of the request can be seen, TINY where some cannot; else 0."""
    unseen = 0
    for opportunity in context.opportunities:
        for width, height in opportunity.sizes:
            if width > MIN_PX and height > MIN_PX:
                break
        else:
            unseen += _unseen(opportunity.imp)
    if not unseen:
        return 0
    return PLACEMENT if unseen == len(context.opportunities) else TINY


def _unseen(imp: Imp) -> bool:
    if imp.instl or imp.native is not None or imp.audio is not None:
        return False
    banner, video = imp.banner, imp.video
    seen = banner is not None and _may_show(banner)
    if not seen and video is not None:
        seen = not _flat(video.w, video.h)
    return not seen


def _may_show(banner: Banner) -> bool:
    formats = banner.format
    if formats:
        return any(not _flat(size.w, size.h) for size in formats)
    return not _flat(banner.w, banner.h)


def _flat(width: int | None, height: int | None) -> bool:
    """Whether a size is stated that shows nothing; one side that is not stated may be any."""
    return (width is not None and width <= MIN_PX) or (height is not None and height <= MIN_PX)


def nameless(context: Context) -> int:
    """NAMELESS where nobody could say which site or app this is."""
    if context.domain or context.bundle or context.inventory == "dooh":
        return 0
    site = context.request.site
    return 0 if site is not None and site.page else NAMELESS


def mismatched(context: Context, geo: Geo) -> int:
    """MISMATCH where place and time zone, or place and language, do not go together."""
    country = context.country
    if country in _FAR and context.browser_language in _FAR[country]:
        return MISMATCH
    offset_min = geo.utcoffset
    if offset_min is None:
        return 0
    zones = _ZONES.get(country)
    if zones is None or zones[0] - ZONE_SLACK_MIN <= offset_min <= zones[1] + ZONE_SLACK_MIN:
        return 0
    return MISMATCH


def contradicted(sua: UserAgent, systems: int) -> int:
    """CONTRADICTION where the structured user agent speaks of another system than those that the text names."""
    platform = sua.platform
    if platform is None or not systems:
        return 0
    fitting = PLATFORMS.get(platform.brand or "")
    return 0 if fitting is None or fitting & systems else CONTRADICTION
