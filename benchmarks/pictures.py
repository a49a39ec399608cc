"""Pictures of the ads: every layout in every size, as a browser shows them, on one page.

Place: run by hand: `python -m benchmarks.pictures [--out benchmarks/results/ads.png] [--each FOLDER]`; README shows it.
Shapes: the documents and policies are those of bidder/render; a server on this machine brings them and drawn products.
Limits: needs Chromium (CHROMIUM names another) and the extra `dev`.
"""

import argparse
import base64
import os
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page, sync_playwright

from bidder.campaigns.ads import Showcase
from bidder.campaigns.layouts import suited
from bidder.campaigns.model import Layout
from bidder.catalogue.product import Product
from bidder.render.page import Links, document

_DRAWN = {
    "boot": "M30 20h30v45q22 3 32 14v16H30z M26 97h68v6H26z",
    "tent": "M60 22 104 96H76L60 66 44 96H16z",
    "pack": "M42 34q0-16 18-16t18 16v4q8 3 8 14v46H34V52q0-11 8-14z M46 62h28v20H46z",
    "mug": "M26 34h54v8h8q14 0 14 17T86 76h-7q-3 18-12 22H40Q26 88 26 60z M80 52v14h6q5 0 5-7t-5-7z",
    "coat": "M46 20h28l24 16-8 26-10-5v44H40V57l-10 5-8-26z",
    "lamp": "M44 26h32l14 36H30z M57 62h6v30h14v8H43v-8h14z",
}
_COLOURS = {
    "boot": "#8a5a33",
    "tent": "#2f7d5b",
    "pack": "#b4472e",
    "mug": "#31668f",
    "coat": "#c28a1e",
    "lamp": "#5a4b8a",
}
_READ = """async () => {
  const image = document.querySelector('img'); await image.decode();
  const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight), pen = canvas.getContext('2d');
  pen.drawImage(image, 0, 0);
  const data = pen.getImageData(0, 0, canvas.width, canvas.height).data;
  let text = '';
  for (let i = 0; i < data.length; i += 32768) text += String.fromCharCode(...data.subarray(i, i + 32768));
  return [canvas.width, canvas.height, btoa(text)];
}"""
_SHELF = (
    ("boot", "Alpine hiking boots, waterproof leather", 189_990_000, 149_990_000),
    ("tent", "Two-person tent \u201cFjell\u201d with vestibule", 329_000_000, None),
    ("pack", "Backpack 35 l with rain cover", 119_950_000, 89_950_000),
    ("coat", "Down jacket, recycled, men\u2019s", 249_000_000, None),
    ("mug", "Enamel mug <campfire> & spoon", 14_900_000, None),
    ("lamp", "Camping lantern, 400 lumens", 39_900_000, 29_900_000),
)


def shelf(base: str, currency: str = "EUR") -> list[Product]:
    """Six products, drawn by the server at `base`."""
    return [
        Product(name, title, f"{base}/shop/{name}", f"{base}/drawn/{name}.svg", price, currency, sale)
        for name, title, price, sale in _SHELF
    ]


def drawing(name: str) -> str:
    """A product as SVG."""
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="240" height="240" viewBox="0 0 120 120">'
        f'<rect width="120" height="120" fill="#fff"/><path fill="{_COLOURS[name]}" d="{_DRAWN[name]}"/></svg>'
    )


def advert(layout: Layout, size: tuple[int, int], base: str, language: str = "en") -> tuple[str, str]:
    """An ad of the six products and its policy."""
    showcase = Showcase("fjell", "Fjell & Strand", size, suited(*size), language, None)
    links = Links(f"{base}/click?t=token", f"{base}/privacy?from=ad", "http:")
    return document(showcase, layout, shelf(base), links)


