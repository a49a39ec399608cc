"""Events for tests: of people, shops and hours that a test chooses."""

from collections.abc import Iterable
from pathlib import Path

from bidder.clock import ManualClock
from bidder.events.frames import encode_record, framed
from bidder.events.records import Click, Impression, Item, Record, ShopEvent
from bidder.events.segments import SEALED, OpenSegment
from bidder.events.writer import Bounds

NOW_S = 1_790_000_000.0
ANNA, BERT = b"\xaa" * 16, b"\xbb" * 16
SLOW = Bounds(flush_s=3_600.0)
"""Nothing is flushed unless the test does it."""


def shop(
    number: int = 0, *, at_s: float = NOW_S, person: bytes = ANNA, advertiser: str = "shoes"
) -> ShopEvent:
    """Somebody looked at product `sku-<number>`."""
    return ShopEvent(
        id=f"event-{number}",
        at_ms=int(at_s * 1_000),
        advertiser=advertiser,
        kind="product_view",
        person=person,
        items=(Item(f"sku-{number}", "shoes/running", 12_990_000),),
        category="shoes/running",
        currency="EUR",
        value_micros=12_990_000,
        order=f"order-{number}",
        device="phone",
        referrer="example.org",
        source="tag",
    )


def impression(number: int = 0, *, at_s: float = NOW_S, person: bytes = ANNA, spent: int = 0) -> Impression:
    """Somebody saw an ad."""
    return Impression(
        id=f"{number:024x}",
        at_ms=int(at_s * 1_000),
        advertiser="shoes",
        campaign="autumn",
        line_item="runners",
        creative=2**63 + number,
        exchange="google",
        person=person,
        spent_micros=spent,
        currency="EUR",
    )


def click(number: int = 0, *, at_s: float = NOW_S, person: bytes = ANNA) -> Click:
    """Somebody clicked an ad."""
    return Click(
        id=f"{number:024x}",
        at_ms=int(at_s * 1_000),
        advertiser="shoes",
        campaign="autumn",
        line_item="runners",
        creative=2**63 + number,
        exchange="google",
        person=person,
        product=f"sku-{number}",
        layout="grid",
    )


def clock() -> ManualClock:
    """At NOW_S."""
    return ManualClock(NOW_S)


def framed_all(records: Iterable[Record]) -> bytes:
    """Records as they stand in a segment."""
    return b"".join(framed(encode_record(record)) for record in records)


def write(folder: Path, records: Iterable[Record], now_s: float = NOW_S) -> Path:
    """Put records into a sealed segment."""
    segment = OpenSegment(folder, 0, now_s)
    segment.append(framed_all(records))
    segment.seal()
    return segment.path.with_suffix(SEALED)
