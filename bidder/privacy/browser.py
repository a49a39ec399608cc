"""What a browser's own call says about consent: the tag, the pixel, cookie syncs, the privacy pages.

Place: shop/ and rights/ make Signals of a call here and ask the gate; nothing else reads these parameters.
Shapes: `query` holds decoded parameters; names of `headers` are in lower case. Absent and empty are the same; a
    parameter that cannot be read denies, as everywhere.
Limits: MAX_SECTIONS numbers of gpp_sid; a consent string is as long as tcf and gpp read.
Source: the URL parameters of the TCF (gdpr, gdpr_consent), GPP (gpp, gpp_sid) and US privacy (us_privacy) for calls
    without an API; Global Privacy Control (Sec-GPC); Tracking Preference Expression (DNT).
"""

from collections.abc import Mapping
from typing import Final

from bidder.privacy.gpp import MAX_GPP_CHARS
from bidder.privacy.signals import Signals
from bidder.privacy.tcf import MAX_TC_CHARS

MAX_SECTIONS: Final = 32
"""More sections than GPP has; a list that is longer, or no list of numbers, names a section that nobody knows."""
UNKNOWN_SECTION: Final = 0
_MAX_DIGITS: Final = 4
_GDPR: Final = {"": None, "0": 0}
_UNREAD: Final = "!"
"""Stands for a string that is too long to be read: no consent, and small."""
_OFF: Final = ("", "0", "null", "unspecified")
"""Sec-GPC and DNT as they are where nothing is asked: DNT reads "null" or "unspecified" in scripts."""


def signals_from(query: Mapping[str, str], headers: Mapping[str, str], country: str) -> Signals:
    """The signals of a browser's call; `country` (ISO 3166-1, of the shop or its visitor) presumes a law where none
    is named."""
    return Signals(
        gdpr=_GDPR.get(query.get("gdpr", "").strip(), 1),
        tc_string=_bounded(query.get("gdpr_consent", ""), MAX_TC_CHARS),
        gpp=_bounded(query.get("gpp", ""), MAX_GPP_CHARS),
        gpp_sections=_sections(query.get("gpp_sid", "")),
        us_privacy=_bounded(query.get("us_privacy", ""), 8),
        gpc=headers.get("sec-gpc", "").strip() not in _OFF,
        limited=headers.get("dnt", "").strip().lower() not in _OFF,
        country=country.upper(),
    )


def _bounded(text: str, most: int) -> str:
    return text if len(text) <= most else _UNREAD


def _sections(text: str) -> tuple[int, ...]:
    """The numbers of gpp_sid, with commas or underscores between them."""
    if not text.strip():
        return ()
    words = text.replace("_", ",").split(",", MAX_SECTIONS)
    if len(words) > MAX_SECTIONS:
        return (UNKNOWN_SECTION,)
    return tuple(_number(word.strip()) for word in words)


def _number(word: str) -> int:
    digits = word.removeprefix("-")
    if not digits.isascii() or not digits.isdigit() or len(digits) > _MAX_DIGITS:
        return UNKNOWN_SECTION
    return int(word)
