"""The privacy pages in a real browser: by keyboard alone, without scripts, narrow, in both languages."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, async_playwright

from bidder.campaigns.model import Advertiser
from bidder.clock import ManualClock
from bidder.rights.texts import TEXTS
from bidder.rights.verify import in_store
from tests.bidder.rights.conftest import NOW_S, ONE, Catalogues, House, advertisers, house, known
from tests.bidder.web.privacy_desk import desk_of, serving
from tests.browser import CHROMIUM, needs_browser

__all__ = ["advertisers", "house", "known"]  # fixtures
pytestmark = needs_browser
PATHS = ("/privacy", "/privacy/data", "/privacy/erase")


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    """The browser."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest.fixture
async def base(known: House, advertisers: tuple[Advertiser, ...]) -> AsyncIterator[str]:
    """The pages, over a store in which ONE is known."""
    desk = desk_of(known.client, ManualClock(NOW_S), advertisers, Catalogues())
    async with serving(desk) as base:
        yield base


async def _opened(chromium: Browser, base: str, width: int = 1_000) -> Page:
    """A page of ONE's browser, without scripts; what it complains about is an error."""
    context = await chromium.new_context(java_script_enabled=False, viewport={"width": width, "height": 700})
    await context.add_cookies([{"name": "pl_id", "value": ONE.hex(), "url": base}])
    page = await context.new_page()
    page.on("console", lambda message: pytest.fail(message.text))
    page.on("request", lambda request: None if request.url.startswith(base) else pytest.fail(request.url))
    return page


async def _press_to(page: Page, words: str) -> None:
    """Tab to what bears these words, and press it."""
    target = page.get_by_text(words, exact=True).first
    for _ in range(20):
        await page.keyboard.press("Tab")
        if await page.locator(":focus").filter(has_text=words).count():
            break
    assert await target.count()
    async with page.expect_navigation():
        await page.keyboard.press("Enter")


async def test_the_way_of_a_person(chromium: Browser, base: str, known: House) -> None:
    """See everything, erase it after the question, opt out and back in: with Tab and Enter alone, and no script."""
    words = TEXTS["fr"]
    page = await _opened(chromium, base)
    await page.goto(f"{base}/privacy")
    await _press_to(page, "Français")
    assert await page.locator("html").get_attribute("lang") == "fr"
    await _press_to(page, words["see"])
    assert await page.get_by_text("<b>Red & blue</b> shoe").first.is_visible()
    await _press_to(page, words["erase"])
    await _press_to(page, words["erase_yes"])
    assert await page.get_by_role("status").inner_text() == words["done_erased"]
    assert await in_store(known.client, ONE) == []
    assert {cookie["name"] for cookie in await page.context.cookies()} == {"pl_form"}
    await _press_to(page, words["out"])
    assert await page.get_by_role("status").inner_text() == words["done_out"]
    assert "pl_optout" in {cookie["name"] for cookie in await page.context.cookies()}
    await _press_to(page, words["in"])
    assert "pl_optout" not in {cookie["name"] for cookie in await page.context.cookies()}


async def test_opting_out_forgets_the_number(chromium: Browser, base: str, known: House) -> None:
    """From one press on: a tombstone in the store, no number in the browser."""
    page = await _opened(chromium, base)
    await page.goto(f"{base}/privacy?lang=en")
    await _press_to(page, TEXTS["en"]["out"])
    assert await known.writer.opted_out(ONE)
    assert "pl_id" not in {cookie["name"] for cookie in await page.context.cookies()}
    assert await page.get_by_text(TEXTS["en"]["state_out"]).is_visible()


@pytest.mark.parametrize("language", ["en", "fr"])
async def test_pages_fit_a_narrow_screen(chromium: Browser, base: str, language: str) -> None:
    """At 320 px nothing reaches beyond the edge, and every control is large enough for a finger."""
    page = await _opened(chromium, base, 320)
    for path in PATHS:
        await page.goto(f"{base}{path}?lang={language}")
        for each in await page.locator("main *, header *, footer *").all():
            box = await each.bounding_box()
            assert box is None or box["x"] + box["width"] <= 320.5, await each.inner_text()
        for each in await page.locator("button, .button").all():
            box = await each.bounding_box()
            assert box is not None
            assert box["height"] >= 44
