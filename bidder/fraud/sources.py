"""Who sends suspect traffic: the sources that ask most, with what was found wrong, in a table that never grows.

Place: score.py counts every request here, some hundred at a time; report.py shows it to operators; the caretaker
    takes from it the domains whose ads.txt it fetches.
Shapes: (exchange, publisher, site or app) -> [requests, suspect ones, filtered ones, reasons seen].
Limits: LARGEST sources are kept; a table of twice as many is cut down to the largest ones. What was dropped is at most
    `missed` requests of each, and that is told with the table. Names are cut at NAME characters.
Never: text of a request that is no domain, bundle or id in the table, which goes to disk: ODD stands for it.
Source: Metwally et al. 2005 (space-saving): the frequent ones stay, whatever the order. Cut in batches here, so that a
    new source costs one sort in a thousand.
"""

import re
from typing import Final

from msgspec import Struct

LARGEST: Final = 512
NAME: Final = 128
ODD: Final = "?"
_NAMED: Final = re.compile(r"(?!(?:\d{1,3}\.){3}\d{1,3}\Z)[A-Za-z0-9][A-Za-z0-9._:-]*|", re.ASCII)
"""Not an IPv4 address, nor anything that holds a blank, an at sign, a plus or an escape."""
Key = tuple[str, str, str]


class Source(Struct, frozen=True):
    """One row of the table."""

    exchange: str
    publisher: str
    place: str
    """Domain of the site, bundle of the app."""
    kind: str
    """site, app, dooh."""
    domain: str
    """Of the site, or of the app's developer."""
    requests: int
    suspect: int
    """Marked or filtered."""
    filtered: int
    reasons: int
    """Bits of Reason that occurred."""


class Sources:
    """The largest sources of one worker."""

    def __init__(self, largest: int = LARGEST) -> None:
        self._largest = largest
        self._rows: dict[Key, list[int]] = {}
        self._kinds: dict[Key, tuple[str, str]] = {}
        self.missed = 0
        """No source that is not in the table had more requests."""

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, key: Key, kind: str, domain: str) -> list[int]:
        """The counters [requests, suspect, filtered, reasons] of a source."""
        row = self._rows.get(key)
        return row if row is not None else self._new(key, (kind, domain))

    def _new(self, key: Key, kind: tuple[str, str]) -> list[int]:
        if len(self._rows) >= 2 * self._largest:
            self._cut()
        exchange, publisher, place = key
        key = (exchange, publisher[:NAME], place[:NAME])
        self._kinds[key] = (kind[0], kind[1][:NAME])
        return self._rows.setdefault(key, [0, 0, 0, 0])

    def _cut(self) -> None:
        """Keep those that ask most, and of the others those that are suspect most."""
        ranked = sorted(self._rows, key=lambda key: (self._rows[key][0], self._rows[key][1]), reverse=True)
        suspect = sorted(ranked[self._largest // 2 :], key=lambda key: self._rows[key][1], reverse=True)
        kept = {*ranked[: self._largest // 2], *suspect[: self._largest // 2]}
        self.missed = max(self.missed, *(row[0] for key, row in self._rows.items() if key not in kept))
        self._rows = {key: row for key, row in self._rows.items() if key in kept}
        self._kinds = {key: kind for key, kind in self._kinds.items() if key in kept}

    def table(self) -> list[Source]:
        """All rows, the largest first."""
        rows = [
            Source(exchange, _named(publisher), _named(place), kind, _named(domain), *row)
            for (exchange, publisher, place), row in self._rows.items()
            for kind, domain in (self._kinds[exchange, publisher, place],)
        ]
        return sorted(rows, key=lambda source: source.requests, reverse=True)


def _named(text: str) -> str:
    """A name as it may be shown and kept; what an IPv6 address begins with is none."""
    return text if _NAMED.fullmatch(text) and text.count(":") < 2 else ODD
