"""The tag in Chromium, on a page with the strictest policy: who is recognised, who is not, and that no page breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import BrowserContext, ConsoleMessage, Page, Route

from bidder.shop.tag import snippet
from tests.bidder.shop.pages import AGREES, SHOPS, Pages, chromium, syncing, watched
from tests.bidder.shop.support import EUROPE, HANDLES, standing
from tests.browser import needs_browser
from tests.servers import RealServer, eventually

pytestmark = needs_browser


@pytest.fixture
async def pages(redis_server: RealServer) -> AsyncIterator[Pages]:
    """A shop's server, an exchange's pixel, and our public port."""
    made = Pages()
    runner = await made.start()
    exchanges = (syncing(made.base),)
    async with standing(redis_server.url, advertisers=SHOPS, exchanges=exchanges) as made.stand:
        yield made
    await runner.cleanup()


@pytest.fixture
async def visitor() -> AsyncIterator[BrowserContext]:
    """A browser that has been nowhere."""
    async with chromium() as browser:
        yield await browser.new_context()


async def _fp(visitor: BrowserContext, pages: Pages) -> str:
    cookies = await visitor.cookies(pages.base)
    return next((cookie["value"] for cookie in cookies if cookie["name"] == "_pl_fp"), "")


def _warnings(page: Page) -> list[str]:
    """What the tag says in the console of a page from now on."""
    said: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type == "warning" and message.text.startswith("paceline"):
            said.append(message.text)

    page.on("console", hear)
    return said


async def test_a_visitor_who_agreed_is_recognised(pages: Pages, visitor: BrowserContext) -> None:
    """Two pages, one person: product views, a purchase told before the tag was there; one list of syncs for each page,
    whose pixels are loaded; nothing goes wrong in the page."""
    stand = pages.stand
    pages.head = AGREES
    pages.attributes = (
        'data-advertiser="boots" data-event="product_view" data-product="boot-1" data-price="129.5"'
    )
    page = await visitor.new_page()
    wrong = watched(page)
    await page.goto(f"{pages.base}/boot-1")
    await eventually(lambda: stand.recorder.records)
    await eventually(lambda: any("pixel-of-the-exchange" in path for path in pages.asked))
    pages.attributes = 'data-advertiser="boots" data-event="none"'
    pages.head = AGREES + (
        "window.paceline = function () { (paceline.q = paceline.q || []).push(arguments); };"
        "paceline('purchase', {order: 'A 1', currency: 'EUR', items: [{product: 'boot-1', price: 129.5, quantity: 2},"
        " {product: 'socks & more', category: 'Söcks'}]});"
    )
    await page.goto(f"{pages.base}/thanks")
    await eventually(lambda: len(stand.recorder.records) == 2)
    view, purchase = stand.recorder.records
    assert (view.kind, view.source, view.device, view.items[0].price_micros) == (
        "product_view", "tag", "desktop", 129_500_000,
    )  # fmt: skip
    assert [(item.product, item.quantity, item.category) for item in purchase.items] == [
        ("boot-1", 2, ""),
        ("socks & more", 1, "Söcks"),
    ]
    assert view.person == purchase.person != b""
    fp = await _fp(visitor, pages)
    assert len(fp) == 32
    assert await stand.visitors.resolve([f"shop.boots/{fp}"]) == view.person
    (sync,) = [path for path in pages.asked if "pixel-of-the-exchange" in path]
    assert sync.endswith(f"id={HANDLES.handle('google', view.person)}&gdpr=1")
    assert wrong == []


async def test_without_a_word_of_consent_nobody_is_kept(pages: Pages, visitor: BrowserContext) -> None:
    """No consent platform on a page of a shop under the GDPR: the event is told, without cookies of any kind."""
    page = await visitor.new_page()
    wrong = watched(page)
    await page.goto(pages.base)
    await eventually(lambda: pages.stand.recorder.records)
    assert pages.stand.recorder.records[0].person == b""
    assert await visitor.cookies() == []
    assert await pages.stand.stored() == {}
    assert wrong == []


@pytest.mark.parametrize(
    "refusal",
    [
        "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', {value: true});",
        "window.__uspapi = (command, version, done) => done({uspString: '1YYN'}, true);",
        "window.__gpp = (command, done) => done({gppString: 'DBABLA~BVQVAAAAAWA.QA', applicableSections: [7], "
        "parsedSections: {usnat: [{SaleOptOut: 1}]}}, true);",
    ],
    ids=["gpc", "usp", "gpp"],
)
async def test_a_refusal_takes_the_shops_id_away(pages: Pages, visitor: BrowserContext, refusal: str) -> None:
    """An id that was made before goes; nothing is kept of who refuses."""
    await visitor.add_cookies([{"name": "_pl_fp", "value": "a" * 32, "url": pages.base}])
    pages.head, pages.attributes = refusal, 'data-advertiser="hats" data-gdpr="0"'
    page = await visitor.new_page()
    await page.goto(pages.base)
    await eventually(lambda: pages.stand.recorder.records)
    assert pages.stand.recorder.records[0].person == b""
    assert await _fp(visitor, pages) == ""
    assert await pages.stand.stored() == {}


async def test_consent_that_comes_late_counts_once(pages: Pages, visitor: BrowserContext) -> None:
    """A visitor who reads before agreeing: the event is told without a person after half a second, and again under its
    id once there is consent."""
    agreed = AGREES.replace("window.__tcfapi = (command, version, done) =>", "(command, version, done) =>")
    pages.head = (
        f"const agreed = {agreed.rstrip(';')};"
        "window.__tcfapi = (command, version, done) => { if (command !== 'addEventListener') return;"
        "if (window.chosen) agreed(command, version, done);"
        "else { done({gdprApplies: true, eventStatus: 'cmpuishown'}, true);"
        "(window.waiting = window.waiting || []).push(done); } };"
        "window.choose = () => { window.chosen = true;"
        "waiting.forEach((done) => agreed('addEventListener', 2, done)); };"
    )
    records = pages.stand.recorder.records
    page = await visitor.new_page()
    wrong = watched(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/v1/syncs" in request.url else None)
    await page.goto(pages.base)
    await eventually(lambda: records)
    assert records[0].person == b""
    await page.evaluate("choose()")
    await eventually(lambda: len(records) == 2)
    await eventually(lambda: any("pixel-of-the-exchange" in path for path in pages.asked))
    await eventually(lambda: asked)
    assert len(asked) == 1
    assert records[1].person != b""
    assert records[1].id == records[0].id
    known = await pages.stand.visitors.known(records[1].person, "boots")
    assert len(known.history.visits) == 1
    assert wrong == []


async def test_a_broken_page_stays_as_it_is(pages: Pages, visitor: BrowserContext) -> None:
    """Interfaces that throw, that never answer or that answer nonsense, calls without sense: no error reaches the page,
    and the event is told within the time-out."""
    pages.head = (
        "window.__tcfapi = () => { throw new Error('broken'); };"
        "window.__gpp = (command, done) => done('nonsense');"
        "window.__uspapi = () => {};"
    )
    page = await visitor.new_page()
    wrong = watched(page)
    await page.goto(pages.base)
    await eventually(lambda: pages.stand.recorder.records)
    await page.evaluate(
        "paceline(); paceline(null, 5); paceline('cart', {items: 'x'}); paceline('cart', {product: {}})"
    )
    assert wrong == []
    assert await pages.stand.stored() == {}


async def test_a_port_that_is_gone_breaks_nothing(pages: Pages, visitor: BrowserContext) -> None:
    """When our port stops answering after the tag was loaded, the page goes on without an error of ours."""
    pages.head, pages.attributes = AGREES, 'data-advertiser="boots" data-event="none"'
    page = await visitor.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    await page.goto(pages.base, wait_until="load")
    await page.route("**/pixel?**", lambda route: route.abort())
    await page.route("**/v1/syncs?**", lambda route: route.abort())
    async with page.expect_event("requestfailed", lambda request: "/v1/syncs" in request.url):
        await page.evaluate("paceline('cart', {product: 'boot-1'})")
    assert errors == []
    assert await page.inner_text("p") == "Boots"


async def test_another_shops_page_cannot_write(pages: Pages, visitor: BrowserContext) -> None:
    """The tag of a shop on a page that is not the shop's: refused by where it comes from, and nothing kept."""
    pages.stand.shops.adopt([EUROPE], pages.stand.rates)
    page = await visitor.new_page()
    pages.head = AGREES
    async with page.expect_response(lambda answer: "/pixel?" in answer.url) as told:
        await page.goto(pages.base)
    assert (await told.value).status == 403
    assert (pages.stand.recorder.records, await pages.stand.stored()) == ([], {})


