"""Pure: from what a shop sent to an event that may be kept, or to the reason why not, with the field's name.

Place: receive asks it for each pixel call and each event of a batch; afterwards nobody sees what was sent.
Shapes: an Intake holds the event, the names of fields that were dropped as personal data, and the ids of the person.
    Reading is done in steps of about STEP_TEXT characters, so that others have their turn in between.
Units: micros of the event's currency; seconds since the epoch.
Limits: those of wire.py; MAX_EVENT_TEXT characters in all texts of an event; MAX_PRICE and MAX_VALUE units of a
    currency; events are at most MAX_AGE_S old and MAX_AHEAD_S ahead of our clock (then they count as now).
Raises: Refusal.
Never: personal data in an answer, a log or a count.
"""

import re
from collections.abc import Generator, Iterable
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final, NewType

import msgspec
from msgspec import Struct

from bidder.audience.visit import KINDS, EventKind
from bidder.campaigns.model import DeclaredEvents
from bidder.events.records import Item
from bidder.shop.origins import domain_of
from bidder.shop.scrub import is_address, is_personal
from bidder.shop.wire import (
    MAX_ITEMS,
    ConsentIn,
    EventIn,
    ItemIn,
    PersonIn,
    decode_batch,
    decode_event,
)

MAX_PRICE: Final = 1_000_000_000
MAX_VALUE: Final = 1_000_000_000_000
"""In micros it still fits 64 bits, with the sign."""
MAX_AGE_S: Final = 7 * 86_400
"""A server that was down for a week may tell what happened; longer is history."""
MAX_AHEAD_S: Final = 300.0
MAX_MESSAGE: Final = 200
MAX_EVENT_TEXT: Final = 8_192
"""As much as a pixel's whole query: MAX_ITEMS products with the path of a category each."""
STEP_TEXT: Final = 512

Micros = NewType("Micros", int)

_CONSENT_NAMES: Final = ("gdpr", "gdpr_consent", "gpp", "gpp_sid", "us_privacy", "gpc", "coppa")
_PER_ITEM: Final = {
    "product": "product",
    "price": "price",
    "quantity": "quantity",
    "item_category": "category",
}
_SINGLE: Final = ("event", "id", "category", "currency", "value", "order", "conversion", "name", "referrer")
_OURS: Final = ("advertiser", "fp", "cb", "via")  # `cb`: whatever keeps caches away
_AMOUNTS: Final = ("price", "value", "quantity")
_SIGNED: Final = re.compile(r"[\s+]")
"""A plus, or the blank that a query makes of it, stands before phone numbers, and before no amount."""
_SIGNED_AMOUNT: Final = re.compile(rb'"(?:price|value|quantity)"\s*:\s*"(?:[\s+]|\\u)')
_PLACE: Final = re.compile(r" - at (?:`key` in )?`\$\.?([^`]*)`$")


