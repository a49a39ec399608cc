"""Short keys of long names: the same in every process and after every restart, so nobody keeps a registry.

Place: campaigns, people and tokens name things by these.
Limits: 32 bits collide among some 77,000 names with even odds, so they serve where there are few (exchanges, the
    segments of one advertiser, where load.py refuses a collision); 64 bits collide once in 3.7 billion books of
    100,000 line items.
Source: BLAKE2b (RFC 7693), keyed by the namespace.
"""

import hashlib
from zlib import crc32

_FIELD_PREFIX = b"a:"


def key16(text: str) -> int:
    """16 bits of a name, never 0: for counting by, where it does no harm that some names share a key. 0.2 us."""
    return crc32(text.encode("utf-8", "surrogatepass")) & 0xFFFF or 1


def key32(text: str) -> int:
    """The 32-bit key of a name that stands alone."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "little")


def key64(text: str) -> int:
    """The 64-bit key of a name that stands alone, among many."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def segment_key(advertiser_id: str, segment_id: str) -> int:
    """The 32-bit key of an advertiser's segment."""
    return int.from_bytes(_hash(advertiser_id, segment_id, 4), "little")


def product_key(advertiser_id: str, product_id: str) -> int:
    """The 64-bit key of an advertiser's product."""
    return int.from_bytes(_hash(advertiser_id, product_id, 8), "little")


def category_key(advertiser_id: str, category: str) -> int:
    """The 32-bit key of a category of an advertiser's shop, however it is spaced and in whatever case; 0 for none.
    The levels of a path are parted by `>`."""
    levels = [name for level in category.split(">") if (name := " ".join(level.split()))]
    return name_key(advertiser_id, " > ".join(levels).casefold())


def name_key(advertiser_id: str, name: str) -> int:
    """The 32-bit key of an advertiser's name for something: an event's id, an order, a custom event; 0 for none."""
    return (int.from_bytes(_hash(advertiser_id, name, 4), "little") or 1) if name else 0


def field_name(advertiser_id: str) -> bytes:
    """The name of an advertiser's field in a person's hash."""
    return _FIELD_PREFIX + advertiser_id.encode()


def _hash(advertiser_id: str, name: str, size: int) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=size, key=advertiser_id.encode()[:64]).digest()
