"""Creatives of products: what they need, what is told of mistakes, and what they become."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from bidder.campaigns.ads import Ad, compile_ad, render_html
from bidder.campaigns.layouts import LAYOUTS, MOST_PRODUCTS, cells, products_of, shape_of, suited
from bidder.campaigns.load import load_book
from bidder.campaigns.model import Layout
from bidder.opportunity import BANNER, NATIVE
from openrtb.check_media import banner_type
from openrtb.native_answer import Picture
from tests.bidder.campaigns.written import BOOK, change, told, write

FEED = "    currency: EUR\n    feed: {location: products.csv, format: csv}\n"
FED = change("    currency: EUR\n", FEED)
IMAGE = """\
        kind: image
        w: 300
        h: 250
        image_url: https://cdn.shop.example/a.webp
"""
BANNER_AD = "        kind: products\n        w: 300\n        h: 250\n"
CARD = "        kind: products\n        native: {title: Shop, sponsored_by: Shop}\n"
NO_PLACE = "layouts: have no place in a creative that shows no products in a banner"


def book(creative: str, text: str = FED) -> str:
    return change(IMAGE, creative, text)


def ad(tmp_path: Path, creative: str, text: str = FED) -> Ad:
    shop = load_book(write(tmp_path, book(creative, text))).advertisers[0]
    return compile_ad(shop, shop.creatives[0], 5)


def test_a_banner_of_products_is_an_iframe_that_is_drawn_when_it_is_shown(tmp_path: Path) -> None:
    """In a sandbox without scripts, with our beacon beside it; of every layout that suits."""
    made = ad(tmp_path, BANNER_AD)
    text = render_html(made, "https://a.example/c", "https://a.example/i", "https://a.example/render?t=x")
    assert text.startswith(
        '<iframe src="https://a.example/render?t=x" width="300" height="250" sandbox="allow-popups '
    )
    assert "allow-scripts" not in text
    assert "allow-same-origin" not in text
    assert text.count("https://a.example/i") == 1
    assert (made.medium, made.size, made.secure) == (BANNER, (300, 250), True)
    assert made.btypes == 1 << banner_type(text)
    assert made.showcase is not None
    assert made.showcase.layouts == suited(300, 250)
    assert (made.showcase.brand, made.showcase.advertiser_id) == ("Shop", "shop")
    assert not made.showcase.child_directed


def test_the_layouts_are_those_that_the_advertiser_names(tmp_path: Path) -> None:
    """And a shop for children says so."""
    text = FED.replace("    currency: EUR\n", "    currency: EUR\n    child_directed: true\n")
    made = ad(tmp_path, BANNER_AD + "        layouts: [grid, list]\n        language: fr\n", text)
    assert made.showcase is not None
    assert made.showcase.layouts == ("grid", "list")
    assert made.showcase.language == "fr"
    assert made.showcase.child_directed


def test_a_native_ad_of_products_has_assets_to_fall_back_on(tmp_path: Path) -> None:
    """It has no size and no layouts."""
    picture = "image_url: 'https://cdn.shop.example/n.png', image_w: 600, image_h: 300"
    made = ad(tmp_path, CARD.replace("Shop}", f"Shop, {picture}}}"))
    assert made.medium == NATIVE
    assert made.markup is None
    assert made.native is not None
    assert made.native.mains == (Picture("https://cdn.shop.example/n.png", 600, 300),)
    assert made.showcase is not None
    assert made.showcase.native == made.native


@pytest.mark.parametrize(
    ("creative", "problem"),
    [
        (BANNER_AD + "        layouts: [cube]\n",
         'layouts[0]: expected one of carousel, grid, list, single, found text "cube"'),
        (BANNER_AD + "        layouts: [grid, grid]\n", 'layouts[1]: "grid" stands twice'),
        (BANNER_AD.replace("300", "160").replace("250", "600") + "        layouts: [grid, carousel]\n",
         "layouts[1]: carousel does not suit 160x600; single, grid, list do"),
        (BANNER_AD.replace("250", "40"), "w: 300x40 is too small for products"),
        ("        kind: products\n        w: 300\n", "h: is missing: a creative of kind products needs w, h"),
        (CARD + "        h: 250\n", "h: has no place in a native creative of kind products"),
        (CARD + "        layouts: [grid]\n", NO_PLACE),
        (IMAGE + "        layouts: [grid]\n", NO_PLACE),
        (BANNER_AD + "        html: <b>x</b>\n", "html: has no place in a creative of kind products"),
    ],
)  # fmt: skip
def test_a_mistake_is_told(creative: str, problem: str, tmp_path: Path) -> None:
    """With its place."""
    lines = [line.partition(".creatives[0].")[2] for line in told(write(tmp_path, book(creative)))]
    assert lines == [problem]


def test_products_need_a_feed(tmp_path: Path) -> None:
    """There is nothing to show without one."""
    problems = told(write(tmp_path, book(BANNER_AD, BOOK)))
    assert problems == [
        "book.yaml:8: advertisers[0].creatives[0].kind: shows products, and the advertiser has no feed"
    ]


def test_layouts_by_size() -> None:
    """Each size has some, a single product always among them; each holds one product to MOST_PRODUCTS."""
    assert get_args(Layout) == LAYOUTS
    shapes = {
        "ticker": (320, 50),
        "strip": (728, 90),
        "tower": (160, 600),
        "wide": (970, 250),
        "board": (300, 250),
    }
    assert {shape: shape_of(*size) for shape, size in shapes.items()} == {shape: shape for shape in shapes}
    for size in shapes.values():
        assert "single" in suited(*size)
        for layout in suited(*size):
            assert 1 <= products_of(layout, *size) <= MOST_PRODUCTS
    assert [cells("grid", *size) for size in shapes.values()] == [(2, 1), (3, 1), (1, 3), (5, 1), (2, 2)]
