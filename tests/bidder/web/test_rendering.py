"""Ads of products over real sockets: whom they are for, what forgers get, and that a slow store harms nobody."""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self

import aiohttp
import pytest
from msgspec.structs import replace
from redis.exceptions import ConnectionError as RedisConnectionError

from bidder.audience.history import History
from bidder.audience.known import Known, Seen, ShopRules
from bidder.audience.segments import compile_rules
from bidder.audience.visit import EventKind
from bidder.campaigns.ads import Showcase
from bidder.campaigns.layouts import suited
from bidder.campaigns.load import load_book
from bidder.campaigns.model import Advertiser
from bidder.catalogue.build import write_snapshot
from bidder.catalogue.snapshot import Catalogues
from bidder.clock import ManualClock
from bidder.keys import key64, product_key
from bidder.metrics import Tally
from bidder.notices.token import MEASURE, NOBODY, PERSONAL, SUSPECT, TEST, VISITOR
from bidder.render.bandit import Bandit
from bidder.render.showcases import Showcases
from bidder.settings import Stores
from bidder.stores.keys import OPT_OUT_FIELD, person_key, person_tag
from bidder.stores.people_writer import open_client
from bidder.stores.visitors import VisitorStore
from bidder.web import rendering
from bidder.web.public import PublicServer, public_app
from bidder.web.rendering import Studio, render_routes
from bidder.web.sockets import shared_socket
from openrtb.native_answer import NativeCreative, Picture
from tests.bidder.catalogue.shelf import model
from tests.bidder.notices.support import NOW_S, PERSON, RING, sealed
from tests.bidder.render.shop import NEAR, VIEWS, products, visit
from tests.servers import RealServer

SHOP = "shop-1"
LINE, CREATIVE = key64("shop-1/line-1"), key64("creative-1")
NATIVE = key64("native-1")
CARD = NativeCreative(title="Our shop", cta="Buy", mains=(Picture("https://cdn.example/n.png", 600, 300),))
ASKED = "1t20.2i3W300H200.3d6.4d12"


def viewed(number: int) -> Known:
    """A person who looked at one product."""
    return Known(None, History((replace(visit(number), product=product_key(SHOP, f"p{number}")),)))


class People:
    """A store of people that can be slow, or down."""

    def __init__(self) -> None:
        self.known_as: Known = viewed(17)
        self.asked: list[tuple[bytes, str]] = []
        self.gate: asyncio.Event | None = None
        self.store: VisitorStore | None = None
        self.down = False
        self.answered = 0
        self.third = asyncio.Event()

    async def known(self, person_id: bytes, advertiser_id: str) -> Known:
        self.asked.append((person_id, advertiser_id))
        if self.store is not None:
            return await self.store.known(person_id, advertiser_id)
        if self.gate is not None:
            await self.gate.wait()
        if self.down:
            raise RedisConnectionError("gone")
        self.answered += 1
        if self.answered == 3:
            self.third.set()
        return self.known_as


class Shown:
    """What came back."""

    def __init__(self, status: int, headers: dict[str, str], text: str) -> None:
        self.status, self.headers, self.text = status, headers, text
        self.titles = re.findall(r'<span class="t" dir="auto">(.*?)</span>', text)


