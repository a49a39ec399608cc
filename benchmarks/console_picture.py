"""A picture of the operator's page while the demo runs.

Place: run by hand: `python -m benchmarks.console_picture [--out benchmarks/results/console.png]`; README shows it.
Shapes: a PNG as wide as --width, of the whole page; --dark and --rate as the options say.
Rule: exchange rates are of today, as an operator's are; all else is the demo's.
Limits: needs Chromium (CHROMIUM names another), the extras `demo` and `dev`, and WATCH_S of a machine that does little
    else; MAX_BYTES.
"""

import argparse
import asyncio
import json
import os
import re
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import yaml
from playwright.sync_api import Browser, sync_playwright

from benchmarks.demo.service import Ports
from benchmarks.demo.session import Options, Session
from benchmarks.pictures import pixels, write_png
from bidder.campaigns.rates import load_rates

WATCH_S: Final = 125.0
"""The page's two minutes."""
GRACE_S: Final = 60.0
MAX_BYTES: Final = 200_000
_READY: Final = "document.body.dataset.level === 'ok'"


def main() -> int:
    """Run the demo, take the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/console.png"))
    parser.add_argument("--width", type=int, default=1_440)
    parser.add_argument("--rate", type=float, default=120.0, help="requests a second")
    parser.add_argument("--watch", type=float, default=WATCH_S, help="seconds before the picture")
    parser.add_argument("--dark", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="paceline-picture-") as folder:
        asyncio.run(_run(arguments, Path(folder)))
    size = arguments.out.stat().st_size
    print(f"{arguments.out}: {size:,} bytes")
    return 0 if size <= MAX_BYTES else 1


async def _run(arguments: argparse.Namespace, folder: Path) -> None:
    seconds = arguments.watch + GRACE_S
    options = Options(seconds=seconds, rate=arguments.rate)
    session = Session(options, folder, lambda _: None, lambda text: print(text, file=sys.stderr))
    (folder / "rates.yaml").write_text(_rates_of_today())
    settings = folder / "service.yaml"
    settings.write_text(
        json.dumps(yaml.safe_load(settings.read_text()) | {"rates": str(folder / "rates.yaml")})
    )
    running = asyncio.create_task(session.run())
    looking = asyncio.create_task(asyncio.to_thread(_take, folder, arguments))
    await asyncio.wait([running, looking], return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        await running  # it ended before there was a picture: why, is what it raises
    await looking
    running.cancel()
    await asyncio.wait([running])


def _rates_of_today() -> str:
    rates = load_rates()
    shipped = Path(sys.modules[load_rates.__module__].__file__ or "").with_name("rates.yaml").read_text()
    return re.sub(
        rf"^date: {rates.as_of}", f"date: {datetime.now(UTC):%Y-%m-%d}", shipped, flags=re.MULTILINE
    )


def _take(folder: Path, arguments: argparse.Namespace) -> None:
    """Watch, and write the picture of a moment at which all is well, if there is one."""
    chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    port = _port(folder / "data" / "run" / "ports.json")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-lcd-text"]
        )
        shot = _shot(browser, f"http://127.0.0.1:{port}/", arguments)
        page = browser.new_page(viewport={"width": arguments.width, "height": 100})
        page.route("http://picture/", lambda route: route.fulfill(body=shot, content_type="image/png"))
        page.set_content('<style>body{margin:0}img{display:block}</style><img src="http://picture/">')
        page.wait_for_function("document.images[0].complete")
        write_png(arguments.out, pixels(page))
        browser.close()


def _shot(browser: Browser, url: str, arguments: argparse.Namespace) -> bytes:
    page = browser.new_page(
        viewport={"width": arguments.width, "height": 900},
        color_scheme="dark" if arguments.dark else "light",
    )
    page.goto(url)
    page.wait_for_timeout(arguments.watch * 1_000)
    end_s = time.monotonic() + GRACE_S / 3
    while not page.evaluate(_READY) and time.monotonic() < end_s:
        page.wait_for_timeout(200)
    return page.screenshot(full_page=True)


def _port(path: Path) -> int:
    """Where the operators' port is, once the service tells."""
    end_s = time.monotonic() + GRACE_S
    while time.monotonic() < end_s:
        try:
            return msgspec.json.decode(path.read_bytes(), type=Ports).ops
        except (OSError, msgspec.DecodeError):
            time.sleep(0.1)
    raise SystemExit("the demo's service does not start")


if __name__ == "__main__":
    raise SystemExit(main())
