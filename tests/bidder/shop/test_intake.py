"""What a shop sends, read: bounds at their edges, and that nothing else than a Refusal comes of anything."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.audience.history import MAX_VALUE_MICROS
from bidder.audience.visit import EventKind
from bidder.campaigns.model import DeclaredEvents
from bidder.events.frames import MAX_RECORD, encode_record
from bidder.events.records import TEXT
from bidder.shop.intake import (
    MAX_EVENT_TEXT,
    MAX_MESSAGE,
    MAX_PRICE,
    MAX_VALUE,
    STEP_TEXT,
    Intake,
    Reading,
    Refusal,
    read_batch,
    read_event,
    read_pixel,
)
from bidder.shop.visits import record_of
from bidder.shop.wire import MAX_BATCH, MAX_CONSENT, MAX_EXCHANGES, MAX_ID, MAX_ITEMS, MAX_QUANTITY
from tests.bidder.shop.support import DECLARED, NOW_S


def finished(reading: Reading) -> Intake:
    """What a reading comes to."""
    while True:
        try:
            next(reading)
        except StopIteration as read:
            return read.value


def _pixel(query: str, declared: DeclaredEvents = DECLARED) -> Intake:
    return finished(read_pixel(parse_qsl(query, keep_blank_values=True), declared, NOW_S))


def _event(**fields: Any) -> Intake:
    body = msgspec.json.encode({"events": [{"event": "cart", "id": "e", **fields}]})
    (raw,) = read_batch(body)
    return finished(read_event(raw, DECLARED, NOW_S))


def _refused(query: str) -> str:
    with pytest.raises(Refusal) as refusal:
        _pixel(query)
    return str(refusal.value)


def test_repeated_parameters_are_items() -> None:
    """Each product with its own price, quantity and category, in order; what is empty is not told."""
    read = _pixel(
        "event=purchase&product=a&product=b&price=1.5&price=&quantity=2&quantity=1&item_category=&item_category=c"
    )
    assert [(i.product, i.price_micros, i.quantity, i.category) for i in read.items] == [
        ("a", 1_500_000, 2, ""),
        ("b", 0, 1, "c"),
    ]
    assert read.value_micros == 3_000_000


def test_columns_are_as_long_as_products() -> None:
    """One price for two products would be a guess."""
    assert _refused("event=cart&product=a&product=b&price=1").startswith("price: ")
    assert _refused("event=cart&price=1").startswith("price: ")


def test_a_value_goes_before_the_sum() -> None:
    """The whole of an order, discounts and all, may be told; without items it stands alone."""
    assert _pixel("event=purchase&product=a&price=10&value=8").value_micros == 8_000_000
    assert _pixel("event=purchase&value=8").value_micros == 8_000_000


@pytest.mark.parametrize(
    ("field", "edge"),
    [
        ("product", "p" * TEXT),
        ("category", "c" * TEXT),
        ("order", "o" * TEXT),
        ("id", "i" * MAX_ID),
        ("price", MAX_PRICE),
        ("price", "0"),
        ("quantity", MAX_QUANTITY),
        ("value", MAX_VALUE),
        ("value", "0.000001"),
    ],
)
def test_bounds_hold_at_their_edges(field: str, edge: object) -> None:
    """The edge passes, one more is refused by the field's name."""
    base = "event=cart&product=a" if field in ("price", "quantity") else "event=cart"
    assert _pixel(f"{base}&{field}={edge}")
    beyond = (
        edge + "x" if isinstance(edge, str) and not edge[0].isdigit() else f"{edge}9" if edge != "0" else "-1"
    )
    if edge != "0.000001":
        assert field in _refused(f"{base}&{field}={beyond}")


