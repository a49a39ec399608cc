"""Which products stand in an ad: what the person looked at, what is like it, what else is looked at in its categories.

Place: web/rendering asks once per ad, when it is shown; the same for everybody of whom nothing may be known.
Shapes: candidates are rows of one version of the catalogue. A candidate's score is the largest of three, each of 0 to
    1: how lately it was viewed, how likely it is next (catalogue/scoring, over the likeliest), how it stands among the
    best of a category; then AFFINITY of it is the cosine of its vector and the person's.
    Places are filled one by one by maximal marginal relevance: what is most wanted and least like what stands
    there already. The first is the product that was viewed last.
Units: bytes of images; seconds since the epoch.
Limits: POOL candidates are held against each other. VIEWED_SHARE of the places for what was viewed; CATEGORY_SHARE
    for one category while others have something. What was bought within BOUGHT_S, is out of stock, has no
    image, or is too heavy for what is left of the budget is never shown.
Source: candidates: Criteo's "last viewed + similar + best of category" (RecSys 2020 talks); diversity: Carbonell and
    Goldstein, "The use of MMR", SIGIR 1998, with lambda 0.7.
Never: another advertiser's knowledge: history, profile and catalogue are of one.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from bidder.audience.known import Known
from bidder.audience.person import Profile
from bidder.audience.visit import EventKind
from bidder.catalogue.product import DIMENSIONS, EVERYTHING, Product
from bidder.catalogue.scoring import next_items
from bidder.catalogue.snapshot import Catalogue

ASSUMED_IMAGE_BYTES: Final = 20_000
"""Of a product image whose weight nobody told: a JPEG of 400 x 400 on white has 10 to 20 KB."""
BOUGHT_S: Final = 30 * 86_400
POOL: Final = 48
RECENT: Final = 15
"""Viewed products that count, as in scoring.SESSION."""
RECENCY: Final = 0.8
CATEGORIES: Final = 3
"""Of those viewed last."""
BEST: Final = 20
OF_CATEGORY: Final = 0.4
"""What the best product of a category scores, beside the likeliest next one's 1."""
OF_ALL: Final = 0.2
AFFINITY: Final = 0.3
LAMBDA: Final = 0.7
SAME_CATEGORY: Final = 0.5
"""How alike two products of a category are where training knows neither."""
VIEWED_SHARE: Final = 0.5
CATEGORY_SHARE: Final = 0.5

_VIEWED: Final = (EventKind.PRODUCT_VIEW, EventKind.CART)
_NEVER: Final = -np.inf


class _Pool(Struct):
    """Candidates, one number per column."""

    rows: NDArray[np.int64]
    scores: NDArray[np.float32]
    alike: NDArray[np.float32]
    """(N, N) 0 to 1."""
    viewed: NDArray[np.bool_]
    categories: NDArray[np.uint32]


def choose(
    known: Known | None, catalogue: Catalogue, count: int, budget_bytes: int, now_s: float
) -> list[Product]:
    """At most `count` products whose images together weigh at most `budget_bytes`, the best first; without `known`,
    or where nothing was viewed, the best sellers."""
    viewed, bought = _visited(known, catalogue, now_s) if known is not None else ([], set())
    scores = _candidates(viewed, catalogue)
    for row in bought:
        scores.pop(row, None)
    profile = known.profile if known is not None else None
    pool = _pool(scores, viewed, catalogue, profile)
    return _fill(pool, catalogue, count, budget_bytes)


def image_bytes(product: Product) -> int:
    """What a product's image weighs, as far as it is known."""
    return product.image_bytes or ASSUMED_IMAGE_BYTES


def _visited(known: Known, catalogue: Catalogue, now_s: float) -> tuple[list[int], set[int]]:
    """Rows that were viewed, the latest first, each once; and rows that were bought."""
    visits, viewed, bought = known.history.visits, [], set()
    for visit in visits:
        if visit.kind is EventKind.PURCHASE and visit.at_s > now_s - BOUGHT_S:
            bought.add(visit.product)
        elif visit.kind in _VIEWED and visit.product:
            viewed.append(visit.product)
    if not visits and known.profile is not None:  # a profile that another system wrote
        viewed = [key for key, _ in known.profile.products]
    found = (catalogue.find(key) for key in dict.fromkeys(viewed) if key not in bought)
    return list(islice((row for row in found if row >= 0), RECENT)), {catalogue.find(key) for key in bought}


