"""A publisher's page and the exchange that sells its places: real auctions with the running service.

Shapes: the page asks the exchange for an ad for each of its places and puts what won into a frame. The exchange knows
    browsers by its own cookie, matches that with our id as cookie syncs tell it (the tag's pixel, and a redirect back
    to us), sends an OpenRTB request with our id as `buyeruid`, and tells the winner of win and bill.
"""

from __future__ import annotations

import http.client
import json
import re
import secrets
import urllib.request
from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any, NamedTuple
from urllib.parse import urlencode

from benchmarks.newspaper import newspaper
from tests.service.shop_site import CONSENT

NAME = "market"
HOST = "exchange.localhost"
NEWS = "news.localhost"

SCRIPT = """
window.auctions = {};
const query = new URLSearchParams(location.search);
Promise.all([...document.querySelectorAll('.slot')].map(async (slot) => {
  const [w, h] = slot.dataset.size.split('x');
  const asked = new URLSearchParams({w, h, consent: query.get('consent') || ''});
  const answer = await fetch('EXCHANGE/auction?' + asked, {credentials: 'include'});
  const sold = window.auctions[slot.dataset.size] = await answer.json();
  if (sold.adm) {
    const shown = new Promise((done) => { slot.onload = done; });
    slot.srcdoc = '<!doctype html><style>body{margin:0}</style>' + sold.adm;
    await shown;
  } else {
    slot.closest('.place').remove();
  }
})).then(() => { window.sold = true; });
"""


class Reply(NamedTuple):
    """What a site answers."""

    body: str = ""
    status: int = 200
    kind: str = "text/html; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()


class Exchange:
    """One exchange; `where` gives the service's exchange port and base URL once it runs."""

    def __init__(self) -> None:
        self.base = ""
        self.where: Callable[[], tuple[int, str]] = lambda: (0, "")
        self.matches: dict[str, str] = {}
        """What it was told of our id, by its own."""
        self.synced = 0
        """Browsers that came with what we told of them."""

    def news(self) -> Reply:
        """The publisher's page."""
        return Reply(newspaper(SCRIPT.replace("EXCHANGE", self.base)))

    def sync(self, query: dict[str, str], cookies: str) -> Reply:
        """The exchange's pixel: it notes the id that the browser brings, and sends the browser back with its own."""
        uid = _uid(cookies) or secrets.token_hex(8)
        self.matches[uid] = query["id"]
        self.synced += 1
        _, base = self.where()
        told = urlencode({"uid": uid, "gdpr": query["gdpr"], "gdpr_consent": query["consent"]})
        cookie = f"xid={uid}; Max-Age=86400; Path=/; Secure; HttpOnly; SameSite=None"
        return Reply("", 302, headers=(("Location", f"{base}/sync/{NAME}?{told}"), ("Set-Cookie", cookie)))

    def auction(self, query: dict[str, str], headers: Any) -> Reply:
        """Sell one place: ask, choose, tell the winner, and hand over the markup."""
        uid = _uid(headers.get("Cookie", ""))
        request = self._request(query, uid, headers.get("User-Agent", ""))
        answer = self._ask(request)
        sold: dict[str, Any] = {"uid": uid, "asked": request, "adm": ""}
        if answer:
            bid = answer["seatbid"][0]["bid"][0]
            price = f"{bid['price']:.6f}"
            sold |= {"bid": bid, "adm": _filled(bid["adm"], price)}
            for url in (bid["nurl"], bid["burl"]):
                with urllib.request.urlopen(_filled(url, price), timeout=30) as told:
                    assert told.status == 204
        origin = headers.get("Origin", "")
        shared = (("Access-Control-Allow-Origin", origin), ("Access-Control-Allow-Credentials", "true"))
        return Reply(json.dumps(sold), 200, "application/json", shared)

    def _request(self, query: dict[str, str], uid: str, agent: str) -> dict[str, Any]:
        size = {"w": int(query["w"]), "h": int(query["h"])}
        consent = CONSENT if query.get("consent") == "yes" else ""
        user = {"id": uid, "buyeruid": self.matches.get(uid, ""), "consent": consent}
        return {
            "id": secrets.token_hex(8),
            "at": 1,
            "tmax": 2_000,
            "cur": ["EUR"],
            "imp": [
                {"id": "1", "tagid": "{w}x{h}".format(**size), "banner": {"format": [size]}, "secure": 0}
            ],
            "site": {"id": "courier", "domain": "courier.example", "page": "https://courier.example/"},
            "device": {"ua": agent, "ip": "192.0.2.7", "geo": {"country": "DEU"}},
            "user": {name: value for name, value in user.items() if value},
            "regs": {"gdpr": 1},
        }

    def _ask(self, request: dict[str, Any]) -> dict[str, Any] | None:
        port, _ = self.where()
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            line.request("POST", f"/bid/{NAME}", json.dumps(request), {"Content-Type": "application/json"})
            answer = line.getresponse()
            body = answer.read()
            assert answer.status in (200, 204), body
            return json.loads(body) if body else None
        finally:
            line.close()


def _uid(cookies: str) -> str:
    found = SimpleCookie(cookies).get("xid")
    return found.value if found else ""


def _filled(text: str, price: str) -> str:
    text = text.replace("${AUCTION_PRICE}", price).replace("${AUCTION_CURRENCY}", "EUR")
    return re.sub(r"\$\{AUCTION_\w+\}", "", text)
