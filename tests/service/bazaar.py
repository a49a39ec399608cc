"""A service with shops that mean no good to anybody: hostile feeds, a shop for children, an exchange to sync with.

Shapes: `opened` starts it; a Bazaar tells the addresses, tokens and secrets that honest callers have, and what
    was kept.
"""

from __future__ import annotations

import html
import http.client
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import redis
import yaml

from bidder.events.dataset import Row, shop_events
from bidder.notices.keys import load_keys
from bidder.settings import Rates
from bidder.shop.tokens import exchange_secret, shop_token
from tests.bidder.supervisor.serving import until
from tests.service.client import bid_request
from tests.service.service import Service, started

SHOP: Final = "hats"
DOMAIN: Final = "hats.localhost"
CHILDREN: Final = "toys"
MARKET: Final = "market"
PARTNER: Final = "https://market.example/sync?id={id}&gdpr={gdpr}&c={gdpr_consent}&gpp={gpp}&us={us_privacy}"
OFTEN: Final = {"per_s": 10_000, "burst": 100_000}
"""Limits of callers have tests of their own."""
EVENTS: Final = {"flush_s": 0.1, "segment_s": 0.5, "compact_s": 0.5, "erase_s": 0.5}
WOUNDS: Final = (
    "<script>alert(1)</script>",
    "</style><script>alert(2)</script>",
    '"><img src=x onerror=alert(3)>',
    "' onmouseover='alert(4)",
    "</title><svg onload=alert(5)>",
    "<iframe src=javascript:alert(6)>",
    "&lt;script&gt;alert(7)&lt;/script&gt;",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "<!--<script>alert(8)</script>",
    "]]><script>alert(9)</script>",
    "\u202e<b>evil</b>\u2066",
    "<base href=//evil.example><meta http-equiv=refresh content=0;url=//evil.example>",
)
MERCHANT: Final = (
    '<rss xmlns:g="http://base.google.com/ns/1.0"><channel><item><g:id>t1</g:id><title>Top</title>'
    "<link>https://toys.localhost/t1</link><g:image_link>https://toys.localhost/t1.jpg</g:image_link>"
    "<g:price>5 EUR</g:price></item></channel></rss>"
)
ADDRESSES: Final = (
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    " javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:msgbox(1)",
    "//evil.example/x",
    "file:///etc/passwd",
    "https://user:pass@/x",
)


def feed() -> str:
    """JSON lines: products whose every text is an attack, and a few lines whose addresses are."""
    lines: list[dict[str, Any]] = []
    for number in range(60):
        wound = WOUNDS[number % len(WOUNDS)]
        lines.append(
            {
                "id": f"p{number}",
                "title": f"{number} {wound}",
                "link": f"https://{DOMAIN}/p/{number}?q=%22%3E%3Cscript%3E&a=1",
                "image_link": f"https://{DOMAIN}/{number}.jpg?a=1&b='c'",
                "price": f"{10 + number} EUR",
                "availability": "in_stock",
                "brand": wound,
                "product_type": wound,
            }
        )
    bad = [lines[n] | {"id": f"bad{n}", "link": url, "image_link": url} for n, url in enumerate(ADDRESSES)]
    return "".join(f"{json.dumps(line)}\n" for line in [*lines, *bad])


def book(folder: Path) -> Path:
    """Campaign files of the shops, with the feed beside them."""
    campaigns = folder / "campaigns"
    campaigns.mkdir(parents=True)
    (campaigns / "hats.jsonl").write_text(feed(), encoding="utf-8")
    (campaigns / "toys.xml").write_text(MERCHANT, encoding="utf-8")
    segments = [{"id": "viewers", "when": [{"event": "product_view", "within": "14d"}]}]
    feeds = {"location": "hats.jsonl", "format": "jsonl"}
    hats = _shop(
        SHOP, "Hats <script>alert('name')</script> & Co", 4, country="USA", feed=feeds, segments=segments
    )
    toys = _shop(CHILDREN, "Toys", 1, child_directed=True, feed={"location": "toys.xml", "format": "xml"})
    (campaigns / "book.yaml").write_text(yaml.safe_dump({"advertisers": [hats, toys]}, allow_unicode=True))
    return campaigns


