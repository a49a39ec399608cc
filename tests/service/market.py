"""An exchange that keeps its own books: it asks for bids, tells what became of them, and knows what is owed.

Shapes: `Sale` is one bid that it was given. What it owes is counted from prices on the wire and the rates file, never
    from what the ledger says. An account of an advertiser is a pair (advertiser, account).
Units: Micros of the advertiser's currency; seconds.
Rule: a notice without an answer is told again until it has one, or given up: then nobody knows, and `Sale.unsure`.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from bidder.campaigns.compile import compile_lines
from bidder.campaigns.load import load_book
from bidder.campaigns.rates import load_rates
from bidder.notices.keys import Keyring, load_keys
from bidder.notices.token import Audience, Claim, open_token
from budget.accounts import path_at
from budget.money import PPM
from tests.service.client import Client, bid_request, bids, connected, post
from tests.service.service import Service

Account = tuple[str, str]
"""An advertiser's id and an account of it."""
ASKERS: Final = 8
_IMP: Final = re.compile(r"https?://[^\s\"'<>]+/imp\?[^\s\"'<>]+")


class Sale(msgspec.Struct):
    """One bid, and what was told of it."""

    bid_id: str
    accounts: tuple[Account, ...]
    cost: int
    """The most that it can cost: what was bid."""
    deadline_s: int
    urls: dict[str, str]
    claim: Claim
    owed: int = 0
    """What its bill says, once it was told."""
    lost: bool = False
    billed: bool = False
    """A bill was accepted."""
    unsure: bool = False
    """A bill was told and never answered."""


class Fate(NamedTuple):
    """What a market does with its bids; shares of them."""

    bill: float = 0.6
    lose: float = 0.25
    both: float = 0.0
    """A loss, and then a bill all the same."""
    again: float = 0.15
    """Of bills: told twice, at once and by different connections."""
    give_up: float = 0.2
    """Of notices that were cut: never told again."""
    delay_s: float = 1.5