class Gallery:
    """A public port that draws one shop's ads."""

    def __init__(self, folder: Path, base_url: str = "https://ads.example") -> None:
        write_snapshot(folder, SHOP, products(), model(NEAR, VIEWS))
        self.catalogues = Catalogues(folder)
        self.catalogues.refresh()
        self.people, self.tally, self.clock = People(), Tally(), ManualClock(NOW_S)
        self.showcases = Showcases()
        card = Showcase(SHOP, "Fernhill", (0, 0), (), "en", CARD)
        self.showcases._known = {
            (LINE, CREATIVE): Showcase(SHOP, "Fernhill", (300, 250), ("grid",), "en", None),
            (LINE, NATIVE): card,
            (LINE, 5): Showcase("shop-2", "No Feed", (728, 90), suited(728, 90), "fr", None),
            (LINE, 6): Showcase(SHOP, "Toys", (300, 250), ("grid",), "en", None, child_directed=True),
        }
        self.bandit = Bandit(self.tally, self.clock.now_s, 1)
        studio = Studio(
            keyring=RING,
            showcases=self.showcases,
            catalogues=self.catalogues,
            visitors=self.people,
            bandit=self.bandit,
            clock=self.clock,
            tally=self.tally,
            base_url=base_url,
            privacy_url="",
        )
        self.server = PublicServer(public_app(render_routes(studio), self.tally), self.tally)

    async def __aenter__(self) -> Self:
        bound = shared_socket("127.0.0.1", 0)
        self.base = f"http://127.0.0.1:{bound.getsockname()[1]}"
        await self.server.start(bound)
        self.browser = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.browser.close()
        await self.server.stop()

    async def get(
        self, token: str, path: str = "/render", method: str = "GET", headers: dict[str, str] | None = None
    ) -> Shown:
        query = {"t": token} | ({"a": ASKED} if "native" in path else {})
        async with self.browser.request(method, self.base + path, params=query, headers=headers) as answer:
            return Shown(answer.status, dict(answer.headers), await answer.text())

    async def ad(self, flags: int = PERSONAL, **changes: object) -> Shown:
        headers = changes.pop("headers", None)
        fields: dict[str, object] = {"creative": CREATIVE, "flags": flags, "person": PERSON} | changes
        return await self.get(sealed(**fields).browser_token, headers=headers)  # type: ignore[arg-type]  # a table of fields

    def count(self, name: str) -> dict[str, int]:
        return {cell.labels[0]: v for cell, v in self.tally.samples() if cell.name == name and v}

    def views(self) -> int:
        return sum(self.count("paceline_layout_views_total").values())


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncIterator[Gallery]:
    async with Gallery(tmp_path) as running:
        yield running


async def test_a_person_sees_what_they_looked_at(studio: Gallery) -> None:
    """First; the answer is kept by nobody, holds no script, and may stand in anybody's frame."""
    shown = await studio.ad()
    assert (shown.status, shown.titles[0], len(shown.titles)) == (200, "Boot 17", 4)
    assert studio.people.asked == [(PERSON, SHOP)]
    assert shown.headers["Cache-Control"] == "no-store"
    assert shown.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "frame-ancestors *" in shown.headers["Content-Security-Policy"]
    assert "script" not in shown.headers["Content-Security-Policy"]
    assert "<script" not in shown.text
    assert "https://ads.example/privacy?from=ad" in shown.text
    assert PERSON.hex() not in shown.text
    assert studio.count("paceline_renders_total") == {"personal": 1}


@pytest.mark.parametrize(
    "changes",
    [
        {"flags": 0},
        {"flags": MEASURE},
        {"flags": PERSONAL, "person": NOBODY},
        {"flags": PERSONAL | VISITOR},
        {"flags": PERSONAL, "headers": {"Cookie": "pl_optout=1"}},
        {"flags": PERSONAL, "headers": {"Sec-GPC": "1"}},
        {"flags": PERSONAL, "creative": 6},
    ],
)
async def test_where_a_person_may_not_be_known_nobody_is_asked(
    studio: Gallery, changes: dict[str, object]
) -> None:
    """No permission in the token, no person, a visitor, a browser that objects, a shop for children: best sellers."""
    shown = await studio.ad(**changes)  # type: ignore[arg-type]  # a table of changes
    assert shown.status == 200
    assert shown.titles[0] == "Boot 1"
    assert studio.people.asked == []
    assert studio.count("paceline_renders_total") == {"contextual": 1}


async def test_a_token_follows_nobody(studio: Gallery) -> None:
    """A person's ad, as a page or as assets, is theirs within RENDER_S of the bid; afterwards whoever kept the token
    sees best sellers, and nobody asks for the person."""
    studio.clock.advance(rendering.RENDER_S)
    assert (await studio.ad()).titles[0] == "Boot 17"
    native = sealed(creative=NATIVE, flags=PERSONAL, person=PERSON).browser_token
    assert '"Boot 17"' in (await studio.get(native, "/render/native")).text
    studio.clock.advance(1)
    assert (await studio.ad()).titles[0] == "Boot 1"
    assert '"Boot 1"' in (await studio.get(native, "/render/native")).text
    assert len(studio.people.asked) == 2


