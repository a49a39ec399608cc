"""Calls as bytes: what no client library would send, and the answers as they stand on the wire.

Shapes: `said` sends on a line of its own and reads until the service ends it; a Said is the last answer of it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

from tests.service.client import Address

WAIT_S = 60.0


class Said(NamedTuple):
    """One answer."""

    status: int
    """0: the line was cut without one."""
    fields: list[tuple[str, str]]
    """Names in lower case, in order."""
    body: bytes

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for found, value in self.fields if found == name]

    def one(self, name: str) -> str:
        """The value of a header that stands once or not at all."""
        found = self.all(name)
        assert len(found) < 2, found
        return found[0] if found else ""


def call(method: str, target: str, *fields: str | bytes, body: bytes = b"", host: str = "127.0.0.1") -> bytes:
    """A call that ends its line; the target as it shall stand on the wire."""
    lines = [f"{method} {target} HTTP/1.1".encode(), f"Host: {host}".encode(), b"Connection: close"]
    lines += [field if isinstance(field, bytes) else field.encode() for field in fields]
    if body and not any(line.lower().startswith((b"content-length", b"transfer-enc")) for line in lines):
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, b"", b""]) + body


async def said(address: Address, data: bytes, *, more: Iterable[bytes] = ()) -> Said:
    """Send bytes, and `more` until an answer comes; the last answer. A 100 is passed over."""
    reader, writer = await asyncio.open_connection(*address)
    reading = asyncio.ensure_future(reader.read())
    try:
        async with asyncio.timeout(WAIT_S):
            with suppress(ConnectionError):
                writer.write(data)
                for each in more:
                    if reading.done():
                        break
                    writer.write(each)
                    await writer.drain()
            with suppress(ConnectionError):
                return parsed(await reading)
            return Said(0, [], b"")
    finally:
        reading.cancel()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def parsed(data: bytes) -> Said:
    """The last answer of what a line said; nothing but whole answers stands there."""
    if not data:
        return Said(0, [], b"")
    head, end, rest = data.partition(b"\r\n\r\n")
    assert end, f"half an answer: {data[:80]!r}"
    first, *lines = head.decode("latin-1").split("\r\n")
    found = re.fullmatch(r"HTTP/(?:0\.9|1\.[01]) (\d{3}) [ -~]*", first)
    assert found, first
    assert all(re.match(r"[A-Za-z-]+: ", line) for line in lines), lines
    fields = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    if found[1] == "100":
        return parsed(rest)
    return Said(int(found[1]), fields, rest)


async def all_said(address: Address, calls: Iterable[bytes], at_once: int = 16) -> list[Said]:
    """The answers to many calls, some at once, in their order."""
    gate = asyncio.Semaphore(at_once)

    async def one(data: bytes) -> Said:
        async with gate:
            return await said(address, data)

    return list(await asyncio.gather(*map(one, calls)))