class Market:
    """Asks and tells at a steady rate, wherever the service is now."""

    def __init__(self, service: Service, book: Path, seed: int) -> None:
        self._random = random.Random(seed)
        self._rates = load_rates(None)
        self._lines = {line.key: line for line in compile_lines(load_book(book), self._rates)}
        self.sales: dict[str, Sale] = {}
        self.fates: dict[str, Fate] = {}
        """By advertiser, where not the common one."""
        self.limits: dict[Account, int] = {}
        """What may leave an account at most; those that are not here are unbounded."""
        self.at_risk: Counter[Account] = Counter()
        """Billed, and bid with the outcome open."""
        self.beyond: list[tuple[Account, int]] = []
        """Accounts that more was bid from than there was, and how much that is."""
        self.answers: Counter[tuple[str, int]] = Counter()
        """By advertiser's site and status."""
        self.wrong: list[tuple[str, int]] = []
        """Notices that were not answered as documented."""
        self.lost = 0
        """Requests that were cut without an answer."""
        self._telling: set[asyncio.Task[None]] = set()
        self._asking: list[asyncio.Task[None]] = []
        self._going = asyncio.Event()
        self.move(service)

    def move(self, service: Service) -> None:
        """The service is at other ports now."""
        self.exchange, self.public = service.exchange, service.public
        self._keys = Keyring(load_keys({}, "", service.data_dir).keys)

    def place(self, asker: int) -> tuple[str, int]:
        """Where the asker of this number finds the service."""
        return self.exchange

    @property
    def answered(self) -> int:
        """Requests answered."""
        return sum(self.answers.values())

    async def more(self, count: int) -> None:
        """Wait until so many more requests were answered."""
        goal = self.answered + count
        while self.answered < goal:
            self.check()
            await asyncio.sleep(0.01)

    async def dries_up(self, count: int) -> None:
        """Wait until so many requests in a row were answered without a bid."""
        sales, answered = len(self.sales), self.answered
        while self.answered < answered + count:
            self.check()
            if len(self.sales) != sales:
                sales, answered = len(self.sales), self.answered
            await asyncio.sleep(0.01)

    def check(self) -> None:
        """Raise what an asker met."""
        for task in self._asking:
            if task.done():
                task.result()

    @asynccontextmanager
    async def open(self, sites: dict[str, str], rate: float) -> AsyncIterator[None]:
        """Ask for every site in turn, `sites` to their exchanges; at the end everything is told."""
        todo = list(sites.items())
        self._going.set()
        self._asking = [
            asyncio.create_task(self._ask(todo, number, ASKERS / rate)) for number in range(ASKERS)
        ]
        try:
            yield
        finally:
            await self.close()

    async def close(self) -> None:
        """Ask no more, and wait until everything is told."""
        self._going.clear()
        await asyncio.gather(*self._asking)
        while self._telling:
            await asyncio.gather(*self._telling)

    async def _ask(self, todo: list[tuple[str, str]], number: int, pause_s: float) -> None:
        loop, client = asyncio.get_running_loop(), Client(self.place(number))
        due_s, asker = loop.time(), number
        while self._going.is_set():
            site, exchange = todo[number % len(todo)]
            number += 1
            if client.address != (place := self.place(asker)):
                await client.close()
                client = Client(place)
            body = bid_request(number, site={"id": site, "domain": site})
            try:
                answer = await client.ask(post(body, exchange))
                self.answers[site, answer.status] += 1
                for bid in bids(answer) if answer.status == 200 else ():
                    self._take(bid)
            except ConnectionRefusedError:
                await asyncio.sleep(pause_s)
            except ConnectionError:
                self.lost += 1
            due_s = max(due_s + pause_s, loop.time() - 1.0)
            await asyncio.sleep(max(0.0, due_s - loop.time()))
        await client.close()

    def _take(self, bid: dict[str, Any]) -> None:
        sale = self._sale(bid)
        assert sale.bid_id not in self.sales
        self.sales[sale.bid_id] = sale
        for account in sale.accounts:
            self.at_risk[account] += sale.cost
            over = self.at_risk[account] - self.limits.get(account, 1 << 62)
            if over > 0:
                self.beyond.append((account, over))
        task = asyncio.create_task(self._settle(sale))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    def _sale(self, bid: dict[str, Any]) -> Sale:
        urls = {"win": bid["nurl"], "loss": bid["lurl"], "bill": bid.get("burl", "")}
        urls["bill"] = urls["bill"] or _IMP.findall(bid["adm"].replace("&amp;", "&"))[0]
        claim = open_token(urls["win"].rsplit("t=", 1)[1].split("&")[0], self._keys, Audience.EXCHANGE, 0.0)
        assert isinstance(claim, Claim)
        line = self._lines[claim.line_item]
        cpm_micros = round(bid["price"] * 1_000_000)
        rate_ppm = round((self._rates.factor("USD", line.currency) or 0.0) * PPM)
        assert (claim.bid_cpm_micros, claim.rate_ppm) == (cpm_micros, rate_ppm)
        path = path_at(line.limits, claim.issued_s)
        accounts = tuple((line.advertiser_id, level.account) for level in path)
        cost = _cost(cpm_micros, rate_ppm)
        return Sale(claim.bid_id.hex(), accounts, cost, claim.deadline_s, urls, claim)

    async def _settle(self, sale: Sale) -> None:
        """What becomes of one bid."""
        fate, chance = self.fates.get(sale.accounts[0][0], Fate()), self._random
        lot = chance.random()
        await asyncio.sleep(chance.random() ** 3 * fate.delay_s)
        if chance.random() < 0.3:
            await self._tell(sale, "win")
        if lot < fate.lose + fate.both:
            sale.lost = True
            self._free(sale, sale.cost)
            await self._tell(sale, "loss")
        if not fate.lose <= lot < fate.lose + fate.both + fate.bill:
            return
        price = self._price(sale)
        self._free(sale, sale.cost - sale.owed)
        copies = 2 if chance.random() < fate.again else 1
        await asyncio.gather(*[self._tell(sale, "bill", price) for _ in range(copies)])
        if chance.random() < 0.1:
            await self._tell(sale, "loss")  # of a bid that was billed: it changes nothing

    def _free(self, sale: Sale, amount: int) -> None:
        for account in sale.accounts:
            self.at_risk[account] -= amount

    def _price(self, sale: Sale) -> str:
        """The text of a price, and what is owed by it: by the written rule never more than the bid."""
        claim, kind = sale.claim, self._random.randrange(8)
        cpm_micros = claim.bid_cpm_micros
        if kind == 0:
            text = self._random.choice(("", "${AUCTION_PRICE}", "free", "-1"))
        elif kind == 1:
            text = f"{cpm_micros * 3 / 1_000_000:.6f}"
        else:
            paid = round(cpm_micros * (0.4 + 0.6 * self._random.random()))
            text = f"{paid / 1_000_000:.6f}"
            cpm_micros = paid if "/bill?" in sale.urls["bill"] else cpm_micros
        sale.owed = _cost(cpm_micros, claim.rate_ppm)
        return text

    async def _tell(self, sale: Sale, kind: str, price: str = "") -> None:
        parts = urlsplit(sale.urls[kind])
        values = {"AUCTION_PRICE": price, "AUCTION_CURRENCY": "USD", "AUCTION_LOSS": "102"}
        query = re.sub(r"\$\{(\w+)\}", lambda found: values.get(found[1], ""), parts.query)
        wire = f"GET {parts.path}?{query} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
        while True:
            try:
                async with connected(self.public) as client:
                    status = (await client.ask(wire)).status
                break
            except ConnectionRefusedError:
                pass  # nobody heard it
            except ConnectionError:
                if self._random.random() < self.fates.get(sale.accounts[0][0], Fate()).give_up:
                    sale.unsure = sale.unsure or kind == "bill"
                    return
            await asyncio.sleep(0.05 + 0.2 * self._random.random())
        if status != (200 if parts.path == "/imp" else 204):
            self.wrong.append((kind, status))
        sale.billed = sale.billed or kind == "bill"


def _cost(cpm_micros: int, rate_ppm: int) -> int:
    """What one impression costs, each fraction of a micro rounded up."""
    return _up(_up(cpm_micros * rate_ppm, PPM), 1_000)


def _up(number: int, by: int) -> int:
    return (number + by - 1) // by
