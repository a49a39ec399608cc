"""Feeds of lines: comma- or tab-separated with a header, and JSON lines.

Place: feed.py asks for rows; what is wrong with a line becomes that line's row, and the next line goes on.
Shapes: a row is its line's number, and its values by column (columns.NAMES) or the reason why it has none.
Limits: MAX_LINE_BYTES of a line or of a quoted record over MAX_RECORD_LINES lines; MAX_COLUMNS.
Raises: HeaderError where the header cannot be used.
"""

import csv
from collections.abc import Callable, Iterator
from typing import Final, Protocol

import msgspec

from bidder.catalogue.columns import REQUIRED, column

MAX_LINE_BYTES: Final = 65_536  # ten times the longest product seen, its description included
MAX_RECORD_LINES: Final = 50
MAX_COLUMNS: Final = 300  # Merchant Center knows some 120

Row = tuple[int, dict[str, str] | str]
Note = Callable[[int, str], None]
"""Hears of a line, and the name of a column there."""

_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_value = msgspec.json.Decoder(str | int | float | bool | None).decode


class ByteSource(Protocol):
    """What is needed of a binary file."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""

    def readline(self, size: int, /) -> bytes:
        """At most so many bytes of a line."""


class HeaderError(Exception):
    """The first line names no columns that we can use."""


def delimited_rows(stream: ByteSource, ignored: Note | None = None) -> Iterator[Row]:
    """Rows of a CSV or TSV file: the header tells which; `ignored` hears of the columns that are not read."""
    lines = _lines(stream)
    first = next(((number, line) for number, line in lines if line != b""), None)
    if first is None:
        return
    header = _header(first[1])
    delimiter = "\t" if "\t" in header else max(",;|", key=header.count)
    cells = next(csv.reader([header], delimiter=delimiter))
    names = _names(cells)
    for cell, name in zip(cells, names, strict=True):
        if ignored is not None and name is None:
            ignored(first[0], cell)
    for number, record in _records(lines):
        yield number, _delimited(record, delimiter, names)


def json_rows(stream: ByteSource, ignored: Note | None = None) -> Iterator[Row]:
    """Rows of JSON lines: one object each, whose members are named as columns are; `ignored` hears of the others."""
    for number, line in _lines(stream):
        if line is None:
            yield number, f"is longer than {MAX_LINE_BYTES:,} bytes"
        elif line.strip():
            yield number, _members(line, number, ignored)


def _lines(stream: ByteSource) -> Iterator[tuple[int, bytes | None]]:
    """Numbered lines without their ends; None for one that is too long, which is skipped to its end."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            while line and not line.endswith(b"\n"):
                line = stream.readline(MAX_LINE_BYTES)
            yield number, None
        else:
            line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            yield number, line.rstrip(b"\r\n")


def _header(line: bytes | None) -> str:
    if line is None:
        raise HeaderError(f"is longer than {MAX_LINE_BYTES:,} bytes")
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise HeaderError("is not UTF-8") from None


def _names(cells: list[str]) -> list[str | None]:
    """The known name of each column; the first of two columns of one name counts."""
    if len(cells) > MAX_COLUMNS:
        raise HeaderError(f"has more than {MAX_COLUMNS} columns")
    names: list[str | None] = []
    for cell in cells:
        name = column(cell)
        names.append(None if name in names else name)
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise HeaderError(f"names no column {', '.join(missing)}")
    return names


def _records(lines: Iterator[tuple[int, bytes | None]]) -> Iterator[tuple[int, str | Exception]]:
    """One record each; quoted line breaks join lines, a quote that never ends spoils its own line alone."""
    waiting: list[tuple[int, bytes | None]] = []
    while True:
        taken = waiting.pop(0) if waiting else next(lines, None)
        if taken is None:
            return
        number, line = taken
        if line == b"":
            continue
        if line is None:
            yield number, ValueError(f"is longer than {MAX_LINE_BYTES:,} bytes")
            continue
        joined, size, quotes = [line], len(line), line.count(b'"')
        while quotes % 2 and len(joined) < MAX_RECORD_LINES:
            at = len(joined) - 1
            if at == len(waiting):
                more = next(lines, None)
                if more is None:
                    break
                waiting.append(more)
            following = waiting[at][1]
            if following is None or size + len(following) > MAX_LINE_BYTES:
                break
            joined.append(following)
            size, quotes = size + len(following), quotes + following.count(b'"')
        if quotes % 2:
            yield number, ValueError("has a quote that does not end")
        else:
            del waiting[: len(joined) - 1]
            yield number, _decoded(b"\n".join(joined))


def _decoded(record: bytes) -> str | Exception:
    try:
        return record.decode()
    except UnicodeDecodeError:
        return ValueError("is not UTF-8")


def _delimited(record: str | Exception, delimiter: str, names: list[str | None]) -> dict[str, str] | str:
    if isinstance(record, Exception):
        return str(record)
    try:
        cells = next(csv.reader([record], delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        return f"cannot be read: {error}"
    if len(cells) > len(names):
        return f"has {len(cells)} values for {len(names)} columns"
    return {name: cell for name, cell in zip(names, cells, strict=False) if name}


def _members(line: bytes, number: int, ignored: Note | None) -> dict[str, str] | str:
    try:
        members = _object(line)
        if ignored is not None:
            for key in members:
                if column(key) is None:
                    ignored(number, key)
        values = {name: _value(raw) for key, raw in members.items() if (name := column(key))}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return f"cannot be read: {error}"
    return {name: _written(value) for name, value in values.items()}


def _written(value: str | float | bool | None) -> str:
    """A value as a CSV cell would have it; 19.9 is exact in its shortest form."""
    if value is None:
        return ""
    return value if isinstance(value, str) else str(value)
