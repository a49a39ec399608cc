"""A browser's call, and the answer to it, free of the web framework.

Place: web/shop and web/sync make calls and send answers; receive and syncs know nothing else of HTTP.
Shapes: header names are looked up in lower case; a parameter that stands twice counts where it stands first.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from bidder.privacy.browser import signals_from
from bidder.privacy.signals import Signals


class Call(Struct, frozen=True):
    """What a browser sent."""

    query: Sequence[tuple[str, str]]
    """Decoded, in order."""
    headers: Mapping[str, str]
    cookies: Mapping[str, str]

    def first(self, name: str) -> str:
        """The first value of a parameter, or empty."""
        return next((value for key, value in self.query if key == name), "")

    def signals(self, country: str) -> Signals:
        """What it says about consent; `country` presumes a law where it says nothing."""
        first: dict[str, str] = {}
        for name, value in self.query:
            first.setdefault(name, value)
        found = signals_from(first, self.headers, country)
        if _is_set(first.get("gpc", "")):
            found = replace(found, gpc=True)
        return replace(found, coppa=True) if _is_set(first.get("coppa", "")) else found


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