def _shop(id_: str, name: str, value: float, **more: Any) -> dict[str, Any]:
    """A shop's part of a campaign file: ads of products in three sizes, for everybody, worth `value` a thousand."""
    url = f"https://{id_}.localhost/"
    creatives = [
        {"id": f"{id_}-{w}x{h}", "kind": "products", "w": w, "h": h, "landing_url": url, "alt": "Hats <b>"}
        for w, h in ((300, 250), (728, 90), (160, 600))
    ]
    line = {"id": f"{id_}-everybody", "goal": {"kind": "cpm", "value": value}, "max_bid_cpm": 8}
    line["creatives"] = [each["id"] for each in creatives]
    campaign = {"id": f"{id_}-all", "name": name, "pacing": "asap", "line_items": [line]}
    shop = {"id": id_, "name": name, "domain": f"{id_}.localhost", "currency": "EUR"}
    return shop | {"creatives": creatives, "campaigns": [campaign]} | more


class Bazaar:
    """The running service, and what honest callers know."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.keys = load_keys({}, "", service.data_dir)
        self.token = shop_token(self.keys, SHOP)
        self.secret = exchange_secret(self.keys, MARKET)
        self.store = redis.Redis.from_url((service.data_dir / "redis.url").read_text().strip())

    @property
    def base(self) -> str:
        """Where browsers reach the service."""
        return f"http://127.0.0.1:{self.service.ports['public']}"

    @property
    def events(self) -> Path:
        """What is recorded."""
        return self.service.data_dir / "events"

    def bid(self, **more: Any) -> dict[str, Any]:
        """A fresh bid for a place of 300x250; `more` are further fields of the request."""
        line = http.client.HTTPConnection(*self.service.exchange, timeout=30)
        try:
            line.request("POST", f"/bid/{MARKET}", bid_request(**more), {"Content-Type": "application/json"})
            found: dict[str, Any] = json.loads(line.getresponse().read())["seatbid"][0]["bid"][0]
        finally:
            line.close()
        return found

    def shows_products(self) -> bool:
        """Whether the worker draws ads with the shop's products."""
        host, port = self.service.public
        with urlopen(f"http://{host}:{port}/render?t={self.links()['render']}") as answer:
            return b"<li" in answer.read()

    def links(self, **more: Any) -> dict[str, str]:
        """The tokens of a fresh bid by what they are for: win, bill and loss of the exchange, imp and render of the
        browser; clicks take render's."""
        found = self.bid(**more)
        text = html.unescape("\n".join([found["adm"], found["nurl"], found["burl"], found["lurl"]]))
        return {
            urlsplit(url).path[1:]: parse_qs(urlsplit(url).query)["t"][0]
            for url in re.findall(r"http://127[^\s\"'<>]+[?&]t=[^\s\"'<>]+", text)
        }

    def rows(self) -> list[Row]:
        """Every recorded event of the shop."""
        return list(shop_events(self.events, SHOP))

    def recorded(self, ids: set[str]) -> None:
        """Wait until every one of these events is in a file, once each."""
        until(lambda: self.service.scrape().total("paceline_events_queue_bytes") == 0, "a flush")
        until(lambda: ids <= {row.event for row in self.rows()}, "every event that was accepted")
        found = [row.event for row in self.rows() if row.event in ids]
        assert len(found) == len(ids)

    def sound(self) -> None:
        """No fault was counted, nothing was dropped, and the log holds no traceback."""
        seen = self.service.scrape()
        assert seen.total("paceline_public_faults_total") == 0
        assert seen.total("paceline_events_dropped_total") == 0
        text = self.service.log.read_text()
        assert "Traceback" not in text, text[text.index("Traceback") - 500 :][:3_000]


@contextmanager
def opened(folder: Path) -> Iterator[Bazaar]:
    """The service with its catalogue; sound at the end, by the worker that began."""
    settings = {
        "events": EVENTS,
        "exchanges": [{"name": MARKET, "sync_url": PARTNER, "syncs_per_day": 100}],
        "public": {"rates": dict.fromkeys(Rates.__struct_fields__, OFTEN)},
    }
    with started(folder / "data", settings=settings, campaigns=book(folder)) as service:
        bazaar = Bazaar(service)
        try:
            shelves = service.data_dir / "catalogues"
            until(
                lambda: all((shelves / each / "current").exists() for each in (SHOP, CHILDREN)), "catalogues"
            )
            until(bazaar.shows_products, "the worker's catalogue")
            (worker,) = service.workers()
            yield bazaar
            assert service.workers() == [worker], "the worker that began still runs"
            bazaar.sound()
        finally:
            bazaar.store.close()
