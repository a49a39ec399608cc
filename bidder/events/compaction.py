"""Sealed segments become Parquet files, one per kind and hour: merged with what is there, once each.

Place: the caretaker's chore, and `paceline events compact`.
Rule: an hour is read, merged, written beside itself and renamed; segments go only when all their hours are published.
    Killed at any step, the next run does the same again and finds its rows there already. An event that comes late
    goes to its own hour; one whose hour is past its people's time is dropped.
Limits: segments of a BATCH_SHARE of DuckDB's memory at once, sorted to disk by hour. Each run rewrites the files of
    the hours that it has events of: a million events in one hour are some 25 MB to rewrite, some seconds. A segment
    that cannot be made into rows is set aside as `.bad`, and holds up no other.
Raises: OSError, duckdb.Error: everything is as before, or done.
"""

import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from bidder.events import parquet, segments
from bidder.events.columns import FIRST, KEY, KIND_OF, row
from bidder.events.erased import Book, after_erasures, read_book
from bidder.events.files import held
from bidder.events.parquet import Workshop, fresh_rows, quoted
from bidder.events.records import Record

BATCH_SHARE: Final = 8
"""Segments of this part of DuckDB's memory are merged at once: as rows, sorted, they are several times as large."""
BUFFER_BYTES: Final = 4 * 1024 * 1024
FUTURE_S: Final = 86_400
DAY_S: Final = 86_400

_log = logging.getLogger(__name__)


class Limits(Struct, frozen=True, kw_only=True):
    """What compaction may use and keep."""

    keep_days: int = 30
    memory_mb: int = parquet.MEMORY_MB
    batch_bytes: int = 0
    """Segments merged at once; 0: what `memory_mb` allows."""


class Compacted(Struct):
    """What one run did."""

    segments: int = 0
    bad_segments: int = 0
    rows: int = 0
    """Events read of segments, repeats among them."""
    late: int = 0
    """Events whose hour was past."""
    erased: int = 0
    files: int = 0
    """Files of hours that were published."""


