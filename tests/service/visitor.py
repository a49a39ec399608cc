"""One person and their browser: what people do on the street, as clicks on real pages.

Shapes: a Visitor is a browser with a profile of its own, so nobody has been anywhere.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qs, urlsplit

from playwright.async_api import BrowserContext, ConsoleMessage, Page, Response, Route, async_playwright

from bidder.shop.cookies import ID
from tests.browser import CHROMIUM
from tests.service.shop_site import CDN, Goods, Shop, picture
from tests.service.street import Street

PATIENCE = 20
AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
)
"""A browser without a window calls itself a machine, and machines are shown no ads."""


class Visitor:
    """A person, on one page at a time."""

    def __init__(self, context: BrowserContext, page: Page, street: Street, service: str) -> None:
        self.context, self.page, self.street, self.service = context, page, street, service
        self.wrong: list[str] = []
        """Errors of pages, and what policies forbade."""
        context.on("weberror", lambda error: self.wrong.append(str(error.error)))
        context.on("console", self._note)

    async def id(self) -> bytes:
        """The id that the browser keeps for all sites; empty: none."""
        found = [c for c in await self.context.cookies(self.service) if c["name"] == ID]
        return bytes.fromhex(found[0]["value"]) if found else b""

    async def cookies(self) -> set[str]:
        """Names of all cookies of ours."""
        return {cookie["name"] for cookie in await self.context.cookies(self.service)}

    async def visit(self, shop: Shop, goods: Goods, *, choose: str = "") -> None:
        """Look at a product, and answer the banner where it asks: Accept or Decline."""
        if choose:
            async with self.page.expect_response(lambda answer: _told(answer, "product_view")):
                await self.page.goto(shop.url(goods))
            if choose == "Decline":
                await self._pressed(choose)
                return
            async with self.page.expect_response(lambda answer: _told(answer, "product_view", agreed=True)):
                await self._pressed(choose)
            return
        async with self.page.expect_response(lambda answer: _told(answer, "product_view")):
            await self.page.goto(shop.url(goods))

    async def come(self, shop: Shop, goods: Goods, *, choose: str = "") -> None:
        """Look at a product as somebody whom the exchange does not know yet, and stay until it does."""
        synced = self.street.exchange.synced
        async with self.page.expect_response(lambda answer: "/sync/" in answer.url and answer.ok):
            await self.visit(shop, goods, choose=choose)
        assert self.street.exchange.synced > synced

    async def buy(self, shop: Shop, goods: Goods) -> None:
        """Put the product of this page into the cart, and buy it."""
        assert self.page.url == shop.url(goods)
        async with self.page.expect_response(lambda answer: _told(answer, "cart")):
            await self.page.get_by_role("button", name="Add to cart").click()
        await self.page.get_by_role("link", name="To the cart").click()
        async with self.page.expect_response(lambda answer: _told(answer, "purchase")):
            await self.page.get_by_role("button", name="Buy now").click()

    async def read_news(self, consent: str = "yes") -> dict[str, dict[str, Any]]:
        """Open the newspaper, wait until its places are sold and shown; what was sold, by size."""
        await self.page.goto(f"{self.street.news}?consent={consent}")
        await self.page.wait_for_function("window.sold", timeout=30_000)
        sold: dict[str, dict[str, Any]] = await self.page.evaluate("window.auctions")
        return sold

    async def read_until(self, size: str, first: str) -> dict[str, dict[str, Any]]:
        """Open the newspaper until an ad begins with a product: an ad that waits in vain for its person, as may be on a
        busy machine, shows best sellers."""
        for _ in range(PATIENCE):
            sold = await self.read_news()
            titles = await self.titles(size) if "iframe" in sold[size]["adm"] else []
            if titles[:1] == [first]:
                return sold
        raise AssertionError(f"no ad began with {first}; the last: {titles}, {sold[size]}")

    def ad(self, size: str) -> Any:
        """The document of an ad of products in the newspaper's place."""
        return self.page.frame_locator(f".slot[data-size='{size}']").frame_locator("iframe")

    async def titles(self, size: str) -> list[str]:
        """The products in an ad, the first first; every picture of them has come."""
        await self.ad(size).locator(".t").first.wait_for()
        for image in await self.ad(size).locator("img").all():
            await image.evaluate("(image) => image.decode()")
        return list(await self.ad(size).locator(".t").all_inner_texts())

    async def follow(self, size: str, place: int = 0) -> tuple[Page, list[int]]:
        """Click a product in an ad: the window that opens, and the status of each answer on the way there."""
        way: list[int] = []

        def note(answer: Response) -> None:
            if answer.request.is_navigation_request():
                way.append(answer.status)

        self.context.on("response", note)
        async with self.context.expect_page() as opening:
            await self.ad(size).locator("li a").nth(place).click()
        page = await opening.value
        await page.wait_for_load_state()
        self.context.remove_listener("response", note)
        return page, way

    async def privacy(self, path: str = "/privacy") -> str:
        """Open one of our privacy pages; its text."""
        await self.page.goto(f"{self.service}{path}{'&' if '?' in path else '?'}lang=en")
        return await self.page.inner_text("main")

    async def press(self, name: str) -> str:
        """Press a button, or follow a link, of a privacy page; the text of the page that comes."""
        target = self.page.get_by_role("button", name=name).or_(self.page.get_by_role("link", name=name))
        async with self.page.expect_navigation():
            await target.first.click()
        return await self.page.inner_text("main")

    async def photograph(self, path: Path) -> None:
        """Keep what the page looks like."""
        await self.page.screenshot(path=path, full_page=True)

    def _note(self, said: ConsoleMessage) -> None:
        looked = said.text.startswith(f"Blocked script execution in '{self.service}/render")
        if (
            said.type == "error" and not looked
        ):  # our own looking into an ad's frame is a script that is blocked
            self.wrong.append(said.text)

    async def _pressed(self, name: str) -> None:
        await self.page.get_by_role("button", name=name, exact=True).click()


