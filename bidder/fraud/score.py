"""The judgement of a request: all checks, one score, and what the operator wants done about it.

Place: step 2 of a bid, after the gate; run asks `judge` once per request, for what is left after cheaper refusals.
Shapes: facts of the request -> bits of Reason -> Verdict.
Units: 3 us for a request that nothing is wrong with.
Limits: rates are what this worker sees, up to a second late; memory is bounded by agents.py, rates.py and sources.py.
Never: an id or an address beyond the call, but as a hash under this process's secret; anything counted of children, or
    of an id that may not be read (then there is no look-up, either).
"""

import secrets
from collections import Counter
from typing import Final, Protocol

from bidder.audience.identity import Lookup
from bidder.fraud.agents import NO_AGENT, Agents
from bidder.fraud.counts import Counts
from bidder.fraud.networks import Networks, read_address
from bidder.fraud.placements import contradicted, impossible, mismatched, nameless
from bidder.fraud.rates import GATHER, Alarm, Mixture, Sketch, steady
from bidder.fraud.reasons import Reason
from bidder.fraud.sources import Sources
from bidder.fraud.verdict import CLEAN, Policy, Verdict
from bidder.metrics import Tally
from bidder.opportunity import Context
from bidder.screening import FraudRules
from openrtb.request import Device

HALF_LIFE_S: Final = 60.0
"""Of counts of ids and addresses: long enough for a page full of slots, short enough that a bot is seen at once."""
SOURCE_HALF_LIFE_S: Final = 300.0
_TICK_S: Final = 1.0
_DATACENTRE: Final = int(Reason.DATACENTRE)
_PERSON_RATE, _ADDRESS_RATE = int(Reason.PERSON_RATE), int(Reason.ADDRESS_RATE)
_SOURCE_RATE: Final = int(Reason.SOURCE_RATE)
_STRONG: Final = int(Reason.TOOL | Reason.NO_AGENT | Reason.DATACENTRE | Reason.PLACEMENT)
"""What makes the source suspect, too; not crawlers, who go everywhere, nor an id or a network that asks and asks."""


class Chain(Protocol):
    """Who knows which sellers are authorised: supply.Supply."""

    def judge(self, context: Context) -> int:
        """Bits of Reason: SELLER, SCHAIN."""


class Screen:
    """Judges the requests of one worker. `networks` and `chain` may be replaced at any time."""

    def __init__(self, rules: FraudRules, tally: Tally, now_s: float, secret: bytes = b"") -> None:
        """`secret` keys everything that is counted; by default it is drawn, and nobody ever knows it."""
        secret = secret or secrets.token_bytes(16)
        self._policy = Policy(rules)
        self._agents = Agents(secret)
        self._text, self._bytes = secret.hex(), secret
        self.counts = Counts(tally)
        self.sources = Sources()
        self.networks = Networks()
        self.chain: Chain | None = None
        people, addresses, every, suspect = (
            Sketch(half_life_s, now_s)
            for half_life_s in (HALF_LIFE_S, HALF_LIFE_S, SOURCE_HALF_LIFE_S, SOURCE_HALF_LIFE_S)
        )
        self._people = Alarm(people, steady(rules.person_rate, HALF_LIFE_S), rules.person_share)
        self._addresses = Alarm(addresses, steady(rules.address_rate, HALF_LIFE_S), rules.address_share)
        self._placements = Mixture((every, suspect), rules.source_requests, rules.source_suspects)
        self._rows: list[tuple[str, str, str, str, str]] = []
        self._next_s = now_s

    def judge(self, context: Context, lookup: Lookup | None, now_s: float) -> Verdict:
        """Check and count a request; `lookup` is None where nobody may be looked up."""
        if now_s >= self._next_s or len(self._rows) >= GATHER:
            self.count(now_s)
        device = context.request.device
        reasons = impossible(context)
        if not (context.domain or context.bundle):
            reasons |= nameless(context)
        reasons |= self._device(context, device) if device is not None else NO_AGENT
        if lookup is not None and not context.coppa:
            reasons |= self._person(lookup)
        if self.chain is not None:
            reasons |= self.chain.judge(context)
        return self._conclude(context, reasons)

    def count(self, now_s: float) -> None:
        """Count what has gathered: every second, or sooner when there is much."""
        self._next_s = now_s + _TICK_S
        self._people.count(now_s)
        self._addresses.count(now_s)
        self._placements.count(now_s)
        for (exchange, publisher, place, kind, domain), requests in Counter(self._rows).items():
            self.sources.row((exchange, publisher, place), kind, domain)[0] += requests
        self._rows.clear()

    def _device(self, context: Context, device: Device) -> int:
        """What the agent, the address and the place say."""
        reasons, hashed, systems = self._agents.of(device.ua)
        sua, geo, address = device.sua, device.geo, device.ip or device.ipv6
        if sua is not None:
            reasons |= contradicted(sua, systems)
        if geo is not None:
            reasons |= mismatched(context, geo)
        if not address:
            return reasons
        number, six = read_address(address)
        if number < 0:
            return reasons
        if self.networks.holds6(number) if six else self.networks.holds4(number):
            reasons |= _DATACENTRE
        if not context.coppa:
            key = hash((number >> (64 if six else 8), hashed))
            alarm = self._addresses
            alarm.keys.append(key)
            if key in alarm.flagged:
                reasons |= _ADDRESS_RATE
        return reasons

    def _person(self, lookup: Lookup) -> int:
        """Count the id that would be looked up; a visitor is an address and an agent, counted already."""
        if lookup.person is not None:
            key = hash(self._bytes + lookup.person)
        elif lookup.matches:
            key = hash(self._text + lookup.matches[0])
        else:
            return 0
        alarm = self._people
        alarm.keys.append(key)
        return _PERSON_RATE if key in alarm.flagged else 0

    def _conclude(self, context: Context, reasons: int) -> Verdict:
        """Count where it came from, and weigh."""
        publisher, opportunities = context.publisher, context.opportunities
        place = context.bundle or context.domain or context.site_id
        name, mixture = context.exchange.name, self._placements
        key = hash((self._text, name, publisher, opportunities[0].imp.tagid if opportunities else None))
        if not reasons & _PERSON_RATE:
            mixture.keys.append(key)
        self._rows.append((name, publisher, place, context.inventory, context.domain))
        if key in mixture.flagged:
            reasons |= _SOURCE_RATE
        if not reasons:
            return CLEAN
        if reasons & _STRONG and not reasons & _PERSON_RATE:
            mixture.suspects.append(key)
        return self._suspected(context, reasons, place)

    def _suspected(self, context: Context, reasons: int, place: str) -> Verdict:
        """Weigh the reasons against a request, and count them."""
        verdict = self._policy.verdict(reasons)
        if verdict.reasons:
            name, publisher = context.exchange.name, context.publisher
            row = self.sources.row((name, publisher, place), context.inventory, context.domain)
            row[1] += 1
            row[2] += verdict.filtered
            row[3] |= verdict.reasons
            self.counts.request(name, verdict.reasons, verdict.filtered)
            self.counts.source(name, publisher[:64], place[:64])
        return verdict
