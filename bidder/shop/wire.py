"""Events as shops write them: the JSON of `POST /v1/events`, and the same from a pixel's query.

Place: intake decodes into these; nothing else reads what a shop wrote.
Shapes: `{"events": [...]}`, each as EventIn. Unknown fields are refused by name.
Limits: MAX_ITEMS products of an event, MAX_BATCH events of a call, TEXT characters of a text, MAX_CONSENT of a consent
    string; a text holds no control characters.
Units: prices and values are decimals of `currency`.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from bidder.audience.identity import MAX_ID_LENGTH
from bidder.events.records import TEXT

MAX_ITEMS: Final = 50
MAX_BATCH: Final = 500
MAX_ID: Final = 64
MAX_QUANTITY: Final = 1_000
MAX_CONSENT: Final = 8_192
MAX_EXCHANGES: Final = 8

Text = Annotated[str, Meta(max_length=TEXT, pattern=r"^[^\x00-\x1f\x7f\ud800-\udfff]*\Z")]
EventId = Annotated[str, Meta(max_length=MAX_ID, pattern=r"^[^\x00-\x1f\x7f\ud800-\udfff]*\Z")]
Quantity = Annotated[int, Meta(ge=1, le=MAX_QUANTITY)]
Consent = Annotated[str, Meta(max_length=MAX_CONSENT)]
FirstParty = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{16,64}\Z")]
Ifa = Annotated[str, Meta(pattern=r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\Z")]
ExchangeId = Annotated[str, Meta(min_length=1, max_length=MAX_ID_LENGTH, pattern=r"^[\x21-\x7e]*\Z")]
ExchangeName = Annotated[str, Meta(pattern=r"^(?!ifa\Z)[a-z0-9][a-z0-9_-]{0,31}\Z")]
"""Sources of the match table that are no exchange's hold a dot, or are `ifa`: others' ids are not asked for here."""
Device = Literal["", "phone", "tablet", "desktop", "tv"]


class ItemIn(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One product of an event."""

    product: Annotated[Text, Meta(min_length=1)]
    category: Text = ""
    price: Decimal | None = None
    """Of one."""
    quantity: Quantity = 1


class PersonIn(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whom an event is about: the ids that the shop has, any of them."""

    fp: FirstParty | None = None
    """The first-party id of the tag's cookie."""
    ifa: Ifa | None = None
    lmt: int = 0
    """Limit ad tracking, or tracking not authorised by the operating system: nothing of the person is used."""
    exchanges: Annotated[dict[ExchangeName, ExchangeId], Meta(max_length=MAX_EXCHANGES)] = {}
    """Exchange name to its user id."""
    login: Annotated[str, Meta(max_length=TEXT)] = ""
    """SHA-256 of a login, 64 hexadecimal digits, of a person who agreed to be known on several devices."""


class ConsentIn(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the person said, in the words of the browser's interfaces."""

    gdpr: bool | int | None = None
    gdpr_consent: Consent = ""
    gpp: Consent = ""
    gpp_sid: Annotated[str, Meta(max_length=256)] | Annotated[list[int], Meta(max_length=32)] = ""
    us_privacy: Annotated[str, Meta(max_length=16)] = ""
    gpc: bool | int = 0
    coppa: bool | int = 0
    country: Annotated[str, Meta(pattern=r"^([A-Za-z]{2,3})?\Z")] = ""
    """ISO 3166-1 of the visitor, where the shop knows it; else the shop's own counts."""


class EventIn(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One event."""

    event: str
    id: EventId = ""
    at: float | datetime | None = None
    """Seconds since the epoch, or RFC 3339 with an offset; absent: now."""
    items: Annotated[tuple[ItemIn, ...], Meta(max_length=MAX_ITEMS)] = ()
    category: Text = ""
    currency: Annotated[str, Meta(pattern=r"^([A-Z]{3})?\Z")] = ""
    value: Decimal | None = None
    """Of the whole event; absent: the sum of its items."""
    order: Text = ""
    conversion: Text = ""
    name: Text = ""
    """Of a custom event."""
    referrer: Annotated[str, Meta(max_length=2_048)] = ""
    device: Device = ""
    person: PersonIn | None = None
    consent: ConsentIn | None = None


class BatchIn(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/events`; its events are decoded one by one."""

    events: Annotated[list[Raw], Meta(min_length=1, max_length=MAX_BATCH)]


decode_batch: Final = msgspec.json.Decoder(BatchIn).decode
decode_event: Final = msgspec.json.Decoder(EventIn, strict=False).decode
