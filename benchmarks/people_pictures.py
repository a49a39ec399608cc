"""Pictures of what people see of us: an ad on a publisher's page, and the privacy page that its mark leads to.

Place: run by hand: `python -m benchmarks.people_pictures [--out benchmarks/results]`; README shows them.
Shapes: people_ad.png and privacy.png. The ad's documents are those of bidder/render, the page that of bidder/rights;
    a server on this machine (pictures.py) brings the ads and drawn products.
Limits: needs Chromium (CHROMIUM names another) and the extra `dev`.
"""

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, Route, sync_playwright

from benchmarks.newspaper import newspaper
from benchmarks.pictures import pixels, served, write_png
from bidder.rights.pages import Operator, Seen, overview

_OPERATOR = Operator(
    host="ads.example",
    controller="Example Ads, 1 Quay Street, Bergen",
    contact="privacy@ads.example",
    exchanges=("google", "index", "magnite", "xandr"),
)


def news(base: str) -> str:
    """The newspaper with an ad of a shop in its places."""
    frames = {
        size: f"{base}/ad?w={width}&amp;h={height}&amp;l=grid"
        for size in ("728x90", "300x250")
        for width, _, height in [size.partition("x")]
    }
    return newspaper(frames=frames)


def _shown(page: Page, url: str, html: str, size: tuple[int, int]) -> None:
    def bring(route: Route) -> None:
        route.fulfill(body=html, content_type="text/html; charset=utf-8")

    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.route(url, bring)
    page.goto(url, wait_until="networkidle")


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    with served() as base, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-lcd-text"]
        )
        seen = Seen(language="en", recognised=True, held=True)
        taken: dict[str, Callable[[Page], None]] = {
            "people_ad.png": lambda page: _shown(page, f"{base}/news", news(base), (1_060, 650)),
            "privacy.png": lambda page: _shown(
                page, f"{base}/privacy", overview(_OPERATOR, seen), (860, 700)
            ),
        }
        for name, show in taken.items():
            page = browser.new_page()
            show(page)
            write_png(arguments.out / name, pixels(page))
            page.close()
            print(f"{arguments.out / name}: {(arguments.out / name).stat().st_size:,} bytes")
        browser.close()


if __name__ == "__main__":
    main()
