"""The book of who was erased here: what still comes of them, out of queues and open segments, is caught by it.

Place: erasure.py writes it before it looks at a file; compaction asks it of every event.
Shapes: `erased.book` in the folder of events: digest of a person -> (when in ms, whether all files are clean), msgpack.
    A digest names nobody: it is of 128 random bits.
Rule: an event of a person is erased whose time is before the erasure, or up to SLACK_MS after it, since a shop's clock
    may be ahead. An ad has the time of its bid, so it is erased though it is clicked a day later. What the same id does
    afterwards is new.
Limits: KEEP_S per entry: no token and no event is believed that is older.
"""

import hashlib
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from bidder.events.columns import without_person
from bidder.events.files import replace
from bidder.events.records import Record, ShopEvent

KEEP_S: Final = 30 * 86_400
DIGEST_BYTES: Final = 16
SLACK_MS: Final = 300_000
"""As far ahead as the recorder lets a clock be (writer.FUTURE_S)."""
_DOMAIN: Final = b"paceline/erased"
_BOOK: Final = "erased.book"


class Entry(Struct, frozen=True, array_like=True):
    """One erasure."""

    at_ms: int
    done: bool = False

    def ended(self) -> "Entry":
        """The same, with every file clean."""
        return Entry(self.at_ms, True)


Book = dict[bytes, Entry]
_decoder: Final[msgspec.msgpack.Decoder[Book]] = msgspec.msgpack.Decoder(Book)


def digest(person: bytes) -> bytes:
    """What stands for a person in books and queues of erasures."""
    return hashlib.blake2b(person, digest_size=DIGEST_BYTES, person=_DOMAIN).digest()


def read_book(folder: Path) -> Book:
    """Who was erased; empty where the book is not there or damaged: then all is asked and done again."""
    try:
        return _decoder.decode((folder / _BOOK).read_bytes())
    except (FileNotFoundError, msgspec.DecodeError):
        return {}


def write_book(folder: Path, book: Book, now_s: float) -> None:
    """Replace the book, without what is too old; for the one that holds the folder. Raises OSError."""
    since_ms = int((now_s - KEEP_S) * 1_000)
    kept = {name: entry for name, entry in book.items() if entry.at_ms >= since_ms}
    replace(folder / _BOOK, [msgspec.msgpack.encode(kept)])


def after_erasures(record: Record, book: Book) -> Record | None:
    """What is left of an event: a shop's goes, an ad's stays as nobody's, since it was paid for."""
    if not record.person or not book:
        return record
    entry = book.get(digest(record.person))
    if entry is None or record.at_ms > entry.at_ms + SLACK_MS:
        return record
    return None if isinstance(record, ShopEvent) else without_person(record)
