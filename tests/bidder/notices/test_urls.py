"""Notice URLs: what an exchange expands comes back whole."""

from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from bidder.notices.urls import notice_urls, url_parts
from openrtb import macros
from tests.bidder.notices.support import sealed

SEALED = sealed()
FILLED = {
    "AUCTION_PRICE": "1.25",
    "AUCTION_CURRENCY": "USD",
    "AUCTION_LOSS": "102",
    "AUCTION_MIN_TO_WIN": "1.3",
}


@pytest.mark.parametrize("billing", ["burl", "beacon"])
@pytest.mark.parametrize("base", ["https://b.example", "https://b.example/x/"])
def test_expanded_urls_hold_token_and_values(billing: str, base: str) -> None:
    """After the exchange's expansion each URL holds its own audience's token and what its kind needs."""
    urls = notice_urls(url_parts(base, "beacon" if billing == "beacon" else "burl"), SEALED)
    told = {}
    for name in urls.__struct_fields__:
        split = urlsplit(macros.expand(getattr(urls, name), FILLED) + ("start" if name == "event" else ""))
        assert split.path == urlsplit(base).path.rstrip("/") + "/" + name
        told[name] = {key: values[0] for key, values in parse_qs(split.query, strict_parsing=True).items()}
    price = {"p": "1.25", "c": "USD"}
    assert told == {
        "win": {**price, "m": "1.3", "t": SEALED.exchange_token},
        "bill": {**price, "t": SEALED.exchange_token},
        "loss": {"r": "102", **price, "m": "1.3", "t": SEALED.exchange_token},
        "imp": {**(price if billing == "beacon" else {}), "t": SEALED.browser_token},
        "click": {"t": SEALED.browser_token},
        "event": {"t": SEALED.browser_token, "e": "start"},
    }


def test_urls_are_short_enough_for_any_exchange() -> None:
    """Each URL stays below 300 characters with a usual base."""
    urls = notice_urls(url_parts("https://notices.bidder.example", "beacon"), SEALED)
    assert max(map(len, msgspec.structs.astuple(urls))) < 300
