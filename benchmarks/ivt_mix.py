"""Bots among people, simulated: requests of some minutes, and the notices of some hours.

Place: ivt.py prints what became of them; a test runs a shorter one.
Shapes: an actor asks at its own rate with one request that is read like a real one; who is a bot is known.
    People: ordinary ones; heavy ones, with pages of 8 slots at three exchanges every 8 seconds, all the time; people
    behind a company's VPN in a data centre; people of a mobile network behind one address with one agent.
    Bots: ids that ask 20 times a second; browsers in data centres; slots of 1x1; a placement that four fifths
    of the requests come to from data centres; scripts that say who they are.
Units: seconds on a clock of its own.
"""

import heapq
import json
import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from msgspec import Struct, field

from bidder.auction.identify import lookup_of
from bidder.auction.intake import context_of, opportunities_of, read_request
from bidder.audience.identity import Lookup
from bidder.campaigns.rates import load_rates
from bidder.exchanges import SHIPPED
from bidder.fraud.beacons import Beacons
from bidder.fraud.networks import Networks, parse
from bidder.fraud.reasons import Mark, Reason
from bidder.fraud.score import Screen
from bidder.metrics import Tally
from bidder.opportunity import Context
from bidder.privacy.gate import Gate
from bidder.privacy.signals import signals_of
from bidder.screening import FraudRules

BEGIN_S: Final = 1_795_608_000.0
WARM_S: Final = 120.0
"""What is asked before is not counted: rates need a while to be told."""
DATACENTRE: Final = "203.0.113.0/24"
BROWSERS: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
    "Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
    "Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36",
)
SCRIPTS: Final = ("python-requests/2.32.3", "curl/8.14.1", "Go-http-client/2.0", "okhttp-test/1.0")
TOLD_BY: Final[dict[str, int]] = {
    "ids with abnormal rates": Reason.PERSON_RATE,
    "browsers in data centres": Reason.DATACENTRE,
    "slots that nobody sees": Reason.PLACEMENT,
    "a placement fed by bots": Reason.SOURCE_RATE,
    "its other requests": Reason.SOURCE_RATE,
    "scripts": Reason.TOOL | Reason.CRAWLER,
    "a person who clicks everything": Mark.CLICK_FLOOD,
    "clicks right after the impression": Mark.QUICK,
    "a placement that clicks itself": Mark.PLACEMENT_FLOOD,
    "clicks without an impression": Mark.UNSEEN,
}
"""Which reason is meant for which bots."""
_RATES: Final = load_rates()
_GATE: Final = Gate(0)


class Actor(Struct):
    """Somebody who asks."""

    kind: str
    bot: bool
    per_s: float
    burst: int
    """Requests at once: the slots of a page."""
    context: Context
    lookup: Lookup | None


class Count(Struct):
    """What became of the requests, or notices, of one kind."""

    bot: bool
    actors: int = 0
    seen: int = 0
    suspect: int = 0
    """Recorded as suspect, or filtered."""
    filtered: int = 0
    reasons: dict[int, int] = field(default_factory=dict)
    """How often each set of bits occurred."""

    def with_reason(self, bit: int) -> int:
        """How many had a reason, or a mark."""
        return sum(times for bits, times in self.reasons.items() if bits & bit)


def people(rng: random.Random, ordinary: int) -> Iterator[Actor]:
    """Everybody who is no bot."""
    for number in range(ordinary):
        address = f"198.{rng.randrange(16, 20)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"
        asking = partial(_request, rng, f"person-{number}", address)
        yield _actor("ordinary people", False, (1 / rng.uniform(15, 90), rng.randrange(2, 9)), asking())
    for number in range(20):
        asking = partial(_request, rng, f"heavy-{number}", f"192.0.2.{number + 1}")
        yield _actor("heavy people", False, (1 / 8, 24), asking())
    for number in range(50):
        asking = partial(_request, rng, f"vpn-{number}", "203.0.113.9")
        yield _actor("people behind a VPN", False, (1 / 30, 4), asking())
    for number in range(400):
        request = _request(rng, f"mobile-{number}", f"100.64.7.{number % 250}", agent=BROWSERS[2])
        yield _actor("people of one mobile network", False, (1 / 60, 4), request)


