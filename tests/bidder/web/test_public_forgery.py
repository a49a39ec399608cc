"""Nothing that anybody can send to the notice endpoints changes a balance, but the genuine notices; over real HTTP,
with a ledger behind it."""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from bidder.keys import key32, key64
from bidder.notices.keys import Keyring
from bidder.notices.token import LATE_S, TEST, TOKEN_CHARACTERS, Sealed, seal
from bidder.settings import PublicPort
from bidder.web.public import PublicServer, notice_routes, public_app
from bidder.web.routes import MAX_QUERY
from bidder.web.sockets import shared_socket
from budget.store import Books
from openrtb.macros import base64_text
from openrtb.prices import google_encrypt, google_iv
from tests.bidder.notices.support import NOW_S, PERSON, RING, claim, sealed
from tests.bidder.spending.house import LEASE, SHOP, House

KINDS = ("win", "bill", "loss", "imp", "click", "event")
OF_EXCHANGES = KINDS[:3]
METHODS = ("GET", "POST", "HEAD")
BID_COST = 2_250
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
PRICES = (
    "1.20", "0", "", "AUDIT", "${AUCTION_PRICE}", "${AUCTION_PRICE:B64}", "nan", "NaN", "inf", "-inf", "-1", "-0",
    "1e3", "1e-9", "1e99", "1e309", "9" * 40, "0x10", "1,20", "1.2.3", " 1.20", "+1.20", "1_000", "٣", "¼", "null",
    "true", "[]", "{}", "%00", "1.20\n", "'1.20'", "18446744073709551616", "1.20USD", base64_text("1.20"),
    base64.b64encode(b"0.01").decode(),
)  # fmt: skip
EXACT = {"1.20": 1_080, "0": 0, "1e-9": 0, "-0": BID_COST}


class Shop:
    """A worker's public port over the house's ledger, and a client."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.worker = house.worker()
        port = PublicPort(max_body_bytes=1_000)
        self.server = PublicServer(
            public_app(notice_routes(self.worker.notices, port), self.worker.tally), self.worker.tally
        )

    async def open(self) -> None:
        bound = shared_socket("127.0.0.1", 0)
        self.base = f"http://127.0.0.1:{bound.getsockname()[1]}"
        await self.server.start(bound)
        self.client = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=8))

    async def close(self) -> None:
        await self.client.close()
        await self.server.stop()
        await self.worker.drain.close(5.0)

    async def send(self, calls: Iterable[tuple[str, str]]) -> set[int]:
        """Call all of (method, path and query as they shall stand on the wire); the statuses that came."""

        async def one(method: str, target: str) -> int:
            url = URL(self.base + target, encoded=True)
            async with self.client.request(method, url, allow_redirects=False) as answer:
                return answer.status

        return set(await asyncio.gather(*[one(*call) for call in calls]))

    async def books(self) -> Books:
        """What the ledger holds once everything is applied."""
        assert await self.worker.drain.step()
        self.house.ledger.check()
        return await self.house.ledger.books(SHOP)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    """Funded, leased, listening."""
    house = House(tmp_path / "spool")
    await house.fund()
    found = Shop(house)
    await found.open()
    yield found
    await found.close()


def target(kind: str, token: str, price: str = "1.20", more: str = "") -> str:
    """A notice's path and query, its values encoded."""
    return f"/{kind}?p={quote(price)}&c=USD&r=102&m=3&e=start{more}&t={token}"


def of_kind(kind: str, tokens: Sealed) -> str:
    return tokens.exchange_token if kind in OF_EXCHANGES else tokens.browser_token


def swapped(kind: str, tokens: Sealed) -> str:
    return tokens.browser_token if kind in OF_EXCHANGES else tokens.exchange_token


def reserved(number: int, **changes: object) -> Sealed:
    """A bid out of the lease, for somebody."""
    return sealed(lease=LEASE, person=PERSON, bid_id=number.to_bytes(12, "big"), **changes)


