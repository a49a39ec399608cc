"""People in shops while the exchanges ask: pixels as browsers call them, and the syncs that follow.

Place: simulation.py asks `due` for what is to begin; every call goes over HTTP to the public port.
Units: seconds of the run; VISITS_PER_S calls of the pixel.
Limits: one visit of a person at a time; nobody visits who is about to leave.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from typing import Final, Protocol
from urllib.parse import parse_qs, urlencode, urlsplit

from benchmarks.exchange.browsers import IDS, NOTHING, Browser, Browsers, Told, wire
from benchmarks.exchange.client import Answer
from benchmarks.exchange.dialects import DIALECTS
from benchmarks.exchange.population import Human, Population
from benchmarks.exchange.report import Totals
from benchmarks.exchange.shelves import Act, Shop, bought_before, session

VISITS_PER_S: Final = 30.0
_ACTS: Final = 4.3
"""Of a session, on average."""
_THINK_MEAN_S: Final = 0.4
"""Between two pages: seconds in the place of minutes."""
_TRIES: Final = 32
_STAY_AWAY: Final = 0.6
"""How often somebody who was there before the run is passed over for somebody new."""
SYNC_URL: Final = "https://sync.{exchange}.example/match"
"""Where an exchange is told of our ids: the service's configuration has it from here."""


class Net(Protocol):
    """How the people reach the service."""

    base: str
    """What its URLs begin with."""
    totals: Totals

    def call(self, request: bytes, done: Callable[[Answer], None], what: str) -> None:
        """Send a browser's request; `done` is told of an answer below 400, anything else is an error."""

    def after(self, mean_s: float, action: Callable[[], None]) -> None:
        """Do something in a while."""


class Shopping:
    """All visits of a run."""

    def __init__(
        self, net: Net, seed: int, people: Population, browsers: Browsers, shops: tuple[Shop, ...]
    ) -> None:
        self._net, self._people, self._browsers = net, people, browsers
        self._shops = [shop for shop in shops if not shop.advertiser.child_directed]
        self._rng = random.Random(f"shopping:{seed}")
        self._begun = 0
        self._waiting: list[tuple[Browser, Shop]] = []

    def due(self, elapsed: float) -> None:
        """Let those come in whose time it is."""
        while self._shops and self._begun < elapsed * VISITS_PER_S / _ACTS:
            self._begun += 1
            visitor = self._visitor()
            if visitor is not None:
                browser, shop = visitor
                self._begin(browser, shop, session(self._rng, browser.human, shop))

    def order(self, browser: Browser, shop: Shop, product_id: str) -> None:
        """Somebody clicked an ad and buys."""
        product = next((each for each in shop.products if each.id == product_id), None)
        if product is not None and not (browser.visiting or browser.leaving):
            order = f"{self._rng.getrandbits(48):012x}"
            self._begin(browser, shop, [Act("product_view", product), Act("purchase", product, order)])

    def _begin(self, browser: Browser, shop: Shop, acts: list[Act]) -> None:
        """A visit of what the shop wants to hear of."""
        told = [act for act in acts if act.event in shop.advertiser.events.kinds]
        if told:
            browser.visiting = True
            self._step(browser, shop, told)

    def _visitor(self) -> tuple[Browser, Shop] | None:
        """Somebody with a browser, and the shop that they like best or any other."""
        for _ in range(_TRIES):
            one, other = self._people.draw(self._rng), self._people.draw(self._rng)
            human = min(one, other, key=lambda each: each.number)  # whoever reads more shops more, too
            if human.device.kind == "web":
                browser = self._browsers.of(human)
                known = browser.before and self._rng.random() < _STAY_AWAY
                if not (known or browser.visiting or browser.leaving):
                    return browser, self._shop(human)
        return None

    def _shop(self, human: Human) -> Shop:
        liked = [shop for shop in self._shops if shop.likes(human) > 0]
        return self._rng.choice(liked if liked and self._rng.random() < 0.9 else self._shops)

    def _step(self, browser: Browser, shop: Shop, acts: list[Act]) -> None:
        """Do the first of these, and later the others."""
        act, *rest = acts
        browser.steps += 1
        page = f"https://www.{shop.advertiser.domain}/{act.product.id if act.product else ''}"
        request = wire(f"{self._net.base}/pixel?{_query(browser.human, shop, act)}", browser, shop.id, page)
        self._net.call(request, functools.partial(self._stepped, browser, shop, (act, *rest)), "pixel")

    def _stepped(self, browser: Browser, shop: Shop, acts: tuple[Act, ...], answer: Answer) -> None:
        people, (act, *rest) = self._net.totals.people, acts
        browser.steps += 1
        people.visits += 1
        people.visitors += not browser.visited
        browser.visited = True
        gave = any(_gives_id(cookie) for cookie in answer.cookies)
        people.kept_without_consent += gave and not browser.human.agrees
        browser.keep(answer.cookies, shop.id)
        if browser.id(shop.id):
            browser.erased = False
            if act.event in ("product_view", "cart") and act.product:
                browser.viewed[shop.id] = act.product.id
        if act.event == "purchase" and act.product:
            people.orders += 1
            browser.bought.add((shop.id, act.product.id))
        browser.visiting = bool(rest)
        self._sync(browser)
        if rest:
            self._net.after(_THINK_MEAN_S, functools.partial(self._step, browser, shop, rest))

    def _sync(self, browser: Browser) -> None:
        """The next exchange that has not heard of this browser asks who it is."""
        human, own = browser.human, browser.id()
        missing = [each.name for each in DIALECTS if browser.partners.get(each.name, NOTHING).id != own]
        if human.anonymous or browser.syncing or not own or not missing:
            return
        exchange = missing[0]
        browser.syncing = True
        query = urlencode({"uid": human.id_at(exchange), **consent_of(human)})
        request = wire(f"{self._net.base}/sync/{exchange}?{query}", browser)
        self._net.call(request, functools.partial(self._synced, browser, exchange), "sync")

    def _synced(self, browser: Browser, exchange: str, answer: Answer) -> None:
        browser.syncing = False
        browser.keep(answer.cookies)
        place = urlsplit(answer.location.decode())
        told = parse_qs(place.query).get("id", [""])[0]
        if told and place.netloc == urlsplit(SYNC_URL.format(exchange=exchange)).netloc:
            self._net.totals.people.syncs += 1
            browser.partners[exchange] = Told(told, browser.id())


def consent_of(human: Human) -> dict[str, str]:
    """What a page's consent tools put behind the addresses that it calls."""
    said = {"gdpr": str(int(human.place.gdpr))}
    if human.consent:
        said["gdpr_consent"] = human.consent
    if human.us_privacy:
        said["us_privacy"] = human.us_privacy
    return said


def wanted_first(browser: Browser, shop: Shop) -> str:
    """The product that an ad of the shop begins with for this person; empty where nobody can tell."""
    product = browser.viewed.get(shop.id, "")
    bought = {name for owner, name in browser.bought if owner == shop.id}
    return "" if product in bought | bought_before(browser.human, shop) else product


def _query(human: Human, shop: Shop, act: Act) -> str:
    fields = {"advertiser": shop.id, "event": act.event, **consent_of(human)}
    if act.product is not None:
        price = act.product.sale_price_micros or act.product.price_micros
        fields |= {"product": act.product.id, "price": f"{price / 1e6:.2f}"}
    if act.order:
        fields |= {"order": act.order}
    return urlencode(fields)


def _gives_id(cookie: bytes) -> bool:
    name, _, value = cookie.partition(b";")[0].partition(b"=")
    return name.decode() in IDS and bool(value)
