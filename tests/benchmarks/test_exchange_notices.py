"""Notices as exchanges send them, and what a browser or player fetches for an ad."""

import pytest

from benchmarks.exchange.dialects import BY_NAME
from benchmarks.exchange.market import Verdict
from benchmarks.exchange.markup import render
from benchmarks.exchange.notices import Sale, fill, notice_wire, parse_keys
from openrtb.prices import google_decrypt
from openrtb.response import Bid

TEMPLATE = (
    "http://b.example/win?p=${AUCTION_PRICE}&c=${AUCTION_CURRENCY}&r=${AUCTION_LOSS}&m=${AUCTION_MIN_TO_WIN}"
)
BID = Bid("b1", "1", 2.5, adid="ad")
KEYS = f"google:{'ab' * 32}:{'cd' * 32}"


def sale(exchange: str, verdict: Verdict) -> Sale:
    """A bid of 2.50 at an exchange."""
    return Sale(BY_NAME[exchange], "r1", BID, verdict, "USD")


@pytest.mark.parametrize(
    ("exchange", "verdict", "expected"),
    [
        ("generic", Verdict(0, 1.25, 1.2), "p=1.25&c=USD&r=0&m=1.2000"),
        ("prebid", Verdict(0, 2.0, 1.0), "p=2&c=USD&r=0&m=1.0000"),
        ("xandr", Verdict(102, 3.0, 3.0), "p=3&c=USD&r=102&m=3.0000"),
        ("magnite", Verdict(100, 3.0, 3.0), "p=&c=USD&r=100&m="),
    ],
)
def test_macros_are_filled_in(exchange: str, verdict: Verdict, expected: str) -> None:
    """Price, currency, reason and minimum to win; exchanges that tell losers nothing leave them empty."""
    assert fill(TEMPLATE, sale(exchange, verdict), {}) == f"http://b.example/win?{expected}"


def test_every_macro_is_replaced() -> None:
    """No macro of OpenRTB remains in a notice."""
    text = fill("${AUCTION_ID}-${AUCTION_BID_ID}-${AUCTION_IMP_ID}-${AUCTION_AD_ID}-${AUCTION_MBR}",
                sale("generic", Verdict(0, 1.25, 1.2)), {})  # fmt: skip
    assert text == "r1--1-ad-0.5000"


def test_google_seals_its_prices() -> None:
    """With keys the price is encrypted, and only they open it."""
    keys = parse_keys(KEYS)
    url = fill("${AUCTION_PRICE}", sale("google", Verdict(0, 1.25, 1.2)), keys)
    price, _ = google_decrypt(url, keys["google"])
    assert price.micros == 1_250_000


def test_a_notice_is_one_small_request() -> None:
    """GET or POST, the host named, no body."""
    get = notice_wire("http://127.0.0.1:8081/win?p=1&t=a.b")
    assert get is not None
    assert get.startswith(b"GET /win?p=1&t=a.b HTTP/1.1\r\nHost: 127.0.0.1:8081\r\n")
    assert b"Content-Length: 0" in (notice_wire("http://h/x", "POST") or b"")
    assert notice_wire("javascript:alert(1)") is None


VAST = """<VAST version="4.2"><Ad><InLine><Impression><![CDATA[ http://b.example/imp?t=1 ]]></Impression>
<Creatives><Creative><Linear><VideoClicks><ClickThrough>http://b.example/click?t=1</ClickThrough></VideoClicks>
</Linear></Creative></Creatives></InLine></Ad></VAST>"""
NATIVE = """{"native":{"link":{"url":"http://b.example/click"},"imptrackers":["http://b.example/imp"],
"eventtrackers":[{"event":1,"method":1,"url":"http://b.example/imp2"},{"event":2,"method":1,"url":"http://x"}],
"assets":[{"id":1,"img":{"url":"http://b.example/a.png"}}]}}"""
HTML = '<a href="http://b.example/click?a=1&amp;b=2"><img src="http://b.example/a.png"></a><img src="http://b.example/imp">'


@pytest.mark.parametrize(
    ("adm", "fetched", "click"),
    [
        (VAST, ["http://b.example/imp?t=1"], "http://b.example/click?t=1"),
        (VAST.replace("<VAST ", '<?xml version="1.0"?><VAST xmlns="http://www.iab.com/VAST" '), ["http://b.example/imp?t=1"],
         "http://b.example/click?t=1"),
        (NATIVE, ["http://b.example/a.png", "http://b.example/imp2", "http://b.example/imp"], "http://b.example/click"),
        (HTML, ["http://b.example/a.png", "http://b.example/imp"], "http://b.example/click?a=1&b=2"),
    ],
)  # fmt: skip
def test_markup_is_rendered(adm: str, fetched: list[str], click: str) -> None:
    """Beacons and links are found as a browser, a native renderer or a video player would."""
    ad = render(adm)
    assert list(ad.fetched) == fetched
    assert ad.clicks[0] == click


@pytest.mark.parametrize(
    "adm", ["", "hello", "<VAST><Ad></VAST>", "<VAST/>", "{}", '{"native":{}}', "[1]", '{"a":']
)
def test_broken_markup_is_an_error(adm: str) -> None:
    """What shows nothing or does not parse is refused."""
    with pytest.raises((ValueError, KeyError)):
        render(adm)
