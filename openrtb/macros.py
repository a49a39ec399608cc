"""Substitution macros: the ones an exchange fills in, and the ones we fill in a creative's markup.

Place: URLs and markup are built with the constants below; the exchange simulator and the tests expand them.
Limits: expansion is one pass over the template, so its time is linear and no value is ever expanded again.
Source: OpenRTB 2.6 section 4.4.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

PRICE: Final = "${AUCTION_PRICE}"
CURRENCY: Final = "${AUCTION_CURRENCY}"
LOSS: Final = "${AUCTION_LOSS}"
MIN_TO_WIN: Final = "${AUCTION_MIN_TO_WIN}"
"""What our notices ask of an exchange."""

NAMES: Final = (
    "AUCTION_ID",
    "AUCTION_BID_ID",
    "AUCTION_IMP_ID",
    "AUCTION_SEAT_ID",
    "AUCTION_AD_ID",
    "AUCTION_PRICE",
    "AUCTION_CURRENCY",
    "AUCTION_MBR",
    "AUCTION_LOSS",
    "AUCTION_MIN_TO_WIN",
    "AUCTION_MULTIPLIER",
    "AUCTION_IMP_TS",
    "AUCTION_DISCOUNT_PCT",
    "AUCTION_DISCOUNT_CPM",
)
"""Every macro of OpenRTB 2.6-202606, without its `${}`."""

AUDIT: Final = "AUDIT"
"""What every macro becomes when markup is rendered for a test or an audit."""

CLICK_URL: Final = "${CLICK_URL}"
CLICK_URL_ESC: Final = "${CLICK_URL_ESC}"
"""Ours, in the HTML of a creative: the click URL as it is, and percent-encoded for use inside another URL."""

# The longest names come first: an alternation takes the first that fits.
_ALTERNATIVES: Final = "|".join(sorted((n.removeprefix("AUCTION_") for n in NAMES), key=len, reverse=True))
_AUCTION: Final = re.compile(rf"\$\{{(AUCTION_(?:{_ALTERNATIVES}))(:B64)?\}}")
_ANY: Final = re.compile(r"\$\{([A-Z][A-Z0-9_]{0,63})\}")


def base64_text(value: str) -> str:
    """Return `value` as URL-safe base64 with padding, the form of the `:B64` suffix."""
    return base64.urlsafe_b64encode(value.encode()).decode("ascii")


def expand(template: str, values: Mapping[str, str], *, audit: bool = False) -> str:
    """Return `template` with every OpenRTB macro replaced, as an exchange does it.

    `values` maps names without `${}` (`"AUCTION_PRICE"`) to text; a name that is absent becomes "".
    With `audit` every macro becomes `AUDIT`. Macros outside OpenRTB's list and encodings other than
    `:B64`, which parties agree upon between themselves, stay as they are.
    """

    def value(match: re.Match[str]) -> str:
        if audit:
            return AUDIT
        text = values.get(match[1], "")
        return base64_text(text) if match[2] and text else text

    return _AUCTION.sub(value, template)


class Markup(Struct, frozen=True, gc=False):
    """A creative's markup cut at some macros once, so that a bid only joins; `pieces`: text, name, text."""

    pieces: tuple[str, ...]

    def render(self, values: Mapping[str, str]) -> str:
        """Return the markup with the text of `values` in place of each macro that it was cut at.

        Raises KeyError if a macro that `cut` was told of has no value: that is a bug of the caller.
        """
        pieces = self.pieces
        if len(pieces) == 1:
            return pieces[0]
        parts = list(pieces)
        for place in range(1, len(parts), 2):
            parts[place] = values[parts[place]]
        return "".join(parts)


def cut(template: str, names: frozenset[str]) -> Markup:
    """Cut `template` at those macros `${NAME}` whose name is in `names`; all others remain text."""
    pieces = [""]
    end = 0
    for match in _ANY.finditer(template):
        if match[1] in names:
            pieces[-1] += template[end : match.start()]
            pieces += [match[1], ""]
            end = match.end()
    pieces[-1] += template[end:]
    return Markup(tuple(pieces))
