"""The simulated exchanges at work: requests at a steady rate, auctions, notices, people who look and click.

Place: `python -m benchmarks.exchange` runs it beside the service; everything goes over HTTP.
Units: times in seconds of the event loop; the rate is requests per second, open loop, after a short ramp.
Limits: `connections` per exchange; a full queue is an error of the service under test.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import heapq
import random
import time
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from benchmarks.exchange import market
from benchmarks.exchange.client import Answer, Client
from benchmarks.exchange.dialects import DIALECTS
from benchmarks.exchange.inspection import Inspection
from benchmarks.exchange.market import Offer, Slot, Verdict
from benchmarks.exchange.markup import render
from benchmarks.exchange.notices import MICROS, PriceKeys, Sale, fill, notice_wire
from benchmarks.exchange.population import Population, interest
from benchmarks.exchange.report import ExchangeTotals, Totals
from benchmarks.exchange.requests import Call, Traffic
from benchmarks.exchange.robots import Robots
from benchmarks.exchange.street import Plan, Street, robots_answered
from benchmarks.exchange.witness import Witness
from openrtb.response import Bid

_TICK_S: Final = 0.004
_RAMP_S: Final = 2.0
_DRAIN_S: Final = 15.0
"""So long the last notices may wait for each other, where the machine is busy."""
_SNAPSHOT_S: Final = 0.5
_SHOW_MEAN_S: Final = 0.3
_CLICK_MEAN_S: Final = 1.5
_BUY_MEAN_S: Final = 5.0
_REPEAT_SHARE: Final = 0.02
"""Notices that an exchange sends twice, as it may."""


class Settings(Struct, frozen=True, kw_only=True):
    """One run."""

    exchange_port: int
    public_base: str
    """What the service's URLs begin with: https, as secure slots demand."""
    public_port: int
    """Where they lead here: on this machine nobody stands in front to speak TLS."""
    rate: float
    seconds: float
    start_s: float = 0.0
    """The first request goes out then, in seconds since the epoch; what is past: at once."""
    limit: int = 1 << 62
    """Requests after which a run ends before its time."""
    seed: int
    people: int
    now_s: float
    connections: int = 16
    notice_connections: int = 32
    browser_connections: int = 16
    price_keys: PriceKeys = {}
    thorough_share: float = 0.1
    patience: float = 1.0
    """How many times tmax the exchanges wait."""
    robots: float = 0.0
    """The share of requests that are robots'."""


class Chance(NamedTuple):
    """A bid that took part in an auction, and the request's own dice: equal for equal seeds and answers."""

    call: Call
    sale: Sale
    slot: Slot
    rng: random.Random