async def test_who_opted_out_is_anybody(studio: Gallery) -> None:
    """Though the bid was made before."""
    studio.people.known_as = Known(opted_out=True)
    assert (await studio.ad()).titles[0] == "Boot 1"
    assert studio.count("paceline_render_people_total") == {"opted_out": 1}


async def test_a_slow_store_is_not_waited_for(studio: Gallery) -> None:
    """The ad is contextual and the read ends on its own; more reads than MAX_READS are not begun."""
    studio.people.gate = asyncio.Event()
    shown = await asyncio.gather(*(studio.ad(bid_id=b"bid%09d" % n) for n in range(3)))
    assert [each.titles[0] for each in shown] == ["Boot 1"] * 3
    assert studio.people.answered == 0
    studio.people.gate.set()
    await asyncio.wait_for(studio.people.third.wait(), 5)  # nothing was cancelled
    assert studio.count("paceline_render_people_total") == {"late": 3}


async def test_reads_under_way_are_bounded(studio: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever finds no room sees best sellers at once."""
    monkeypatch.setattr(rendering, "MAX_READS", 0)
    assert (await studio.ad()).titles[0] == "Boot 1"
    assert studio.people.asked == []
    assert studio.count("paceline_render_people_total") == {"skipped": 1}


async def test_a_store_that_is_down_is_left_alone_for_a_while(
    studio: Gallery, caplog: pytest.LogCaptureFixture
) -> None:
    """After FAILURES in a row; it is tried again after PAUSE_S. Every ad is drawn."""
    studio.people.down = True
    with caplog.at_level(logging.WARNING):
        for _ in range(rendering.FAILURES + 3):
            assert (await studio.ad()).titles[0] == "Boot 1"
    assert len(studio.people.asked) == rendering.FAILURES
    assert len(caplog.records) == 1
    studio.people.down = False
    studio.clock.advance(rendering.PAUSE_S + 0.1)
    assert (await studio.ad()).titles[0] == "Boot 17"


@pytest.mark.parametrize("token", ["", "x", "x" * 152, "é" * 152, "x" * 1_900, "\r\nSet-Cookie: a=b"])
async def test_forgers_get_nothing(studio: Gallery, token: str) -> None:
    """A 404 without content, for pages and for assets."""
    for path in ("/render", "/render/native"):
        shown = await studio.get(token, path)
        assert (shown.status, shown.text) == (404, "")
    assert studio.count("paceline_renders_total") == {"refused": 2}


async def test_a_token_for_exchanges_draws_nothing(studio: Gallery) -> None:
    """Nor one that somebody changed."""
    good = sealed(creative=CREATIVE)
    assert (await studio.get(good.exchange_token)).status == 404
    changed = (
        good.browser_token[:20] + ("A" if good.browser_token[20] != "A" else "B") + good.browser_token[21:]
    )
    assert (await studio.get(changed)).status == 404


async def test_an_old_ad_is_the_brand_alone(studio: Gallery) -> None:
    """A page that stayed open does not show a hole, nor what somebody looked at long ago."""
    shown = await studio.ad(expires_s=NOW_S - 1)
    assert (shown.status, shown.titles) == (200, [])
    assert "Fernhill" in shown.text
    assert "https://ads.example/click?t=" in shown.text
    assert studio.people.asked == []
    assert studio.count("paceline_renders_total") == {"brand": 1}


async def test_a_shop_without_products_is_its_brand(studio: Gallery) -> None:
    """No catalogue, no products; the words are the creative's language."""
    shown = await studio.ad(creative=5)
    assert (shown.status, shown.titles) == (200, [])
    assert "No Feed" in shown.text
    assert "Acheter" in shown.text


async def test_what_nobody_remembers_is_an_empty_document(studio: Gallery) -> None:
    """The token is ours: the slot stays clean."""
    shown = await studio.ad(creative=99)
    assert shown.status == 200
    assert "<body" not in shown.text
    assert studio.count("paceline_renders_total") == {"empty": 1}


async def test_a_view_is_counted_once(studio: Gallery) -> None:
    """Not for HEAD, not for tests or suspects, not again for the same bid."""
    token = sealed(creative=CREATIVE, flags=PERSONAL, person=PERSON).browser_token
    assert (await studio.get(token, method="HEAD")).status == 200
    await studio.ad(flags=TEST, bid_id=b"bid-00000002")
    await studio.ad(flags=SUSPECT, bid_id=b"bid-00000003")
    assert studio.views() == 0
    await studio.get(token)
    await studio.get(token)
    assert studio.views() == 1


async def test_native_assets_are_a_product(studio: Gallery) -> None:
    """With its title, picture and price, and a link to it; the rest is the creative's."""
    token = sealed(creative=NATIVE, flags=PERSONAL, person=PERSON).browser_token
    shown = await studio.get(token, "/render/native")
    assert shown.headers["Content-Type"].startswith("application/json")
    assert shown.headers["Access-Control-Allow-Origin"] == "*"
    link = {"url": f"https://ads.example/click?t={token}&p={product_key(SHOP, 'p17'):016x}"}
    assert json.loads(shown.text)["assets"] == [
        {"id": 1, "title": {"text": "Boot 17", "len": 20}, "link": link},
        {"id": 2, "img": {"type": 3, "url": "https://cdn.fernhill.example/17.webp"}, "link": link},
        {"id": 3, "data": {"type": 6, "value": "€17.00", "len": 6}},
        {"id": 4, "data": {"type": 12, "value": "Buy", "len": 3}},
    ]


async def test_old_native_assets_are_the_creatives(studio: Gallery) -> None:
    """And a banner's token has none."""
    token = sealed(creative=NATIVE, flags=PERSONAL, person=PERSON, expires_s=NOW_S - 1).browser_token
    shown = json.loads((await studio.get(token, "/render/native")).text)["assets"]
    assert shown[0]["title"]["text"] == "Our shop"
    assert shown[0]["link"]["url"] == f"https://ads.example/click?t={token}"
    assert (await studio.get(sealed(creative=CREATIVE).browser_token, "/render/native")).status == 404


async def test_a_site_of_http_shows_pictures_of_http(tmp_path: Path) -> None:
    """On a laptop; one of https lets in https alone."""
    async with Gallery(tmp_path, "http://127.0.0.1:8080/") as studio:
        shown = await studio.ad()
    assert "img-src https: http:;" in shown.headers["Content-Security-Policy"]
    assert "http://127.0.0.1:8080/click?t=" in shown.text


async def test_with_the_store_of_people(tmp_path: Path, redis_server: RealServer) -> None:
    """Who viewed and bought, as the shop's tag leaves it: viewed products first, bought ones never; an opt-out ends
    it."""
    client = open_client(Stores(redis_url=redis_server.url))
    async with Gallery(tmp_path) as studio:
        store = VisitorStore(client, studio.tally)
        studio.people.store = store
        rules = ShopRules(SHOP, compile_rules(_advertiser()))
        seen = [
            Seen(replace(visit(n, kind), event=n, product=product_key(SHOP, f"p{n}")), None)
            for n, kind in ACTS
        ]
        assert (await store.observe(PERSON, rules, seen, NOW_S)).kept == len(ACTS)
        shown = await studio.ad(bid_id=b"bid-00000007")
        assert shown.titles[0] == "Boot 18"
        assert "Boot 19" not in shown.titles
        await client.hset(person_key(person_tag(PERSON)), OPT_OUT_FIELD, b"1234")  # type: ignore[misc]  # awaitable here
        assert (await studio.ad(bid_id=b"bid-00000008")).titles[0] == "Boot 1"
    await client.aclose()


ACTS = ((18, EventKind.PRODUCT_VIEW), (19, EventKind.PRODUCT_VIEW), (19, EventKind.PURCHASE))


def _advertiser() -> Advertiser:
    path = Path(__file__).parents[2] / "golden" / "books" / "products.yaml"
    return load_book(path).advertisers[0]
