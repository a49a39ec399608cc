"""A product of a shop, and the names that snapshots and visits know it by.

Place: feed.py reads products, snapshot.py keeps them, render/ shows them.
Units: prices are micros of `currency`, which is the advertiser's.
Never: markup: every text is what the shop wrote; whoever shows it escapes it.
"""

from typing import Final

from msgspec import Struct

from bidder.keys import category_key

DIMENSIONS: Final = 32
"""Of product vectors; the same as of line items' and of people's affinity."""
MAX_PRODUCTS: Final = 2_000_000
"""Of one advertiser: the largest shops list about as many."""
MAX_LEVELS: Final = 8
"""Of a category path; what lies deeper counts for the eighth."""
EVERYTHING: Final = 0
"""The category key of the whole catalogue; keys.category_key of an empty name."""


class Product(Struct, frozen=True, array_like=True, gc=False):
    """One product as the feed describes it."""

    id: str
    title: str
    url: str
    image_url: str
    price_micros: int
    currency: str
    sale_price_micros: int | None = None
    category: str = ""
    """A path, its levels parted by ` > `."""
    brand: str = ""
    available: bool = True
    image_bytes: int = 0
    """0: not known."""


def category_keys(advertiser_id: str, category: str) -> tuple[int, ...]:
    """The keys of a category and of those above it, the widest first: `Shoes > Trail` has two, an empty one none."""
    levels = [level for level in category.split(">") if level.strip()][:MAX_LEVELS]
    return tuple(category_key(advertiser_id, ">".join(levels[: depth + 1])) for depth in range(len(levels)))
