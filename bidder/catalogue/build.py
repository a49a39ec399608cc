"""Products and what training found of them, made into the arrays of a snapshot.

Place: refresh.py and `paceline catalogue build`; everything here is numpy over whole columns.
Shapes: rows are in the order of the product keys; see snapshot.py for who reads which array.
Limits: MAX_PRODUCTS; BEST rows of each category and of the whole catalogue.
Raises: ValueError without products or with too many.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from bidder.catalogue.product import (
    DIMENSIONS,
    EVERYTHING,
    MAX_PRODUCTS,
    Product,
    category_keys,
)
from bidder.catalogue.sections import Facts, publish
from bidder.catalogue.similar import Similar
from bidder.keys import product_key

KIND: Final = "catalogue"
BEST: Final = 100
"""More than any ad holds, so that what was bought or seen can be left out."""

Columns = dict[str, NDArray[Any]]


def write_snapshot(
    folder: Path, advertiser_id: str, products: Sequence[Product], model: Similar | None, now_s: int = 0
) -> str:
    """Publish an advertiser's catalogue in `folder`/advertiser_id; its version, the same for the same contents.

    Of two products with one id the later counts.
    """
    if not products or len(products) > MAX_PRODUCTS:
        raise ValueError(f"a catalogue holds 1 to {MAX_PRODUCTS:,} products, not {len(products):,}")
    columns = _columns(advertiser_id, products)
    columns |= _learned(columns, model)
    by_row = [products[at] for at in columns["order"].tolist()]
    columns |= _best(advertiser_id, columns.pop("order"), columns, by_row)
    facts = Facts(advertiser=advertiser_id, count=len(columns["keys"]), model=model.version if model else "")
    return publish(folder / advertiser_id, KIND, facts, columns, now_s)


def _columns(advertiser_id: str, products: Sequence[Product]) -> Columns:
    """What the feed says; `order` (N,) is the place of each row's product in the feed."""
    places = {product_key(advertiser_id, product.id): at for at, product in enumerate(products)}
    keys = np.fromiter(places, np.uint64, len(places))
    order = np.fromiter(places.values(), np.int64, len(places))
    by_key = np.argsort(keys)
    keys, order = keys[by_key], order[by_key]
    texts, sizes = _texts([products[at] for at in order.tolist()])
    names = {product.category for product in products}
    own = {name: (category_keys(advertiser_id, name) or (EVERYTHING,))[-1] for name in names}
    return {
        "keys": keys,
        "order": order,
        "texts_at": _starts(sizes),
        "texts": texts,
        "available": np.array([products[at].available for at in order.tolist()], np.uint8),
        "categories": np.array([own[products[at].category] for at in order.tolist()], np.uint32),
    }


def _texts(products: Sequence[Product]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """All products encoded, one after the other, and the size of each."""
    encoder, texts = msgspec.msgpack.Encoder(), bytearray()
    ends = np.zeros(len(products) + 1, np.int64)
    for number, product in enumerate(products, 1):
        encoder.encode_into(product, texts, len(texts))
        ends[number] = len(texts)
    return np.frombuffer(texts, np.uint8), np.diff(ends)


def _learned(columns: Columns, model: Similar | None) -> Columns:
    """Popularity, vectors and neighbours by row; neighbours out of stock or no longer listed are left out."""
    count = len(columns["keys"])
    popularity: NDArray[Any] = np.zeros(count, np.float32)
    if model is None or not len(model.keys):
        return {
            "popularity": popularity,
            "vectors": np.zeros((0, DIMENSIONS), np.float16),
            "near_at": np.zeros(count + 1, np.uint64),
            "near_rows": np.zeros(0, np.int32),
            "near_scores": np.zeros(0, np.float32),
        }
    row_of = _rows_of(columns["keys"], model.keys)
    listed = row_of >= 0
    popularity[row_of[listed]] = model.popularity[listed]
    vectors: NDArray[Any] = np.zeros((count, DIMENSIONS), np.float16)
    vectors[row_of[listed]] = model.vectors[listed]
    learned: Columns = {"popularity": popularity, "vectors": vectors}
    return learned | _near(columns, model, row_of)


def _rows_of(keys: NDArray[np.uint64], wanted: NDArray[np.uint64]) -> NDArray[np.int64]:
    """(M,) the row of each wanted key; -1: not in the catalogue."""
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, at, -1)


def _near(columns: Columns, model: Similar, row_of: NDArray[np.int64]) -> Columns:
    """Neighbours by row. A model is in the order of the keys, too, so its runs are in the order of the rows already."""
    rows = row_of.astype(np.int32)
    owners = np.repeat(rows, np.diff(model.start).astype(np.int64))
    others = rows[model.neighbours]
    kept = (owners >= 0) & (others >= 0)
    kept &= columns["available"][np.where(kept, others, 0)] > 0
    return {
        "near_at": _starts(np.bincount(owners[kept], minlength=len(columns["keys"]))),
        "near_rows": others[kept],
        "near_scores": model.scores[kept],
    }


def _best(
    advertiser_id: str, order: NDArray[np.int64], columns: Columns, products: Sequence[Product]
) -> Columns:
    """The first BEST rows in stock of each category, and of those above it, by views and then by the feed's order."""
    stocked = np.flatnonzero(columns["available"])
    names = [products[row].category for row in stocked.tolist()]
    known = {name: number for number, name in enumerate(dict.fromkeys(names))}
    paths = [(EVERYTHING, *category_keys(advertiser_id, name)) for name in known]
    category = np.array([known[name] for name in names], np.int64)
    rank = np.empty(len(stocked), np.int64)
    rank[np.lexsort((order[stocked], -columns["popularity"][stocked]))] = np.arange(len(stocked))
    kept_keys, kept_rows = [np.zeros(0, np.uint32)], [np.zeros(0, np.int64)]
    for depth in range(max(map(len, paths), default=0)):
        key_of = np.array([path[depth] if depth < len(path) else 0 for path in paths], np.uint32)
        keys = key_of[category]
        here = np.flatnonzero(keys) if depth else np.arange(len(stocked))
        chosen = here[_first_of_each(keys[here], rank[here])]
        kept_keys.append(keys[chosen])
        kept_rows.append(stocked[chosen])
    keys, rows = np.concatenate(kept_keys), np.concatenate(kept_rows)
    by_key = np.argsort(keys, kind="stable")
    best_keys, counts = np.unique(keys, return_counts=True)
    return {
        "best_keys": best_keys,
        "best_at": _starts(counts),
        "best_rows": rows[by_key].astype(np.int32),
    }


def _first_of_each(keys: NDArray[np.uint32], rank: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places of the BEST lowest ranks of each key, grouped by key, the lowest first."""
    ordered = np.lexsort((rank, keys))
    sizes = np.unique(keys, return_counts=True)[1]
    place = np.arange(len(keys)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return ordered[place < BEST]


def _starts(sizes: NDArray[Any]) -> NDArray[np.uint64]:
    """(N + 1,) where each of N runs begins, and where the last one ends."""
    return np.concatenate((np.zeros(1, np.uint64), np.cumsum(sizes, dtype=np.uint64)))