def test_items_and_batches_have_bounds() -> None:
    """MAX_ITEMS products, MAX_BATCH events."""
    assert len(_pixel("event=cart" + "&product=a" * MAX_ITEMS).items) == MAX_ITEMS
    assert _refused("event=cart" + "&product=a" * (MAX_ITEMS + 1)) == f"product: at most {MAX_ITEMS}"
    assert len(_event(items=[{"product": "a"}] * MAX_ITEMS).items) == MAX_ITEMS
    with pytest.raises(Refusal, match=r"^items: "):
        _event(items=[{"product": "a"}] * (MAX_ITEMS + 1))
    assert len(read_batch(msgspec.json.encode({"events": [{}] * MAX_BATCH}))) == MAX_BATCH
    with pytest.raises(Refusal, match=r"^events: "):
        read_batch(msgspec.json.encode({"events": [{}] * (MAX_BATCH + 1)}))


@pytest.mark.parametrize(
    "source", ["shop.toys", "ifa", "liveramp.com", "", "*", "m:", "a/b", "Google", "x" * 33]
)
def test_only_exchanges_are_asked_for_people(source: str) -> None:
    """A shop cannot name the source of another shop's ids, nor any other that is no exchange's."""
    with pytest.raises(Refusal, match=r"^person.exchanges: "):
        _event(person={"exchanges": {source: "u"}})


def test_people_and_consent_have_bounds() -> None:
    """MAX_EXCHANGES ids, MAX_CONSENT characters of a consent string, and ids of the shapes that they have."""
    ids = {f"x{n}": "u" for n in range(MAX_EXCHANGES)}
    assert _event(person={"exchanges": ids}).person
    assert _event(consent={"gdpr_consent": "c" * MAX_CONSENT}).consent
    for person in (
        {"exchanges": {**ids, "more": "u"}},
        {"exchanges": {"x": "a b"}},
        {"ifa": "x"},
        {"fp": "x" * 65},
    ):
        with pytest.raises(Refusal, match=r"^person"):
            _event(person=person)
    with pytest.raises(Refusal, match=r"^consent.gdpr_consent: "):
        _event(consent={"gdpr_consent": "c" * (MAX_CONSENT + 1)})


def test_the_largest_event_can_be_kept_and_recorded() -> None:
    """Items worth more than MAX_VALUE are refused, so a value fits a history; the largest texts fit a record."""
    each = (MAX_EVENT_TEXT - 2 * TEXT - 1) // (2 * MAX_ITEMS)
    many = [
        {"product": "😀" * each, "category": "😀" * each, "price": 1, "quantity": 1} for _ in range(MAX_ITEMS)
    ]
    read = _event(items=many, order="😀" * TEXT, category="😀" * TEXT, value=MAX_VALUE)
    assert read.value_micros <= MAX_VALUE_MICROS
    assert len(encode_record(record_of(read, "a" * 64, "server", b"p" * 16))) <= MAX_RECORD
    with pytest.raises(Refusal, match=r"^items: worth more"):
        _event(items=[{"product": "a", "price": MAX_PRICE, "quantity": MAX_QUANTITY}] * 2)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("event=product_view", "product"),
        ("event=category_view", "category"),
        ("event=custom", "name"),
        ("event=page_view&name=quiz", "name"),
        ("event=page_view&conversion=sale", "conversion"),
        ("event=purchase&conversion=gift", "conversion"),
        ("event=cart&product=%20", "product"),
        ("event=cart&product=a%00b", "items[0].product"),
        ("", "event"),
        ("event=", "event"),
        ("event=cart&event=cart", "event"),
        ("event=cart&at=1", "unknown field `at`"),
    ],
)
def test_what_a_kind_needs_is_named(query: str, field: str) -> None:
    """The message names the field that is missing, or too much."""
    assert field in _refused(query)


def test_only_declared_kinds_are_taken() -> None:
    """An advertiser that declared purchases alone is told no views; a custom name declares its kind."""
    only = DeclaredEvents(kinds=("purchase",))
    assert _pixel("event=purchase", only).kind is EventKind.PURCHASE
    with pytest.raises(Refusal, match=r"^event: "):
        _pixel("event=page_view", only)
    with pytest.raises(Refusal, match=r"^event: "):
        _pixel("event=custom&name=quiz", only)
    assert _pixel("event=custom&name=quiz&conversion=sale").name == "quiz"


