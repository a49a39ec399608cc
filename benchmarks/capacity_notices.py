"""What notices and charges take: bids of a real worker are won, billed, seen and clicked, through its public port.

Place: capacity.py, once per measurement, on one of its sites.
Shapes: every bid of CALLS requests is won; its notices are sent once each: win and billing notices, and what the
    markup fetches from us. One in CLICKED is clicked.
Units: microseconds of the reference machine; bytes.
Raises: DemoError where nothing is bid or charged.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.capacity_fit import Wires
from benchmarks.capacity_site import DemoError, Reading, Site
from benchmarks.demo.service import BASE_URL
from benchmarks.exchange.client import Answer, Client
from benchmarks.exchange.market import WON, Verdict
from benchmarks.exchange.markup import render
from benchmarks.exchange.notices import Sale, fill, notice_wire
from benchmarks.exchange.requests import Call
from openrtb.response import Bid, BidResponse

CALLS: Final = 1_500
CLICKED: Final = 20
RATE: Final = 1_500.0
ARCHIVED_S: Final = 11.0
"""The bookkeeper writes the journal every ten."""
SETTLE_S: Final = 20.0
_decode = msgspec.json.Decoder(BidResponse).decode


async def charged(site: Site, loads: Reading, speed: Callable[[], float]) -> Wires:
    """Bytes of the loads so far, and the cost of notices measured now; `speed` reads the yardstick."""
    answers = await _answers(site)
    sales = [sale for call, answer in answers for sale in _sales(call, answer)]
    wires = [wire for number, sale in enumerate(sales) for wire in _notices(site, sale, number)]
    if not wires:
        raise DemoError("nothing was bid: notices cannot be measured")
    await asyncio.sleep(1.0)
    journal, before, slow = _journal_bytes(site), site.read(), speed()
    idle = site.read()
    reading, result = site.notices(wires, RATE)
    slow = (slow + speed()) / 2
    await _settled(site, before)
    whole = site.read().since(before)
    charges = whole.total("charges_total")
    if not charges:
        raise DemoError("nothing was charged")
    await asyncio.sleep(ARCHIVED_S)
    asked = max(1, loads.total("people_asked_total"))
    bodies = sum(len(answer.body) for _, answer in answers) / len(answers)
    return Wires(
        request_bytes=loads.total("exchange_received_bytes_total") / loads.requests,
        answer_bytes=max(bodies, loads.total("exchange_sent_bytes_total") / loads.requests),
        person_read_bytes=loads.counts["people_bytes"] / asked,
        notice_us=reading.cpu_us["worker"] / max(1, result.answered) / slow,
        charge_us=whole.since(idle.since(before)).cpu_us["ledger"] / charges / slow,
        charge_bytes=max(0, whole.counts["ledger_log_bytes"]) / charges,
        journal_bytes=(_journal_bytes(site) - journal) / charges,
    )


async def _answers(site: Site) -> list[tuple[Call, Answer]]:
    """Bids, with the calls that they answer."""
    client = Client("127.0.0.1", site.service.ports.exchange, 32, queue=CALLS)
    got: list[tuple[Call, Answer]] = []
    done = asyncio.Event()
    left = CALLS

    def answered(call: Call, answer: Answer) -> None:
        nonlocal left
        left -= 1
        if answer.status == 200:
            got.append((call, answer))
        if not left:
            done.set()

    try:
        for call in site.calls[:CALLS]:
            client.submit(call.wire("127.0.0.1"), functools.partial(answered, call))
        await asyncio.wait_for(done.wait(), SETTLE_S)
    finally:
        client.close()
    return got


def _sales(call: Call, answer: Answer) -> list[Sale]:
    response = _decode(answer.body)
    return [
        Sale(call.dialect, str(call.request["id"]), bid, _won(bid), response.cur or "USD", seat.seat or "")
        for seat in response.seatbid or ()
        for bid in seat.bid
    ]


def _won(bid: Bid) -> Verdict:
    return Verdict(WON, bid.price, bid.price)


def _notices(site: Site, sale: Sale, number: int) -> list[bytes]:
    """The notices of a won bid, as bytes."""
    bid, keys = sale.bid, site.price_keys()
    urls = [fill(url, sale, keys) for url in (bid.nurl, bid.burl) if url]
    with contextlib.suppress(ValueError, KeyError):
        ad = render(fill(bid.adm or "", sale, keys))
        urls += ad.fetched
        urls += ad.clicks[:1] if number % CLICKED == 0 else ()
    return [wire for url in urls if url.startswith(BASE_URL) and (wire := notice_wire(url))]


async def _settled(site: Site, before: Reading) -> None:
    """Until the ledger has had every charge."""
    end_s, last = time.monotonic() + SETTLE_S, -1
    while time.monotonic() < end_s:
        charges = site.read().since(before).total("charges_total")
        if charges == last:
            return
        last = charges
        await asyncio.sleep(1.0)


def _journal_bytes(site: Site) -> int:
    folder: Path = site.service.journal
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) if folder.exists() else 0