EXCHANGES = ("generic", "prebid", "google")


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_a_token_changed_at_any_place_changes_no_balance(shop: Shop, exchange: str) -> None:
    """Every character of a genuine token replaced, cut, doubled or put before another's half, at every endpoint."""
    draw = random.Random(exchange)
    before = await shop.books()
    tokens, other = reserved(1, exchange=key32(exchange)), reserved(2, exchange=key32(exchange))
    calls = []
    for kind in KINDS:
        text, others = of_kind(kind, tokens), of_kind(kind, other)
        for place in range(TOKEN_CHARACTERS):
            letter = draw.choice(LETTERS.replace(text[place], ""))
            calls.append(("GET", target(kind, text[:place] + letter + text[place + 1 :])))
        for place in range(1, TOKEN_CHARACTERS, 9):
            calls += [
                ("POST", target(kind, cut)) for cut in (text[:place], text[:place] + text, text[place:])
            ]
            if text[:place] + others[place:] not in (text, others):
                calls.append(("GET", target(kind, text[:place] + others[place:])))
    draw.shuffle(calls)
    assert await shop.send(calls) <= {200, 204, 404}
    assert await shop.books() == before
    assert shop.worker.count("spool_records_total", "disk") == 0


@pytest.mark.parametrize("method", METHODS)
async def test_foreign_expired_and_testing_tokens_change_no_balance(shop: Shop, method: str) -> None:
    """Tokens of the other audience, of other keys, of advertisers that nobody knows, of versions that were, of
    tests, and those whose last second is over: at every endpoint, by every method."""
    before = await shop.books()
    strangers = Keyring(((1, b"x" * 32),)), Keyring(((2, RING.signing.secret),))
    made = [
        *[seal(claim(lease=LEASE, exchange=key32(e)), ring.signing) for ring in strangers for e in EXCHANGES],
        *[reserved(n, exchange=key32(e), flags=TEST) for n, e in enumerate(EXCHANGES)],
        *[
            reserved(n, exchange=key32(e), line_item=key64("shop-2/line-1"), advertiser=key64("shop-2"))
            for n, e in enumerate(EXCHANGES)
        ],
        *[reserved(n, exchange=key32(e), expires_s=NOW_S - 1) for n, e in enumerate(EXCHANGES)],
    ]
    calls = [(method, target(kind, of_kind(kind, tokens))) for kind in KINDS for tokens in made]
    genuine = [reserved(10 + n, exchange=key32(e)) for n, e in enumerate(EXCHANGES)]
    calls += [(method, target(kind, swapped(kind, tokens))) for kind in KINDS for tokens in genuine]
    old = [of_kind(kind, tokens) for kind in KINDS for tokens in genuine]
    calls += [(method, target(kind, "AQ" + text[2:])) for kind in KINDS for text in old]
    assert await shop.send(calls) <= {200, 204, 302, 404}
    assert await shop.books() == before
    shop.house.clock.advance(900 + LATE_S + 1)
    assert await shop.send([(method, target(kind, of_kind(kind, t))) for kind in KINDS for t in genuine]) <= {
        200, 204, 302, 404,
    }  # fmt: skip
    assert (await shop.books()).accounts == before.accounts


