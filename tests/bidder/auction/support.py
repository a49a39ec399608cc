"""An auction in process: the real Auction, Index, Pricer and gate over a book, with hands for a port, people and clock.

Place: the tests of the path of a bid and the golden auctions; `decided` is the whole of most of them.
Shapes: an `Asked` is a call that must be answered exactly once; `Known` reads people from a dict of look-ups.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from bidder.auction.run import Auction, Hands
from bidder.auction.world import World
from bidder.audience.frequency import Basis, Exposure
from bidder.audience.identity import Lookup
from bidder.audience.person import Person, Profile, field_name, pack, segment_key
from bidder.campaigns.model import Book
from bidder.campaigns.rates import Rates, load_rates
from bidder.clock import ManualClock
from bidder.config import Config
from bidder.exchanges import Exchange
from bidder.fraud.score import Screen
from bidder.live import build_world
from bidder.metrics import Tally
from bidder.notices.keys import Keyring
from bidder.outcome import Outcome
from bidder.screening import FraudRules
from bidder.settings import AuctionRules, PrivacyRules
from budget.money import Micros
from openrtb.check import Fault, faults
from openrtb.codec import decode_request
from openrtb.request import BidRequest
from openrtb.response import Bid, BidResponse
from openrtb.upgrade import upgrade

RATES: Rates = load_rates()
RING = Keyring(((1, b"k" * 32),))
BASE_URL = "https://ads.example"
NOW_S = 1_795_608_000.0  # Wednesday 2026-11-25 12:00 UTC
HOLD_S = 60.0
FOREVER_NS = 1 << 62
PLAIN = Exchange(name="generic")


class Asked:
    """A call of an exchange, as the port hands it over; remembers the one answer it got."""

    def __init__(self, body: bytes, profile: Exchange = PLAIN, received_ns: int = 0) -> None:
        self.body, self.profile, self.received_ns = body, profile, received_ns
        self.deadline_ns = 0
        self.connected = True
        self.outcome: Outcome | None = None
        self.sent = b""

    def answer(self, outcome: Outcome, body: bytes = b"") -> bool:
        assert self.outcome is None, "a call is answered once"
        self.outcome, self.sent = outcome, body
        return self.connected

    @property
    def response(self) -> BidResponse | None:
        return msgspec.json.decode(self.sent, type=BidResponse) if self.sent else None

    @property
    def bids(self) -> list[Bid]:
        response = self.response
        return [bid for seat in response.seatbid or () for bid in seat.bid] if response is not None else []


class Read:
    """What came back."""

    def __init__(self, people: Sequence[Person | None], exposures: Sequence[Exposure | None] = ()) -> None:
        self.people, self.exposures = people, exposures
        self.opted_out: Collection[int] = ()


class Done:
    """A read that has ended."""

    def __init__(self, people: Sequence[Person | None], exposures: Sequence[Exposure | None] = ()) -> None:
        self._people, self._exposures = people, exposures

    def then(self, callback: Callable[[Read], None]) -> None:
        callback(Read(self._people, self._exposures))


class Known:
    """People by our id or by a match key; everybody else is nobody. Whoever is looked up can be counted for, and was
    shown what `views` says."""

    def __init__(self, people: Mapping[bytes | str, Person] | None = None) -> None:
        self.people = dict(people or {})
        self.asked: list[list[Lookup | None]] = []
        self.views: dict[bytes | str, dict[bytes, bytes]] = {}
        self.busy = 0

    def read(self, lookups: Sequence[Lookup | None], deadline_ns: int, imps: Sequence[int] = ()) -> Done:
        self.asked.append(list(lookups))
        made: dict[Lookup, Exposure] = {}
        for lookup in lookups if imps else ():
            if lookup is not None and lookup not in made:
                made[lookup] = self._exposure(lookup)
        exposures = [made[lookup] if lookup is not None else None for lookup in lookups] if imps else []
        return Done([self._find(lookup) for lookup in lookups], exposures)

    def _exposure(self, lookup: Lookup) -> Exposure:
        person = self._find(lookup)
        name = lookup.person or lookup.visitor or (lookup.matches[0] if lookup.matches else b"")
        key = person.id if person is not None else name if isinstance(name, bytes) else bytes(16)
        basis = Basis.VISITOR if lookup.visitor else Basis.PERSON if lookup.person or person else Basis.MATCH
        views = self.views.get(name, {})
        return Exposure(key.hex().encode(), basis, views, self.busy, int(NOW_S), b"mark", FOREVER_NS)

    def _find(self, lookup: Lookup | None) -> Person | None:
        if lookup is None:
            return None
        if lookup.person is not None:
            return self.people.get(lookup.person)
        return next((self.people[key] for key in lookup.matches if key in self.people), None)


class Silent(Known):
    """A store that does not answer: at the end of the time given, everybody is nobody."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock

    def read(self, lookups: Sequence[Lookup | None], deadline_ns: int, imps: Sequence[int] = ()) -> Done:
        self.asked.append(list(lookups))
        self._clock.advance(max(0, deadline_ns - self._clock.monotonic_ns()) / 1e9)
        return Done([None] * len(lookups))


class Overdue(Known):
    """A store that breaks its word: it answers, rightly, a second after the time given."""

    def __init__(self, clock: ManualClock, people: Mapping[bytes | str, Person] | None = None) -> None:
        super().__init__(people)
        self._clock = clock

    def read(self, lookups: Sequence[Lookup | None], deadline_ns: int, imps: Sequence[int] = ()) -> Done:
        self._clock.advance(1 + max(0, deadline_ns - self._clock.monotonic_ns()) / 1e9)
        return super().read(lookups, deadline_ns, imps)


