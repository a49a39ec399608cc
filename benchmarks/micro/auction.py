"""What the path of a bid costs this process, stage by stage: no HTTP, no people store, no pacing.

Place: run by hand: `python -m benchmarks.micro.auction [--line-items 1000 10000 100000] [--batches 1 16 64]`.
Shapes: the requests, people and books are those of `make bench`; a stage is run over a whole batch before the next.
Units: µs of CPU per request, the least of ROUNDS rounds, and in parentheses the ratio to decoding in the same row.
    `bid` is `Auction.decide` as the exchange port calls it; the stages add up to somewhat less.
"""

import argparse
import gc
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from benchmarks.books import synthetic
from benchmarks.exchange.dialects import BY_NAME
from benchmarks.exchange.population import Population
from benchmarks.exchange.requests import PEOPLE, prepare
from benchmarks.subject import SEED, known, networks
from bidder.auction.admit import Admission
from bidder.auction.choose import Choice, Chooser
from bidder.auction.identify import lookup_of
from bidder.auction.intake import bid_currency, context_of, opportunities_of, read_request
from bidder.auction.pending import Drops, Pending
from bidder.auction.respond import respond
from bidder.auction.retrieve import retrieve
from bidder.auction.run import Auction, Hands
from bidder.auction.world import World
from bidder.audience.frequency import Basis, Exposure
from bidder.audience.identity import Lookup
from bidder.audience.person import Person, field_name, pack
from bidder.campaigns.model import Book
from bidder.campaigns.rates import load_rates
from bidder.clock import SystemClock
from bidder.config import Config
from bidder.exchanges import SHIPPED, Exchange
from bidder.fraud.networks import Networks
from bidder.fraud.score import Screen
from bidder.live import build_world
from bidder.metrics import Tally
from bidder.notices.keys import Keyring
from bidder.opportunity import Context
from bidder.outcome import Outcome
from bidder.privacy.signals import signals_of
from bidder.screening import FraudRules
from bidder.settings import PrivacyRules
from budget.allowance import Allowance
from openrtb.check import first_fault
from openrtb.request import BidRequest
from openrtb.response import BidResponse, encode_response

DIALECTS = ("generic", "google", "xandr")
VENDOR_ID = 777  # the vendor that the simulated people consent to
BODIES = 1_024
ROUNDS = 5
FOREVER_NS = 1 << 62
PLENTY = 10**15
"""Micros: more than any round can spend."""
_PROFILES = {exchange.name: exchange for exchange in SHIPPED}
T = TypeVar("T")


class Ask:
    """A call whose answer nobody reads."""

    def __init__(self, body: bytes, profile: Exchange) -> None:
        self.body, self.profile = body, profile
        self.received_ns = self.deadline_ns = time.monotonic_ns()
        self.outcome: Outcome | None = None

    def answer(self, outcome: Outcome, body: bytes = b"") -> bool:
        """Keep the outcome; raises RuntimeError where it is a fault: what fails is soon done, and measures nothing."""
        if outcome is Outcome.FAULT:
            raise RuntimeError("a request ended in a fault of ours: see the log")
        self.outcome = outcome
        return True


class Known:
    """People at hand: the time of reading them is not measured here."""

    def __init__(self, people: dict[bytes, Person]) -> None:
        self.by_id = people
        self.people: Sequence[Person | None] = ()
        self.exposures: Sequence[Exposure | None] = ()
        self.opted_out: Sequence[int] = ()

    def read(self, lookups: Sequence[Lookup | None], deadline_ns: int, imps: Sequence[int] = ()) -> "Known":
        """Found at once, and shown nothing so far."""
        self.people = [self.find(lookup) for lookup in lookups]
        self.exposures = [self.exposure(person) for person in self.people] if imps else []
        return self

    def exposure(self, person: Person | None) -> Exposure | None:
        """Of somebody whom nobody else asks for."""
        if person is None:
            return None
        return Exposure(person.id.hex().encode(), Basis.PERSON, {}, 0, int(time.time()), b"mark", FOREVER_NS)

    def finish(self, exposures: Sequence[Exposure | None], hold_s: float) -> None:
        """The time of writing views is not measured here."""

    def find(self, lookup: Lookup | None) -> Person | None:
        """One of them."""
        return self.by_id.get(lookup.person) if lookup is not None and lookup.person is not None else None

    def then(self, callback: Callable[["Known"], None]) -> None:
        """Call back with what was read."""
        callback(self)


class Bench:
    """One book, with the requests and people for it."""

    def __init__(self, line_items: int, screened: bool = True) -> None:
        book = synthetic(line_items, SEED)
        config = Config(privacy=PrivacyRules(vendor_id=VENDOR_ID))
        keyring = Keyring(((1, bytes(range(32))),))
        self.world = build_world(config, (book, load_rates()), keyring, "https://bid.example")
        self.known = Known(people_of(book, time.time()))
        self.money = leased(self.world)
        self.screen = _screen(Tally()) if screened else None
        hands = Hands(self.money, self.known, 60.0, self.screen)
        self.auction = Auction(self.world, self.known, hands, Tally(), SystemClock())
        calls = prepare(1, 2 * BODIES, time.time(), tuple(BY_NAME[name] for name in DIALECTS))
        single = [call for call in calls if len(call.request["imp"]) == 1][:BODIES]
        self.asked = [
            (msgspec.json.encode(call.request | {"tmax": 60_000}), _PROFILES[call.dialect.name])
            for call in single
        ]
        gc.collect()
        gc.freeze()

    def whole(self, batch: int) -> float:
        """µs per request of `decide`."""
        calls = [Ask(*asked) for asked in self.asked]
        began_ns = time.thread_time_ns()
        for start in range(0, len(calls), batch):
            self.auction.decide(calls[start : start + batch])
        return (time.thread_time_ns() - began_ns) / len(calls) / 1e3

    def stages(self, batch: int) -> dict[str, float]:
        """µs per request of each stage."""
        spent: dict[str, float] = {}
        for start in range(0, len(self.asked), batch):
            _Stages(self, spent).run(self.asked[start : start + batch])
        return {name: ns / len(self.asked) / 1e3 for name, ns in spent.items()}