def compact(folder: Path, now_s: float, limits: Limits | None = None) -> Compacted:
    """Make all sealed segments, and those whose writers are gone, into Parquet; for a thread."""
    limits, done = limits or Limits(), Compacted()
    with held(folder):
        parquet.tidy(folder, now_s)
        segments.seal_orphans(folder)
        waiting = segments.sealed(folder)
    while waiting:
        batch, waiting = _batch(waiting, limits.batch_bytes or (limits.memory_mb << 20) // BATCH_SHARE)
        with held(folder):  # let go between batches: whoever waits to erase comes in
            _compact_batch(folder, batch, now_s, limits, done)
    return done


def _batch(waiting: list[Path], size: int) -> tuple[list[Path], list[Path]]:
    """As many segments as fit, at least one; and the rest."""
    total = count = 0
    for path in waiting:
        total += path.stat().st_size if path.exists() else 0
        if count and total > size:
            break
        count += 1
    return waiting[:count], waiting[count:]


def _compact_batch(
    folder: Path, batch: Sequence[Path], now_s: float, limits: Limits, done: Compacted
) -> None:
    import duckdb

    batch = [path for path in batch if path.exists()]
    found = Compacted()
    try:
        with Workshop(folder, limits.memory_mb) as shop:
            _merge(shop, _Sorter(shop, read_book(folder), now_s, limits.keep_days), batch, found)
    except (duckdb.OperationalError, duckdb.InternalError):  # no fault of what is read: the disk, the memory
        raise
    except duckdb.Error as error:
        if len(batch) > 1:
            for path in batch:
                _compact_batch(folder, [path], now_s, limits, done)
            return
        for path in batch:
            _log.error("the segment %s is set aside, it cannot be made into rows: %s", path.name, error)
            path.rename(path.with_suffix(segments.BAD))
        done.bad_segments += len(batch)
        return
    for path in batch:
        path.unlink()
    done.segments += len(batch)
    done.rows += found.rows
    done.late += found.late
    done.erased += found.erased
    done.files += found.files


def _merge(shop: Workshop, sorter: "_Sorter", batch: Sequence[Path], found: Compacted) -> None:
    for path in batch:
        for record in segments.records(path):
            sorter.add(record, found)
    sorter.flush()
    for kind, hour in sorted(sorter.hours):
        merge_hour(shop, kind, hour, sorter.path(kind, hour))
        found.files += 1


class _Sorter:
    """Rows by kind and hour, in files of the scratch folder."""

    def __init__(self, shop: Workshop, book: Book, now_s: float, keep_days: int) -> None:
        self.hours: set[tuple[str, int]] = set()
        self._shop, self._book = shop, book
        self._from_hour = past_hour(now_s, keep_days)
        self._to_hour = parquet.hour_of(int((now_s + FUTURE_S) * 1_000))
        self._rows: defaultdict[tuple[str, int], list[bytes]] = defaultdict(list)
        self._size = 0

    def path(self, kind: str, hour: int) -> Path:
        """The rows of an hour."""
        return self._shop.scratch / f"{kind}-{hour}.jsonl"

    def add(self, record: Record, found: Compacted) -> None:
        """Put a record to its hour, unless it is too old or erased."""
        found.rows += 1
        hour = parquet.hour_of(record.at_ms)
        if not self._from_hour <= hour <= self._to_hour:
            found.late += 1
            return
        kept = after_erasures(record, self._book)
        found.erased += kept is not record
        line = row(kept) if kept is not None else None
        if line is None:
            return
        self._rows[KIND_OF[type(record)], hour].append(line)
        self._size += len(line)
        if self._size >= BUFFER_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is in memory."""
        for (kind, hour), lines in self._rows.items():
            with self.path(kind, hour).open("ab") as file:
                file.writelines(lines)
            self.hours.add((kind, hour))
        self._rows.clear()
        self._size = 0


def past_hour(now_s: float, keep_days: int) -> int:
    """The first hour whose people are kept: an hour before it is anonymised, or will be within the hour."""
    return parquet.hour_of(int((now_s - keep_days * DAY_S) * 1_000)) + 2


def merge_hour(shop: Workshop, kind: str, hour: int, fresh: Path) -> int:
    """Publish an hour's file with the rows of `fresh` in it, each event once; how many rows it has. What stands there
    already streams through: only fresh rows, and those that they repeat, are held and sorted."""
    path, keys = parquet.hour_path(shop.folder, kind, hour), quoted(KEY[kind])
    shop.sql.execute(f"CREATE OR REPLACE TEMP TABLE arrived AS {fresh_rows(kind)}", {"fresh": str(fresh)})
    shop.sql.execute(
        f"CREATE OR REPLACE TEMP TABLE known AS SELECT DISTINCT {keys} FROM arrived WHERE id <> ''"
    )
    values: dict[str, object] = {}
    rows, old = "SELECT 1 AS fresh, * FROM arrived", ""
    if path.exists():
        _set_aside_damaged(shop, path)
    if path.exists():
        values["old"] = str(path)
        source = "read_parquet($old, hive_partitioning = false)"
        rows = f"SELECT 0 AS fresh, * FROM {source} SEMI JOIN known USING ({keys}) UNION ALL BY NAME {rows}"
        old = f"SELECT * FROM {source} ANTI JOIN known USING ({keys}) UNION ALL BY NAME "
    either = "" if kind == "shop" else f" REPLACE (bool_or(suspect) OVER (PARTITION BY {keys}) AS suspect)"
    once = (
        f"SELECT * EXCLUDE (fresh){either} FROM ({rows}) QUALIFY id = '' OR row_number() OVER "
        f"(PARTITION BY {keys} ORDER BY {FIRST[kind]}, fresh) = 1 ORDER BY advertiser, at_ms, id"
    )
    return shop.write(f"{old}SELECT * FROM ({once})", values, path)


def _set_aside_damaged(shop: Workshop, path: Path) -> None:
    """A file that is no Parquet any more does not stop its hour."""
    import duckdb

    try:
        shop.columns_of(path)
    except (duckdb.OperationalError, duckdb.InternalError):  # no fault of what is read: the disk, the memory
        raise
    except duckdb.Error as error:
        _log.error("the file %s is set aside, it cannot be read: %s", path, error)
        path.rename(path.with_suffix(segments.BAD))
