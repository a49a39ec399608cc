"""Which ids of a request may lead to a person: ours by sync, the exchange's, an eid, an advertising id.

Place: step 3 of a bid; intake fills a Lookup, stores/people follows it in one read for the batch.
Shapes: a Lookup is our own id (16 bytes) or up to MAX_MATCHES keys of the match table, best first; without either
    it may be a visitor, for whom views are counted and of whom nothing is known.
Limits: MAX_MATCHES look-ups per request: one more id rarely finds whom three did not.
Never: built where Permissions do not allow to read an id.
"""

import binascii
import socket
from hashlib import blake2b

from msgspec import Struct

MAX_MATCHES = 4
MAX_ID_LENGTH = 256
_ID_TEXT_LENGTH = 32
_MAPPED = bytes(10) + b"\xff\xff"  # an IPv4 address written as IPv6
_VISITOR = b"\xffip\xff"
_VISITOR_DOMAIN = b"paceline-visitor"
ZERO_IFA = "00000000-0000-0000-0000-000000000000"


class Lookup(Struct, frozen=True, gc=False):
    """Where to look for one person."""

    person: bytes | None = None
    """Our id, 16 bytes, where the request carries it."""
    matches: tuple[str, ...] = ()
    """Keys of the match table, `source/id`, tried in order."""
    visitor: bytes | None = None
    """`visitor_id`, where there is neither."""


def person_id(text: str) -> bytes | None:
    """Our id of 32 hexadecimal digits as 16 bytes; None for anything else."""
    if len(text) != _ID_TEXT_LENGTH:
        return None
    try:
        return binascii.unhexlify(text)
    except (ValueError, UnicodeEncodeError):
        return None


def match_key(source: str, uid: str) -> str:
    """The match-table key of an id that a source gave; raises ValueError above MAX_ID_LENGTH."""
    if not uid or len(uid) > MAX_ID_LENGTH:
        raise ValueError("an id has 1 to 256 characters")
    return f"{source}/{uid}"


def visitor_id(secret: bytes, address: str, agent: str) -> bytes | None:
    """16 bytes for a truncated address (24 bits of IPv4, 48 of IPv6) and a user agent; None for no address.

    `secret` has at most 64 bytes: without it nobody can tell which address stands behind an id.
    """
    try:
        if ":" in address:
            packed = socket.inet_pton(socket.AF_INET6, address)
            network = packed[12:15] if packed.startswith(_MAPPED) else packed[:6]
        else:
            network = socket.inet_pton(socket.AF_INET, address)[:3]
    except (OSError, ValueError):
        return None
    data = network + agent.encode("utf-8", "surrogatepass")
    return (
        _VISITOR + blake2b(data, digest_size=16 - len(_VISITOR), key=secret, person=_VISITOR_DOMAIN).digest()
    )


def is_visitor(id_: bytes) -> bool:
    """Whether 16 bytes are a `visitor_id`; an id of a person looks so once in four billion."""
    return id_.startswith(_VISITOR)
