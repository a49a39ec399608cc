"""What an exchange and a browser send back: notices with their macros filled in, beacons, clicks.

Place: simulation.py builds one Sale per bid that took part in an auction.
Units: prices are CPM in `currency`; Google seals them, the others write decimals.
Source: OpenRTB 2.6 section 4.4; Google's price encryption.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from benchmarks.exchange.dialects import Dialect
from benchmarks.exchange.market import Verdict
from openrtb.macros import expand
from openrtb.prices import google_encrypt, google_iv, google_keys
from openrtb.response import Bid

MICROS: Final = 1_000_000
PriceKeys = Mapping[str, tuple[bytes, bytes]]
"""Exchange name to its encryption and integrity keys."""


class Sale(NamedTuple):
    """One of our bids after its auction."""

    dialect: Dialect
    request_id: str
    bid: Bid
    verdict: Verdict
    currency: str
    seat: str = ""
    bid_id: str = ""


def parse_keys(text: str) -> dict[str, tuple[bytes, bytes]]:
    """Price keys written `exchange:encryption:integrity`, comma-separated; raises ValueError."""
    keys: dict[str, tuple[bytes, bytes]] = {}
    for part in filter(None, text.split(",")):
        name, encryption, integrity = part.strip().split(":")
        keys[name] = google_keys({"encryption_key": encryption, "integrity_key": integrity})
    return keys


def macro_values(sale: Sale, keys: PriceKeys) -> dict[str, str]:
    """The text of every macro; what this exchange keeps to itself stays empty."""
    bid, verdict = sale.bid, sale.verdict
    shown = verdict.won or sale.dialect.losses == "price"
    return {
        "AUCTION_ID": sale.request_id,
        "AUCTION_BID_ID": sale.bid_id,
        "AUCTION_IMP_ID": bid.impid,
        "AUCTION_SEAT_ID": sale.seat,
        "AUCTION_AD_ID": bid.adid or "",
        "AUCTION_PRICE": _price(sale, keys) if shown else "",
        "AUCTION_CURRENCY": sale.currency,
        "AUCTION_MBR": f"{verdict.price / bid.price:.4f}" if bid.price else "",
        "AUCTION_LOSS": str(verdict.reason),
        "AUCTION_MIN_TO_WIN": f"{verdict.min_to_win:.4f}" if shown else "",
        "AUCTION_MULTIPLIER": "1",
        "AUCTION_IMP_TS": str(int(time.time() * 1_000)),
    }


def fill(template: str, sale: Sale, keys: PriceKeys) -> str:
    """A notice URL or markup with its macros filled in."""
    return expand(template, macro_values(sale, keys))


def notice_wire(url: str, method: str = "GET") -> bytes | None:
    """The HTTP/1.1 request of a notice; None for what is no http URL."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return None
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    length = "Content-Length: 0\r\n" if method == "POST" else ""
    head = f"{method} {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nUser-Agent: simulated-exchange\r\n{length}\r\n"
    return head.encode()


def _price(sale: Sale, keys: PriceKeys) -> str:
    pair = keys.get(sale.dialect.name)
    price = sale.verdict.price
    if pair is None:
        return f"{price:.6f}".rstrip("0").rstrip(".") or "0"
    return google_encrypt(round(price * MICROS), pair, google_iv(time.time()))
