"""What we know of a person, as it stands in the person's one hash; one field per advertiser.

Place: stores/people reads and writes the fields; the auction opens those of the advertisers it considers.
Shapes: a field's value is a header, an affinity vector (D float16), then segments and products:
    header   <BBBBI   version, D, number of segments, number of products, updated (seconds since the epoch)
    segment  <II      segment key, expires (seconds since the epoch)
    product  <QI      product key, seen (seconds since the epoch)
Units: seconds since the epoch.
Limits: D <= 64, segments <= 64, products <= 32 per advertiser; `pack` refuses more.
Never: a name, an address or anything that tells who a person is.
"""

import struct
from collections.abc import Iterator

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
MAX_DIMENSIONS = 64
MAX_SEGMENTS = 64
MAX_PRODUCTS = 32

_HEADER = struct.Struct("<BBBBI")
_SEGMENTS = [struct.Struct(f"<{2 * n}I") for n in range(MAX_SEGMENTS + 1)]
_SEGMENT = struct.Struct("<II")
_PRODUCT = struct.Struct("<QI")


class Profile(Struct, frozen=True):
    """What one advertiser knows of one person."""

    updated_s: int
    affinity: NDArray[np.float16]
    segments: tuple[tuple[int, int], ...] = ()
    """(segment key, expires_s)"""
    products: tuple[tuple[int, int], ...] = ()
    """(product key, seen_s), latest first."""


def pack(profile: Profile) -> bytes:
    """A profile as the value of its field; raises ValueError above the limits."""
    dimensions, segments, products = len(profile.affinity), len(profile.segments), len(profile.products)
    if dimensions > MAX_DIMENSIONS or segments > MAX_SEGMENTS or products > MAX_PRODUCTS:
        raise ValueError(
            f"profile too large: {dimensions} dimensions, {segments} segments, {products} products"
        )
    flat = [number for segment in profile.segments for number in segment]
    return b"".join(
        (
            _HEADER.pack(VERSION, dimensions, segments, products, profile.updated_s),
            profile.affinity.astype("<f2").tobytes(),
            _SEGMENTS[segments].pack(*flat),
            *(_PRODUCT.pack(*product) for product in profile.products),
        )
    )


def unpack(value: bytes) -> Profile | None:
    """The profile that a field holds; None where the value is of another version or damaged."""
    if len(value) < _HEADER.size:
        return None
    version, dimensions, segments, products, updated_s = _HEADER.unpack_from(value)
    segments_at = _HEADER.size + 2 * dimensions
    products_at = segments_at + 8 * segments
    if version != VERSION or segments > MAX_SEGMENTS or len(value) != products_at + _PRODUCT.size * products:
        return None
    flat = _SEGMENTS[segments].unpack_from(value, segments_at)
    return Profile(
        updated_s,
        np.frombuffer(value, "<f2", dimensions, _HEADER.size),
        tuple(zip(flat[::2], flat[1::2], strict=True)),
        tuple(_PRODUCT.iter_unpack(value[products_at:])),
    )


def segments_of(value: bytes) -> Iterator[tuple[int, int]]:
    """(key, expires_s) of the segments of a field's value (the path of a bid); none where the value is of another
    version or damaged."""
    at = _HEADER.size + 2 * value[1] if len(value) >= _HEADER.size and value[0] == VERSION else 0
    count = value[2] if at else 0
    if count > MAX_SEGMENTS or len(value) < at + 8 * count:
        count = 0
    return _SEGMENT.iter_unpack(value[at : at + 8 * count])


def affinity_bytes(value: bytes, dimensions: int) -> bytes:
    """The affinity vector of a field's value as float16 bytes; empty where it has other dimensions or is damaged."""
    end = _HEADER.size + 2 * dimensions
    if len(value) < end or value[0] != VERSION or value[1] != dimensions:
        return b""
    return value[_HEADER.size : end]


class Person(Struct, frozen=True, gc=False):
    """A person as read: a random 128-bit number, and the raw fields of the hash."""

    id: bytes
    """16 bytes."""
    fields: dict[bytes, bytes]
    """Field name to value; `keys.field_name` names an advertiser's."""