def _candidates(viewed: Sequence[int], catalogue: Catalogue) -> dict[int, float]:
    """Score by row; a row that is found in two ways has the better score."""
    scores: dict[int, float] = {}
    for place, row in enumerate(viewed):
        if catalogue.available(row):
            scores[row] = RECENCY**place
    rows, weights = next_items(viewed, catalogue, RECENCY)
    top = float(weights[0]) if len(weights) else 1.0
    _offer(scores, rows.tolist(), (weights / (top or 1.0)).tolist())
    for category in list(dict.fromkeys(catalogue.category(row) for row in viewed))[:CATEGORIES]:
        if category != EVERYTHING:
            _offer_best(scores, catalogue, category, OF_CATEGORY)
    if len(scores) < POOL:
        _offer_best(scores, catalogue, EVERYTHING, OF_ALL)
    return scores


def _offer_best(scores: dict[int, float], catalogue: Catalogue, category: int, top: float) -> None:
    rows = catalogue.best(category, BEST if category else POOL).tolist()
    _offer(scores, rows, [top * (1 - place / len(rows)) for place in range(len(rows))])


def _offer(scores: dict[int, float], rows: Iterable[int], offered: Iterable[float]) -> None:
    for row, score in zip(rows, offered, strict=True):
        if score > scores.get(row, 0.0):
            scores[row] = score


def _pool(
    scores: dict[int, float], viewed: Sequence[int], catalogue: Catalogue, profile: Profile | None
) -> _Pool:
    """The best candidates, with the person's affinity in their scores; what was viewed last is the first."""
    rows = np.fromiter(scores, np.int64, len(scores))
    values = np.fromiter(scores.values(), np.float32, len(scores))
    if len(catalogue.vectors):
        vectors = catalogue.vectors[rows].astype(np.float32)
    else:
        vectors = np.zeros((len(rows), DIMENSIONS), np.float32)
    if profile is not None and len(profile.affinity) == DIMENSIONS:
        values = (1 - AFFINITY) * values + AFFINITY * _cosines(vectors, profile.affinity)
    if viewed and viewed[0] in scores:
        values[rows == viewed[0]] = 2.0
    kept = np.argsort(-values, kind="stable")[:POOL]
    rows, vectors = rows[kept], vectors[kept]
    categories = catalogue.categories[rows]
    same = (categories[:, None] == categories[None, :]) & (categories != EVERYTHING)
    alike = np.maximum(vectors @ vectors.T, SAME_CATEGORY * same)
    seen = set(viewed)
    return _Pool(
        rows, values[kept], alike, np.array([row in seen for row in rows.tolist()], np.bool_), categories
    )


def _cosines(vectors: NDArray[np.float32], affinity: NDArray[np.float16]) -> NDArray[np.float32]:
    taste = affinity.astype(np.float32)
    length = float(np.linalg.norm(taste))
    if not np.isfinite(length) or length == 0:
        return np.zeros(len(vectors), np.float32)
    return np.clip(vectors @ (taste / length), 0.0, 1.0)


def _fill(pool: _Pool, catalogue: Catalogue, count: int, budget_bytes: int) -> list[Product]:
    """Take the best again and again, each time holding the rest against what was taken; where the shares leave
    places empty, they are filled without them."""
    chosen: list[Product] = []
    nearest = np.zeros(len(pool.rows), np.float32)
    open_ = np.ones(len(pool.rows), np.bool_)
    shares = [max(1, int(VIEWED_SHARE * count)), max(1, round(CATEGORY_SHARE * count))]
    by_category: dict[int, int] = {}
    views = 0
    shared = True
    while len(chosen) < count and open_.any():
        allowed = open_ & _within(pool, views, by_category, shares) if shared else open_
        if not allowed.any():
            shared = False
            continue
        gain = np.where(allowed, LAMBDA * pool.scores - (1 - LAMBDA) * nearest, _NEVER)
        at = int(gain.argmax())
        open_[at] = False
        product = catalogue.product(int(pool.rows[at]))
        weight = image_bytes(product)
        if not product.image_url or not product.available or weight > budget_bytes:
            continue
        chosen.append(product)
        budget_bytes -= weight
        views += bool(pool.viewed[at])
        category = int(pool.categories[at])
        by_category[category] = by_category.get(category, 0) + 1
        nearest = np.maximum(nearest, pool.alike[at])
    return chosen


def _within(pool: _Pool, views: int, by_category: dict[int, int], shares: list[int]) -> NDArray[np.bool_]:
    """Where the shares leave room."""
    allowed = np.ones(len(pool.rows), np.bool_)
    if views >= shares[0]:
        allowed &= ~pool.viewed
    for category, taken in by_category.items():
        if category != EVERYTHING and taken >= shares[1]:
            allowed &= pool.categories != category
    return allowed
