"""Content codings of request and answer bodies, bounded.

Place: the exchange port inflates a body after admission, before the deciders see it.
Limits: `inflate` stops at the byte that goes over its limit: a gzip bomb costs no more than an honest body.
Raises: BadCoding, TooLarge.
Source: RFC 9110 section 8.4.1 (x-gzip is gzip; "deflate" is the zlib format, which some clients send bare);
    RFC 1952 section 2.2 (a gzip body may have several members).
"""

import zlib
from functools import lru_cache

IDENTITY, GZIP, DEFLATE, UNKNOWN = range(4)
_CODINGS = {b"gzip": GZIP, b"x-gzip": GZIP, b"deflate": DEFLATE, b"identity": IDENTITY, b"": IDENTITY}
_GZIP_BITS = 16 + zlib.MAX_WBITS
_MAX_MEMBERS = 64  # a honest sender writes one; each costs a decompressor


class BadCoding(Exception):
    """The body is not what its Content-Encoding says, or it ends too early."""


class TooLarge(Exception):
    """The body inflates beyond its limit."""


@lru_cache(maxsize=256)
def coding(value: bytes) -> int:
    """What a Content-Encoding header asks for; several codings in one body are UNKNOWN."""
    named = [_CODINGS.get(part.strip().lower(), UNKNOWN) for part in value.split(b",")]
    told = [code for code in named if code != IDENTITY]
    if not told:
        return IDENTITY
    return told[0] if len(told) == 1 else UNKNOWN


@lru_cache(maxsize=256)
def accepts_gzip(value: bytes) -> bool:
    """Whether an Accept-Encoding header names gzip (or anything) with a weight above zero."""
    weights: dict[bytes, bool] = {}
    for part in value.lower().split(b","):
        name, _, parameter = part.partition(b";")
        weight = parameter.strip()
        refused = weight.startswith(b"q=") and weight[2:].strip(b"0.") == b""
        weights[name.strip()] = not refused
    return weights.get(b"gzip", weights.get(b"x-gzip", weights.get(b"*", False)))


def inflate(body: bytes, code: int, limit: int) -> bytes:
    """The body without its coding, at most `limit` bytes; raises BadCoding or TooLarge."""
    try:
        if code == DEFLATE:
            return _inflate_zlib(body, limit)
        return _inflate_members(body, limit)
    except zlib.error:
        raise BadCoding from None


def _inflate_members(body: bytes, limit: int) -> bytes:
    parts: list[bytes] = []
    room = limit
    for _ in range(_MAX_MEMBERS):
        member = zlib.decompressobj(_GZIP_BITS)
        part = member.decompress(body, room + 1)
        if len(part) > room:
            raise TooLarge
        if not member.eof:
            raise BadCoding
        body = member.unused_data
        if not body and not parts:
            return part
        parts.append(part)
        room -= len(part)
        if not body.strip(b"\0"):  # nothing more, or the padding that RFC 1952 readers skip
            return b"".join(parts)
    raise BadCoding


def _inflate_zlib(body: bytes, limit: int) -> bytes:
    try:
        return _inflate_one(body, zlib.MAX_WBITS, limit)
    except zlib.error:
        return _inflate_one(body, -zlib.MAX_WBITS, limit)


def _inflate_one(body: bytes, bits: int, limit: int) -> bytes:
    stream = zlib.decompressobj(bits)
    part = stream.decompress(body, limit + 1)
    if len(part) > limit:
        raise TooLarge
    if not stream.eof or stream.unused_data:
        raise BadCoding
    return part


def deflate(body: bytes) -> bytes:
    """The body as gzip, at the fastest level: the answer is waited for."""
    stream = zlib.compressobj(1, zlib.DEFLATED, _GZIP_BITS)
    return stream.compress(body) + stream.flush()