class Refusal(Exception):
    """An event cannot be kept: `reason` is a word to count by, `str()` names the field."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message[:MAX_MESSAGE])
        self.reason = reason


class Intake(Struct, frozen=True, kw_only=True):
    """One event that may be kept."""

    kind: EventKind
    id: str
    """Empty: the shop gave none."""
    at_s: float
    items: tuple[Item, ...] = ()
    priced: tuple[bool, ...] = ()
    """Which items told their price."""
    category: str = ""
    currency: str = ""
    value_micros: int = 0
    order: str = ""
    conversion: str = ""
    name: str = ""
    referrer: str = ""
    """A domain."""
    device: str = ""
    person: PersonIn | None = None
    consent: ConsentIn | None = None
    dropped: tuple[str, ...] = ()
    """Fields that held personal data."""


Reading = Generator[None, None, Intake]
"""Steps towards an Intake; any of them raises Refusal."""


def read_batch(body: bytes) -> list[msgspec.Raw]:
    """The events of a batch, each still to be read; raises Refusal for all of it."""
    try:
        return decode_batch(body).events
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _not_read(error) from None


def read_event(raw: msgspec.Raw, declared: DeclaredEvents, now_s: float) -> Reading:
    """One event of a server; raises Refusal."""
    if _SIGNED_AMOUNT.search(raw):
        raise Refusal("fields", "price, value, quantity: expected numbers without a sign")
    try:
        written = decode_event(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _not_read(error) from None
    if not written.id:
        raise Refusal("fields", "id: each event needs one, so that it counts once however often it is sent")
    if is_personal(written.id):
        raise Refusal("personal", "id: it reads as an e-mail address or a phone number")
    return (yield from _taken(written, declared, now_s))


def read_pixel(query: Iterable[tuple[str, str]], declared: DeclaredEvents, now_s: float) -> Reading:
    """The event of a pixel's decoded query; raises Refusal. `product`, `price`, `quantity` and `item_category` may be
    repeated, each as often as `product` or not at all; all others stand once."""
    try:
        written = msgspec.convert(_from_query(query), EventIn, strict=False)
    except msgspec.ValidationError as error:
        raise _not_read(error) from None
    return (yield from _taken(written, declared, now_s))


def _from_query(query: Iterable[tuple[str, str]]) -> dict[str, object]:
    single: dict[str, object] = {}
    person: dict[str, str] = {}
    columns: dict[str, list[str]] = {}
    for name, value in query:
        if name in _AMOUNTS and _SIGNED.match(value):
            raise Refusal("fields", f"{name}: expected a number without a sign")
        if name in _PER_ITEM:
            columns.setdefault(name, []).append(value)
        elif name in _CONSENT_NAMES or (name in _OURS and name != "fp"):
            continue  # the call's own: web/shop reads them
        elif name == "fp":
            person = {"fp": value} if value else {}
        elif name not in _SINGLE:
            raise Refusal("fields", "unknown field" if is_personal(name) else f"unknown field `{name}`")
        elif name in single:
            raise Refusal("fields", f"{name}: it stands there twice")
        else:
            single[name] = value
    single["items"] = _items_of(columns)
    if person:
        single["person"] = person
    return {name: value for name, value in single.items() if value != ""}


def _items_of(columns: dict[str, list[str]]) -> list[dict[str, str]]:
    products = columns.pop("product", [])
    if len(products) > MAX_ITEMS:
        raise Refusal("fields", f"product: at most {MAX_ITEMS}")
    for name, values in columns.items():
        if len(values) != len(products):
            raise Refusal("fields", f"{name}: one for each product, or none")
    items = [{"product": product} for product in products]
    for name, values in columns.items():
        for item, value in zip(items, values, strict=True):
            if value:
                item[_PER_ITEM[name]] = value
    return items


def _taken(written: EventIn, declared: DeclaredEvents, now_s: float) -> Reading:
    kind = KINDS.get(written.event)
    if kind is None or written.event not in _declared_kinds(declared):
        raise Refusal("undeclared", "event: not among the events that the advertiser declared")
    clean, dropped = yield from _scrubbed(written)
    _check_names(clean, kind, declared, dropped)
    items = tuple(_item(item, n) for n, item in enumerate(clean.items))
    return Intake(
        kind=kind,
        id=clean.id,
        at_s=_moment(clean.at, now_s),
        items=items,
        priced=tuple(item.price is not None for item in clean.items),
        category=clean.category,
        currency=clean.currency,
        value_micros=_value(clean.value, items),
        order=clean.order,
        conversion=clean.conversion,
        name=clean.name,
        referrer=_site(clean.referrer),
        device=clean.device,
        person=_person(clean.person),
        consent=clean.consent,
        dropped=tuple(dropped),
    )


def _declared_kinds(declared: DeclaredEvents) -> frozenset[str]:
    """Naming a custom event declares the kind, too."""
    return frozenset((*declared.kinds, "custom") if declared.custom else declared.kinds)


def _scrubbed(written: EventIn) -> Generator[None, None, tuple[EventIn, list[str]]]:
    """The event without texts that hold personal data, and the names of what went. A product that goes takes its item
    along."""
    lengths = [len(item.product) + len(item.category) for item in written.items]
    single = (written.id, written.category, written.order, written.conversion, written.name)
    if sum(lengths) + sum(map(len, single)) > MAX_EVENT_TEXT:
        raise Refusal("fields", f"items: more than {MAX_EVENT_TEXT} characters in all texts of the event")
    dropped: list[str] = []
    changes: dict[str, object] = {}
    for name, text, prose in (
        ("id", written.id, False),
        ("category", written.category, True),
        ("order", written.order, False),
        ("conversion", written.conversion, True),
        ("name", written.name, True),
    ):
        if is_personal(text, prose=prose):
            dropped.append(name)
            changes[name] = ""
        else:
            changes[name] = text.strip()
    items = []
    read = sum(map(len, single))
    for item, length in zip(written.items, lengths, strict=True):
        read += length
        if read > STEP_TEXT:
            read = length
            yield
        if is_personal(item.product):
            dropped.append("product")
            continue
        category = item.category
        if is_personal(category, prose=True):
            dropped.append("item_category")
            category = ""
        items.append(
            ItemIn(
                product=item.product.strip(),
                category=category.strip(),
                price=item.price,
                quantity=item.quantity,
            )
        )
    changes["items"] = tuple(items)
    return msgspec.structs.replace(written, **changes), dropped


def _check_names(event: EventIn, kind: EventKind, declared: DeclaredEvents, dropped: list[str]) -> None:
    if event.conversion and event.conversion not in declared.conversions:
        raise Refusal("undeclared", "conversion: not among the conversions that the advertiser declared")
    if event.conversion and kind not in (EventKind.PURCHASE, EventKind.CUSTOM):
        raise Refusal("fields", "conversion: only a purchase or a custom event names one")
    if kind is EventKind.CUSTOM:
        if event.name not in declared.custom:
            raise Refusal("undeclared", "name: not among the custom events that the advertiser declared")
    elif event.name:
        raise Refusal("fields", "name: only a custom event has one")
    if kind is EventKind.PRODUCT_VIEW and not event.items and "product" not in dropped:
        raise Refusal("fields", "product: a product_view needs one")
    if kind is EventKind.CATEGORY_VIEW and not event.category and "category" not in dropped:
        raise Refusal("fields", "category: a category_view needs one")
    if any(not item.product for item in event.items):
        raise Refusal("fields", "product: empty")


def _site(referrer: str) -> str:
    """The domain that a visit came from; an address is nobody's name."""
    domain = domain_of(referrer)
    return "" if is_address(domain) else domain


