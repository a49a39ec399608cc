"""Which products a person is likely to look at next: whole-session decayed affinity.

Place: render/ scores candidates with it; benchmarks/affinity.py measures this very code.
Shapes: `recent` rows, the latest first, as visits are kept; results best first.
Source: on rsc15_100k the whole session finds 18 % more next items than the last item alone (benchmarks/affinity.py).
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bidder.catalogue.product import DIMENSIONS, EVERYTHING
from bidder.catalogue.snapshot import Catalogue, Rows, Scores
from bidder.keys import category_key, product_key

SESSION: Final = 15
"""Recent products that count; the sixteenth would weigh 0.75^15 = 1.3 %."""
DECAY: Final = 0.75
"""The best of 0.65, 0.7 ... 0.85 on the validation sessions of rsc15_100k; all of them are within 0.2 % of hits."""
CANDIDATES: Final = 100

_NO_ROWS: Final = np.zeros(0, np.int32)
_NO_SCORES: Final = np.zeros(0, np.float32)


def next_items(
    recent: Sequence[int], catalogue: Catalogue, decay: float = DECAY, count: int = CANDIDATES
) -> tuple[Rows, Scores]:
    """Rows and scores of the `count` products in stock that are likeliest next, best first.

    The score of j is the sum over the k-th recent item i of decay^k s(i, j); rows below 0 (products that are no
    longer listed) count as a step, and nothing else. What was seen already is not left out.
    """
    rows, scores, weight = [], [], 1.0
    for row in recent[:SESSION]:
        if row >= 0:
            near, score = catalogue.similar(row)
            if len(near):
                rows.append(near)
                scores.append(score * np.float32(weight))
        weight *= decay
    if not rows:
        return _NO_ROWS, _NO_SCORES
    if len(rows) == 1:  # best first already
        return rows[0][:count], scores[0][:count]
    found, place = np.unique(np.concatenate(rows), return_inverse=True)
    total = np.bincount(place, np.concatenate(scores))
    best = np.argsort(-total, kind="stable")[:count]
    return found[best], total[best].astype(np.float32)


def centroid(
    catalogue: Catalogue, names: Sequence[str] = (), by: str = "category"
) -> NDArray[np.float32] | None:
    """(DIMENSIONS,) mean vector, of length 1, of products in stock: those of categories (and all below them), or,
    by="product", those of product ids; of the whole catalogue without names. None where training knows none of them.

    A category is stood for by its most viewed products, weighted alike.
    """
    if by == "product":
        found = [catalogue.find(product_key(catalogue.advertiser_id, name)) for name in names]
        rows = np.array([row for row in found if row >= 0], np.int64)
    else:
        keys = [category_key(catalogue.advertiser_id, name) for name in names] or [EVERYTHING]
        rows = np.unique(np.concatenate([catalogue.best(key, CANDIDATES) for key in keys]))
    if not len(rows) or not len(catalogue.vectors):
        return None
    mean = catalogue.vectors[rows].astype(np.float32).sum(axis=0)
    length = float(np.linalg.norm(mean))
    assert mean.shape == (DIMENSIONS,)
    return mean / np.float32(length) if length > 0 else None