@asynccontextmanager
async def somebody(street: Street, service: str, *, strict: bool = False) -> AsyncIterator[Visitor]:
    """A person who has been nowhere; nothing goes wrong in any page that they see. A `strict` browser keeps third-party
    cookies for each site apart, as private windows do."""
    looks: Any = {"user_agent": AGENT, "viewport": {"width": 1100, "height": 800}, "locale": "en"}
    start: Any = {"executable_path": os.fspath(CHROMIUM), "args": ["--no-sandbox", "--disable-gpu"]}
    async with AsyncExitStack() as held:
        driver = await held.enter_async_context(async_playwright())
        if strict:
            browser = await driver.chromium.launch(**start)
            held.push_async_callback(browser.close)
            context = await browser.new_context(**looks)
        else:
            profile = held.enter_context(TemporaryDirectory(ignore_cleanup_errors=True))
            _write_preferences(Path(profile))
            context = await driver.chromium.launch_persistent_context(profile, **start, **looks)
        held.push_async_callback(context.close)
        await context.route(f"{CDN}/**", _brought)
        visitor = Visitor(context, await context.new_page(), street, service)
        yield visitor
        wrong = visitor.wrong + street.faults
        assert wrong == [], wrong


def _write_preferences(profile: Path) -> None:
    """Let third parties keep cookies, whatever the system's default is."""
    wanted = {"profile": {"cookie_controls_mode": 0, "block_third_party_cookies": False}}
    (profile / "Default").mkdir()
    (profile / "Default" / "Preferences").write_text(json.dumps(wanted))


async def _brought(route: Route) -> None:
    """A picture of the shops' content network."""
    name = Path(urlsplit(route.request.url).path).stem
    await route.fulfill(body=picture(name), content_type="image/svg+xml")


def _told(answer: Response, event: str, *, agreed: bool = False) -> bool:
    """Whether this is the answer to the tag's telling of an event."""
    parts = urlsplit(answer.url)
    query = parse_qs(parts.query)
    return (
        parts.path == "/pixel" and query.get("event") == [event] and (not agreed or "gdpr_consent" in query)
    )
