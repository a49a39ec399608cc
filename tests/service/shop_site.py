"""Shops that do not exist, as websites: product pages with the real tag, a cart, a checkout, a feed, a consent banner.

Shapes: each shop is a host of its own below `localhost`, which browsers find by themselves and trust like https; pages
    are functions from a query to HTML. `Shop.advertiser` is the shop's part of a campaign file.
"""

from __future__ import annotations

import csv
import html
import io
import re
from typing import Any, NamedTuple

from benchmarks.pictures import drawing
from tests.bidder.privacy.signals import VENDOR, string

CONSENT = string(1, 3, 4, 7)
"""A TC string of somebody who agreed to everything that we ask for."""

CDN = "https://cdn.pictures.test"
"""Where feeds say that pictures lie: ads take them by https alone, so visitor.py brings them."""

BANNER = """
const cmp = {
  listeners: [],
  choice: () => (/(?:^|; )cmp=(\\w+)/.exec(document.cookie) || [])[1],
  state: (status) => {
    const yes = cmp.choice() === 'yes', purposes = yes ? {1: true, 3: true, 4: true, 7: true} : {};
    return {gdprApplies: true, tcString: yes ? 'STRING' : '', listenerId: 1, purpose: {consents: purposes},
      eventStatus: cmp.choice() ? status : 'cmpuishown', vendor: {consents: yes ? {VENDOR: true} : {}}};
  },
  choose: (choice) => {
    document.cookie = 'cmp=' + choice + '; Max-Age=86400; Path=/; SameSite=Lax';
    document.getElementById('banner').hidden = true;
    cmp.listeners.forEach((tell) => tell(cmp.state('useractioncomplete'), true));
  },
};
window.__tcfapi = (command, version, done) => {
  if (command !== 'addEventListener') return done && done(true, true);
  cmp.listeners.push(done);
  done(cmp.state('tcloaded'), true);
};
window.paceline = function () { (paceline.q = paceline.q || []).push(arguments); };
""".replace("STRING", CONSENT).replace("VENDOR", str(VENDOR))
"""A consent platform of a few lines: it says what the visitor chose, and tells who waits."""

STYLE = """
*{box-sizing:border-box}body{margin:0;font:16px/1.5 system-ui,sans-serif;color:#20242b;background:#fff}
header{background:COLOUR;color:#fff;padding:14px 28px;display:flex;gap:28px;align-items:baseline}
header a{color:#fff;text-decoration:none}header .name{font-weight:700;font-size:22px}
main{max-width:900px;margin:28px auto;padding:0 28px;display:grid;grid-template-columns:1fr 1fr;gap:36px}
main.wide{display:block}img.hero{width:100%;border:1px solid #e4e6eb;border-radius:12px;padding:36px}
h1{font-size:28px;line-height:1.25;margin:0 0 8px}.price{font-size:24px;font-weight:700;margin:0 0 18px}
.soft{color:#626875}button,.button{display:inline-block;border:0;border-radius:8px;background:COLOUR;color:#fff;
font:600 16px system-ui,sans-serif;padding:13px 24px;cursor:pointer;text-decoration:none}
button.quiet{background:#e9ebef;color:#20242b}.shelf{display:grid;grid-template-columns:repeat(4,1fr);gap:20px}
.shelf a{color:inherit;text-decoration:none;font-size:14px}.shelf img{width:100%;border:1px solid #e4e6eb;
border-radius:10px;padding:14px}#banner{position:fixed;inset:auto 0 0;background:#20242b;color:#fff;
padding:16px 28px;display:flex;gap:14px;align-items:center}#banner[hidden]{display:none}#banner span{flex:1}
#done{color:#1d7a3e;font-weight:600}
"""


class Goods(NamedTuple):
    """One product."""

    id: str
    title: str
    drawn: str
    """Name of the drawing, and its colour: boot-8a5a33."""
    price: str
    category: str


