"""Sessions for training: what one person looked at in one go, as product keys.

Place: `paceline train affinity`; affinity.train takes them.
Shapes: recorded events, or a tab-separated file with a header that names session, item and time.
Units: milliseconds since the epoch for events; in a file, whatever orders its rows.
Limits: BREAK_MS without an event ends a session; MAX_TOTAL_VIEWS (affinity.py) at all.
Raises: SessionsError where a file cannot be used, with its line.
Never: a person in what is handed on: sessions have no names.
"""

import gzip
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from bidder.events.records import ShopEvent
from bidder.keys import product_key
from bidder.learning.affinity import MAX_TOTAL_VIEWS

BREAK_MS: Final = 30 * 60_000  # as web analytics count visits
KINDS: Final = frozenset({"product_view", "cart", "purchase"})
MAX_FIELD: Final = 256

_SESSION: Final = frozenset({"sessionid", "session_id", "session"})
_ITEM: Final = frozenset({"itemid", "item_id", "item", "product_id", "product"})
_TIME: Final = frozenset({"time", "timestamp", "at"})

View = tuple[bytes, int, int]
"""Person, when in ms, product key."""


class SessionsError(Exception):
    """A file of sessions cannot be used."""


def sessions_of_events(events: Iterable[ShopEvent], advertiser_id: str) -> Iterator[list[int]]:
    """Sessions of an advertiser's recorded events, in an order that does not depend on theirs; events that are
    nobody's are left out."""
    keys = _Keys(advertiser_id)
    views: list[View] = []
    for event in events:
        if event.person and event.advertiser == advertiser_id and event.kind in KINDS:
            views.extend((event.person, event.at_ms, keys[item.product]) for item in event.items)
        if len(views) > MAX_TOTAL_VIEWS:
            raise SessionsError(f"more than {MAX_TOTAL_VIEWS:,} views: train from fewer days")
    views.sort()
    for _, of_person in groupby(views, key=lambda view: view[0]):
        yield from _parted(of_person)


def _parted(views: Iterable[View]) -> Iterator[list[int]]:
    session: list[int] = []
    last_ms = 0
    for _, at_ms, key in views:
        if session and at_ms - last_ms > BREAK_MS:
            yield session
            session = []
        session.append(key)
        last_ms = at_ms
    if session:
        yield session


def sessions_of_file(path: Path, advertiser_id: str) -> list[list[int]]:
    """Sessions of a tab-separated file, gzipped or not, in the order in which they begin; the rows of each by time."""
    opened = gzip.open if path.suffix == ".gz" else open
    keys = _Keys(advertiser_id)
    found: dict[str, list[tuple[float, int]]] = {}
    with opened(path, "rt", encoding="utf-8") as file:
        try:
            columns = _columns(file.readline(4_096).rstrip("\r\n").split("\t"))
            for number, line in enumerate(file, 2):
                session, item, time = _cells(line.rstrip("\r\n").split("\t"), columns, number)
                found.setdefault(session, []).append((time, keys[item]))
                if number > MAX_TOTAL_VIEWS:
                    raise SessionsError(f"more than {MAX_TOTAL_VIEWS:,} views")
        except (UnicodeDecodeError, gzip.BadGzipFile, EOFError) as error:
            raise SessionsError(f"{path.name} cannot be read: {error}") from None
    for views in found.values():
        views.sort(key=lambda view: view[0])
    return [[key for _, key in views] for views in found.values()]


def _columns(header: Sequence[str]) -> tuple[int, int, int]:
    names = [name.strip().casefold() for name in header]
    places = [
        next((at for at, name in enumerate(names) if name in known), -1) for known in (_SESSION, _ITEM, _TIME)
    ]
    if min(places) < 0:
        raise SessionsError("the header must name the columns session, item and time")
    return places[0], places[1], places[2]


def _cells(cells: Sequence[str], columns: tuple[int, int, int], number: int) -> tuple[str, str, float]:
    try:
        session, item, time = (cells[at] for at in columns)
        at = float(time)
    except (ValueError, IndexError):
        raise SessionsError(f"line {number} is not a session, an item and a time") from None
    if at != at or not session or not item or len(session) > MAX_FIELD or len(item) > MAX_FIELD:
        raise SessionsError(f"line {number} is not a session, an item and a time")
    return session, item, at


class _Keys(dict[str, int]):
    """Product keys of one advertiser, each made once."""

    def __init__(self, advertiser_id: str) -> None:
        super().__init__()
        self._advertiser_id = advertiser_id

    def __missing__(self, product_id: str) -> int:
        key = self[product_id] = product_key(self._advertiser_id, product_id)
        return key
