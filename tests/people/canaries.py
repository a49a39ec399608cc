"""What must never be kept, planted wherever a request can carry text, and looked for wherever something can be kept.

Shapes: `Found` names a place and the canary; places are keys, values, files (Parquet by its rows), log lines, metrics.
"""

from __future__ import annotations

import io
import logging
import socket
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import duckdb
import redis

EMAIL: Final = "canary.jane@mail.example"
PHONE: Final = "+49 30 98765432"
ADDRESS: Final = "203.0.113.177"
ADDRESS_6: Final = "2001:db8:77:ca:7a:0:177:1"
AGENT: Final = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 CanaryBrowser/77.3 Safari/537.36"

SHAPES: Final[dict[str, tuple[bytes, ...]]] = {
    "e-mail": (b"canary.jane",),
    "phone": (b"98765432", b"9876 5432"),
    "address": (
        ADDRESS.encode(),
        socket.inet_aton(ADDRESS),
        ADDRESS_6.encode(),
        socket.inet_pton(socket.AF_INET6, ADDRESS_6),
    ),
    "agent": (b"canarybrowser",),
}
"""How each would look, in lower case. A domain alone names nobody: it is what is kept of a referrer."""

Found = tuple[str, str]


class Lines(logging.Handler):
    """Every line that is logged, of whatever level, as it would be printed."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.text = io.StringIO()
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.text.write(self.format(record) + "\n")


def held_in_store(client: redis.Redis) -> Iterator[tuple[str, bytes]]:
    """Each key and each value."""
    for key in client.scan_iter():
        shown = key.decode("utf-8", "backslashreplace")
        yield f"key {shown}", key
        kind = client.type(key)
        values: Iterable[bytes] = ()
        if kind == b"hash":
            values = [part for pair in client.hgetall(key).items() for part in pair]
        elif kind == b"zset":
            values = client.zrange(key, 0, -1)
        elif kind == b"string":
            values = [client.get(key) or b""]
        else:
            raise AssertionError(f"{shown} is a {kind!r}")
        yield from ((f"value of {shown}", value) for value in values)


def held_in_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Each name and content; what stands in Parquet, row by row."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield f"name of {path.name}", str(path.relative_to(folder)).encode()
            yield f"file {path.relative_to(folder)}", path.read_bytes()
            if path.suffix == ".parquet":
                for row in duckdb.sql(f"SELECT * FROM read_parquet('{path}')").fetchall():
                    yield f"row of {path.relative_to(folder)}", _flat(row)


def _flat(value: object) -> bytes:
    """All that stands in a row, one after the other."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, Mapping):
        return b"|".join(_flat(part) for part in value.values())
    if isinstance(value, list | tuple):
        return b"|".join(_flat(part) for part in value)
    return str(value).encode()


def found(places: Iterable[tuple[str, bytes]], wanted: Mapping[str, Iterable[bytes]]) -> set[Found]:
    """Where something stands that is looked for; text in any case."""
    return {
        (place, name)
        for place, content in places
        for name, shapes in wanted.items()
        if any(shape in content or shape in content.lower() for shape in shapes)
    }
