"""What a person is drawn to in one shop: a vector in the space of the shop's products, moved by each visit.

Place: fold.py moves it as events arrive; pricing multiplies it with a line item's vector.
Shapes: vectors of D float16, in which they are kept; sums are made in float32.
Units: seconds.
Limits: MAX_NORM bounds the length, so that a thousand views of one thing weigh no more than some of them.
Source: A <- A * 2**(-dt / HALF_LIFE_S) + w(kind) * e: what is long ago fades, so that a visit's weight depends on its
    age alone and not on the order in which visits arrive.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bidder.audience.visit import EventKind, Visit

HALF_LIFE_S: Final = 7 * 86_400
MAX_NORM: Final = 16.0
WEIGHTS: Final[Mapping[EventKind, float]] = {
    EventKind.CATEGORY_VIEW: 0.5,
    EventKind.SEARCH: 0.5,
    EventKind.PRODUCT_VIEW: 1.0,
    EventKind.CART: 3.0,
    EventKind.PURCHASE: -3.0,
}
"""How far a visit moves; what is bought is no longer wanted, so that a purchase undoes its cart. Others: not at all."""

_EMPTY: Final = np.zeros(0, np.float16)


def decayed(vector: NDArray[np.float16], from_s: int, to_s: int) -> NDArray[np.float32]:
    """(D,) a vector of `from_s` as it is at `to_s`; it does not grow where that is before."""
    return vector.astype(np.float32) * np.float32(0.5 ** (max(0, to_s - from_s) / HALF_LIFE_S))


def moved(
    vector: NDArray[np.float16],
    visits: Iterable[tuple[Visit, NDArray[np.float16] | None]],
    updated_s: int,
    now_s: int,
) -> NDArray[np.float16]:
    """(D,) a vector of `updated_s` with visits and their products' vectors added, as it is at `now_s`.

    A visit without a vector adds nothing. Vectors of another length than before are those of another model: what was
    learned with the old one is given up.
    """
    sums = decayed(vector, updated_s, now_s)
    for visit, towards in visits:
        weight = WEIGHTS.get(visit.kind)
        if towards is None or weight is None or not len(towards) or not np.isfinite(towards).all():
            continue
        if len(towards) != len(sums):
            sums = np.zeros(len(towards), np.float32)
        age_s = max(0, now_s - visit.at_s)
        sums += np.float32(weight * 0.5 ** (age_s / HALF_LIFE_S)) * towards.astype(np.float32)
    return bounded(sums)


def bounded(vector: NDArray[np.float32]) -> NDArray[np.float16]:
    """(D,) the vector, or one of its direction and of length MAX_NORM where it is longer; zeros where it has no
    direction."""
    if not len(vector):
        return _EMPTY
    norm = float(np.linalg.norm(vector.astype(np.float64)))
    if not np.isfinite(norm):
        return np.zeros(len(vector), np.float16)
    if norm > MAX_NORM:
        vector = vector * np.float32(MAX_NORM / norm)
    return vector.astype(np.float16)