class Simulation:
    """One run of all exchanges; `run` fills `totals`."""

    def __init__(self, settings: Settings, witness: Witness | None = None, plan: Plan | None = None) -> None:
        """`witness` knows the service's campaigns and keys; without one its totals stay empty. With a `plan` the
        people also visit its shops, and look at ads of products; raises FeedError, OSError."""
        self._settings, self._witness = settings, witness
        self.base = settings.public_base
        self.totals = Totals(exchanges={dialect.name: ExchangeTotals() for dialect in DIALECTS})
        self._rng = random.Random(f"delays:{settings.seed}")
        self._people = Population(settings.seed, settings.people, settings.now_s)
        robots = Robots(settings.seed, settings.robots) if settings.robots else None
        self._traffic = Traffic(settings.seed, self._people, robots=robots)
        self._street = Street(plan, settings.seed, self._people, self) if plan is not None else None
        self._traffic.browsers = self._street.browsers if self._street is not None else None
        self._inspect = Inspection(random.Random(f"inspection:{settings.seed}"), settings.thorough_share)
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0

    async def run(self, snapshot: Callable[[Totals], None], stop: asyncio.Event) -> Totals:
        """Send for the time set or until `stop`, then let notices finish; snapshots twice a second."""
        self._loop = loop = asyncio.get_running_loop()
        settings = self._settings
        self._host = f"127.0.0.1:{settings.exchange_port}"
        self._bids = {
            dialect.name: Client("127.0.0.1", settings.exchange_port, settings.connections)
            for dialect in DIALECTS
        }
        self._notices = Client("127.0.0.1", settings.public_port, settings.notice_connections, 20_000)
        self._public = Client("127.0.0.1", settings.public_port, settings.browser_connections, 2_000)
        try:
            await self._begin(stop)
            start = shown = loop.time()
            while (elapsed := loop.time() - start) < settings.seconds and not self._ended(stop):
                self.totals.seconds = elapsed
                self._send(self._planned(elapsed))
                if self._street is not None:
                    self._street.due(elapsed)
                self._run_due(loop.time())
                if loop.time() - shown >= _SNAPSHOT_S:
                    shown += _SNAPSHOT_S
                    snapshot(self.totals)
                await asyncio.sleep(_TICK_S)
            await self._drain()
        finally:
            for client in self._clients():
                client.close()
        if self._street is not None:
            self._street.told(self.totals.people)
        return self.totals

    async def _begin(self, stop: asyncio.Event) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), max(0.0, self._settings.start_s - time.time()))

    def _planned(self, elapsed: float) -> int:
        return min(int(self._settings.rate * full_seconds(elapsed)), self._settings.limit)

    def _ended(self, stop: asyncio.Event) -> bool:
        return stop.is_set() or self.totals.requests >= self._settings.limit

    def _send(self, planned: int) -> None:
        while self.totals.requests < planned:
            call = self._traffic.draw()
            self.totals.requests += 1
            self.totals.exchanges[call.dialect.name].requests += 1
            wire = call.wire(self._host, "gzip" if call.dialect.gzip else "")
            if not self._bids[call.dialect.name].submit(wire, functools.partial(self._answered, call)):
                self.totals.error("queue", f"{call.dialect.name}: every connection is busy")

    async def _drain(self) -> None:
        """Wait for answers, bring forward what was to come later, wait for its answers."""
        until = self._loop.time() + _DRAIN_S
        while self._loop.time() < until:
            self._run_due(float("inf"))
            if not self._later and not any(client.in_flight for client in self._clients()):
                return
            await asyncio.sleep(_TICK_S)
        left = sum(client.in_flight for client in self._clients())
        self.totals.error("unanswered", f"{left} requests at the end")

    def _clients(self) -> tuple[Client, ...]:
        return (*self._bids.values(), self._notices, self._public)

    def after(self, mean_s: float, action: Callable[[], None]) -> None:
        """Do something in a while; at the end of a run at once."""
        self._order += 1
        when = self._loop.time() + self._rng.expovariate(1 / mean_s)
        heapq.heappush(self._later, (when, self._order, action))

    def _run_due(self, now: float) -> None:
        while self._later and self._later[0][0] <= now:
            heapq.heappop(self._later)[2]()

    def _answered(self, call: Call, answer: Answer) -> None:
        totals = self.totals
        late = answer.elapsed_s * 1_000 > call.tmax_ms * self._settings.patience
        if answer.status:
            totals.latency_us.add(answer.elapsed_s * 1e6)
            totals.late += late
        if call.robot:
            robots_answered(call, totals.people, bid=answer.status == 200)
        if answer.status == 204:
            totals.no_bids += 1
        elif answer.status == 200:
            self._auction(call, answer.body, late)
        else:
            kind = f"status {answer.status}" if answer.status else "no answer"
            totals.error(kind, f"{call.dialect.name}: {answer.body.decode(errors='replace')}")

    def _auction(self, call: Call, body: bytes, late: bool) -> None:
        totals = self.totals
        try:
            request, response, faults = self._inspect.answer(call, body)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            totals.error("unreadable answer", str(error))
            return
        bids = [(seat.seat or "", bid) for seat in response.seatbid or () for bid in seat.bid]
        if not bids:
            totals.no_bids += 1
            return
        totals.bid_responses += 1
        if faults:
            totals.faults += 1
            totals.example(f"fault at {call.dialect.name}: {faults[0]}")
        totals.bids += len(bids)
        totals.exchanges[call.dialect.name].bids += len(bids)
        for _, bid in bids:
            self._recognise(call, bid)
        if late or faults:
            return
        currency = response.cur or "USD"
        rng = random.Random(f"{self._settings.seed}:{request.id}")
        for imp in call.request["imp"]:
            ours = [pair for pair in bids if pair[1].impid == imp["id"]]
            if not ours:
                continue
            factor = self._inspect.convert(1.0, imp.get("bidfloorcur") or "USD", currency) or 1.0
            slot = market.slot_of(imp, call.request.get("at"), factor)
            per_usd = self._inspect.convert(1.0, "USD", currency) or 1.0
            offers = [Offer(bid.price, bid.dealid) for _, bid in ours]
            verdicts = market.settle(slot, offers, market.rivals(rng, slot.medium, per_usd))
            for (seat, bid), verdict in zip(ours, verdicts, strict=True):
                sale = Sale(call.dialect, request.id, bid, verdict, currency, seat, response.bidid or "")
                self._conclude(Chance(call, sale, slot, rng))

    def _conclude(self, chance: Chance) -> None:
        """Tell the bidder, and let the person see the ad."""
        sale = chance.sale
        if not sale.verdict.won:
            self._lose(sale, sale.verdict)
            return
        self.totals.wins += 1
        self.totals.exchanges[sale.dialect.name].wins += 1
        self._notify(sale.bid.nurl, sale)
        if market.renders(chance.rng, chance.slot.medium):
            self.after(_SHOW_MEAN_S, functools.partial(self._show, chance))

    def _lose(self, sale: Sale, verdict: Verdict) -> None:
        self.totals.losses += 1
        reasons = self.totals.loss_reasons
        reasons[str(verdict.reason)] = reasons.get(str(verdict.reason), 0) + 1
        if sale.dialect.losses != "none":
            self._notify(sale.bid.lurl, sale)

    def _show(self, chance: Chance) -> None:
        """The ad is on the screen: bill it, fetch what it holds, perhaps click."""
        sale, bid, totals = chance.sale, chance.sale.bid, self.totals
        try:
            ad = render(fill(bid.adm or "", sale, self._settings.price_keys))
        except (ValueError, KeyError) as error:
            totals.error("markup", f"{sale.dialect.name}: {error}")
            return
        if self._witness is not None:
            self._witnessed(functools.partial(self._witness.saw, chance.call, bid, self._loop.time(), totals))
        if sale.dialect.billing == "burl":
            self._notify(bid.burl, sale, functools.partial(self._billed, sale))
        base = self.base
        for url in ad.fetched:
            if self._street is not None and url.startswith(f"{base}/render"):
                self._street.frame(
                    url, chance.call.human, f"{sale.request_id}:{bid.impid}", self._clicker(False)
                )
            elif url.startswith(base):
                beacon = url.startswith(f"{base}/imp")
                self._fetch(url, functools.partial(self._seen, sale) if beacon else None)
        liking = interest(chance.call.human.id, (bid.adomain or [""])[0])
        if ad.clicks and market.clicks(chance.rng, chance.slot.medium, liking):
            buys = market.converts(chance.rng, liking)
            self.after(_CLICK_MEAN_S, functools.partial(self._fetch, ad.clicks[0], self._clicker(buys)))

    def _seen(self, sale: Sale) -> None:
        self.totals.impressions += 1
        if sale.dialect.billing == "beacon":
            self._billed(sale)

    def _billed(self, sale: Sale) -> None:
        totals, campaign = self.totals, sale.bid.cid or ""
        totals.billed += 1
        totals.exchanges[sale.dialect.name].billed_micros += round(sale.verdict.price * MICROS / 1_000)
        totals.campaigns_billed[campaign] = totals.campaigns_billed.get(campaign, 0) + 1
        if self._witness is not None:
            self._witnessed(functools.partial(self._witness.billed, sale, totals))

    def _recognise(self, call: Call, bid: Bid) -> None:
        street, witness = self._street, self._witness
        if street is not None and witness is not None:
            self._witnessed(lambda: street.bid(call, witness.claim(bid), self.totals.people))

    def _witnessed(self, testimony: Callable[[], None]) -> None:
        try:
            testimony()
        except ValueError as error:
            self.totals.error("token", str(error))

    def _clicker(self, buys: bool) -> Callable[[], None]:
        def clicked() -> None:
            self.totals.clicks += 1
            if buys:
                self.after(_BUY_MEAN_S, self._buy)

        return clicked

    def _buy(self) -> None:
        self.totals.conversions += 1

    def _notify(self, template: str | None, sale: Sale, then: Callable[[], None] | None = None) -> None:
        """Send a notice, now and then twice, as exchanges do when they are not sure."""
        if template:
            url = fill(template, sale, self._settings.price_keys)
            self._fetch(url, then, sale.dialect.notices)
            if self._rng.random() < _REPEAT_SHARE:
                self._fetch(url, None, sale.dialect.notices)

    def call(self, request: bytes, done: Callable[[Answer], None], what: str) -> None:
        """Send a browser's request; `done` is told of an answer below 400, anything else is an error."""

        def answered(answer: Answer) -> None:
            if 200 <= answer.status < 400:
                done(answer)
            else:
                told = answer.body.decode(errors="replace")[:120]
                self.totals.error(what, f"{answer.status}: {told}")

        if not self._public.submit(request, answered):
            self.totals.error(what, "every connection is busy")

    def _fetch(self, url: str, then: Callable[[], None] | None = None, method: str = "GET") -> None:
        wire = notice_wire(url, method) if url.startswith(self._settings.public_base) else None
        if wire is None:
            self.totals.error("notice", f"leads elsewhere: {url[:120]}")
            return

        def answered(answer: Answer) -> None:
            if 200 <= answer.status < 400:
                self.totals.notices += 1
                if then is not None:
                    then()
            else:
                path = url.partition("?")[0]
                self.totals.error(
                    "notice", f"{answer.status or answer.body.decode(errors='replace')} at {path}"
                )

        if not self._notices.submit(wire, answered):
            self.totals.error("notice", "every connection is busy")


def full_seconds(elapsed: float) -> float:
    """A ramp, then a steady rate: after so many seconds as many requests are out as at the full rate after these."""
    ramp = min(elapsed, _RAMP_S)
    return ramp * ramp / (2 * _RAMP_S) + max(0.0, elapsed - _RAMP_S)