def bots(rng: random.Random) -> Iterator[Actor]:
    """Everybody else."""
    for number in range(10):
        request = _request(rng, f"fast-{number}", f"198.51.100.{number + 1}")
        yield _actor("ids with abnormal rates", True, (20.0, 1), request)
    for number in range(100):
        request = _request(rng, f"cloud-{number}", f"203.0.113.{number + 20}")
        yield _actor("browsers in data centres", True, (1 / 20, 3), request)
    for number in range(50):
        request = _request(rng, f"hidden-{number}", f"198.51.100.{number + 50}", sizes=((1, 1), (0, 0)))
        yield _actor("slots that nobody sees", True, (1 / 20, 3), request)
    for number in range(100):
        cloud = number % 5 != 0
        address = f"203.0.113.{number + 100}" if cloud else f"198.51.100.{number + 100}"
        request = _request(rng, f"farm-{number}", address, publisher="farm")
        kind = "a placement fed by bots" if cloud else "its other requests"
        yield _actor(kind, True, (1 / 10, 2), request)
    for number, script in enumerate(SCRIPTS * 5):
        request = _request(rng, f"script-{number}", f"198.51.100.{number + 10}", agent=script)
        yield _actor("scripts", True, (1 / 5, 1), request)


def _actor(kind: str, bot: bool, pace: tuple[float, int], request: dict[str, object]) -> Actor:
    read = read_request(json.dumps(request).encode())
    permissions = _GATE.permit(signals_of(read), BEGIN_S)
    context = context_of(read, SHIPPED[0], permissions, BEGIN_S, "USD")
    context.opportunities = opportunities_of(context, _RATES.factor)
    lookup = lookup_of(read, SHIPPED[0]) if permissions.read_id else None
    return Actor(kind, bot, *pace, context, lookup)


def _request(
    rng: random.Random,
    user: str,
    address: str,
    *,
    agent: str = "",
    publisher: str = "",
    sizes: tuple[tuple[int, int], ...] = ((300, 250), (320, 50)),
) -> dict[str, object]:
    number = int(rng.paretovariate(1.0)) % 200
    named = publisher or f"publisher-{number}"
    return {
        "id": "1",
        "imp": [
            {
                "id": "1",
                "tagid": "top",
                "banner": {"format": [{"w": width, "h": height} for width, height in sizes]},
            }
        ],
        "site": {
            "domain": f"{named}.example",
            "page": f"https://{named}.example/",
            "publisher": {"id": named},
        },
        "device": {
            "ua": agent or rng.choice(BROWSERS),
            "ip": address,
            "geo": {"country": "USA", "utcoffset": -300},
        },
        "user": {"id": user},
    }


def bidding(minutes: float, ordinary: int, seed: int) -> dict[str, Count]:
    """What the screen makes of the requests of some minutes, by kind of actor."""
    rng = random.Random(seed)
    actors = [*people(rng, ordinary), *bots(rng)]
    screen = Screen(FraudRules(), Tally(), BEGIN_S, b"0123456789abcdef")
    screen.networks = Networks(parse([DATACENTRE], "mix").networks)
    counts: dict[str, Count] = {}
    for actor in actors:
        counts.setdefault(actor.kind, Count(actor.bot)).actors += 1
    queue = [(BEGIN_S + rng.expovariate(actor.per_s), number) for number, actor in enumerate(actors)]
    heapq.heapify(queue)
    until_s = BEGIN_S + minutes * 60
    while queue[0][0] < until_s:
        now_s, number = queue[0]
        actor = actors[number]
        heapq.heapreplace(queue, (now_s + rng.expovariate(actor.per_s), number))
        for _ in range(actor.burst):
            verdict = screen.judge(actor.context, actor.lookup, now_s)
            if now_s >= BEGIN_S + WARM_S:
                count = counts[actor.kind]
                count.seen += 1
                count.suspect += verdict.suspect
                count.reasons[verdict.reasons] = count.reasons.get(verdict.reasons, 0) + 1
                count.filtered += verdict.filtered
    return counts