def _item(item: ItemIn, n: int) -> Item:
    price = _micros(item.price, MAX_PRICE, f"items[{n}].price") if item.price is not None else 0
    return Item(item.product, item.category, price, item.quantity)


def _value(value: Decimal | None, items: tuple[Item, ...]) -> int:
    if value is not None:
        return _micros(value, MAX_VALUE, "value")
    total = sum(item.price_micros * item.quantity for item in items)
    if total > MAX_VALUE * 1_000_000:
        raise Refusal("fields", f"items: worth more than {MAX_VALUE}")
    return total


def _micros(amount: Decimal, most: int, name: str) -> Micros:
    if not amount.is_finite() or not 0 <= amount <= most:
        raise Refusal("fields", f"{name}: expected a number from 0 to {most}")
    return Micros(int((amount * 1_000_000).to_integral_value(ROUND_HALF_EVEN)))


def _moment(at: float | datetime | None, now_s: float) -> float:
    if at is None:
        return now_s
    if isinstance(at, datetime):
        if at.tzinfo is None:
            raise Refusal("fields", "at: a date needs its offset, as in 2026-11-22T09:30:00Z")
        at = at.timestamp()
    if not now_s - MAX_AGE_S <= at <= now_s + MAX_AHEAD_S:
        raise Refusal("age", f"at: expected seconds since the epoch, at most {MAX_AGE_S // 86_400} days ago")
    return min(at, now_s)


def _person(person: PersonIn | None) -> PersonIn | None:
    if person is None:
        return None
    if any(is_personal(uid) for uid in person.exchanges.values()):
        raise Refusal("personal", "person.exchanges: an id reads as an e-mail address or a phone number")
    login = person.login.lower()
    if login and (len(login) != 64 or not set(login) <= set("0123456789abcdef")):
        raise Refusal(
            "personal", "person.login: expected the 64 hexadecimal digits of a SHA-256, never a login itself"
        )
    return msgspec.structs.replace(person, login=login)


def _not_read(error: Exception) -> Refusal:
    """The decoder's words with the place in front; never the value."""
    if isinstance(error, msgspec.ValidationError):
        text = str(error)
        found = _PLACE.search(text)
        said = text[: found.start()] if found else text
        if said.startswith("Invalid enum value") or is_personal(said):
            said = "not one of those that are known"
        place = found[1] if found else ""
        return Refusal("fields", f"{place}: {said[:1].lower()}{said[1:]}" if place else said)
    if isinstance(error, msgspec.DecodeError):
        return Refusal("json", f"not JSON: {error}")
    return Refusal("json", "not JSON: text that is not UTF-8, or nested too deep")
