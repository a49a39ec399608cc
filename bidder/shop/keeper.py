"""What happens to an event that may be kept: into the person's history, to the recorder, and counted.

Place: receive uses it for pixels and batches alike.
Rule: the history first, the record after it: so a record holds no person whom the store says opted out.
Raises: redis.RedisError, OSError (NotKept among them) of the stores; Refusal for a currency without a rate.
"""

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from bidder.audience.known import ShopRules
from bidder.audience.segments import compile_rules
from bidder.audience.visit import EventKind
from bidder.campaigns.model import Advertiser
from bidder.campaigns.rates import Rates
from bidder.keys import product_key
from bidder.metrics import Tally
from bidder.shop import cookies, counts, people
from bidder.shop.hands import Hands
from bidder.shop.intake import Intake, Refusal
from bidder.shop.people import UNPROVEN_S, Found
from bidder.shop.visits import record_of, seen_of, value_in


class NotKept(OSError):
    """The store was asked, and could not keep an event."""


class Shop(Struct, frozen=True):
    """One advertiser, with its segments compiled."""

    advertiser: Advertiser
    rules: ShopRules


def compile_shops(advertisers: Iterable[Advertiser]) -> dict[str, Shop]:
    """Advertisers by id."""
    return {
        advertiser.id: Shop(advertiser, ShopRules(advertiser.id, compile_rules(advertiser)))
        for advertiser in advertisers
    }


class Keeper:
    """Keeps events of all shops."""

    def __init__(self, hands: Hands, tally: Tally, ttl_s: float) -> None:
        """`ttl_s`: how long a person is kept after an event; 30 days at most."""
        self.hands, self._tally = hands, tally
        self.ttl_s = min(ttl_s, cookies.ID_S)
        self.rates: Rates | None = None

    def named(self, event: Intake, advertiser: Advertiser) -> Intake:
        """An event with an id and a currency that we can convert; raises Refusal."""
        currency = event.currency or advertiser.currency
        if currency != advertiser.currency and (self.rates is None or not self.rates.knows(currency)):
            raise Refusal("currency", "currency: there is no exchange rate for it")
        if event.id:
            return replace(event, currency=currency)
        if event.order and event.kind is EventKind.PURCHASE:  # a page of thanks that is loaded again
            return replace(
                event, currency=currency, id=f"order-{product_key(advertiser.id, event.order):016x}"
            )
        return replace(event, currency=currency, id=cookies.new_person().hex())

    async def observed(self, shop: Shop, event: Intake, found: Found, now_s: float) -> tuple[Found, bool]:
        """Add an event to what the advertiser knows of a person: who it is then, and whether the event was known."""
        if found.person is None:
            return found, False
        seen = seen_of(event, shop.advertiser, self.hands.catalogues.of(shop.advertiser.id), self._convert)
        ttl_s = self.ttl_s if found.proven else min(self.ttl_s, UNPROVEN_S)
        observed = await self.hands.visitors.observe(found.person, shop.rules, seen, int(now_s), ttl_s)
        if observed.opted_out:
            return people.OUT, False
        if observed.lost:
            raise NotKept("others wrote the same person too often in between")
        return found, observed.repeated > 0 and not observed.kept

    def record(self, shop: Shop, event: Intake, source: str, person: bytes | None, became: str) -> bool:
        """Record an event with or without its person, and count what `became` of the person; False: it was dropped."""
        owner, tally = shop.advertiser.id, self._tally
        taken = self.hands.recorder.record(record_of(event, owner, source, person))
        tally.count(counts.EVENTS.name, owner, event.kind.name.lower(), source)
        tally.count(counts.PEOPLE.name, owner, became)
        for field in event.dropped:
            tally.count(counts.SCRUBBED.name, owner, field)
        return taken

    def repeated(self, advertiser_id: str) -> None:
        """Count an event that was known."""
        self._tally.count(counts.REPEATED.name, advertiser_id)

    def refuse(self, advertiser_id: str, reason: str) -> None:
        """Count an event, or a batch, that is not kept."""
        self._tally.count(counts.REFUSED.name, advertiser_id, reason)

    def _convert(self, micros: int, from_currency: str, to_currency: str) -> int:
        return value_in(self.rates, micros, from_currency, to_currency)