def test_a_product_that_is_dropped_takes_its_item_along() -> None:
    """The other items keep their own prices."""
    read = _pixel(
        "event=product_view&product=a%40b.example&product=b&price=1&price=2&item_category=x&item_category=y%40z.example"
    )
    assert [(item.product, item.price_micros, item.category) for item in read.items] == [("b", 2_000_000, "")]
    assert read.dropped == ("product", "item_category")
    assert _pixel("event=product_view&product=a%40b.example").items == ()


def test_messages_are_short_and_repeat_no_personal_data() -> None:
    """However long or telling what was sent is."""
    assert len(_refused(f"event=cart&{'x' * 5_000}=1")) <= MAX_MESSAGE
    with pytest.raises(Refusal) as refusal:
        _event(device="jane@mail.example")
    assert "jane" not in str(refusal.value)
    with pytest.raises(Refusal) as refusal:
        _event(**{"jane@mail.example": 1})
    assert "jane" not in str(refusal.value)
    assert "jane" not in _refused("event=cart&jane%40mail.example=1")


WORDS = (
    "event product price quantity item_category category currency value order id conversion name referrer fp "
    "advertiser gdpr cb via x"
)
FIELDS = st.sampled_from(WORDS.split())
VALUES = st.text(max_size=20) | st.sampled_from(
    ["cart", "1", "NaN", "Infinity", "1e999", "-0", "EUR", "[::1", "http://["]
)


@given(st.lists(st.tuples(FIELDS, VALUES), max_size=8))
def test_any_query_is_read_or_refused(query: list[tuple[str, str]]) -> None:
    """Nothing else is raised, and what is read fits a record."""
    with suppress(Refusal):
        read = finished(read_pixel([("event", "cart"), *query], DECLARED, NOW_S))
        assert encode_record(record_of(read, "boots", "pixel", None))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["at", "items", "value", "person", "consent", "device", "order", "referrer", "currency", "id"]
)


@given(st.dictionaries(KEYS, JSON, max_size=4))
def test_any_event_is_read_or_refused(fields: dict[str, Any]) -> None:
    """Whatever JSON stands in whatever field."""
    try:
        body = msgspec.json.encode({"events": [{"event": "cart", "id": "e", **fields}]})
    except (UnicodeEncodeError, OverflowError):
        return
    with suppress(Refusal):
        read = finished(read_event(read_batch(body)[0], DECLARED, NOW_S))
        assert encode_record(record_of(read, "boots", "server", None))


@given(st.binary(max_size=200))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    """Bytes that are no batch are refused whole."""
    with pytest.raises(Refusal):
        read_batch(b"x" + body)


def test_an_event_has_so_much_text() -> None:
    """MAX_EVENT_TEXT characters over all its texts; the next one refuses it."""
    items = [{"product": "p" * TEXT, "category": "c" * TEXT}] * ((MAX_EVENT_TEXT - 1) // (2 * TEXT))
    left = MAX_EVENT_TEXT - 1 - len(items) * 2 * TEXT
    assert left <= 2 * TEXT
    rest = {"category": "c" * min(left, TEXT), "order": "o" * max(left - TEXT, 0)}
    assert len(_event(items=items, **rest).items) == len(items)
    with pytest.raises(Refusal, match="characters in all texts"):
        _event(items=items, **rest, name="n")


def test_a_long_event_is_read_in_steps() -> None:
    """At least one for each STEP_TEXT characters, whatever is in them; a short one in a single step."""
    items = [{"product": f"{n}" + "(0 1" * 20, "category": "%2540" * 20} for n in range(40)]
    (raw,) = read_batch(msgspec.json.encode({"events": [{"event": "cart", "id": "e", "items": items}]}))
    steps = sum(1 for _ in read_event(raw, DECLARED, NOW_S))
    assert steps >= sum(len(i["product"]) + len(i["category"]) for i in items) // STEP_TEXT
    (raw,) = read_batch(b'{"events":[{"event":"cart","id":"e","items":[{"product":"a"}]}]}')
    assert sum(1 for _ in read_event(raw, DECLARED, NOW_S)) == 0
