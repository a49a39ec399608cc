"""Shops to test with, stores of a real server, a recorder that keeps what it is given, and a public port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Self

import aiohttp
import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from bidder.audience.handles import Handles
from bidder.campaigns.model import Advertiser, DeclaredEvents, EventRule, Segment
from bidder.campaigns.rates import load_rates
from bidder.catalogue.product import Product
from bidder.clock import ManualClock
from bidder.events.records import Record, ShopEvent
from bidder.exchanges import Exchange
from bidder.keys import product_key
from bidder.metrics import Tally
from bidder.notices.keys import Keyring
from bidder.privacy.gate import Gate
from bidder.settings import Stores
from bidder.shop.hands import Hands, Matcher, SyncTimes, Visitors
from bidder.shop.matches import Matches
from bidder.shop.receive import Shops
from bidder.shop.syncs import Syncs
from bidder.shop.tokens import shop_token
from bidder.stores import sync_times
from bidder.stores.people_writer import PeopleWriter, open_client
from bidder.stores.visitors import VisitorStore
from bidder.web.public import PublicServer, public_app
from bidder.web.shop import shop_routes
from bidder.web.sockets import shared_socket
from bidder.web.sync import sync_routes
from tests.bidder.audience.visits import shop
from tests.bidder.privacy.signals import VENDOR, string

NOW_S = 1_795_608_000.0
FP = "f" * 32
OWN = "0123456789abcdef0123456789abcdef"
"""A first-party id, and a number of ours in a browser's cookie."""
RING = Keyring(((2, b"n" * 32), (1, b"o" * 32)))
HANDLES = Handles(RING.keys)
CONSENT = string(1, 3, 4, 7)
AGREED = {"gdpr": "1", "gdpr_consent": CONSENT}
STORING = {"gdpr": "1", "gdpr_consent": string(1)}
DECLARED = DeclaredEvents(custom=("quiz",), conversions=("sale",), origins=("shop.example",))
VIEWERS = Segment(id="viewers", when=(EventRule(event="product_view", within="7d"),))
EUROPE = shop(VIEWERS, advertiser_id="boots", events=DECLARED, country="DEU")
AMERICA = replace(shop(VIEWERS, advertiser_id="hats", events=DECLARED, country="USA"), domain="hats.test")
TOYS = shop(advertiser_id="toys", events=DECLARED, country="USA", child_directed=True)
SHOPS = (EUROPE, AMERICA, TOYS)
SYNCED = Exchange(
    name="google",
    sync_url="https://google.example/match?their={id}&gdpr={gdpr}&c={gdpr_consent}&g={gpp}&s={gpp_sid}&u={us_privacy}",
)
QUIET = Exchange(name="quiet")
OFTEN = Exchange(name="often", sync_url="https://often.example/s?{id}", syncs_per_day=2)
EXCHANGES = (SYNCED, QUIET, OFTEN)


def cookie(person: str) -> dict[str, str]:
    """What a browser sends that has this number."""
    return {"pl_id": person}


class Kept:
    """A recorder with so much room."""

    def __init__(self, room: int = 10_000) -> None:
        self.records: list[ShopEvent] = []
        self.room = room

    def record(self, record: Record) -> bool:
        if len(self.records) >= self.room:
            return False
        assert isinstance(record, ShopEvent)
        self.records.append(record)
        return True


class Shelf:
    """A catalogue of boot-1 alone."""

    def find(self, key: int) -> int:
        return 0 if key == product_key("boots", "boot-1") else -1

    def product(self, row: int) -> Product:
        return Product("boot-1", "Boot", "https://shop.test/b", "", 1, "EUR", category="Shoes > Boots")

    def vector(self, row: int) -> NDArray[np.float16] | None:
        return np.ones(32, np.float16)


class Shelves:
    """The catalogue of boots; others have none."""

    def of(self, advertiser_id: str) -> Shelf | None:
        return Shelf() if advertiser_id == "boots" else None


class Broken:
    """A store that is down."""

    def __getattr__(self, name: str) -> Any:
        async def fail(*_: object, **__: object) -> None:
            raise ConnectionError

        return fail