class Shop:
    """A shop at a host, with what it sells."""

    def __init__(self, id_: str, name: str, colour: str, goods: tuple[Goods, ...]) -> None:
        self.id, self.name, self.colour, self.goods = id_, name, colour, goods
        self.host = f"{id_}.localhost"
        self.base = ""
        """Where browsers find it; set once its server has a port."""

    def __getitem__(self, id_: str) -> Goods:
        return next(each for each in self.goods if each.id == id_)

    def url(self, goods: Goods) -> str:
        """The page of a product."""
        return f"{self.base}/p/{goods.id}"

    def feed(self) -> str:
        """The product feed as CSV."""
        out = io.StringIO()
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow(["id", "title", "link", "image_link", "price", "availability", "product_type"])
        for each in self.goods:
            picture = f"{CDN}/{each.drawn}.svg"
            rows.writerow(
                [each.id, each.title, self.url(each), picture, f"{each.price} EUR", "in_stock", each.category]
            )
        return out.getvalue()

    def advertiser(self, **more: Any) -> dict[str, Any]:
        """The shop's part of a campaign file; `more` are its creatives and campaigns."""
        viewed = {"event": "product_view", "within": "14d"}
        bought = {"event": "purchase", "within": "30d"}
        return {
            "id": self.id,
            "name": self.name,
            "domain": self.host,
            "currency": "EUR",
            "country": "DEU",
            "feed": {"location": f"feeds/{self.id}.csv", "format": "csv"},
            "segments": [
                {"id": "viewers", "when": [viewed]},
                {"id": "cart", "when": [{"event": "cart", "within": "7d"}], "unless": [bought]},
                {"id": "buyers", "when": [bought]},
            ],
        } | more

    def page(self, path: str, query: dict[str, str], service: str) -> str | None:
        """The HTML of a path; None where there is no such page."""
        tag = f'<script async src="{service}/tag.js" data-advertiser="{self.id}"'
        if path == "/":
            return self._page(f"{tag}></script>", self._shelf(), wide=True)
        if path == "/cart":
            return self._page(f'{tag} data-event="none"></script>', self._cart(query), wide=True)
        if path == "/thanks":
            return self._page(f'{tag} data-event="none"></script>', self._thanks(query), wide=True)
        found = re.fullmatch(r"/p/([\w-]+)", path)
        if found is None:
            return None
        goods = self[found[1]]
        told = f'data-event="product_view" data-product="{goods.id}" data-price="{goods.price}" data-currency="EUR"'
        return self._page(f"{tag} {told}></script>", self._goods(goods))

    def _goods(self, goods: Goods) -> str:
        told = f"{{product: '{goods.id}', price: {goods.price}, currency: 'EUR'}}"
        added = f"paceline('cart', {told}); document.getElementById('done').hidden = false"
        return (
            f'<img class="hero" src="/drawn/{goods.drawn}.svg" alt=""><div>'
            f'<p class="soft">{html.escape(goods.category)}</p><h1>{html.escape(goods.title)}</h1>'
            f'<p class="price">€ {goods.price}</p>'
            "<p>Made to be repaired. Free returns within thirty days.</p>"
            f'<button onclick="{added}">Add to cart</button>'
            f'<p id="done" hidden>In your cart. <a href="/cart?product={goods.id}">To the cart</a></p></div>'
        )

    def _shelf(self) -> str:
        items = "".join(
            f'<a href="/p/{each.id}"><img src="/drawn/{each.drawn}.svg" alt=""><br>{html.escape(each.title)}'
            f"<br><b>€ {each.price}</b></a>"
            for each in self.goods
        )
        return f'<h1>Everything for outside</h1><div class="shelf">{items}</div>'

    def _cart(self, query: dict[str, str]) -> str:
        goods = self[query["product"]]
        return (
            f'<h1>Your cart</h1><p>{html.escape(goods.title)}, 1 × € {goods.price}</p><form action="/thanks">'
            f'<input type="hidden" name="product" value="{goods.id}"><button>Buy now</button></form>'
        )

    def _thanks(self, query: dict[str, str]) -> str:
        goods = self[query["product"]]
        item = f"{{product: '{goods.id}', price: {goods.price}, quantity: 1}}"
        return (
            f"<h1>Thank you!</h1><p>{html.escape(goods.title)} is on its way.</p>"
            f"<script>paceline('purchase', {{order: 'order-' + Date.now(), currency: 'EUR', items: [{item}]}})</script>"
        )

    def _page(self, tag: str, content: str, *, wide: bool = False) -> str:
        return (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(self.name)}</title>'
            f"<style>{STYLE.replace('COLOUR', self.colour)}</style><script>{BANNER}</script>{tag}</head><body>"
            f'<header><a class="name" href="/">{html.escape(self.name)}</a><a href="/">All products</a></header>'
            f'<main class="{"wide" if wide else ""}">{content}</main><div id="banner"><span>We would like to show you '
            "ads for what you look at here.</span><button onclick=\"cmp.choose('yes')\">Accept</button>"
            '<button class="quiet" onclick="cmp.choose(\'no\')">Decline</button></div>'
            "<script>document.getElementById('banner').hidden = !!cmp.choice()</script></body></html>"
        )


def picture(name: str) -> str:
    """A drawing by name and colour as SVG."""
    shape, _, colour = name.partition("-")
    before, mark, after = drawing(shape).rpartition('fill="#')
    return f"{before}{mark}{colour}{after[6:]}"


FJELL = Shop(
    "fjell",
    "Fjell & Strand",
    "#2f6b3a",
    (
        Goods("boot-1", "Alpine hiking boots, waterproof leather", "boot-8a5a33", "189.00", "Shoes > Hiking"),
        Goods("boot-2", "Trail boots, light", "boot-444444", "129.00", "Shoes > Hiking"),
        Goods("tent-1", "Two-person tent “Fjell” with vestibule", "tent-2f7d5b", "329.00", "Tents"),
        Goods("tent-2", "Four-person tent “Vidde”", "tent-b4472e", "489.00", "Tents"),
        Goods("pack-1", "Backpack 35 l with rain cover", "pack-b4472e", "119.95", "Backpacks"),
        Goods("pack-2", "Day pack 18 l", "pack-31668f", "59.95", "Backpacks"),
        Goods("coat-1", "Down jacket, recycled", "coat-c28a1e", "249.00", "Clothing > Jackets"),
        Goods("coat-2", "Rain shell, blue", "coat-31668f", "179.00", "Clothing > Jackets"),
        Goods("mug-1", "Enamel mug <campfire> & spoon", "mug-31668f", "14.90", "Cooking"),
        Goods("mug-2", "Steel mug, 0.3 l", "mug-777777", "9.90", "Cooking"),
        Goods("lamp-1", "Camping lantern, 400 lumens", "lamp-5a4b8a", "39.90", "Light"),
        Goods("lamp-2", "Reading lamp for tents", "lamp-c28a1e", "24.90", "Light"),
    ),
)
KRUS = Shop(
    "krus",
    "Krus Ceramics",
    "#31668f",
    (
        Goods("cup-1", "Stoneware cup, indigo", "mug-31668f", "22.00", "Cups"),
        Goods("cup-2", "Stoneware cup, rust", "mug-b4472e", "22.00", "Cups"),
        Goods("shade-1", "Porcelain lamp shade", "lamp-777777", "79.00", "Lamps"),
        Goods("shade-2", "Clay lamp shade", "lamp-8a5a33", "69.00", "Lamps"),
    ),
)