async def test_odd_methods_and_queries_change_no_balance(shop: Shop) -> None:
    """Methods that are none of ours with genuine tokens, tokens in the wrong place, twice, encoded or cut off by the
    limit: the documented statuses, and no balance."""
    before = await shop.books()
    tokens = reserved(1)
    calls = [
        (method, target(kind, of_kind(kind, tokens)))
        for kind in KINDS
        for method in ("HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "BREW")
    ]
    for kind in KINDS:
        text = of_kind(kind, tokens)
        queries = (
            "", "?", "?t", "?t=", f"?T={text}", f"?{text}", f"?t=x&t={text}", f"?x[t]={text}", f"?t[]={text}",
            f"?t={text}%00", f"?t=%20{text}", f"?t={text}=", f"?t={text}%0a", f"?t={text}/", f"?t={text};p=1",
            f"?%2574={text}", f"?t={text[:70]}%E2%80%8B{text[70:]}", "?t=" + "%ff" * 140,
            f"?p={'1' * MAX_QUERY}&t={text}",
        )  # fmt: skip
        calls += [(method, f"/{kind}{query}") for query in queries for method in ("GET", "POST")]
        calls += [
            ("GET", f"/{path}?t={text}") for path in (f"{kind}/", f"%2e/{kind}x", f"{kind}/x", kind.upper())
        ]
    assert await shop.send(calls) <= {200, 204, 400, 404, 405, 414}
    assert shop.worker.count("public_faults_total") == 0
    assert await shop.books() == before


@pytest.mark.parametrize("kind", KINDS)
async def test_only_the_notice_that_bills_moves_money_whatever_the_price(shop: Shop, kind: str) -> None:
    """Genuine tokens with prices of every shape: a bill charges what the rule says and never more than its bid, each
    bid once for all its repeats; no other notice charges anything."""
    before = await shop.books()
    spent = 0
    for number, price in enumerate(PRICES):
        text = of_kind(kind, reserved(number))
        assert await shop.send([(method, target(kind, text, price)) for method in (*METHODS, "POST", "GET")]) <= {
            200, 204, 302, 404,
        }  # fmt: skip
        after = await shop.books()
        charged = after.accounts["wallet"].spent - spent
        spent += charged
        if kind != "bill" or price == "AUDIT":
            assert charged == 0
        else:
            assert charged == EXACT.get(price, charged)
            assert 0 <= charged <= BID_COST
    wallet = (await shop.books()).accounts["wallet"]
    assert (wallet.late, wallet.absorbed) == (0, 0)
    if kind != "bill":
        assert spent == before.accounts["wallet"].spent == 0
    assert wallet.leased + spent == before.accounts["wallet"].leased


@pytest.mark.parametrize("exchange", ["prebid", "google"])
async def test_a_beacon_charges_the_bid_whatever_a_browser_writes(shop: Shop, exchange: str) -> None:
    """Where beacons bill, no price that a page's reader could write is believed: each bid is charged once, whole."""
    encrypted = google_encrypt(10, (b"\x01" * 32, b"\x02" * 32), google_iv(NOW_S))
    prices = [price for price in PRICES if price != "AUDIT"] + [encrypted]
    calls = [
        (method, target("imp", reserved(number, exchange=key32(exchange)).browser_token, price))
        for number, price in enumerate(prices)
        for method in METHODS
    ]
    assert await shop.send(calls) == {200}
    assert (await shop.books()).accounts["wallet"].spent == BID_COST * len(prices)


async def test_genuine_notices_among_forgeries_are_charged_exactly(shop: Shop) -> None:
    """Hundreds of calls at once, shuffled: the balance moves by the genuine bills alone, each once, and the losers'
    money is free again."""
    draw = random.Random(3)
    bids = [reserved(number) for number in range(60)]
    calls = []
    for number, tokens in enumerate(bids):
        kinds = ("win", "bill", "bill", "imp", "win") if number % 2 else ("loss", "loss")
        calls += [("GET", target(kind, of_kind(kind, tokens))) for kind in kinds]
        for kind in KINDS:
            text = list(of_kind(kind, tokens))
            place = draw.randrange(TOKEN_CHARACTERS)
            text[place] = draw.choice(LETTERS.replace(text[place], ""))
            calls += [
                ("POST", target(kind, "".join(text))),
                ("GET", target(kind, swapped(kind, tokens), "0.01")),
            ]
    draw.shuffle(calls)
    before = (await shop.books()).accounts["wallet"]
    assert await shop.send(calls) <= {200, 204, 404}
    after = (await shop.books()).accounts["wallet"]
    assert after.spent - before.spent == 30 * 1_080
    assert before.leased - after.leased == 30 * 1_080
    assert shop.worker.count("releases_total", "released") == 30
    inbox = (await shop.house.ledger.poll(SHOP, LEASE >> 32, "", 60.0)).entries
    assert sorted(entry.amount for entry in inbox) == [0] * 30 + [1_080] * 30