class Written:
    """What was written of views: the exposures of batches that ended, in order."""

    def __init__(self) -> None:
        self.finished: list[Exposure] = []

    def finish(self, exposures: Sequence[Exposure | None], hold_s: float) -> None:
        assert hold_s == HOLD_S
        for exposure in exposures:
            if exposure is not None and not exposure.finished:
                exposure.finished = True
                self.finished.append(exposure)


class Boundless:
    """Money without end, of which every reservation is remembered."""

    def __init__(self) -> None:
        self.reserved: dict[int, int] = {}
        """By deadline, in Micros."""
        self.refuse: set[int] = set()
        """Keys of line items that get none."""
        self.waiting: set[int] = set()
        """Keys of those that get none because of their pace."""

    def reserve(self, line_key: int, cost: Micros, now_s: int, deadline_s: int) -> int:
        if line_key in self.refuse:
            return 0
        self.reserved[deadline_s] = self.reserved.get(deadline_s, 0) + cost
        return 1

    def halted(self, line_key: int) -> bool:
        return line_key in self.waiting

    def unreserve(self, lease_id: int, cost: Micros, deadline_s: int) -> None:
        assert lease_id == 1
        self.reserved[deadline_s] -= cost

    @property
    def total(self) -> int:
        return sum(self.reserved.values())


def world_of(book: Book, config: Config | None = None, rates: Rates = RATES) -> World:
    """The snapshot that the service would make of a book."""
    return build_world(config or Config(), (book, rates), RING, BASE_URL)


def config_of(*, vendor_id: int = 0, exchanges: tuple[Exchange, ...] = (), **auction: Any) -> Config:
    """A configuration with some auction rules, a vendor id and exchanges of its own."""
    return Config(
        auction=AuctionRules(**auction), privacy=PrivacyRules(vendor_id=vendor_id), exchanges=exchanges
    )


class Bench:
    """One auction with its hands."""

    def __init__(
        self,
        book: Book | World,
        people: Known | None = None,
        config: Config | None = None,
        clock: ManualClock | None = None,
        fraud: FraudRules | None = None,
    ) -> None:
        self.clock = clock or ManualClock(NOW_S)
        self.people = people or Known()
        self.tally = Tally()
        self.world = book if isinstance(book, World) else world_of(book, config)
        self.money = Boundless()
        self.views = Written()
        self.screen = Screen(fraud, self.tally, NOW_S) if fraud is not None else None
        hands = Hands(self.money, self.views, HOLD_S, self.screen)
        self.auction = Auction(self.world, self.people, hands, self.tally, self.clock)

    def ask(self, *bodies: bytes | dict[str, Any], profile: Exchange = PLAIN) -> list[Asked]:
        """Decide bodies as one batch; every call has been answered when this returns."""
        now_ns = self.clock.monotonic_ns()
        calls = [
            Asked(body if isinstance(body, bytes) else json.dumps(body).encode(), profile, now_ns)
            for body in bodies
        ]
        self.auction.decide(calls)
        assert all(call.outcome is not None for call in calls), "every call is answered"
        return calls

    def total(self, name: str, *labels: str) -> int:
        """The sum of a counter's cells, of those with these first labels."""
        return sum(
            value
            for cell, value in self.tally.samples()
            if cell.name == name and cell.labels[: len(labels)] == labels
        )

    def drops(self) -> dict[str, int]:
        """Drops by reason, those that happened."""
        return {
            cell.labels[0]: value
            for cell, value in self.tally.samples()
            if cell.name == "paceline_drops_total" and value
        }

    def balance(self) -> int:
        """Candidates that ended in no drop and no bid, or in two: 0 where the books are in order."""
        counted = self.total("paceline_drops_total") + self.total("paceline_bids_total")
        return self.total("paceline_candidates_total") - counted


def faults_of(bench: Bench, call: Asked) -> list[Fault]:
    """What an exchange would find wrong with an answer, its markup included."""
    response = call.response
    assert response is not None, "there is no answer to judge"
    return faults(request_of(call.body), response, bench.world.convert, thorough=True)


def request_of(body: bytes) -> BidRequest:
    """A request as the steps after intake see it."""
    request = decode_request(body)
    upgrade(request)
    return request


def person_of(
    number: int = 1,
    *,
    segments: Mapping[str, Sequence[str]] | None = None,
    affinity: Mapping[str, Sequence[float]] | None = None,
    until_s: float = NOW_S + 86_400,
) -> Person:
    """A person by what each advertiser knows: segments that last until a moment, affinity of up to 32 numbers."""
    fields = {}
    for advertiser in {*(segments or {}), *(affinity or {})}:
        vector = np.zeros(32, np.float16)
        numbers = (affinity or {}).get(advertiser, ())
        vector[: len(numbers)] = numbers
        held = (segments or {}).get(advertiser, ())
        entries = tuple((segment_key(advertiser, segment), int(until_s)) for segment in held)
        fields[field_name(advertiser)] = pack(Profile(int(NOW_S), vector, entries))
    return Person(number.to_bytes(16, "big"), fields)


def uid(number: int = 1) -> str:
    """user.buyeruid of `person_of(number)`."""
    return number.to_bytes(16, "big").hex()
