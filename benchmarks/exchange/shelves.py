"""The shops' sides of the simulated people: what is on the shelves, who has been there, what a visit is like.

Place: shopping.py makes visits of sessions; the demo puts past ones into the store. All follows from the person and
    the shop, so that two processes agree without talking.
Shapes: a session is a list of Acts: a page, some products of the person's taste, perhaps the cart, perhaps an order.
Units: interest is 0 to 1 (population.interest); ages of past sessions in seconds.
"""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.exchange.population import Human, interest
from bidder.campaigns.model import Advertiser, Book
from bidder.catalogue.feed import read_feed
from bidder.catalogue.product import Product

DAY_S: Final = 86_400
VISITED_SHARE: Final = 0.75
"""Of those who like a shop and agree, how many were there before the run; the others come for the first time."""
MAX_VIEWS: Final = 4
TASTE: Final = 0.7
"""How often somebody looks at products of the category that they like best."""
_CART: Final = 0.3
_ORDER: Final = 0.25
"""Of carts."""
_PAST_DAYS: Final = 12.0
_MAX_PAST: Final = 3


class Shop(NamedTuple):
    """One advertiser and what it sells."""

    advertiser: Advertiser
    products: tuple[Product, ...]
    """In stock; none where the campaign file names no feed."""

    @property
    def id(self) -> str:
        """The advertiser's."""
        return self.advertiser.id

    def likes(self, human: Human) -> float:
        """A person's interest."""
        return interest(human.id, self.advertiser.domain)


class Act(NamedTuple):
    """One thing that somebody does in a shop."""

    event: str
    product: Product | None = None
    order: str = ""


def shops_of(book: Book, feeds: Path) -> tuple[Shop, ...]:
    """The shops of a book; `feeds` is the folder that paths of feeds are meant from. Raises FeedError, OSError."""
    return tuple([Shop(advertiser, _products(advertiser, feeds)) for advertiser in book.advertisers])


def _products(advertiser: Advertiser, feeds: Path) -> tuple[Product, ...]:
    feed = advertiser.feed
    if feed is None or "://" in feed.location:
        return ()
    read = read_feed(feeds / feed.location, feed.format, advertiser.currency)
    return tuple([product for product in read.products if product.available])


def was_there(human: Human, shop: Shop) -> bool:
    """Whether somebody visited a shop before the run, and is kept."""
    return human.agrees and shop.likes(human) > 0 and _chance(human, shop, "before") < VISITED_SHARE


def session(rng: random.Random, human: Human, shop: Shop) -> list[Act]:
    """One visit to a shop."""
    acts = [Act("page_view")]
    if not shop.products:
        return acts
    shelf = favourites(human, shop)
    acts += [
        Act("product_view", rng.choice(shelf if rng.random() < TASTE else list(shop.products)))
        for _ in range(rng.randint(1, MAX_VIEWS))
    ]
    if rng.random() < 0.15:
        acts.insert(1, Act("search"))
    if rng.random() < _CART:
        wanted = acts[-1].product
        acts.append(Act("cart", wanted))
        if rng.random() < _ORDER:
            acts.append(Act("purchase", wanted, f"{rng.getrandbits(48):012x}"))
    return acts


def past(human: Human, shop: Shop) -> list[tuple[float, Act]]:
    """What somebody did before the run: seconds ago, and what; the latest last."""
    rng = random.Random(f"past:{human.id}:{shop.id}")
    ages = sorted(
        (rng.uniform(0.02, _PAST_DAYS) * DAY_S for _ in range(rng.randint(1, _MAX_PAST))), reverse=True
    )
    return [
        (age_s - 20.0 * step, act) for age_s in ages for step, act in enumerate(session(rng, human, shop))
    ]


def bought_before(human: Human, shop: Shop) -> set[str]:
    """Ids of the products that somebody ordered before the run."""
    if not was_there(human, shop):
        return set()
    return {act.product.id for _, act in past(human, shop) if act.event == "purchase" and act.product}


def favourites(human: Human, shop: Shop) -> list[Product]:
    """The products of the category that somebody likes best."""
    categories = sorted({product.category for product in shop.products})
    best = max(categories, key=lambda name: _chance(human, shop, name))
    return [product for product in shop.products if product.category == best]


def _chance(human: Human, shop: Shop, name: str) -> float:
    """A number from 0 to 1 that is always the same for a person and a name."""
    digest = hashlib.blake2b(f"{human.id}:{shop.id}:{name}".encode(), digest_size=6).digest()
    return int.from_bytes(digest, "big") / (1 << 48)
