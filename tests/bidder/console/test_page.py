"""The operator's page in a real browser: what it shows, what it loads, how it looks when nothing comes any more."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, Page, async_playwright, expect

from bidder.console import feed, page
from bidder.settings import OpsPort
from tests.bidder.console.samples import Service
from tests.bidder.console.support import serving
from tests.bidder.web.operators import token
from tests.browser import CHROMIUM, needs_browser

PARTS = [
    path.read_text(encoding="utf-8")
    for path in Path(page.__file__).parent.iterdir()
    if path.suffix in (".html", ".css", ".js", ".svg")
]


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    """The browser."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()


def busy() -> Service:
    """A service with traffic, money and a name that wants to be markup."""
    service = Service()
    service.now_s -= 30
    service.serve(30)
    service.add("paceline_requests_total", 5, "<b>evil</b>")
    service.set("paceline_line_item_spent_micros", 5e6, "<img src=x>", "line&")
    service.set("paceline_line_item_budget_micros", 20e6, "<img src=x>", "line&")
    service.set("paceline_line_item_utilisation_ratio", 0.25, "<img src=x>", "line&")
    for number in range(14):
        service.set("paceline_line_item_spent_micros", 1e6, "c", f"line-{number}")
    service.set("paceline_wallet_funded_micros", 30e6, "shop")
    return service


async def opened(
    chromium: Browser, server: TestServer, width: int = 1_440, **context: object
) -> tuple[Page, list[str]]:
    """The page, and everything that it asked for; what it complains about is an error."""
    seen: list[str] = []
    made = await chromium.new_context(viewport={"width": width, "height": 900}, **context)  # type: ignore[arg-type]  # options of playwright
    shown = await made.new_page()
    shown.on("console", lambda message: seen.append(f"console: {message.text}"))
    shown.on("pageerror", lambda error: seen.append(f"error: {error}"))
    shown.on("request", lambda request: seen.append(request.url))
    await shown.goto(str(server.make_url("/")))
    return shown, seen


@needs_browser
async def test_what_it_shows(chromium: Browser, tmp_path: Path) -> None:
    """All is well on the first line, then the four groups with their figures; names are text, whatever they hold;
    nothing is asked of anybody but this port, and nobody complains."""
    async with serving(tmp_path, service=busy()) as (server, _):
        shown, seen = await opened(chromium, server)
        await expect(shown.locator("#level")).to_have_text("All is well", timeout=30_000)
        await expect(shown).to_have_title("All is well – Paceline")
        headings = await shown.locator("h2").all_inner_texts()
        assert [heading.split()[0] for heading in headings] == ["Traffic", "Latency", "Money", "Health"]
        await expect(shown.locator("#exchanges tr")).to_have_count(2)
        await expect(shown.locator("#exchanges")).to_contain_text("<b>evil</b>")
        lines = shown.locator("#lines tr")
        await expect(lines.nth(0)).to_have_text("<img src=x>")
        await expect(lines.nth(1)).to_contain_text("line&")
        await expect(lines.nth(1)).to_contain_text("20.00")
        await expect(shown.locator("#lines .campaign")).to_have_text(["<img src=x>", "c"])
        await expect(lines).to_have_count(2 + 12)
        await shown.get_by_role("button", name="Show 3 more line items").press("Enter")
        await expect(lines).to_have_count(2 + 15)
        await expect(shown.locator("#wallets")).to_contain_text("shop")
        await expect(shown.locator("#up")).to_have_text("2 of 2")
        assert {re.sub(r"^http://127\.0\.0\.1:\d+", "", url) for url in seen} == {
            "/", "/console.css", "/console.js", "/console.svg", "/events",
        }  # fmt: skip
        await shown.context.close()