class Stand:
    """A public port with the routes of shops and exchanges, and whoever calls it."""

    def __init__(
        self,
        client: Any,
        *,
        down: bool = False,
        advertisers: Iterable[Advertiser] = SHOPS,
        exchanges: Iterable[Exchange] = EXCHANGES,
    ) -> None:
        self.tally, self.clock, self.recorder = Tally(), ManualClock(NOW_S), Kept()
        self.client = client
        self.visitors = VisitorStore(client, self.tally)
        visitors: Visitors = Broken() if down else self.visitors  # type: ignore[assignment]  # fails at every call
        matcher: Matcher = Broken() if down else PeopleWriter(client)  # type: ignore[assignment]  # the same
        times: SyncTimes = Broken() if down else sync_times.SyncTimes(client)  # type: ignore[assignment]  # the same
        gate, self.rates = Gate(VENDOR), load_rates()
        hands = Hands(visitors, matcher, self.recorder, Shelves(), HANDLES)
        self.shops = Shops(hands, gate, self.tally, self.clock)
        self.shops.adopt(advertisers, self.rates)
        self.syncs = Syncs(exchanges, hands, times, gate, self.tally, self.clock)
        self.matches = Matches(matcher, HANDLES, gate, self.tally, self.clock)
        routes = shop_routes(self.shops, self.syncs, RING, VENDOR)
        routes += sync_routes(self.syncs, self.matches, RING, self.tally, self.clock)
        self.server = PublicServer(public_app(routes, self.tally), self.tally)

    async def __aenter__(self) -> Self:
        bound = shared_socket("127.0.0.1", 0)
        self.base = f"http://127.0.0.1:{bound.getsockname()[1]}"
        await self.server.start(bound)
        self.browser = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.browser.close()
        await self.server.stop()

    async def call(self, path: str, method: str = "GET", **options: Any) -> Reply:
        """One call, no redirect followed."""
        async with self.browser.request(method, self.base + path, allow_redirects=False, **options) as answer:
            return Reply(answer.status, answer.headers, await answer.read())

    async def pixel(self, advertiser: str = "boots", event: str = "product_view", **more: Any) -> Reply:
        """A pixel of a page; `headers` and `cookies` are the call's."""
        options = {name: more.pop(name) for name in ("headers", "cookies") if name in more}
        if event == "product_view":
            more.setdefault("product", "boot-1")
        return await self.call("/pixel", params={"advertiser": advertiser, "event": event, **more}, **options)

    async def send(self, *events: dict[str, Any], advertiser: str = "boots", **options: Any) -> Reply:
        """A batch of a shop's server."""
        headers = {"Authorization": f"Bearer {shop_token(RING, advertiser)}", **options.pop("headers", {})}
        body = options.pop("data", msgspec.json.encode({"events": events}))
        return await self.call("/v1/events", "POST", data=body, headers=headers, **options)

    def count(self, name: str, *labels: str) -> int:
        """A counter."""
        return next(
            (value for cell, value in self.tally.samples() if cell.name == name and cell.labels == labels), 0
        )

    async def stored(self) -> dict[bytes, Any]:
        """Keys of people, and the fields or the value of each."""
        found: dict[bytes, Any] = {}
        for key in sorted([key async for key in self.client.scan_iter(b"*")]):
            kind = await self.client.type(key)
            if kind == b"hash":
                found[key] = await self.client.hgetall(key)
            elif not key.startswith(b"g:"):
                found[key] = await self.client.get(key)
        return found


class Reply:
    """What came back."""

    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def cookies(self) -> dict[str, str]:
        """Set-Cookie values by name; the last of a name."""
        told = (line.partition("=") for line in self.headers.getall("Set-Cookie", []))
        return {name: rest for name, _, rest in told}

    @property
    def person(self) -> str:
        """The id that the browser is to keep."""
        return self.cookies["pl_id"].partition(";")[0]

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


@asynccontextmanager
async def standing(url: str, **options: Any) -> AsyncIterator[Stand]:
    """A stand over a real server."""
    client = open_client(Stores(redis_url=url))
    try:
        async with Stand(client, **options) as stand:
            yield stand
    finally:
        await client.aclose()


def event(name: str = "page_view", **more: Any) -> dict[str, Any]:
    """An event of a server, with consent."""
    return {"event": name, "id": "e-1", "consent": AGREED, **more}


async def turns() -> None:
    """Give others a few turns of the loop."""
    for _ in range(10):
        await asyncio.sleep(0)
