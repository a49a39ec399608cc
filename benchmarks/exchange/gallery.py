"""Ads of products as people see them: what is drawn, whether it may be, and what is clicked.

Place: simulation.py hands in a share of the frames of won ads; the frame is loaded over HTTP with the person's cookies.
Shapes: a drawing is the products that stand in it, in order, with the addresses of their links, and the layout.
Rule: what everybody sees is told by the service's own choice for nobody, out of its own catalogues. An ad that shows
    something else is personal. It is held against what the person looked at only where no visit was under way.
Never: reads what the service counted.
"""

from __future__ import annotations

import functools
import html
import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

from benchmarks.exchange.browsers import Browser, wire
from benchmarks.exchange.client import Answer
from benchmarks.exchange.report import PeopleTotals
from benchmarks.exchange.shelves import Shop
from benchmarks.exchange.shopping import Net, Shopping, wanted_first
from bidder.campaigns.model import Layout
from bidder.catalogue.product import Product
from bidder.catalogue.snapshot import Catalogues
from bidder.keys import key64, product_key
from bidder.notices.keys import Keyring
from bidder.notices.token import Audience, TokenFault, open_token
from bidder.render.choose import choose
from bidder.render.layouts import sheet
from bidder.render.page import IMAGES_BYTES

LOOKED_AT: Final = 0.8
"""Of the ads of products that are won and shown, how many are looked at here."""
CLICK_RATE: Final = 0.02
APPEAL: Final[dict[str, float]] = {"single": 1.0, "grid": 2.2, "carousel": 1.5, "list": 0.6}
"""Which layouts the simulated people like."""
PERSONAL_LIFT: Final = 2.5
_FIRST: Final = 0.6
"""Of clicks, how many are on the first product."""
_BUY_RATE: Final = 0.2
_SEE_S: Final = 0.6
"""Nobody clicks sooner."""
_CLICK_MEAN_S: Final = 1.0
_LINK: Final = re.compile(r'href="([^"]*/click\?[^"]*&amp;p=([0-9a-f]{16})&amp;l=(\w+))"')


class Drawing(NamedTuple):
    """What stands in a frame."""

    links: tuple[str, ...]
    keys: tuple[int, ...]
    """Of the products."""
    layout: str


class Scene(NamedTuple):
    """One frame in front of one person."""

    browser: Browser
    shop: Shop
    size: tuple[int, int]
    steps: int
    """Of the person's visits when the frame was asked for."""
    wanted: str
    barred: bool
    """The person did not agree, or had said no by then."""


def drawing_of(page: str) -> Drawing:
    """The products of a document; none in one that shows the brand alone."""
    found = list(dict.fromkeys(_LINK.findall(page)))
    links = tuple([html.unescape(link) for link, _, _ in found])
    return Drawing(links, tuple([int(key, 16) for _, key, _ in found]), found[0][2] if found else "")


class Gallery:
    """All product ads of a run."""

    def __init__(
        self,
        net: Net,
        shopping: Shopping,
        shops: tuple[Shop, ...],
        catalogues: Path,
        keyring: Keyring,
    ) -> None:
        """`catalogues` is the service's folder of snapshots."""
        self._net, self._shopping, self._keyring = net, shopping, keyring
        self._catalogues = Catalogues(catalogues)
        self._shops = {key64(shop.id): shop for shop in shops}
        self._sizes = {
            key64(f"{shop.id}/{each.id}"): (each.w or 0, each.h or 0)
            for shop in shops
            for each in shop.advertiser.creatives
            if each.kind == "products"
        }
        self._products = {
            product_key(shop.id, product.id): (shop, product) for shop in shops for product in shop.products
        }

    def show(self, url: str, browser: Browser, rng: random.Random, clicked: Callable[[], None]) -> None:
        """Load a frame; `clicked` is told when somebody clicked in it."""
        token = parse_qs(urlsplit(url).query).get("t", [""])[0]
        claim = open_token(token, self._keyring, Audience.BROWSER, 0.0)
        if isinstance(claim, TokenFault) or claim.advertiser not in self._shops:
            self._net.totals.error("token", "a frame's token is not of this service and book")
            return
        shop = self._shops[claim.advertiser]
        barred = not browser.human.agrees or browser.opted_out or browser.erased
        size = self._sizes.get(claim.creative, (0, 0))
        scene = Scene(browser, shop, size, browser.steps, wanted_first(browser, shop), barred)
        page = "https://www.daily-herald.example/"
        self._net.call(
            wire(url, browser, page=page), functools.partial(self._shown, scene, rng, clicked), "render"
        )

    def _shown(self, scene: Scene, rng: random.Random, clicked: Callable[[], None], answer: Answer) -> None:
        drawing = drawing_of(answer.body.decode())
        if not drawing.keys:
            self._net.totals.people.brand += 1
            return
        personal = drawing.keys != self.for_everybody(scene.shop, drawing, scene.size)
        judge(self._net.totals.people, scene, [self._products.get(key) for key in drawing.keys], personal)
        rate = CLICK_RATE * APPEAL.get(drawing.layout, 1.0) * (PERSONAL_LIFT if personal else 1.0)
        if rng.random() < rate:
            at = 0 if rng.random() < _FIRST else rng.randrange(len(drawing.links))
            action = functools.partial(self._click, scene, drawing, at, (rng.random() < _BUY_RATE, clicked))
            self._net.after(_SEE_S, functools.partial(self._net.after, _CLICK_MEAN_S, action))

    def for_everybody(self, shop: Shop, drawing: Drawing, size: tuple[int, int]) -> tuple[int, ...]:
        """What an ad of this layout and size shows to somebody of whom nothing is known."""
        catalogue = self._catalogues.of(shop.id)
        if catalogue is None:
            self._catalogues.refresh()
            catalogue = self._catalogues.of(shop.id)
        if catalogue is None or drawing.layout not in APPEAL:
            return ()
        layout: Layout = drawing.layout  # type: ignore[assignment]  # one of APPEAL's, which are the layouts
        count = sheet(layout, *size, 0).count
        chosen = choose(None, catalogue, count, IMAGES_BYTES, time.time())
        return tuple([product_key(shop.id, product.id) for product in chosen[: len(drawing.keys)]])

    def _click(self, scene: Scene, drawing: Drawing, at: int, then: tuple[bool, Callable[[], None]]) -> None:
        found, (buys, clicked) = self._products.get(drawing.keys[at]), then

        def landed(answer: Answer) -> None:
            people = self._net.totals.people
            people.product_clicks += 1
            clicked()
            if found is None or answer.location.decode() != found[1].url:
                people.wrong_landings += 1
            elif buys:
                self._net.totals.conversions += 1
                self._shopping.order(scene.browser, found[0], found[1].id)

        self._net.call(wire(drawing.links[at], scene.browser), landed, "click")


def judge(
    people: PeopleTotals, scene: Scene, products: list[tuple[Shop, Product] | None], personal: bool
) -> None:
    """Count one drawing, and what is wrong with it."""
    people.drawn += 1
    people.personal += personal
    people.foreign_products += any(found is None or found[0].id != scene.shop.id for found in products)
    people.drawn_without_consent += personal and scene.barred
    first = products[0]
    if personal and not scene.barred and scene.wanted and scene.steps == scene.browser.steps:
        people.viewed += 1
        seen = first is not None and first[1].id == scene.wanted
        people.viewed_first += seen
        people.not_viewed_first += not seen
