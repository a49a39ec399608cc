"""What training reads: events of one shop, and the sessions that its visitors' product views make.

Place: `paceline train`; beside the running service, whose compaction it neither disturbs nor waits for.
Rule: segments are read before files, so nothing is missed that is compacted meanwhile; what is found twice counts
    once. Files are pinned before they are read, so none is replaced under our hands. Events of nobody belong to no
    session. Who was erased is in none of it: see erased.py.
Units: seconds since the epoch.
Limits: rows come PAGE at a time; DuckDB sorts what exceeds its memory in the scratch folder.
Raises: duckdb.Error, OSError.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from bidder.events import parquet, segments
from bidder.events.columns import FIRST, KEY, row
from bidder.events.erased import after_erasures, read_book
from bidder.events.parquet import Workshop, fresh_rows, quoted
from bidder.events.records import ShopEvent

SILENCE_S: Final = 1_800
"""A session ends where its visitor is silent for so long."""
MAX_SESSION: Final = 200
"""Products of one session; a longer one is a machine's, and is cut here."""
PAGE: Final = 10_000


class Row(Struct, frozen=True, array_like=True, gc=False):
    """One product of a shop's event."""

    person: bytes
    """Empty: nobody's."""
    at_ms: int
    kind: str
    product: str
    """Empty: an event without products."""
    category: str
    price_micros: int
    quantity: int
    event: str


def shop_events(
    folder: Path, advertiser_id: str, since_s: float = 0.0, memory_mb: int = 256
) -> Iterator[Row]:
    """The events of one shop since a moment, one row per product, by person and time."""
    with Workshop(folder, memory_mb, parquet.READING) as shop:
        _collect(shop, advertiser_id, since_s)
        shop.sql.execute(
            "SELECT coalesce(person, ''::BLOB), at_ms, kind, coalesce(item.product, ''), "
            "coalesce(item.category, category, ''), coalesce(item.price_micros, 0), coalesce(item.quantity, 0), id "
            "FROM (SELECT *, unnest(CASE WHEN len(items) > 0 THEN items ELSE [NULL] END) AS item FROM events) "
            "ORDER BY person, at_ms, id"
        )
        while page := shop.sql.fetchmany(PAGE):
            for fields in page:
                yield Row(*fields)


def sessions(
    folder: Path,
    advertiser_id: str,
    since_s: float = 0.0,
    kinds: tuple[str, ...] = ("product_view", "cart", "purchase"),
) -> Iterator[tuple[str, ...]]:
    """Product ids in the order in which one visitor met them, cut at SILENCE_S; twice in a row counts once."""
    session: list[str] = []
    before: Row | None = None
    for event in shop_events(folder, advertiser_id, since_s):
        if not event.person or not event.product or event.kind not in kinds:
            continue
        parted = before is not None and (
            before.person != event.person or event.at_ms - before.at_ms > SILENCE_S * 1_000
        )
        if session and (parted or len(session) >= MAX_SESSION):
            yield tuple(session)
            session = []
        if not session or session[-1] != event.product:
            session.append(event.product)
        before = event
    if session:
        yield tuple(session)


def _collect(shop: Workshop, advertiser_id: str, since_s: float) -> None:
    """Make the table `events` of one advertiser: segments, then files."""
    since_ms = int(since_s * 1_000)
    fresh = shop.scratch / "fresh.jsonl"
    _write_segments(shop.folder, advertiser_id, since_ms, fresh)
    values: dict[str, object] = {"fresh": str(fresh), "advertiser": advertiser_id, "since": since_ms}
    files = [path for path in parquet.hour_files(shop.folder, "shop") if _ends_s(path) > since_s]
    pinned = [str(path) for path in shop.pinned(files)]
    rows = f"SELECT 1 AS fresh, * FROM ({fresh_rows('shop')})"
    if pinned:
        values["files"] = pinned
        rows = (
            "SELECT 0 AS fresh, * FROM read_parquet($files, hive_partitioning = false, union_by_name = true) "
            f"UNION ALL BY NAME {rows}"
        )
    shop.sql.execute(
        f"CREATE TEMP TABLE events AS SELECT * FROM ({rows}) "
        "WHERE advertiser = $advertiser AND at_ms >= $since QUALIFY id = '' OR "
        f"row_number() OVER (PARTITION BY {quoted(KEY['shop'])} ORDER BY {FIRST['shop']}, fresh) = 1",
        values,
    )


def _write_segments(folder: Path, advertiser_id: str, since_ms: int, path: Path) -> None:
    book = read_book(folder)
    with path.open("wb") as file:
        for segment in segments.readable(folder):
            for record in segments.records_or_none(segment):
                if not isinstance(record, ShopEvent) or record.advertiser != advertiser_id:
                    continue
                kept = after_erasures(record, book) if record.at_ms >= since_ms else None
                line = row(kept) if kept is not None else None
                if line is not None:
                    file.write(line)


def _ends_s(path: Path) -> float:
    return parquet.start_s(path) + 3_600
