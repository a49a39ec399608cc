"""A browser's call, and the answer to it, free of the web framework.

Place: web/shop and web/sync make calls and send answers; receive and syncs know nothing else of HTTP.
Shapes: header names are looked up in lower case; a parameter that stands twice counts where it stands first.
Rule: consent that is told twice in different words was not told: the parameter reads as one that cannot be read, and
    that denies.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from bidder.privacy.browser import signals_from
from bidder.privacy.signals import Signals

_CONSENT: Final = frozenset(("gdpr", "gdpr_consent", "gpp", "gpp_sid", "us_privacy", "gpc", "coppa"))
_DOUBTFUL: Final = "!"
"""Of no parameter a value that allows anything."""


class Call(Struct, frozen=True):
    """What a browser sent."""

    query: Sequence[tuple[str, str]]
    """Decoded, in order."""
    headers: Mapping[str, str]
    cookies: Mapping[str, str]

    def first(self, name: str) -> str:
        """The first value of a parameter, or empty; of consent that is told in different words, none that allows."""
        values = [value for key, value in self.query if key == name]
        if name in _CONSENT and any(value != values[0] for value in values):
            return _DOUBTFUL
        return values[0] if values else ""

    def signals(self, country: str) -> Signals:
        """What it says about consent; `country` presumes a law where it says nothing."""
        told = {name: self.first(name) for name, _ in self.query if name in _CONSENT}
        found = signals_from(told, self.headers, country)
        if _is_set(told.get("gpc", "")):
            found = replace(found, gpc=True)
        return replace(found, coppa=True) if _is_set(told.get("coppa", "")) else found


class Answer(Struct, frozen=True):
    """What it gets."""

    status: int = 200
    error: str = ""
    """What was wrong, for a JSON answer."""
    cookies: tuple[str, ...] = ()
    """Values of Set-Cookie."""
    location: str = ""
    """Where it is sent, of a 302."""


def _is_set(flag: str) -> bool:
    return flag not in ("", "0")
