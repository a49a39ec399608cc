"""Ads in a real browser: they fit their frames, run nothing, and are worked by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from benchmarks.pictures import advert, drawing, served, shelf
from bidder.campaigns.ads import Showcase
from bidder.campaigns.layouts import suited
from bidder.campaigns.model import Layout
from bidder.render.page import Links, document
from tests.bidder.render.test_page import CASES, WOUNDS
from tests.browser import CHROMIUM, needs_browser

BASE = "https://ads.test"
FRAME = (
    '<!doctype html><iframe id="ad" src="https://ads.test/ad" width="{w}" height="{h}" scrolling="no" frameborder="0" '
    'sandbox="allow-popups allow-popups-to-escape-sandbox"></iframe>'
)
OUTSIDE = """() => {
  const frame = document.documentElement.getBoundingClientRect(), out = [];
  for (const each of document.querySelectorAll('.t, .p, .p b, .c, .n, img, .m')) {
    const box = each.getBoundingClientRect();
    if (!box.width || !box.height || getComputedStyle(each).display === 'none') continue;
    const wide = box.left < -1 || box.right > frame.width + 1;
    const high = box.top < -1 || box.bottom > frame.height + 1;
    if (high || (wide && !document.querySelector('.i[tabindex]'))) out.push(each.className + ' ' + JSON.stringify(box));
  }
  return out;
}"""

pytestmark = needs_browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


class Stage:
    """A publisher's page with one ad in its frame; everything that it asks for and says is kept."""

    def __init__(self, browser: Browser, html: str, policy: str, size: tuple[int, int]) -> None:
        self.asked: list[str] = []
        self.said: list[str] = []
        self.page: Page = browser.new_page()
        self._answers = (html, policy, FRAME.format(w=size[0], h=size[1]))
        self.page.context.route("**/*", self._answer)
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("dialog", self._dialog)
        self.page.goto("https://news.test/")
        self.frame: Any = self.page.frame_locator("#ad")

    def _answer(self, route: Route) -> None:
        url, (html, policy, host) = route.request.url, self._answers
        self.asked.append(url)
        if url == f"{BASE}/ad":
            route.fulfill(body=html, content_type="text/html", headers={"Content-Security-Policy": policy})
        elif "/drawn/" in url:
            route.fulfill(body=drawing("boot"), content_type="image/svg+xml")
        else:
            route.fulfill(body=host if "news" in url else "shop", content_type="text/html")

    def _dialog(self, dialog: Any) -> None:
        self.said.append(f"dialog {dialog.message}")
        dialog.dismiss()


def stage(browser: Browser, layout: Layout, size: tuple[int, int] = (300, 250)) -> Stage:
    links = Links(f"{BASE}/click?t=token", f"{BASE}/privacy?from=ad")
    ad = Showcase("fjell", "Fjell & Strand", size, suited(*size), "en", None)
    return Stage(browser, *document(ad, layout, shelf(BASE), links), size)


def test_every_layout_fits_its_size(browser: Browser) -> None:
    """With long German words no text, price, picture or button leaves the frame; nothing is said on the console."""
    said: list[str] = []
    page = browser.new_page()
    page.on("console", lambda message: said.append(message.text))
    with served() as base:
        for (w, h), layout in CASES:
            page.set_viewport_size({"width": w, "height": h})
            page.goto(f"{base}/ad?w={w}&h={h}&l={layout}&lang=de", wait_until="load")
            assert page.evaluate(OUTSIDE) == [], (w, h, layout)
    assert said == []
    page.close()


@pytest.mark.parametrize("wound", WOUNDS)
def test_nothing_of_a_feed_is_done(browser: Browser, wound: str) -> None:
    """No dialog, no error, no request but for the page, the ad and its picture."""
    base = shelf(BASE)[0]
    bad = replace(base, title=wound, url=wound, category=wound, brand=wound, currency=wound)
    ad = Showcase("fjell", wound, (300, 250), suited(300, 250), "en", None)
    links = Links(f"{BASE}/click?t=token", f"{BASE}/privacy")
    shown = Stage(browser, *document(ad, "single", [bad], links), (300, 250))
    shown.frame.locator("img").wait_for()
    assert shown.frame.locator("script").count() == 0
    assert [text for text in shown.said if "dialog" in text] == []
    assert shown.asked == ["https://news.test/", f"{BASE}/ad", base.image_url]
    shown.page.close()


def test_a_product_opens_the_shop_in_a_window_of_its_own(browser: Browser) -> None:
    """Through our click URL; the shop learns nothing of the publisher's window."""
    shown = stage(browser, "grid")
    with shown.page.context.expect_page() as opened:
        shown.frame.locator(".i a").nth(1).click()
    other = opened.value
    other.wait_for_load_state()
    assert other.url.startswith(f"{BASE}/click?t=token&p=")
    assert other.url.endswith("&l=grid")
    assert other.evaluate("window.opener") is None
    assert shown.page.url == "https://news.test/"
    other.close()
    shown.page.close()


def test_the_mark_leads_to_the_privacy_page(browser: Browser) -> None:
    """It has a name and is large enough to be hit."""
    shown = stage(browser, "list")
    mark = shown.frame.get_by_role("link", name="Why this ad? Your choices")
    box = mark.bounding_box()
    assert box["width"] >= 24
    assert box["height"] >= 24
    with shown.page.context.expect_page() as opened:
        mark.click()
    assert opened.value.url == f"{BASE}/privacy?from=ad"
    opened.value.close()
    shown.page.close()


def test_an_ad_is_worked_by_keyboard(browser: Browser) -> None:
    """Tab goes through brand, row, products and mark, in this order; the focus is seen; arrows move a carousel."""
    shown = stage(browser, "carousel")
    shown.frame.locator("header a").first.focus()
    names = []
    for _ in range(3):
        shown.page.keyboard.press("Tab")
        focused = shown.frame.locator(":focus")
        names.append(focused.evaluate("each => each.className || each.closest('li') && 'product'"))
        assert focused.evaluate("each => getComputedStyle(each).outlineStyle") == "solid"
    assert names == ["i", "product", "product"]
    row = shown.frame.locator(".i")
    row.focus()
    shown.page.keyboard.press("ArrowRight")
    expect(row).not_to_have_js_property("scrollLeft", 0, timeout=5_000)
    shown.page.close()


def test_the_words_are_read_in_order(browser: Browser) -> None:
    """A product's link is named by its title and its prices, the old one as such."""
    shown = stage(browser, "grid")
    name = shown.frame.locator(".i a").first.evaluate("each => each.innerText.replace(/\\s+/g, ' ')")
    assert name.startswith("Alpine hiking boots, waterproof leather Before €189.99 now €149.99")
    assert shown.frame.locator("html").get_attribute("lang") == "en"
    shown.page.close()


def test_pictures_beyond_the_first_view_may_wait() -> None:
    """Of a carousel, those that are not seen at first are lazy."""
    text, _ = advert("carousel", (300, 250), BASE)
    assert text.count('loading="lazy"') == 4
    assert text.count('fetchpriority="high"') == 2
