"""Ads of products as the simulated people see them, against documents of the service's own."""

import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from benchmarks.exchange.browsers import Browser
from benchmarks.exchange.gallery import Drawing, Gallery, Scene, drawing_of, judge
from benchmarks.exchange.population import Population
from benchmarks.exchange.report import PeopleTotals
from benchmarks.exchange.shelves import Shop, shops_of
from benchmarks.exchange.shopping import wanted_first
from bidder.campaigns.ads import Showcase
from bidder.campaigns.demo import demo_book_path
from bidder.campaigns.load import load_book
from bidder.campaigns.model import Layout
from bidder.catalogue.build import write_snapshot
from bidder.catalogue.product import Product
from bidder.catalogue.snapshot import Catalogues
from bidder.keys import product_key
from bidder.notices.keys import Keyring
from bidder.render.choose import choose
from bidder.render.layouts import sheet
from bidder.render.page import IMAGES_BYTES, Links, document

SHOPS = shops_of(load_book(demo_book_path()), demo_book_path())
SHOP = SHOPS[0]
LINKS = Links("https://bidder.example/click?t=abc", "https://bidder.example/privacy")
SIZE = (300, 250)
KEYRING = Keyring(((1, bytes(32)),))


def drawn(products: tuple[Product, ...], layout: Layout = "grid") -> Drawing:
    """What stands in the service's document of these."""
    showcase = Showcase(SHOP.id, "Fernhill", SIZE, (layout,), "en", None)
    return drawing_of(document(showcase, layout, products, LINKS)[0])


def scene(*, barred: bool = False, wanted: str = "", steps: int = 0) -> Scene:
    """A frame in front of somebody."""
    browser = Browser(Population(1, 10, 1_795_000_000)[0], before=False)
    return Scene(browser, SHOP, SIZE, steps, wanted, barred)


def test_a_document_tells_its_products_and_links() -> None:
    """In order, each once, with the layout; the brand alone has none."""
    found = drawn(SHOP.products[:4])
    assert found.keys == tuple(product_key(SHOP.id, product.id) for product in SHOP.products[:4])
    assert found.layout == "grid"
    assert found.links[0] == f"{LINKS.click}&p={found.keys[0]:016x}&l=grid"
    assert drawn(SHOP.products[:1]).layout == "single"
    assert drawn(()) == Drawing((), (), "")


@pytest.mark.parametrize("layout", ["single", "grid", "carousel", "list"])
def test_what_everybody_sees_is_known(layout: Layout, tmp_path: Path) -> None:
    """An ad that the service makes for nobody is not taken for a personal one; another first product is."""
    write_snapshot(tmp_path, SHOP.id, list(SHOP.products), None)
    catalogues = Catalogues(tmp_path)
    catalogues.refresh()
    catalogue = catalogues.of(SHOP.id)
    assert catalogue is not None
    count = sheet(layout, *SIZE, 0).count
    found = drawn(tuple(choose(None, catalogue, count, IMAGES_BYTES, time.time())), layout)
    gallery = Gallery(None, None, SHOPS, tmp_path, KEYRING)  # type: ignore[arg-type]  # nothing is loaded
    assert gallery.for_everybody(SHOP, found, SIZE) == found.keys


@pytest.mark.parametrize(
    ("of", "personal", "first", "expected"),
    [
        (scene(), False, SHOP, {}),
        (scene(), True, SHOP, {"personal": 1}),
        (scene(barred=True), False, SHOP, {}),
        (scene(barred=True), True, SHOP, {"personal": 1, "drawn_without_consent": 1}),
        (scene(), False, SHOPS[1], {"foreign_products": 1}),
        (scene(), False, None, {"foreign_products": 1}),
        (scene(wanted=SHOP.products[0].id), True, SHOP, {"personal": 1, "viewed": 1, "viewed_first": 1}),
        (scene(wanted=SHOP.products[5].id), True, SHOP, {"personal": 1, "viewed": 1, "not_viewed_first": 1}),
        (scene(wanted=SHOP.products[5].id, steps=1), True, SHOP, {"personal": 1}),
        (scene(wanted=SHOP.products[5].id), False, SHOP, {}),
    ],
)
def test_a_drawing_is_judged(of: Scene, personal: bool, first: Shop | None, expected: dict[str, int]) -> None:
    """By the shop, by what the person allows, and by what they looked at, where no visit is under way."""
    people = PeopleTotals()
    judge(people, of, [(first, SHOP.products[0]) if first else None], personal)
    counted = {name: value for name in people.__struct_fields__ if (value := getattr(people, name))}
    assert counted == {"drawn": 1, **expected}


def test_what_was_bought_is_not_wanted_first() -> None:
    """Nor is anything where nothing was looked at."""
    browser = Browser(Population(1, 10, 1_795_000_000)[0], before=False)
    empty = Shop(replace(SHOP.advertiser, id="empty"), ())
    assert wanted_first(browser, empty) == ""
    browser.viewed["empty"] = "p1"
    assert wanted_first(browser, empty) == "p1"
    browser.bought.add(("empty", "p1"))
    assert wanted_first(browser, empty) == ""
