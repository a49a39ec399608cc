"""Where line items lie in the space of affinity, as far as their files do not say it.

Place: live.py asks when campaigns or catalogues are loaded, so that the price of a bid knows how near a person's tastes
    are to what a line item sells.
Rule: a line item without `vector` lies at the centre of the categories that its segments name, else of the whole
    catalogue.
Never: another advertiser's catalogue.
"""

from typing import Protocol

from msgspec import structs

from bidder.campaigns.model import Advertiser, Book, Campaign, LineItem
from bidder.catalogue.scoring import centroid
from bidder.catalogue.snapshot import Catalogue


class Shelves(Protocol):
    """Who has the catalogues: snapshot.Catalogues."""

    def of(self, advertiser_id: str) -> Catalogue | None:
        """The current one of an advertiser."""


def with_vectors(book: Book, catalogues: Shelves, length: float) -> Book:
    """The book, its line items' vectors filled in, of that length, where they lack and training knows the products."""
    shops = (_filled(shop, catalogues.of(shop.id), length) for shop in book.advertisers)
    return Book(advertisers=tuple(shops))


def _filled(shop: Advertiser, catalogue: Catalogue | None, length: float) -> Advertiser:
    if catalogue is None or not len(catalogue.vectors):
        return shop
    known: dict[tuple[str, ...], tuple[float, ...]] = {}

    def vector(item: LineItem) -> tuple[float, ...]:
        names = _categories(shop, item)
        if names not in known:
            centre = centroid(catalogue, names)
            known[names] = () if centre is None else tuple((centre * length).tolist())
        return known[names]

    def placed(campaign: Campaign) -> Campaign:
        items = [
            item if item.vector else structs.replace(item, vector=vector(item))
            for item in campaign.line_items
        ]
        return structs.replace(campaign, line_items=tuple(items))

    return structs.replace(shop, campaigns=tuple(map(placed, shop.campaigns)))


def _categories(shop: Advertiser, item: LineItem) -> tuple[str, ...]:
    """The categories that the line item's segments are about."""
    wanted = set(item.targeting.segments.any) if item.targeting.segments else set()
    rules = [rule for segment in shop.segments if segment.id in wanted for rule in segment.when]
    return tuple(sorted({name for rule in rules for name in rule.categories}))
