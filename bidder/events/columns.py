"""The columns of recorded events in Parquet: one table per kind, stable, only ever added to at the end.

Place: parquet.py writes and merges them; whoever queries the files relies on them.
Shapes: a column has the name of its record's field; `person` is 16 bytes or NULL, everything else as it was said. In
    the folder of a kind each hour has one file; `date` and `hour` (UTC) stand in the path.
Rule: two rows of one KEY in an hour are one event; of an impression the one that cost most is kept, since the beacon
    and the bill both tell of it; suspect is what any of them says is suspect. Of a shop's event the word of its
    own server is kept, which proves who it is, before whatever any browser may say of the same id; of equals the one
    that has a person: pages tell it anew where consent comes late.
"""

from typing import Any, Final

import msgspec

from bidder.events.records import Click, Impression, Item, Record, ShopEvent

VERSION: Final = 1
"""Of the columns; it stands in each file's metadata."""

Columns = dict[str, str]

_SHARED: Final[Columns] = {"version": "INTEGER", "id": "VARCHAR", "at_ms": "BIGINT", "advertiser": "VARCHAR"}
_AD: Final[Columns] = {
    "campaign": "VARCHAR",
    "line_item": "VARCHAR",
    "creative": "UBIGINT",
    "exchange": "VARCHAR",
    "person": "BLOB",
}
COLUMNS: Final[dict[str, Columns]] = {
    "shop": {
        **_SHARED,
        "kind": "VARCHAR",
        "person": "BLOB",
        "items": "STRUCT(product VARCHAR, category VARCHAR, price_micros BIGINT, quantity BIGINT)[]",
        "category": "VARCHAR",
        "currency": "VARCHAR",
        "value_micros": "BIGINT",
        "order": "VARCHAR",
        "conversion": "VARCHAR",
        "device": "VARCHAR",
        "referrer": "VARCHAR",
        "source": "VARCHAR",
    },
    "impression": {
        **_SHARED,
        **_AD,
        "spent_micros": "BIGINT",
        "currency": "VARCHAR",
        "suspect": "BOOLEAN",
        "after_ms": "BIGINT",
    },
    "click": {
        **_SHARED,
        **_AD,
        "product": "VARCHAR",
        "layout": "VARCHAR",
        "suspect": "BOOLEAN",
        "after_ms": "BIGINT",
    },
}
PARTITIONS: Final[Columns] = {"date": "DATE", "hour": "BIGINT"}
"""Columns that stand in the path, and in every table of a query."""
MEANINGS: Final[dict[str, str]] = {
    "version": "of the record's form",
    "id": "of the event: the shop's own, or the bid's",
    "at_ms": "when it happened, of impressions and clicks when the bid was made; ms since 1970, UTC",
    "advertiser": "id in the campaign files",
    "kind": "page_view, product_view, category_view, search, cart, purchase or custom",
    "person": "16 bytes; NULL: nobody's",
    "items": "products; price_micros is of one, in millionths of the currency",
    "category": "of the page",
    "currency": "ISO 4217",
    "value_micros": "of the whole event, in millionths of the currency",
    "order": "the shop's number of the order",
    "conversion": "the advertiser's name of a conversion or a custom event",
    "device": "phone, tablet, desktop, tv or empty",
    "referrer": "domain that the visit came from",
    "source": "tag, pixel or server",
    "campaign": "id in the campaign files",
    "line_item": "id in the campaign files",
    "creative": "key of the advertiser's id, a slash and the creative's",
    "exchange": "name of its profile",
    "spent_micros": "what was paid, in millionths of the currency, the advertiser's",
    "suspect": "marked as invalid traffic",
    "after_ms": "from the bid to the event; ms",
    "product": "key of the product that was clicked, 16 hexadecimal digits",
    "layout": "of the ad that was clicked",
    "date": "of the hour, UTC",
    "hour": "0 to 23, UTC",
}
"""What a column holds, and in which unit."""
KIND_OF: Final[dict[type, str]] = {ShopEvent: "shop", Impression: "impression", Click: "click"}
"""The names of kinds: labels of metrics, and folders of Parquet files."""
KEY: Final = {
    "shop": ("advertiser", "id", "kind"),
    "impression": ("advertiser", "id"),
    "click": ("advertiser", "id"),
}
FIRST: Final = {
    "shop": "source <> 'server', person IS NULL, at_ms",
    "impression": "spent_micros DESC, at_ms",
    "click": "at_ms",
}
"""Which of several rows of one key is the event."""
PERSONAL: Final = {
    "shop": {"person": "NULL::BLOB", "id": "''", "order": "''"},
    "impression": {"person": "NULL::BLOB"},
    "click": {"person": "NULL::BLOB"},
}
"""What is emptied when an event is nobody's any more: the shop's own ids would lead it back to its customer; a bid's
id is what the advertiser's bill speaks of, and names nobody."""

_SIGNED: Final = 2**63
_encode: Final = msgspec.json.Encoder().encode
_fields_of: Final = {kind: kind.__struct_fields__ for kind in (ShopEvent, Impression, Click)}
_item_fields: Final = Item.__struct_fields__


def row(record: Record) -> bytes | None:
    """One line of JSON for DuckDB to read; the person stands in base64. None where a number fits no column."""
    fields = fields_of(record)
    if isinstance(record, ShopEvent):
        numbers = [record.at_ms, record.value_micros, record.version]
        numbers += [number for item in record.items for number in (item.price_micros, item.quantity)]
    elif isinstance(record, Impression):
        numbers = [record.at_ms, record.after_ms, record.spent_micros, record.version]
    else:
        numbers = [record.at_ms, record.after_ms, record.version]
    if any(not -_SIGNED <= number < _SIGNED for number in numbers):
        return None
    return _encode(fields) + b"\n"


def fields_of(record: Record) -> dict[str, Any]:
    """A record's values by the names of the columns."""
    fields: dict[str, Any] = {name: getattr(record, name) for name in _fields_of[type(record)]}
    if isinstance(record, ShopEvent):
        fields["items"] = [{name: getattr(item, name) for name in _item_fields} for item in record.items]
    return fields


def without_person(record: Record) -> Record:
    """The same event as nobody's."""
    if isinstance(record, ShopEvent):
        return msgspec.structs.replace(record, person=b"", id="", order="")
    return msgspec.structs.replace(record, person=b"")