@needs_browser
async def test_what_is_wrong_comes_first(
    chromium: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken in words, in the title and in the name of the rule; well again as soon as it is."""
    monkeypatch.setattr(feed, "PERIOD_S", 0.2)
    service = busy()
    async with serving(tmp_path, service=service) as (server, _):
        shown, _ = await opened(chromium, server)
        await expect(shown.locator("#level")).to_have_text("All is well", timeout=30_000)
        service.set("paceline_ledger_down", 1)
        service.set("paceline_campaigns_reload_failed", 1)
        await expect(shown.locator("#level")).to_have_text("Broken")
        status = shown.get_by_role("status")
        await expect(status).to_contain_text(
            "The ledger does not answer: bids end when leases do (1 more below)."
        )
        await expect(status).to_contain_text("What to do: RUNBOOKS, LedgerDown")
        await expect(shown.locator("#findings")).to_contain_text("CampaignsReloadFailed")
        await expect(shown).to_have_title("Broken – Paceline")
        service.set("paceline_ledger_down", 0)
        await expect(shown.locator("#level")).to_have_text("Attention")
        await shown.context.close()


@needs_browser
async def test_what_is_no_fault_does_not_look_like_one(chromium: Browser, tmp_path: Path) -> None:
    """Money that comes home by itself leaves all well; captions say since when the page remembers, while that is less
    than a minute; a figure has the colour of its rule."""
    service = busy()
    service.set("paceline_money_stranded_micros", 38_710_000, "PLN")
    service.set("paceline_worker_restarts_total", 1, "0")
    async with serving(tmp_path, service=service) as (server, _):
        shown, _ = await opened(chromium, server)
        await expect(shown.locator("#level")).to_have_text("All is well", timeout=30_000)
        await expect(shown.locator("#stranded")).to_contain_text("38.71 PLN")
        await expect(shown.locator("#stranded")).to_contain_text("comes home by itself")
        await expect(shown.locator("#workers-c")).to_contain_text("died once")
        await expect(shown.locator(".lately").first).to_have_text(re.compile(r"since \d\d:\d\d:\d\d"))
        service.set("paceline_worker_up", 0, "1")
        await expect(shown.locator("#up")).to_have_class("warn")
        await expect(shown.locator("#level")).to_have_text("Attention")
        await shown.context.close()


@needs_browser
async def test_it_says_when_nothing_comes(
    chromium: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old figures and a lost connection are told and shown dim; a connection that is back is taken up by itself."""
    monkeypatch.setattr(feed, "PERIOD_S", 0.2)
    monkeypatch.setattr(feed, "HEARTBEAT_S", 0.2)
    async with serving(tmp_path, service=busy()) as (server, console):
        shown, _ = await opened(chromium, server)
        await expect(shown.locator("#level")).to_have_text("All is well", timeout=30_000)
        looking = console.feed._looking
        assert looking is not None
        looking.cancel()
        await expect(shown.locator("#level")).to_have_text("Old figures", timeout=30_000)
        await expect(shown.get_by_role("link", name="Load again")).to_be_visible()
        console.feed._begin()
        await expect(shown.locator("#level")).to_have_text("All is well", timeout=30_000)
        await expect(shown.get_by_role("link", name="Load again")).to_be_hidden()
        await shown.context.set_offline(True)
        await console.feed.close(server.app)
        await expect(shown.locator("#level")).to_have_text("No connection", timeout=30_000)
        await shown.context.close()


@needs_browser
@pytest.mark.parametrize("width", [360, 768, 1_280, 2_560])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_fits_and_can_be_read(chromium: Browser, tmp_path: Path, width: int, scheme: str) -> None:
    """Nothing reaches beyond the edge at any width, and in light and dark every text has the contrast that WCAG AA
    asks for."""
    async with serving(tmp_path, service=busy()) as (server, _):
        shown, _ = await opened(chromium, server, width, color_scheme=scheme)
        await expect(shown.locator("#level")).to_have_text("All is well", timeout=30_000)
        beyond = await shown.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert beyond <= 0
        cut = await shown.evaluate(
            "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth).length"
        )
        assert width < 1_280 or not cut
        faint = await shown.evaluate(_FAINT)
        assert faint == []
        await shown.context.close()


@needs_browser
async def test_one_signs_in_by_keyboard(chromium: Browser, tmp_path: Path) -> None:
    """Where a token is needed: the form has the focus, a wrong token is told, a right one leads to the page."""
    async with serving(tmp_path, OpsPort(token_required=True), busy()) as (server, _):
        shown, _ = await opened(chromium, server)
        await shown.keyboard.type("wrong")
        await shown.keyboard.press("Enter")
        await expect(shown.get_by_role("alert")).to_contain_text("not valid")
        await shown.keyboard.type(token("viewer"))
        await shown.keyboard.press("Enter")
        await expect(shown.locator("#level")).to_have_text("All is well", timeout=30_000)
        assert await shown.evaluate("document.cookie") == ""
        await shown.context.close()


async def test_the_policy(tmp_path: Path) -> None:
    """Nothing inline, nothing from elsewhere, no frame: said to the browser, and true of what is served."""
    assert page.POLICY.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    assert "unsafe" not in page.POLICY
    for part in PARTS:
        assert not re.search(r"""(?:src|href|url|action)\s*[=(]\s*["']?(?:https?:)?//""", part)
        assert not re.search(r"\s(?:on[a-z]+|style)=", part)
        assert "innerHTML" not in part
        assert set(re.findall(r"https?://[^\"'\s)]+", part)) <= {"http://www.w3.org/2000/svg"}


def test_it_names_nobody() -> None:
    """Nothing that the page is told is of a person: no metric that it reads has a label of one."""
    from bidder.console.totals import COUNTERS, HISTOGRAMS
    from bidder.supervisor.catalogue import catalogue

    assert {*COUNTERS, *HISTOGRAMS} <= catalogue().keys()
    labels = {label for metric in catalogue().values() for label in metric.labels}
    assert not labels & {"id", "user", "ip", "address", "cookie", "person_id", "visitor"}


_FAINT = """() => {
  const light = text => {
    const linear = c => (c /= 255) <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
    const [r, g, b] = text.match(/[\\d.]+/g).map(Number).map(linear);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (!/, 0\\)$|transparent/.test(colour)) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const faint = [];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    if (!own || element.closest('.skip') || !element.getClientRects().length) continue;
    const svg = element instanceof SVGElement, style = getComputedStyle(element);
    const [high, low] = [light(svg ? style.fill : style.color), light(behind(element))].sort((a, b) => b - a);
    const ratio = (high + .05) / (low + .05);
    if (ratio < 4.5) faint.push(`${element.tagName} ${element.textContent.slice(0, 30)} ${ratio.toFixed(2)}`);
  }
  return faint;
}"""
