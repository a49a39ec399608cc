"""Creatives of products by their keys, across reloads; and native ads of them."""

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from bidder.campaigns.compile import compile_lines
from bidder.campaigns.load import load_book
from bidder.campaigns.rates import load_rates
from bidder.keys import key64
from bidder.render import showcases as module
from bidder.render.native import native_assets
from bidder.render.showcases import Showcases
from openrtb.native_answer import NativeCreative, Picture
from openrtb.native_assets import read_asked
from tests.bidder.catalogue.shelf import product
from tests.bidder.render.shop import showcase

BOOK = Path(__file__).parents[2] / "golden" / "books" / "products.yaml"
LINE = key64("shop/shelf-line")
CARD = NativeCreative(title="Our shop", cta="Buy", mains=(Picture("https://cdn.example/n.png", 600, 300),))


def test_creatives_are_found_by_the_keys_of_a_token() -> None:
    """Those of products, banners and native alike."""
    known = Showcases()
    known.adopt(compile_lines(load_book(BOOK), load_rates()))
    shelf, card = known.of(LINE, key64("shop/shelf")), known.of(LINE, key64("shop/card"))
    assert shelf is not None
    assert (shelf.size, shelf.layouts, shelf.brand) == ((300, 250), ("grid", "list"), "Shop")
    assert card is not None
    assert card.native is not None
    assert known.of(LINE, 1) is None


def test_what_a_reload_removed_is_still_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last RETIRED of it."""
    known = Showcases()
    lines = compile_lines(load_book(BOOK), load_rates())
    known.adopt(lines)
    known.adopt([])
    assert known.of(LINE, key64("shop/shelf")) is not None
    monkeypatch.setattr(module, "RETIRED", 1)
    known.adopt([])
    found = [known.of(LINE, key64(f"shop/{name}")) for name in ("shelf", "card")]
    assert sum(each is not None for each in found) == 1


def test_a_native_product_has_both_prices() -> None:
    """What it lacks is the creative's: here a picture that may not stand in a page."""
    asked = read_asked("1t30.2i3W300H200.3d6.4d7.5d12")
    assert asked is not None
    bad = replace(product(9), image_url="javascript:x", sale_price_micros=5_000_000)
    ad = replace(showcase((0, 0)), native=CARD)
    parts = json.loads(native_assets(asked, ad, bad, "https://ads.example/click?t=x"))["assets"]
    assert parts[0]["title"]["text"] == "Boot 9"
    assert parts[1]["img"] == {"type": 3, "url": "https://cdn.example/n.png", "w": 600, "h": 300}
    assert [part["data"]["value"] for part in parts[2:]] == ["€9.00", "€5.00", "Buy"]