class _Stages:
    """The stages of one batch, each under its name."""

    def __init__(self, bench: Bench, spent: dict[str, float]) -> None:
        self._bench, self._spent = bench, spent
        self._now_s = time.time()

    def _timed(self, name: str, stage: Callable[[], T]) -> T:
        began_ns = time.perf_counter_ns()
        made = stage()
        self._spent[name] = self._spent.get(name, 0.0) + time.perf_counter_ns() - began_ns
        return made

    def run(self, asked: list[tuple[bytes, Exchange]]) -> None:
        """Intake, person, auction, answers."""
        world, known = self._bench.world, self._bench.known
        requests = self._timed("decode", lambda: [read_request(body) for body, _ in asked])
        contexts = self._contexts(asked, requests)
        lookups = self._timed("identify", lambda: [lookup_of(c.request, c.exchange) for c in contexts])
        self._screened(list(zip(contexts, lookups, strict=True)))
        batch = []
        for (body, exchange), context, lookup in zip(asked, contexts, lookups, strict=True):
            if context.opportunities and context.inventory:
                batch.append(Pending(Ask(body, exchange), context, lookup))
                batch[-1].person = known.find(lookup) if context.personal else None
                batch[-1].exposure = known.exposure(batch[-1].person)
        drops = Drops()
        field = self._timed("retrieve", lambda: retrieve(batch, world, self._now_s, drops))
        prices = self._timed("price", lambda: world.pricer.price(batch, field))
        admission = Admission(batch, world, self._bench.money, self._now_s)
        choices = self._timed("choose", lambda: Chooser(batch, world, drops, admission).choose(field, prices))
        self._answers([(batch[choice.pending].context, choice) for choice in choices], world)

    def _screened(self, asking: list[tuple[Context, Lookup | None]]) -> None:
        screen, now_s = self._bench.screen, time.time()
        if screen is not None:
            judge = screen.judge
            self._timed("screen", lambda: [judge(context, lookup, now_s) for context, lookup in asking])

    def _contexts(self, asked: list[tuple[bytes, Exchange]], requests: list[BidRequest]) -> list[Context]:
        world, now_s = self._bench.world, self._now_s
        gate = world.gate
        permits = self._timed("gate", lambda: [gate.permit(signals_of(r), now_s) for r in requests])
        exchanges = [exchange for _, exchange in asked]

        def contexts() -> list[Context]:
            made = []
            for request, exchange, permissions in zip(requests, exchanges, permits, strict=True):
                currency = bid_currency(request, world.bid_currency, world.factor)
                context = context_of(request, exchange, permissions, now_s, currency)
                context.opportunities = opportunities_of(context, world.factor)
                made.append(context)
            return made

        return self._timed("context", contexts)

    def _answers(self, chosen: list[tuple[Context, Choice]], world: World) -> None:
        def responses() -> list[BidResponse]:
            return [respond(context, [choice], world) for context, choice in chosen]

        made = self._timed("respond", responses)
        pairs = list(zip(chosen, made, strict=True))
        self._timed("check", lambda: [first_fault(c.request, r, world.convert) for (c, _), r in pairs])
        self._timed("encode", lambda: [encode_response(response) for response in made])


def leased(world: World) -> Allowance:
    """Money in plenty for every line item of a world, as a ledger would have leased it."""
    money, now_s = Allowance(1), time.time()
    money.adopt({line.key: (line.advertiser_id, line.limits) for line in world.index.lines})
    for number, compiled in enumerate(world.index.lines, start=1):
        line = money.line(compiled.key)
        assert line is not None, "it was adopted"
        money.open(line, 1 << 32 | number, now_s).grant(PLENTY, low=0)
        money.book(compiled.advertiser_id).until_s = now_s + 86_400
    return money


def _screen(tally: Tally) -> Screen:
    """A screen that knows as many networks as a list of data centres has."""
    screen = Screen(FraudRules(), tally, time.time())
    screen.networks = Networks(networks())
    return screen


def people_of(book: Book, now_s: float) -> dict[bytes, Person]:
    """The people of `make bench`, as read: each visited some shops."""
    population = Population(SEED, PEOPLE, now_s)
    return {
        own: Person(own, {field_name(shop): pack(profile) for shop, profile in profiles.items()})
        for own, profiles in known(book, population, now_s)
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--line-items", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--unscreened", action="store_true", help="without the screen of invalid traffic")
    arguments = parser.parse_args()
    gc.set_threshold(50_000, 20, 100)
    for line_items in arguments.line_items:
        bench = Bench(line_items, not arguments.unscreened)
        for batch in arguments.batches:
            whole = min(bench.whole(batch) for _ in range(ROUNDS))
            rounds = [bench.stages(batch) for _ in range(ROUNDS)]
            least = {name: min(each[name] for each in rounds) for name in rounds[0]}
            decode = least["decode"]
            cells = [f"{name} {us:.1f} ({us / decode:.2f})" for name, us in [("bid", whole), *least.items()]]
            print(f"{line_items:>7} line items, batch {batch:>2}: {'  '.join(cells)}")


if __name__ == "__main__":
    main()
