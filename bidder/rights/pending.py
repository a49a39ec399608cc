"""What erasures have still to take out of the events that this host recorded.

Place: `paceline erase --verify`.
Shapes: an event in a segment that compaction has not read is pending where the book, or the queue, says that its person
    was erased: compaction leaves it out. One that no erasure reaches, or anything that is no record, is a place, as in
    verify.py. A person is known here by a digest alone, so erasures of people whom nobody can name are looked at, too.
Raises: OSError, duckdb.Error.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from bidder.events import erasure, segments
from bidder.events.erased import Book, Entry, after_erasures, read_book
from bidder.events.frames import encode_record
from bidder.events.records import Record
from bidder.events.requests import outstanding
from bidder.rights.verify import files_that_hold
from bidder.stores import keys

_INSIDE: Final = f"{segments.FOLDER}/"
_READ_BY_COMPACTION: Final = (segments.OPEN, segments.SEALED)


class Pending(Struct, frozen=True):
    """What is still to be done, by itself."""

    events: int = 0
    """In segments that compaction has not read."""
    people: int = 0
    """Whose erasure has not begun in this host's files."""

    def __bool__(self) -> bool:
        return bool(self.events or self.people)


def pending(folder: Path, asked: Mapping[bytes, float], names: Collection[bytes] | None = None) -> Pending:
    """What waits of erasures: of these digests, or of all that were asked for (events.requests.requested)."""
    if not folder.is_dir():
        return Pending()
    book = read_book(folder)
    waiting = outstanding(dict(asked), book)
    every = _with(book, waiting)
    chosen = every if names is None else {name: every[name] for name in names if name in every}
    events = sum(after_erasures(record, chosen) is not record for record in _on_their_way(folder))
    return Pending(events, sum(name in chosen for name in waiting))


def left_in_events(folder: Path, asked: Mapping[bytes, float], person: bytes) -> list[str]:
    """Places in recorded events that name a person and that no erasure on its way will clean."""
    if not folder.is_dir():
        return []
    book = read_book(folder)
    every, found = _with(book, outstanding(dict(asked), book)), list[str]()
    for path in files_that_hold(folder / segments.FOLDER, person):
        records = [each for each in segments.records_or_none(path) if _names(each, person)]
        gone = not records and not path.exists()  # compacted: its events stand in files of hours, or nowhere
        caught = records and all(_is_caught(each, every, person) for each in records)
        if not (gone or (caught and path.suffix in _READ_BY_COMPACTION)):
            found.append(f"file {path}")
    held = erasure.holds(folder, person)
    return found + [f"events {path}" for path in held if not path.startswith(_INSIDE)]


def _with(book: Book, waiting: Mapping[bytes, float]) -> Book:
    return book | {name: Entry(int(at_s * 1_000)) for name, at_s in waiting.items()}


def _on_their_way(folder: Path) -> Iterator[Record]:
    for path in segments.readable(folder):
        if path.suffix in _READ_BY_COMPACTION:
            yield from segments.records_or_none(path)


def _names(record: Record, person: bytes) -> bool:
    text = encode_record(record)
    return person in text or keys.person_tag(person) in text


def _is_caught(record: Record, book: Book, person: bytes) -> bool:
    after = after_erasures(record, book)
    return after is not record and (after is None or not _names(after, person))
