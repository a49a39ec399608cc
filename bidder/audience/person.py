"""What we know of a person, as it stands in the person's one hash; one field per advertiser.

Place: stores/people reads and writes the fields; the auction opens those of the advertisers it considers.
Shapes: a field's value is a header, an affinity vector (D float16), then segments and products:
    header   <BBBBI   version, D, number of segments, number of products, updated (seconds since the epoch)
    segment  <II      segment key, expires (seconds since the epoch)
    product  <QI      product key, seen (seconds since the epoch)
    waiting  <III     segment key, begins, expires; their number, a byte, stands before them. Both are only in
                      a value of version WAITING, which else is as VERSION.
Units: seconds since the epoch.
Limits: D <= 64, segments and waiting <= 64 each, products <= 32 per advertiser; `pack` refuses more.
Never: a name, an address or anything that tells who a person is.
"""

import struct
from collections.abc import Iterable
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from bidder.keys import field_name, product_key, segment_key

__all__ = [
    "Person",
    "Profile",
    "affinity_bytes",
    "field_name",
    "pack",
    "product_key",
    "segment_key",
    "segments_of",
    "unpack",
]

VERSION = 1
WAITING: Final = 2
"""The version of a value with segments that begin later; most have none, and are read faster."""
MAX_DIMENSIONS = 64
MAX_SEGMENTS = 64
MAX_PRODUCTS = 32

_HEADER = struct.Struct("<BBBBI")
_SEGMENTS = [struct.Struct(f"<{2 * n}I") for n in range(MAX_SEGMENTS + 1)]
_SEGMENT = struct.Struct("<II")
_PRODUCT = struct.Struct("<QI")
_WAITING = struct.Struct("<III")


class Profile(Struct, frozen=True):
    """What one advertiser knows of one person."""

    updated_s: int
    affinity: NDArray[np.float16]
    segments: tuple[tuple[int, int], ...] = ()
    """(segment key, expires_s)"""
    products: tuple[tuple[int, int], ...] = ()
    """(product key, seen_s), latest first."""
    waiting: tuple[tuple[int, int, int], ...] = ()
    """(segment key, begins_s, expires_s) of segments that the person will be in without doing anything more."""


def pack(profile: Profile) -> bytes:
    """A profile as the value of its field; raises ValueError above the limits."""
    dimensions, segments, products = len(profile.affinity), len(profile.segments), len(profile.products)
    waiting = len(profile.waiting)
    if dimensions > MAX_DIMENSIONS or max(segments, waiting) > MAX_SEGMENTS or products > MAX_PRODUCTS:
        raise ValueError(
            f"profile too large: {dimensions} dimensions, {segments} segments, {waiting} waiting, {products} products"
        )
    flat = [number for segment in profile.segments for number in segment]
    version = WAITING if waiting else VERSION
    return b"".join(
        (
            _HEADER.pack(version, dimensions, segments, products, profile.updated_s),
            profile.affinity.astype("<f2").tobytes(),
            _SEGMENTS[segments].pack(*flat),
            *(_PRODUCT.pack(*product) for product in profile.products),
            bytes((waiting,)) if waiting else b"",
            *(_WAITING.pack(*segment) for segment in profile.waiting),
        )
    )


def unpack(value: bytes) -> Profile | None:
    """The profile that a field holds; None where the value is of another version or damaged."""
    if len(value) < _HEADER.size:
        return None
    _, dimensions, segments, products, updated_s = _HEADER.unpack_from(value)
    segments_at = _HEADER.size + 2 * dimensions
    products_at = segments_at + 8 * segments
    end = products_at + _PRODUCT.size * products
    waiting = _waiting_of(value, end)
    if segments > MAX_SEGMENTS or waiting is None:
        return None
    flat = _SEGMENTS[segments].unpack_from(value, segments_at)
    return Profile(
        updated_s,
        np.frombuffer(value, "<f2", dimensions, _HEADER.size),
        tuple(zip(flat[::2], flat[1::2], strict=True)),
        tuple(_PRODUCT.iter_unpack(value[products_at:end])),
        waiting,
    )


def _waiting_of(value: bytes, at: int) -> tuple[tuple[int, int, int], ...] | None:
    """The segments that begin later, from `at` to the end; None where the value is of another version or does not end
    where it should."""
    if value[0] == VERSION:
        return () if len(value) == at else None
    if value[0] != WAITING or len(value) <= at:
        return None
    count = value[at]
    if not 1 <= count <= MAX_SEGMENTS or len(value) != at + 1 + _WAITING.size * count:
        return None
    return tuple(_WAITING.iter_unpack(value[at + 1 :]))


def segments_of(value: bytes, now_s: int) -> Iterable[tuple[int, int]]:
    """(key, expires_s) of the segments of a field's value (the path of a bid), those that have begun at `now_s` among
    them; expired ones, too. None where the value is of another version or damaged."""
    if len(value) < _HEADER.size or value[0] != VERSION:
        return _with_waiting(value, now_s)
    at = _HEADER.size + 2 * value[1]
    count = value[2]
    if count > MAX_SEGMENTS or len(value) < at + 8 * count:
        return ()
    return _SEGMENT.iter_unpack(value[at : at + 8 * count])


def _with_waiting(value: bytes, now_s: int) -> Iterable[tuple[int, int]]:
    """The same of a value of version WAITING."""
    if len(value) < _HEADER.size or value[0] != WAITING or value[2] > MAX_SEGMENTS:
        return ()
    at = _HEADER.size + 2 * value[1]
    products_at = at + 8 * value[2]
    waiting = _waiting_of(value, products_at + _PRODUCT.size * value[3])
    if waiting is None:
        return ()
    found = [(key, expires_s) for key, begins_s, expires_s in waiting if begins_s <= now_s]
    found += _SEGMENT.iter_unpack(value[at:products_at])
    return found


def affinity_bytes(value: bytes, dimensions: int) -> bytes:
    """The affinity vector of a field's value as float16 bytes; empty where it has other dimensions or is damaged."""
    end = _HEADER.size + 2 * dimensions
    if len(value) < end or value[1] != dimensions or not VERSION <= value[0] <= WAITING:
        return b""
    return value[_HEADER.size : end]


class Person(Struct, frozen=True, gc=False):
    """A person as read: a random 128-bit number, and the raw fields of the hash."""

    id: bytes
    """16 bytes."""
    fields: dict[bytes, bytes]
    """Field name to value; `keys.field_name` names an advertiser's."""
