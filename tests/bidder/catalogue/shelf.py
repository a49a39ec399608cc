"""A small shop for tests of catalogues."""

import numpy as np

from bidder.catalogue.product import DIMENSIONS, Product
from bidder.catalogue.similar import Similar
from bidder.keys import product_key

SHOP = "fernhill"


def product(number: int, *, category: str = "Boots > Trail", available: bool = True) -> Product:
    """Product `p<number>`."""
    return Product(
        id=f"p{number}",
        title=f"Boot {number}",
        url=f"https://{SHOP}.example/p/{number}",
        image_url=f"https://cdn.{SHOP}.example/{number}.webp",
        price_micros=number * 1_000_000,
        currency="EUR",
        category=category,
        brand="Fernhill",
        available=available,
    )


def model(near: dict[int, list[tuple[int, float]]], views: dict[int, float] | None = None) -> Similar:
    """A model of products by number: who follows whom with what score."""
    numbers = sorted({*near, *(other for pairs in near.values() for other, _ in pairs), *(views or {})})
    keys = {number: product_key(SHOP, f"p{number}") for number in numbers}
    by_key = sorted(numbers, key=keys.__getitem__)
    place = {number: at for at, number in enumerate(by_key)}
    runs = [sorted(near.get(number, []), key=lambda pair: -pair[1]) for number in by_key]
    vectors = np.zeros((len(numbers), DIMENSIONS), np.float16)
    for number, at in place.items():
        vectors[at, number % DIMENSIONS] = 1
    return Similar(
        keys=np.array([keys[number] for number in by_key], np.uint64),
        start=np.cumsum([0, *map(len, runs)]).astype(np.uint64),
        neighbours=np.array([place[other] for run in runs for other, _ in run], np.int32),
        scores=np.array([score for run in runs for _, score in run], np.float32),
        popularity=np.array([(views or {}).get(number, 0) for number in by_key], np.float32),
        vectors=vectors,
        sessions=1,
        version="0" * 32,
    )
