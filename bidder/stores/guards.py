"""Guards: what keeps a notice that arrives late from writing about somebody who was erased or opted out.

Place: removal.py sets one for each tag that it empties; the scripts of views ask it, by spending/exposures.
Shapes: `x:{<2 bytes>}<32 hex digits>` -> when, in whole seconds. The digits are a hash of the tag, so that nothing
    which names the person stays; the 2 bytes are chosen so that the key lies in the slot of the tag: then one script
    may ask it in the moment in which it writes.
Rule: a bid issued at or before the moment of its guard leaves no trace; later bids are counted as ever.
Limits: GUARD_S, as long as a view may be late and still count.
Source: CRC-16/XMODEM of 2 bytes is a bijection, so every slot has words of 2 bytes.
"""

import hashlib
from functools import lru_cache
from typing import Final

from bidder.audience.frequency import MAX_WINDOW_S
from bidder.stores.keys import SLOTS, tag_slot

GUARD_PREFIX: Final = b"x:"
GUARD_S: Final = MAX_WINDOW_S
SKEW_S: Final = 5
"""Hosts' clocks may differ by so much: bids of the next seconds leave no trace either."""
MAX_WORDS: Final = SLOTS

_POLYNOMIAL: Final = 0x11021
_BRACES: Final = frozenset(b"{}")
_DOMAIN: Final = b"paceline-guard"


def guard_key(tag: bytes) -> bytes:
    """The guard of a tag of 32 hexadecimal digits."""
    digest = hashlib.blake2b(tag, digest_size=16, person=_DOMAIN).hexdigest().encode()
    return b"x:{%b}%b" % (slot_word(tag_slot(tag)), digest)


@lru_cache(MAX_WORDS)
def slot_word(slot: int) -> bytes:
    """2 bytes without a brace whose slot is this."""
    for check in range(slot, 1 << 16, SLOTS):
        word = _with_check(check)
        if not _BRACES & set(word):
            return word
    raise AssertionError("every slot has words without braces")


def _with_check(check: int) -> bytes:
    """The 2 bytes whose CRC-16/XMODEM is `check`: the division, step by step back."""
    for _ in range(16):
        check = (check ^ _POLYNOMIAL) >> 1 if check & 1 else check >> 1
    return check.to_bytes(2, "big")
