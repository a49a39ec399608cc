"""The shops of these tests as campaign files: four with products, of which one is meant for children.

Shapes: each shop bids on a site of its own, `<shop>.news.example`, for everybody, and more, with products, for its
    viewers and for those who left a cart; all line items have caps, so that views are kept, but those of the shop for
    children.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

CURRENCY: Final = {"boots": "EUR", "hats": "USD", "mugs": "EUR", "toys": "USD"}
COUNTRY: Final = {"boots": "DEU", "hats": "USA", "mugs": "", "toys": "USA"}
CHILD_DIRECTED: Final = "toys"
PRODUCTS: Final = 12
"""Of each shop: `<shop>-1` and on, in three categories."""
CATEGORIES: Final = ("Trail", "City", "Winter > Warm")


def site(shop: str) -> str:
    """Where a shop bids."""
    return f"{shop}.news.example"


def write_book(folder: Path) -> Path:
    """Write the campaigns and their feeds; returns the folder of campaigns."""
    campaigns = folder / "campaigns"
    campaigns.mkdir(parents=True)
    for shop in CURRENCY:
        (campaigns / f"{shop}.yaml").write_text(yaml.safe_dump({"advertisers": [_advertiser(shop)]}))
        (campaigns / f"{shop}.csv").write_text(_feed(shop))
    return campaigns


def _feed(shop: str) -> str:
    lines = ["id,title,link,image_link,price,availability,product_type"]
    for number in range(1, PRODUCTS + 1):
        base = f"https://{shop}.example"
        lines.append(
            f"{shop}-{number},{shop.title()} no. {number},{base}/p/{number},{base}/i/{number}.png,"
            f"{10 + number}.00 {CURRENCY[shop]},in_stock,{CATEGORIES[number % 3]}"
        )
    return "\n".join(lines) + "\n"


def _advertiser(shop: str) -> dict[str, Any]:
    landing = f"https://{shop}.example/"
    size: dict[str, Any] = {"w": 300, "h": 250, "landing_url": landing}
    picture = {"id": "picture", "kind": "image", "image_url": f"{landing}ad.png", **size}
    products = {"id": "products", "kind": "products", "layouts": ["grid"], **size}
    within = {"within": "14d"}
    segments = [
        {"id": "viewers", "when": [{"event": "product_view", **within}]},
        {
            "id": "trail",
            "when": [{"event": "product_view", "categories": ["Trail"], "at_least": 2, **within}],
        },
        {
            "id": "cart",
            "when": [{"event": "cart", **within}],
            "unless": [{"event": "purchase", "within": "30d"}],
        },
        {"id": "buyers", "when": [{"event": "purchase", "within": "30d"}]},
    ]
    lines = [
        _line(shop, "everybody", 2, "picture"),
        _line(shop, "viewers", 5, "products", segments={"any": ["viewers"], "none": ["buyers"]}),
        _line(shop, "cart", 8, "products", segments={"any": ["cart"]}),
        _line(shop, "children", 1, "picture", child_directed=True),
    ]
    return {
        "id": shop,
        "name": shop.title(),
        "domain": f"{shop}.example",
        "currency": CURRENCY[shop],
        "country": COUNTRY[shop],
        "child_directed": shop == CHILD_DIRECTED,
        "events": {
            "kinds": ["page_view", "product_view", "category_view", "search", "cart", "purchase"],
            "custom": ["quiz"],
            "conversions": ["sale"],
        },
        "segments": [] if shop == CHILD_DIRECTED else segments,
        "feed": {"location": f"{shop}.csv", "format": "csv"},
        "creatives": [picture, products],
        "campaigns": [{"id": shop, "name": shop.title(), "line_items": lines}],
    }


def _line(shop: str, id_: str, cpm: int, creative: str, **targeting: Any) -> dict[str, Any]:
    caps = {} if shop == CHILD_DIRECTED else {"frequency": [{"views": 100, "per": "1d"}]}
    return {
        "id": f"{shop}-{id_}",
        "goal": {"kind": "cpm", "value": cpm},
        "max_bid_cpm": cpm,
        "creatives": [creative],
        "targeting": {"domains": [site(shop)], **targeting},
        **caps,
    }
