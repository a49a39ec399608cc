"""Pages of a shop in a real browser: a server of HTML on a site of its own, and Chromium.

Shapes: the shop's pages are on `localhost`, our public port on `127.0.0.1`: two sites, as in the field.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from msgspec.structs import replace
from playwright.async_api import Browser, Page, async_playwright

from bidder.campaigns.model import DeclaredEvents
from bidder.exchanges import Exchange
from tests.bidder.shop.support import AMERICA, CONSENT, EUROPE, Stand
from tests.browser import CHROMIUM

LOCAL = DeclaredEvents(custom=("quiz",), origins=("localhost",))
SHOPS = (replace(EUROPE, events=LOCAL), replace(AMERICA, events=LOCAL))

AGREES = (
    "window.__tcfapi = (command, version, done) => command === 'addEventListener' && done({gdprApplies: true, "
    f"tcString: '{CONSENT}', eventStatus: 'tcloaded', listenerId: 1, "
    "purpose: {consents: {1: true, 3: true, 4: true}}, vendor: {consents: {42: true}}}, true);"
)
"""A consent platform whose visitor agreed."""


class Pages:
    """What a shop serves, and what was asked of it."""

    stand: Stand
    """Our public port; set once it is there."""

    def __init__(self) -> None:
        self.head = ""
        """HTML before the tag."""
        self.attributes = 'data-advertiser="boots"'
        self.snippet = ""
        """The lines of HTML that a shop was given; the page's policy allows inline scripts then. Empty: the tag with
        `attributes` alone."""
        self.body = ""
        self.asked: list[str] = []
        """Paths, with what the exchange's pixel brought."""

    @property
    def policy(self) -> str:
        """The strictest policy that a page may have; with a snippet the one that a shop of inline scripts has."""
        ours, own = self.stand.base, self.base
        inline = "'unsafe-inline'" if self.snippet else "'nonce-shop'"
        return (
            f"default-src 'none'; script-src {ours} {inline}; connect-src {ours}; img-src {ours} {own}; "
            "base-uri 'none'; form-action 'none'"
        )

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(request.path_qs)
        if request.path == "/pixel-of-the-exchange":
            return web.Response(status=204)
        tag = f'<script async src="{self.stand.base}/tag.js" {self.attributes}></script>'
        html = (
            f"<!doctype html><meta charset=utf-8><title>Shop</title>"
            f"<script nonce=shop>{self.head}</script>"
            f"{self.snippet or tag}"
            f"<p>Boots</p><script nonce=shop>{self.body}</script>"
        )
        headers = {"Content-Security-Policy": self.policy}
        return web.Response(text=html, content_type="text/html", headers=headers)

    async def start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_get("/{tail:.*}", self.handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        self.base = f"http://localhost:{port}"
        return runner


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """The browser of the system."""
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(
            executable_path=os.fspath(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        try:
            yield browser
        finally:
            await browser.close()


def watched(page: Page) -> list[str]:
    """What goes wrong in a page from now on: errors, and what its policy forbids."""
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    return wrong


def syncing(base: str) -> Exchange:
    """An exchange whose pixel is on the shop's server, where it can be seen."""
    return Exchange(name="google", sync_url=f"{base}/pixel-of-the-exchange?id={{id}}&gdpr={{gdpr}}")
