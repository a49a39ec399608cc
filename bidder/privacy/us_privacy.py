"""The us_privacy string (CCPA): four characters, version 1.

Place: called by `signals` and, for section 6, by `gpp`.
Raises: nothing; a string against the grammar is None.
Source: IAB US Privacy String 1.0; judged like Prebid Server, case-sensitive.
"""

from typing import Final

from msgspec import Struct

_VERSION: Final = "1"
_ANSWERS: Final = frozenset("YN-")


class UsPrivacy(Struct, frozen=True, gc=False):
    """Each answer is "Y", "N" or "-" (not applicable)."""

    notice: str
    opt_out_sale: str
    lspa_covered: str

    @property
    def opted_out(self) -> bool:
        """Whether the person opted out of the sale of their data."""
        return self.opt_out_sale == "Y"

    @property
    def applies(self) -> bool:
        """Whether the law applies at all: "1---" says that it does not."""
        return not self.notice == self.opt_out_sale == self.lspa_covered == "-"


def parse(text: str) -> UsPrivacy | None:
    """The string's answers; None if it breaks the grammar. The empty string does: callers call it absent."""
    return _PARSED.get(text)


def opted_out(text: str) -> bool:
    """Whether the string opts out of sale; garbage counts as an opt-out, the empty string says nothing."""
    parsed = _PARSED.get(text)
    return parsed.opted_out if parsed is not None else text != ""


# 27 strings are valid: looking one up costs less than reading it.
_PARSED: Final = {
    _VERSION + notice + sale + lspa: UsPrivacy(notice, sale, lspa)
    for notice in _ANSWERS
    for sale in _ANSWERS
    for lspa in _ANSWERS
}