async def test_calls_before_the_tag_is_there_are_sent(pages: Pages, visitor: BrowserContext) -> None:
    """The lines that a shop is given, and calls right behind them while the tag is still on its way: they wait, and
    are told with what the tag itself tells."""
    pages.head, pages.snippet = AGREES, snippet(pages.stand.base, SHOPS[0])
    pages.body = (
        "paceline('product_view', {product: 'boot-1', price: 129, currency: 'EUR'});"
        "paceline('cart', {product: 'boot-1'});"
    )
    arrives = asyncio.Event()

    async def late(route: Route) -> None:
        await arrives.wait()
        await route.continue_()

    records = pages.stand.recorder.records
    page = await visitor.new_page()
    wrong = watched(page)
    await page.route("**/tag.js", late)
    await page.goto(pages.base, wait_until="domcontentloaded")
    assert await page.evaluate("paceline.q.length") == 2
    assert records == []
    arrives.set()
    await eventually(lambda: len(records) == 3)
    assert sorted(record.kind for record in records) == ["cart", "page_view", "product_view"]
    await page.evaluate("paceline('search', {category: 'Boots'})")
    await eventually(lambda: len(records) == 4)
    assert wrong == []


async def test_a_shop_that_looks_sees_its_mistakes(pages: Pages, visitor: BrowserContext) -> None:
    """data-debug: the console says what became of each event, and why one was refused; people are known as without."""
    pages.head, pages.attributes = AGREES, 'data-advertiser="boots" data-debug'
    page = await visitor.new_page()
    said = _warnings(page)
    await page.goto(pages.base)
    await eventually(lambda: len(said) == 1)
    assert said[0].startswith("paceline taken ")
    assert pages.stand.recorder.records[0].person != b""
    assert "pl_pid" in {cookie["name"] for cookie in await visitor.cookies(pages.stand.base)}
    for call, reason in (
        ("paceline('party')", "event: "),
        ("paceline('cart', {product: 'boot-1', price: 'cheap'})", "price: "),
        ("paceline('cart', {items: 'x'})", "TypeError"),
    ):
        said.clear()
        await page.evaluate(call)
        await eventually(lambda: said)
        assert reason in said[0]
    said.clear()
    pages.attributes = 'data-advertiser="boats" data-debug'
    await page.goto(pages.base)
    await eventually(lambda: said)
    assert "advertiser unknown" in said[0]
    assert len(pages.stand.recorder.records) == 1


async def test_the_console_of_visitors_stays_empty(pages: Pages, visitor: BrowserContext) -> None:
    """Without data-debug a mistake is told to nobody, and its answer is not read."""
    page = await visitor.new_page()
    said = _warnings(page)
    pages.attributes = 'data-advertiser="boots" data-event="none"'
    await page.goto(pages.base)
    async with page.expect_response(lambda answer: "/pixel?" in answer.url) as told:
        await page.evaluate("paceline('cart', {items: 'x'}); paceline('party')")
    assert (await told.value).status == 400
    assert said == []
