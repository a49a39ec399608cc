"""What a person did in one shop, as it stands in one field of the person's history.

Place: stores/visitors keeps it; segments.py and affinity.py read its visits. Never on the path of a bid.
Shapes: a field's value is a header, then visits, the latest first:
    header   <BBxxI      format, number of visits, version
    visit    <BIQIQIII   kind, at, product, category, value, event, order, custom; names as in visit.py
Units: seconds since the epoch; values are micros of the advertiser's currency, at most MAX_VALUE_MICROS.
Limits: MAX_VISITS; of more the oldest go, purchases last. KEEP_S: no visit is kept for longer.
Never: a name, an address or anything that tells who a person is.
"""

import struct
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from bidder.audience.visit import EventKind, Visit

FORMAT: Final = 1
MAX_VISITS: Final = 64
KEEP_S: Final = 30 * 86_400
MAX_VALUE_MICROS: Final = (1 << 63) - 1

_HEADER: Final = struct.Struct("<BBxxI")
_VISIT: Final = struct.Struct("<BIQIQIII")
_KINDS: Final = {int(kind): kind for kind in EventKind}
_VERSIONS: Final = 1 << 32


class History(Struct, frozen=True):
    """What one advertiser keeps of one person's visits."""

    visits: tuple[Visit, ...] = ()
    """Latest first, at most MAX_VISITS."""
    version: int = 0
    """How often it was written, modulo 2**32: two that were written differ, even if their visits do not."""


def pack_history(history: History) -> bytes:
    """A history as the value of its field; raises ValueError above the limits."""
    if len(history.visits) > MAX_VISITS:
        raise ValueError(f"a history has at most {MAX_VISITS} visits, this one {len(history.visits)}")
    try:
        return _HEADER.pack(FORMAT, len(history.visits), history.version % _VERSIONS) + b"".join(
            [
                _VISIT.pack(v.kind, v.at_s, v.product, v.category, v.value_micros, v.event, v.order, v.custom)
                for v in history.visits
            ]
        )
    except struct.error as error:
        raise ValueError(f"a visit out of bounds: {error}") from None


def unpack_history(value: bytes) -> History | None:
    """The history that a field holds; None where the value is of another format or damaged."""
    if len(value) < _HEADER.size:
        return None
    form, count, version = _HEADER.unpack_from(value)
    if form != FORMAT or count > MAX_VISITS or len(value) != _HEADER.size + count * _VISIT.size:
        return None
    try:
        visits = [Visit(_KINDS[kind], *rest) for kind, *rest in _VISIT.iter_unpack(value[_HEADER.size :])]
    except KeyError:
        return None
    return History(tuple(visits), version)


def merged(
    kept: Sequence[Visit], new: Iterable[Visit], now_s: int, keep_s: int = KEEP_S
) -> tuple[Visit, ...]:
    """The visits that stay, latest first: those within `keep_s`; beyond MAX_VISITS the oldest go, purchases last."""
    since_s = now_s - keep_s
    visits = [visit for visit in (*new, *kept) if visit.at_s > since_s]
    visits.sort(key=_latest_first)
    surplus = len(visits) - MAX_VISITS
    if surplus > 0:
        others = [n for n, visit in enumerate(visits) if visit.kind is not EventKind.PURCHASE]
        gone = set(others[-surplus:])
        visits = [visit for n, visit in enumerate(visits) if n not in gone][:MAX_VISITS]
    return tuple(visits)


def unseen(kept: Iterable[Visit], new: Iterable[Visit]) -> list[bool]:
    """Which of `new` are not of an event that is among `kept`, nor the same visit again: an event of several products
    is several visits. Visits without an event's id are always new."""
    events = {visit.event for visit in kept}
    told: set[Visit] = set()
    found = []
    for visit in new:
        found.append(not visit.event or (visit.event not in events and visit not in told))
        told.add(visit)
    return found


def bought(history: History) -> frozenset[int]:
    """Keys of the products that the person bought, as far as is kept."""
    return frozenset(
        visit.product for visit in history.visits if visit.kind is EventKind.PURCHASE and visit.product
    )


def _latest_first(visit: Visit) -> int:
    return -visit.at_s