def gallery(base: str) -> str:
    """All of them on one page, each in its frame as a publisher would have it."""

    def frames(*sizes: tuple[int, int]) -> str:
        return "".join(
            f'<figure><iframe src="{base}/ad?w={w}&amp;h={h}&amp;l={layout}" width="{w}" height="{h}" '
            'sandbox="allow-popups" scrolling="no" frameborder="0" title="ad"></iframe>'
            f"<figcaption>{layout} {w} x {h}</figcaption></figure>"
            for w, h in sizes
            for layout in suited(w, h)
        )

    return (
        "<!doctype html><style>body{margin:16px;background:#eef0f3;font:12px sans-serif;color:#444}"
        "div{display:flex;flex-wrap:wrap;gap:10px;align-items:flex-start;margin-bottom:8px}"
        "figure{margin:0}figcaption{padding-top:2px}.n{flex-wrap:nowrap}.c{flex-direction:column}iframe{display:block}"
        f"</style><div>{frames((300, 250))}</div><div>{frames((320, 480))}</div><div>{frames((300, 600))}</div>"
        f'<div class="n"><div class="n">{frames((160, 600))}</div><div class="c">{frames((728, 90))}'
        f'{frames((320, 50))}</div></div><div class="c">{frames((970, 250))}</div>'
    )


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        parts, base = urlsplit(self.path), f"http://{self.headers['Host']}"
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        policy = ""
        if parts.path == "/ad":
            size = (int(query["w"]), int(query["h"]))
            layout = next(each for each in suited(*size) if each == query["l"])
            text, policy = advert(layout, size, base, query.get("lang", "en"))
        elif parts.path.startswith("/drawn/"):
            text = drawing(Path(parts.path).stem)
        else:
            text = gallery(base)
        kind = "image/svg+xml" if parts.path.startswith("/drawn/") else "text/html; charset=utf-8"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        if policy:
            self.send_header("Content-Security-Policy", policy)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that closes does not wait for its pictures."""


@contextmanager
def served() -> Iterator[str]:
    """A server on this machine; its base URL."""
    server = _Server(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """(H, W, 3) pixels as a PNG of 256 colours at most: a third of what browsers write.

    Source: PNG, third edition: colour type 3, no filter.
    """
    levels = (pixels.astype(np.uint16) + 8) // 17  # 16 levels of each
    codes = (levels[:, :, 0] << 8) | (levels[:, :, 1] << 4) | levels[:, :, 2]
    found, counts = np.unique(codes, return_counts=True)
    kept = found[np.argsort(-counts)[:256]]
    colours = np.stack([kept >> 8, (kept >> 4) & 15, kept & 15], axis=1).astype(np.int32)
    every = np.stack([found >> 8, (found >> 4) & 15, found & 15], axis=1).astype(np.int32)
    nearest = ((every[:, None] - colours[None]) ** 2).sum(axis=2).argmin(axis=1).astype(np.uint8)
    rows = nearest[np.searchsorted(found, codes)]
    data = np.pad(rows, ((0, 0), (1, 0))).tobytes()  # each row begins with its filter: none
    head = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 8, 3, 0, 0, 0)
    flat, sizes = rows.ravel(), np.maximum(np.bincount(rows.ravel(), minlength=len(kept)), 1)
    means = [np.bincount(flat, pixels[:, :, at].ravel(), len(kept)) / sizes for at in range(3)]
    palette = np.stack(means, axis=1).round().astype(np.uint8).tobytes()
    parts = ((b"IHDR", head), (b"PLTE", palette), (b"IDAT", zlib.compress(data, 9)), (b"IEND", b""))
    chunks = [struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in parts]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


def pixels(page: Page) -> NDArray[np.uint8]:
    """(H, W, 3): the page as it is shown; a canvas reads the browser's own picture of it."""
    shot = base64.b64encode(page.screenshot(full_page=True)).decode()
    page.set_content(f'<img src="data:image/png;base64,{shot}">')
    w, h, text = page.evaluate(_READ)
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(h, w, 4)[:, :, :3]


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/ads.png"))
    parser.add_argument("--each", type=Path, help="also one picture of each ad, into this folder")
    arguments = parser.parse_args()
    chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    with served() as base, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-lcd-text"]
        )
        page = browser.new_page(viewport={"width": 1366, "height": 3_150})
        page.goto(base, wait_until="networkidle")
        if arguments.each:
            arguments.each.mkdir(parents=True, exist_ok=True)
            for figure in page.query_selector_all("figure"):
                name = figure.inner_text().replace(" ", "")
                figure.screenshot(path=arguments.each / f"{name}.png")
        write_png(arguments.out, pixels(page))
        browser.close()
    print(f"{arguments.out}: {arguments.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
