"""People leave what was recorded: erased when they ask, and everybody when the time is over.

Place: the caretaker's chores, `paceline erase`, the retention sweep; for threads.
Rule: who is erased is put into the book (erased.py) first, then out of every file, then told as done; an event that was
    in a queue or in an open segment meanwhile is caught by the book when it is compacted. Compaction and this hold the
    folder in turn, so whatever compaction publishes without having seen the book is looked through after it.
    A shop's event of an erased person is deleted; an impression or a click stays as nobody's, since it was paid for.
Limits: a segment is rewritten in memory, an hour's file within DuckDB's; people are compared PAGE at a time.
    PASS people are erased in one pass, which lets go of the folder at its end: what is done then stays done.
Raises: OSError, duckdb.Error: what is in the book and not done is done by the next run.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

from bidder.events import parquet, segments
from bidder.events.columns import KIND_OF, PERSONAL, fields_of, without_person
from bidder.events.erased import SLACK_MS, Entry, after_erasures, digest, read_book, write_book
from bidder.events.files import held
from bidder.events.parquet import Workshop
from bidder.events.records import Record

PAGE: Final = 10_000
PASS: Final = 200_000
MAX_EVENTS: Final = 10_000
_PERSON_HAS: Final = (
    "SELECT DISTINCT person FROM read_parquet($path, hive_partitioning = false) WHERE person IS NOT NULL"
)


def erase(folder: Path, people: Collection[bytes], now_s: float | None = None) -> int:
    """Take people out of all that is recorded in this folder, also out of what is still on its way; how many events
    were deleted or became nobody's. `now_s` is the moment of the erasure, where it is not this one."""
    return erase_digests(
        folder, {digest(person): time.time() if now_s is None else now_s for person in people}
    )


def erase_digests(folder: Path, people: Mapping[bytes, float]) -> int:
    """The same for people of whom only the digest is known, each with the moment (seconds)."""
    asked = iter(people.items())
    erased = _erase_page(folder, dict(islice(asked, PASS)))
    while page := dict(islice(asked, PASS)):
        erased += _erase_page(folder, page)
    return erased


def _erase_page(folder: Path, people: Mapping[bytes, float]) -> int:
    """One pass over the folder: for these, and for who stands in the book and is not done."""
    with held(folder):
        book = read_book(folder)
        for name, at_s in people.items():
            at_ms = int(at_s * 1_000)
            if name not in book or book[name].at_ms < at_ms:
                book[name] = Entry(at_ms)
        waiting = {name: entry for name, entry in book.items() if not entry.done}
        if not waiting:
            return 0
        latest_s = max(entry.at_ms for entry in waiting.values()) / 1_000
        write_book(folder, book, latest_s)
        erased = sum(
            segments.rewrite(path, lambda record: after_erasures(record, waiting))
            for path in (*segments.sealed(folder), *segments.set_aside(folder))
        )
        with Workshop(folder) as shop:
            until_ms = {name: entry.at_ms + SLACK_MS for name, entry in waiting.items()}
            for kind, path in parquet.all_files(folder):
                erased += _erase_from(shop, kind, path, until_ms)
        for name, entry in waiting.items():
            book[name] = entry.ended()
        write_book(folder, book, latest_s)
    return erased


def _erase_from(shop: Workshop, kind: str, path: Path, until_ms: Mapping[bytes, int]) -> int:
    """Take people out of one file; how many rows."""
    hits = [(person, until_ms[name]) for person, name in _people_of(shop, path) if name in until_ms]
    if not hits:
        return 0
    shop.sql.execute("CREATE OR REPLACE TEMP TABLE leaving (person BLOB, until_ms BIGINT)")
    for at in range(0, len(hits), PAGE):
        page = hits[at : at + PAGE]
        shop.sql.execute(
            "INSERT INTO leaving SELECT unnest($people), unnest($until)",
            {"people": [person for person, _ in page], "until": [until for _, until in page]},
        )
    gone = "person IS NOT NULL AND EXISTS (FROM leaving WHERE leaving.person = events.person AND at_ms <= until_ms)"
    source = "read_parquet($path, hive_partitioning = false) AS events"
    shop.sql.execute(f"SELECT count(*) FROM {source} WHERE {gone}", {"path": str(path)})
    (erased,) = shop.sql.fetchone() or (0,)
    if not erased:
        return 0
    if kind == "shop":
        query = f"SELECT * FROM {source} WHERE NOT ({gone})"
    else:
        query = f"SELECT * REPLACE (CASE WHEN {gone} THEN NULL ELSE person END AS person) FROM {source}"
    shop.write(query, {"path": str(path)}, path)
    return int(erased)


