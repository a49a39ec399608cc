"""Which ids of a request may lead to a person: ours by sync, the exchange's, an eid, an advertising id.

Place: step 3 of a bid; intake fills a Lookup, stores/people follows it in one read for the batch.
Shapes: a Lookup is our own id (16 bytes) or up to MAX_MATCHES keys of the match table, best first.
Limits: MAX_MATCHES look-ups per request: one more id rarely finds whom three did not.
Never: built where Permissions do not allow to read an id.
"""

import binascii

from msgspec import Struct

MAX_MATCHES = 4
MAX_ID_LENGTH = 256
_ID_TEXT_LENGTH = 32
ZERO_IFA = "00000000-0000-0000-0000-000000000000"


class Lookup(Struct, frozen=True, gc=False):
    """Where to look for one person."""

    person: bytes | None = None
    """Our id, 16 bytes, where the request carries it."""
    matches: tuple[str, ...] = ()
    """Keys of the match table, `source/id`, tried in order."""


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
