"""Pure: an event as the visits that a person's history takes, and as the record that is written.

Place: receive calls both once an event may be kept.
Units: a visit's value is micros of the advertiser's currency; a record's amounts are micros of the event's.
"""

from collections.abc import Callable

from msgspec.structs import replace

from bidder.audience.history import MAX_VALUE_MICROS
from bidder.audience.known import Seen
from bidder.audience.visit import Visit
from bidder.campaigns.model import Advertiser
from bidder.campaigns.rates import Rates
from bidder.events.records import TEXT, ShopEvent
from bidder.keys import category_key, name_key, product_key
from bidder.shop.hands import ShopCatalogue
from bidder.shop.intake import Intake

Convert = Callable[[int, str, str], int]
"""(micros, from currency, to currency) -> micros."""


def seen_of(
    event: Intake, advertiser: Advertiser, catalogue: ShopCatalogue | None, convert: Convert
) -> list[Seen]:
    """A visit for each product of an event, or one without. A product's category is what the event says of it, else
    what the catalogue says, else the event's."""
    owner = advertiser.id
    common = Visit(
        event.kind,
        int(event.at_s),
        category=category_key(owner, event.category),
        value_micros=convert(event.value_micros, event.currency, advertiser.currency),
        event=name_key(owner, event.id),
        order=name_key(owner, event.order),
        custom=name_key(owner, event.name),
    )
    if not event.items:
        return [Seen(common)]
    seen = []
    for item in event.items:
        key = product_key(owner, item.product)
        row = catalogue.find(key) if catalogue is not None else -1
        category, vector = item.category, None
        if catalogue is not None and row >= 0:
            category = category or catalogue.product(row).category
            vector = catalogue.vector(row)
        visit = replace(
            common,
            product=key,
            category=category_key(owner, category or event.category),
            value_micros=convert(item.price_micros * item.quantity, event.currency, advertiser.currency),
        )
        seen.append(Seen(visit, vector))
    return seen


def record_of(event: Intake, advertiser_id: str, source: str, person: bytes | None) -> ShopEvent:
    """An event as it is recorded."""
    return ShopEvent(
        id=event.id,
        at_ms=int(event.at_s * 1_000),
        advertiser=advertiser_id,
        kind=event.kind.name.lower(),
        person=person or b"",
        items=event.items,
        category=event.category,
        currency=event.currency,
        value_micros=event.value_micros,
        order=event.order,
        conversion=event.conversion or event.name,
        device=event.device,
        referrer=event.referrer[:TEXT],
        source=source,
    )


def value_in(rates: Rates | None, micros: int, from_currency: str, to_currency: str) -> int:
    """An amount in another currency, at most what a history holds; 0 where there is no rate."""
    if rates is None:
        return micros if from_currency == to_currency else 0
    return min(rates.convert(micros, from_currency, to_currency) or 0, MAX_VALUE_MICROS)