class Shown(Struct, frozen=True):
    """A bid that comes back, as its token would tell of it."""

    bid_id: bytes
    person: bytes
    placement: int
    issued_s: int
    deadline_s: int


class _Notices:
    """The notices of one simulated world."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._beacons = Beacons(FraudRules(), Tally(), BEGIN_S)
        self._queue: list[tuple[float, int, Callable[[float], object]]] = []
        self._order = 0
        self.counts: dict[str, Count] = {}

    def at(self, when_s: float, what: Callable[[float], object]) -> None:
        """Have something happen."""
        self._order += 1
        heapq.heappush(self._queue, (when_s, self._order, what))

    def run(self) -> None:
        """Until nothing is left."""
        while self._queue:
            when_s, _, what = heapq.heappop(self._queue)
            what(when_s)

    def bid(self, when_s: float, person: bytes, placement: int) -> Shown:
        """A bid of ours, that wins."""
        rng, issued_s = self._rng, int(when_s)
        bid = Shown(rng.randbytes(12), person, placement, issued_s, issued_s + 900)
        self.at(when_s + rng.uniform(0.05, 2), lambda now_s: self._sees("win", bid, now_s))
        return bid

    def _sees(self, kind: str, bid: Shown, now_s: float) -> int:
        return self._beacons.sees(kind, bid, "generic", now_s)

    def shown(self, when_s: float, bid: Shown) -> None:
        """It is shown."""
        self.at(when_s, lambda now_s: self._sees("imp", bid, now_s))

    def clicked(self, when_s: float, bid: Shown, kind: str, bot: bool) -> None:
        """It is clicked, by somebody of whom it is known what they are."""

        def click(now_s: float) -> None:
            marks = self._sees("click", bid, now_s)
            count = self.counts.setdefault(kind, Count(bot))
            count.seen += 1
            count.suspect += marks != 0
            count.reasons[marks] = count.reasons.get(marks, 0) + 1

        self.at(when_s, click)


def clicking(hours: float, people_count: int, seed: int) -> dict[str, Count]:
    """What the beacons make of clicks of some hours, by kind of whoever clicks."""
    world, rng = _Notices(seed), random.Random(seed)
    humans = [rng.randbytes(16) for _ in range(people_count)]
    end_s = BEGIN_S + hours * 3_600

    def time_s() -> float:
        return rng.uniform(BEGIN_S, end_s - 300)

    for person in humans:
        for _ in range(rng.randrange(1, 40)):
            when_s = time_s()
            bid = world.bid(when_s, person, rng.randrange(1, 500))
            world.shown(when_s + rng.uniform(0.2, 4), bid)
            if rng.random() < 0.02:
                after_s = when_s + 4 + rng.lognormvariate(2.0, 1.0)
                world.clicked(after_s, bid, "people", False)
    for _ in range(5):
        person, begin_s = rng.randbytes(16), time_s()
        for number in range(100):
            when_s = begin_s + number * rng.uniform(4, 6)
            bid = world.bid(when_s, person, rng.randrange(1, 500))
            world.shown(when_s + 0.3, bid)
            world.clicked(when_s + 3, bid, "a person who clicks everything", True)
    for _ in range(200):
        when_s = time_s()
        bid = world.bid(when_s, rng.randbytes(16), rng.randrange(1, 500))
        world.shown(when_s + 0.5, bid)
        world.clicked(when_s + 0.5 + rng.uniform(0.005, 0.3), bid, "clicks right after the impression", True)
    for _ in range(800):
        when_s = time_s() / 2 + BEGIN_S / 2
        bid = world.bid(when_s, rng.randbytes(16), 501)
        world.shown(when_s + 0.5, bid)
        if rng.random() < 0.6:
            world.clicked(when_s + rng.uniform(2, 20), bid, "a placement that clicks itself", True)
    for _ in range(100):
        when_s = (BEGIN_S + end_s) / 2 + rng.uniform(0, 1_000)
        bid = world.bid(when_s, rng.randbytes(16), rng.randrange(1, 500))
        world.clicked(when_s + rng.uniform(3, 20), bid, "clicks without an impression", True)
    world.run()
    return world.counts
