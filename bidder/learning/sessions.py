"""Sessions for training: what one person looked at in one go, as product keys.

Place: `paceline train affinity`; affinity.train takes them.
Shapes: sessions of recorded events, or a tab-separated file with a header that names session, item and time; a time
    is whatever orders the rows of a session.
Limits: MAX_FIELD characters of a name; MAX_TOTAL_VIEWS (affinity.py) of a file.
Raises: SessionsError where a file cannot be used, with its line; OSError where it cannot be read.
Never: a person in what is handed on: sessions have no names.
"""

import gzip
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from bidder.keys import product_key
from bidder.learning.affinity import MAX_TOTAL_VIEWS

MAX_FIELD: Final = 256

_SESSION: Final = frozenset({"sessionid", "session_id", "session"})
_ITEM: Final = frozenset({"itemid", "item_id", "item", "product_id", "product"})
_TIME: Final = frozenset({"time", "timestamp", "at"})


class SessionsError(Exception):
    """A file of sessions cannot be used."""


def keyed(sessions: Iterable[Sequence[str]], advertiser_id: str) -> Iterator[list[int]]:
    """Sessions of product ids, as events/dataset.py gives them, as product keys."""
    keys = _Keys(advertiser_id)
    for session in sessions:
        yield [keys[product_id] for product_id in session]


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
