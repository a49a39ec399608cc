"""Vectors of line items from their advertiser's catalogue."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bidder.campaigns.demo import demo_book_path
from bidder.campaigns.load import load_book
from bidder.campaigns.model import Advertiser, Book, EventRule, Segment, Segments, Targeting
from bidder.catalogue.build import write_snapshot
from bidder.catalogue.product import Product
from bidder.catalogue.snapshot import Catalogues
from bidder.catalogue.tastes import with_vectors
from bidder.keys import product_key
from bidder.learning.affinity import train

SHOPS = {shop.id: shop for shop in load_book(demo_book_path()).advertisers}
LENGTH = 0.125
NAMES = {kind: [f"{kind}{n}" for n in range(40)] for kind in "ab"}


def _product(name: str, category: str) -> Product:
    return Product(
        name,
        name,
        "https://s.example/" + name,
        "https://s.example/" + name,
        1,
        "EUR",
        None,
        category,
        "",
        True,
    )


@pytest.fixture
def catalogues(tmp_path: Path) -> Catalogues:
    """Fernhill's, trained; nobody else's."""
    kinds = {"a": "Boots", "b": "Tents"}
    products = [_product(name, kinds[kind]) for kind, names in NAMES.items() for name in names]
    rng = random.Random(4)
    sessions = [rng.choices(NAMES[rng.choice("ab")], k=6) for _ in range(600)]
    keyed = [tuple(product_key("fernhill", name) for name in session) for session in sessions]
    write_snapshot(tmp_path, "fernhill", products, train(keyed))
    found = Catalogues(tmp_path)
    found.refresh()
    return found


def _book(*shops: Advertiser) -> Book:
    return Book(advertisers=shops)


def _without_vectors(shop: Advertiser, categories: tuple[str, ...] = ()) -> Advertiser:
    """The shop, whose first line item wants a segment of these categories, without vectors."""
    first = shop.campaigns[0].line_items[0]
    targeting = Targeting(segments=Segments(any=("lovers",)))
    item = msgspec.structs.replace(first, vector=(), targeting=targeting)
    campaign = msgspec.structs.replace(shop.campaigns[0], line_items=(item,))
    rule = EventRule(event="product_view", categories=categories)
    return msgspec.structs.replace(
        shop, campaigns=(campaign,), segments=(Segment(id="lovers", when=(rule,)),)
    )


def _vector(book: Book) -> tuple[float, ...]:
    return book.advertisers[0].campaigns[0].line_items[0].vector


def test_a_line_item_lies_where_its_segments_products_lie(catalogues: Catalogues) -> None:
    """By the categories of its segments' rules, and as far out as was said; without any, where all products lie."""
    shop = SHOPS["fernhill"]
    boots = np.array(_vector(with_vectors(_book(_without_vectors(shop, ("Boots",))), catalogues, LENGTH)))
    tents = np.array(_vector(with_vectors(_book(_without_vectors(shop, ("Tents",))), catalogues, LENGTH)))
    everything = np.array(_vector(with_vectors(_book(_without_vectors(shop)), catalogues, LENGTH)))
    assert np.linalg.norm(boots) == pytest.approx(LENGTH, rel=1e-3)
    catalogue = catalogues.of("fernhill")
    assert catalogue is not None
    seen = catalogue.vector(catalogue.find(product_key("fernhill", "a1")))
    assert seen is not None
    assert boots @ seen > tents @ seen
    assert np.linalg.norm(everything) == pytest.approx(LENGTH, rel=1e-3)


def test_what_a_file_says_stays(catalogues: Catalogues) -> None:
    """A line item with a vector keeps it; a shop without a catalogue, or a model that knows nothing, keeps zeros."""
    kept = with_vectors(_book(SHOPS["fernhill"]), catalogues, LENGTH)
    assert kept == _book(SHOPS["fernhill"])
    other = _book(_without_vectors(SHOPS["voltaro"]))
    assert with_vectors(other, catalogues, LENGTH) == other