def _people_of(shop: Workshop, path: Path) -> Iterator[tuple[bytes, bytes]]:
    """The people of a file with their digests; nobody where it has no such column, or cannot be read."""
    import duckdb

    try:
        shop.sql.execute(_PERSON_HAS, {"path": str(path)})
    except (duckdb.BinderException, duckdb.InvalidInputException):
        return
    while page := shop.sql.fetchmany(PAGE):
        for (person,) in page:
            yield person, digest(person)


def holds(folder: Path, person: bytes) -> list[str]:
    """The files, relative to the folder, that name a person; open segments, too."""
    found: dict[str, None] = {}
    for path, _ in _events_of(folder, person):
        found[str(path.relative_to(folder))] = None
    return list(found)


def events_of(folder: Path, person: bytes, limit: int = MAX_EVENTS) -> list[dict[str, Any]]:
    """What is recorded of a person, at most `limit` events, each with its `record` (shop, impression, click) and
    without the person; what is recorded twice stands twice."""
    found = []
    for _, event in _events_of(folder, person):
        found.append(event)
        if len(found) >= limit:
            break
    return found


def _events_of(folder: Path, person: bytes) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Segments first: what is compacted meanwhile is found in its file."""
    for path in segments.readable(folder):
        for record in segments.records_or_none(path):
            if record.person == person:
                yield path, _told(record)
    if not any(True for _ in parquet.all_files(folder)):
        return
    with Workshop(folder, task=parquet.READING) as shop:
        for kind, path in parquet.all_files(folder):
            for event in _rows_of(shop, path, person):
                yield path, {"record": kind} | event


def _told(record: Record) -> dict[str, Any]:
    return {"record": KIND_OF[type(record)]} | {
        name: value for name, value in fields_of(record).items() if name != "person"
    }


def _rows_of(shop: Workshop, path: Path, person: bytes) -> Iterable[dict[str, Any]]:
    import duckdb

    query = (
        "SELECT * EXCLUDE (person) FROM read_parquet($path, hive_partitioning = false) WHERE person = $person"
    )
    for pinned in shop.pinned([path]):
        try:
            shop.sql.execute(query, {"path": str(pinned), "person": person})
        except duckdb.BinderException:  # a file without that column names nobody
            return []
        names = [name for name, *_ in shop.sql.description or ()]
        return [dict(zip(names, row, strict=True)) for row in shop.sql.fetchmany(MAX_EVENTS)]
    return []


def anonymise(folder: Path, before_s: float) -> int:
    """Empty the people out of every hour that began before a moment, and out of segments' events before it; how many
    files changed. What was set aside and is that old is deleted: nobody knows what stands in it."""
    changed = 0
    with held(folder):
        for path in segments.sealed(folder):
            changed += bool(segments.rewrite(path, lambda record: _aged(record, before_s)))
        for path in _unreadable(folder, before_s):
            path.unlink()
            changed += 1
        old = [(kind, path) for kind, path in parquet.all_files(folder) if parquet.start_s(path) < before_s]
        if not old:
            return changed
        with Workshop(folder) as shop:
            clean = shop.anonymous([path for _, path in old])
            for kind, path in old:
                if path not in clean:
                    _empty(shop, kind, path)
                    changed += 1
    return changed


def _unreadable(folder: Path, before_s: float) -> list[Path]:
    files = [path for path in parquet.set_aside(folder) if parquet.start_s(path) < before_s]
    return files + [
        path for path in segments.set_aside(folder) if segments.started_ms(path) < before_s * 1_000
    ]


def _aged(record: Record, before_s: float) -> Record:
    return record if record.at_ms >= before_s * 1_000 or not record.person else without_person(record)


def _empty(shop: Workshop, kind: str, path: Path) -> None:
    present = shop.columns_of(path)
    emptied = ", ".join(f'{value} AS "{name}"' for name, value in PERSONAL[kind].items() if name in present)
    query = f"SELECT * REPLACE ({emptied}) FROM read_parquet($path, hive_partitioning = false)"
    shop.write(query, {"path": str(path)}, path, anonymous=True)


def drop_rows(folder: Path, before_s: float) -> int:
    """Delete the files of hours that began before a moment; how many."""
    with held(folder):
        old = [path for _, path in parquet.all_files(folder) if parquet.start_s(path) < before_s]
        for path in old:
            parquet.remove(path)
    return len(old)
