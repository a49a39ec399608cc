"""A shop of some twenty products, what people did in it, and its ads."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bidder.audience.history import History
from bidder.audience.known import Known
from bidder.audience.person import Profile
from bidder.audience.visit import EventKind, Visit
from bidder.campaigns.ads import Showcase
from bidder.campaigns.layouts import suited
from bidder.catalogue.build import write_snapshot
from bidder.catalogue.product import DIMENSIONS, Product
from bidder.catalogue.similar import Similar
from bidder.catalogue.snapshot import Catalogue, Catalogues
from bidder.keys import product_key
from tests.bidder.catalogue.shelf import SHOP, model, product

NOW_S = 1_790_000_000
DAY_S = 86_400
NEAR = {1: [(2, 9.0), (3, 8.0), (4, 7.0), (11, 3.0)], 2: [(1, 5.0)], 11: [(12, 4.0)]}
VIEWS = {number: 100.0 - number for number in range(1, 21)}


def products() -> list[Product]:
    """1 to 10 are boots, 11 to 16 tents, 17 to 20 mugs; 20 sells best of all, then 19, ..."""
    kinds = {**dict.fromkeys(range(1, 11), "Boots"), **dict.fromkeys(range(11, 17), "Tents")}
    return [product(number, category=kinds.get(number, "Mugs")) for number in range(1, 21)]


def catalogue_of(
    folder: Path, listed: Sequence[Product] | None = None, similar: Similar | None = None
) -> Catalogue:
    """The catalogue of these products."""
    return catalogues_of(folder, listed, similar)[1]


def catalogues_of(
    folder: Path, listed: Sequence[Product] | None = None, similar: Similar | None = None
) -> tuple[Catalogues, Catalogue]:
    """All catalogues of a folder in which this shop's stands."""
    write_snapshot(folder, SHOP, listed or products(), similar or model(NEAR, VIEWS))
    catalogues = Catalogues(folder)
    assert catalogues.refresh()
    found = catalogues.of(SHOP)
    assert found is not None
    return catalogues, found


def visit(number: int, kind: EventKind = EventKind.PRODUCT_VIEW, ago_s: int = 60) -> Visit:
    """One visit of product `p<number>`."""
    return Visit(kind, NOW_S - ago_s, product=product_key(SHOP, f"p{number}"))


def known(*visits: Visit, affinity: Sequence[float] = ()) -> Known:
    """What the shop knows of a person who did this, the latest first."""
    vector = np.zeros(DIMENSIONS, np.float16)
    vector[: len(affinity)] = affinity
    return Known(Profile(NOW_S, vector), History(visits))


def showcase(size: tuple[int, int] = (300, 250), language: str = "en", brand: str = "Fernhill") -> Showcase:
    """A creative of products."""
    return Showcase(SHOP, brand, size, suited(*size), language, None)


def ids(chosen: Sequence[Product]) -> list[str]:
    """The ids of products."""
    return [each.id for each in chosen]
