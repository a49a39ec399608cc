"""What comes back of a real bid, by GET and by POST: statuses, counters, repeats, forgeries, where clicks lead."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.bidder.supervisor.serving import until
from tests.service.client import Answer, bid_request, bids, connected, post
from tests.service.money import spent
from tests.service.service import Service, started

pytestmark = pytest.mark.process

LANDING = "https://shop.example/b300"
EXCHANGE_KINDS, BROWSER_KINDS = ("win", "bill", "loss"), ("imp", "click")
NOTICE_STATUS = {"win": 204, "bill": 204, "loss": 204, "imp": 200, "click": 302}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for the tests of this module; each looks at what its own calls changed."""
    with started(tmp_path_factory.mktemp("notices") / "data") as running:
        yield running


async def a_bid(service: Service, **more: Any) -> dict[str, Any]:
    """A fresh bid of the service."""
    async with connected(service.exchange) as client:
        (bid,) = bids(await client.ask(post(bid_request(**more), "xandr")))
    return bid


def urls(bid: dict[str, Any]) -> dict[str, str]:
    """The notices of a bid by kind, macros filled in as an exchange does."""
    markup = html.unescape(bid["adm"])
    found = {"win": bid["nurl"], "bill": bid["burl"], "loss": bid["lurl"]}
    found |= {urlsplit(url).path[1:]: url for url in re.findall(r"https?://127[^\s\"'<>]+", markup)}
    values = {
        "AUCTION_PRICE": "0.25",
        "AUCTION_CURRENCY": "USD",
        "AUCTION_LOSS": "102",
        "AUCTION_MIN_TO_WIN": "3",
    }
    return {kind: re.sub(r"\$\{(\w+)\}", lambda m: values[m[1]], url) for kind, url in found.items()}


async def call(service: Service, url: str, method: str = "GET") -> Answer:
    """Call a URL of the public port."""
    parts = urlsplit(url)
    assert parts.port == service.public[1]
    length = "Content-Length: 0\r\n" if method == "POST" else ""
    head = f"{method} {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n{length}\r\n"
    async with connected(service.public) as client:
        return await client.ask(head.encode())


class Changes:
    """What the counters gained since it was made."""

    def __init__(self, service: Service) -> None:
        self._service, self._before = service, service.scrape()

    def of(self, name: str, **labels: str) -> int:
        """The gain of a counter."""
        return self._service.scrape().total(name, **labels) - self._before.total(name, **labels)

    async def until(self, name: str, gain: int) -> None:
        """Wait until a counter has gained so much: what notices ask for is done behind their answers."""
        await asyncio.to_thread(until, lambda: self.of(name) == gain, name)

    def notices(self, kind: str, result: str) -> int:
        """The gain of notices of a kind with a result."""
        return self.of("paceline_notices_total", kind=kind, result=result)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_each_notice_is_answered_and_counted_once(service: Service, method: str) -> None:
    """Win, bill, loss, impression and click by either method: the first counts, the repeat is a duplicate."""
    links = urls(await a_bid(service))
    assert set(NOTICE_STATUS) <= set(links)
    changes = Changes(service)
    for _ in range(2):
        for kind, status in NOTICE_STATUS.items():
            assert (await call(service, links[kind], method)).status == status
    for kind in NOTICE_STATUS:
        assert changes.notices(kind, "accepted") == 1
        assert changes.notices(kind, "duplicate") == 1
    for name in ("wins", "impressions", "clicks"):
        assert changes.of(f"paceline_line_item_{name}_total", line_item="open-banner") == 1
    assert changes.of("paceline_loss_reasons_total", exchange="xandr", reason="102") == 1


async def test_the_bill_moves_the_clearing_price_once(service: Service) -> None:
    """burl moves the price that it tells, per thousand; nurl, the beacon, a repeat and a loss after it move nothing."""
    links = urls(await a_bid(service))
    changes, before = Changes(service), await asyncio.to_thread(spent, service.ledger_url)
    for kind in ("win", "imp", "bill", "bill", "loss"):
        await call(service, links[kind])
    await changes.until("paceline_releases_total", 1)
    assert changes.of("paceline_line_item_spend_micros_total") == 250
    assert changes.of("paceline_clearing_prices_total", exchange="xandr") == 1
    assert await asyncio.to_thread(spent, service.ledger_url) == before + 250


@pytest.mark.parametrize("kind", NOTICE_STATUS)
async def test_a_forged_token_is_answered_alike_and_moves_nothing(service: Service, kind: str) -> None:
    """One changed character: the same answer as for a good token (a click leads nowhere), counted as forged."""
    url = urls(await a_bid(service))[kind]
    head, token = url.rsplit("t=", 1)
    other = "A" if token[40] != "A" else "B"
    changes = Changes(service)
    answer = await call(service, f"{head}t={token[:40]}{other}{token[41:]}")
    assert answer.status == (404 if kind == "click" else NOTICE_STATUS[kind])
    assert "location" not in answer.fields
    assert changes.notices(kind, "forged") == 1
    assert changes.of("paceline_line_item_spend_micros_total") == 0


async def test_a_token_of_the_page_cannot_be_replayed_as_a_bill(service: Service) -> None:
    """The browser's token is no exchange's token: put into burl, it is forged."""
    links = urls(await a_bid(service))
    seen = links["imp"].rsplit("t=", 1)[1]
    changes = Changes(service)
    await call(service, f"{links['bill'].rsplit('t=', 1)[0]}t={seen}")
    assert changes.notices("bill", "forged") == 1
    assert changes.of("paceline_line_item_spend_micros_total") == 0


@pytest.mark.parametrize(
    "more", ["", "&url=https://evil.example/", "&r=//evil.example", "&t=x", "%0d%0aX:%20y"]
)
async def test_a_click_leads_to_the_landing_page_or_nowhere(service: Service, more: str) -> None:
    """Whatever is put behind a click URL, it leads to the advertiser's landing page or to no page."""
    url = urls(await a_bid(service))["click"]
    answer = await call(service, url + more)
    assert answer.status in (302, 404)
    if answer.status == 302:
        assert answer.fields["location"] == LANDING
    assert "x" not in answer.fields


@pytest.mark.parametrize("token", ["", "t=", "t=abc", "t=" + "A" * 100, "t=%00%ff", "t=" + "A" * 1_900])
@pytest.mark.parametrize("kind", NOTICE_STATUS)
async def test_nonsense_is_answered_without_a_fault(service: Service, kind: str, token: str) -> None:
    """No token, a short, long or binary one: the documented answer, counted as malformed or unknown."""
    changes = Changes(service)
    answer = await call(service, f"http://127.0.0.1:{service.public[1]}/{kind}?{token}")
    assert answer.status == (404 if kind == "click" else NOTICE_STATUS[kind])
    assert changes.notices(kind, "malformed") + changes.notices(kind, "unknown_key") == 1
    assert changes.of("paceline_public_faults_total") == 0


async def test_a_test_bid_counts_and_costs_nothing(service: Service) -> None:
    """test=1: notices are answered and counted as test; nothing is won, seen or paid."""
    links = urls(await a_bid(service, test=1))
    changes = Changes(service)
    for kind, status in NOTICE_STATUS.items():
        assert (await call(service, links[kind])).status == status
        assert changes.notices(kind, "test") == 1
    assert changes.of("paceline_line_item_impressions_total") == 0
    assert changes.of("paceline_line_item_spend_micros_total") == 0
