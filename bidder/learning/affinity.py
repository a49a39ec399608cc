"""Co-visitation: which products are looked at after which, from the sessions of one shop.

Place: `paceline train affinity` and the caretaker's nightly run; the model goes into the next snapshot.
Shapes: a session is the product keys that one person saw, in order.
Units: a score is the sum of 1/distance over later views within WINDOW, per session with the product.
Limits: MAX_VIEWS of one session (what is longer is a crawler or a kiosk), MAX_TOTAL_VIEWS at all, NEIGHBOURS of each
    product.
Source: rules and numbers of benchmarks/affinity.py; the same input gives the same model, byte for byte.
"""

from array import array
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from bidder.catalogue.similar import Similar
from bidder.learning.vectors import product_vectors

NEIGHBOURS: Final = 100
WINDOW: Final = 20
"""Later views of one session that count; 10, 20, 50 and 200 find equally many next items."""
MAX_VIEWS: Final = 500
MAX_TOTAL_VIEWS: Final = 50_000_000
PENDING: Final = 4_000_000
"""Pairs that are gathered at least before they are summed up."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Sums = tuple[Ints, Floats]
"""Codes of pairs and a weight of each."""


class Views(Struct, frozen=True):
    """All sessions, one after the other."""

    keys: NDArray[np.uint64]
    """(M,) product keys, rising."""
    item: Ints
    """(V,) place in `keys` of each view."""
    session: Ints
    """(V,) number of its session."""
    sessions: int


class Pairs(Struct, frozen=True):
    """How strongly product `to` follows product `of`; sorted by (of, to)."""

    of: Ints
    to: Ints
    weight: Floats


def train(sessions: Iterable[Sequence[int]], previous: Similar | None = None) -> Similar:
    """A model of the sessions. Its vectors are turned towards those of the model before it, so that what was
    remembered of people in the old space still means the same."""
    views = gather(sessions)
    pairs = later_views(views)
    seen_in = _sessions_with(views)
    start, neighbours, scores = _nearest(pairs, seen_in)
    return Similar(
        keys=views.keys,
        start=start,
        neighbours=neighbours,
        scores=scores,
        popularity=np.bincount(views.item, minlength=len(views.keys)).astype(np.float32),
        vectors=product_vectors((pairs.of, pairs.to, pairs.weight), views.keys, previous),
        sessions=views.sessions,
    )


def gather(sessions: Iterable[Sequence[int]]) -> Views:
    """Sessions in flat arrays; empty ones are left out, long ones cut; raises ValueError above MAX_TOTAL_VIEWS."""
    flat, lengths = array("Q"), array("I")
    for session in sessions:
        if session:
            flat.extend(session[:MAX_VIEWS])
            lengths.append(min(len(session), MAX_VIEWS))
        if len(flat) > MAX_TOTAL_VIEWS:
            raise ValueError(f"more than {MAX_TOTAL_VIEWS:,} views: train from fewer days")
    keys, item = np.unique(np.frombuffer(flat, np.uint64), return_inverse=True)
    session_of = np.repeat(np.arange(len(lengths)), np.frombuffer(lengths, np.uint32))
    return Views(keys, item.astype(np.int64), session_of, len(lengths))


def later_views(views: Views) -> Pairs:
    """Pairs of products, the second seen later in the same session, weighted by 1/distance; none with itself."""
    count = max(1, len(views.keys))
    summed: Sums = (np.zeros(0, np.int64), np.zeros(0))
    pending: list[Sums] = []
    for distance in range(1, WINDOW + 1):
        together = views.session[distance:] == views.session[:-distance]
        if not together.any():
            break
        of, to = views.item[:-distance][together], views.item[distance:][together]
        code = (of * count + to)[of != to]
        pending.append((code, np.full(len(code), 1 / distance)))
        if sum(len(part[0]) for part in pending) > max(PENDING, len(summed[0])):
            summed, pending = _merged([summed, *pending]), []
    codes, weights = _merged([summed, *pending])
    return Pairs(codes // count, codes % count, weights)


def _merged(parts: Sequence[Sums]) -> Sums:
    """Sparse sums in one, sorted by code."""
    codes, place = np.unique(np.concatenate([part[0] for part in parts]), return_inverse=True)
    weights = np.bincount(place, np.concatenate([part[1] for part in parts]), minlength=len(codes))
    return codes, weights.astype(np.float64)


def _sessions_with(views: Views) -> Ints:
    """(M,) sessions in which each product was seen."""
    count = max(1, len(views.keys))
    once = np.unique(views.session * count + views.item)
    return np.bincount(once % count, minlength=len(views.keys))


def _nearest(
    pairs: Pairs, seen_in: Ints
) -> tuple[NDArray[np.uint64], NDArray[np.int32], NDArray[np.float32]]:
    """Start, neighbours and scores of the NEIGHBOURS best of each product, best first."""
    scores = pairs.weight / seen_in[pairs.of]
    order = np.lexsort((pairs.to, -scores, pairs.of))
    sizes = np.bincount(pairs.of, minlength=len(seen_in))
    place = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    best = order[place < NEIGHBOURS]
    start = np.concatenate((np.zeros(1, np.int64), np.cumsum(np.minimum(sizes, NEIGHBOURS))))
    return start.astype(np.uint64), pairs.to[best].astype(np.int32), scores[best].astype(np.float32)
