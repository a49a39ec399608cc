"""Handles: what an exchange is told in place of our id of a person.

Place: shop/syncs hands them out; auction/identify, shop/matches and rights/deletion open them.
Shapes: 34 hexadecimal digits: 2 of the id of a token key, 32 of our id, one block of AES-128 under a key of that
    secret and of the exchange's name. One block is a permutation: an exchange has the same handle for a person always,
    two exchanges cannot tell that theirs are of the same person, and nothing is stored.
Rule: the newest key makes handles, every key of the ring opens them; handles go with the key that leaves the ring, and
    the next sync brings another. A handle of another exchange opens as an id of nobody.
Units: about a microsecond for one.
Limits: the ciphers of MAX_EXCHANGES are kept; more are made each time.
Source: FIPS 197; NIST SP 800-38A section 6.1 (ECB, of a single block); RFC 7693 (keys are derived by BLAKE2b).
Never: an id that our own pages take: whoever has a handle cannot be the person.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.modes import ECB

HANDLE_DIGITS: Final = 34
MAX_EXCHANGES: Final = 256

_DOMAIN: Final = b"paceline-handle"
_MAX_SECRET: Final = 64  # the longest key of BLAKE2b

_Block = Callable[[bytes], bytes]
_Openers = dict[int, _Block]


class Handles:
    """The handles of all exchanges under a ring of keys."""

    __slots__ = ("_keys", "_makers", "_openers")

    def __init__(self, keys: Iterable[tuple[int, bytes]]) -> None:
        """`keys` are (id, secret), the newest first: those of the token keys; raises ValueError for none."""
        self._keys = tuple(keys)
        if not self._keys:
            raise ValueError("handles need a key")
        self._makers: dict[str, tuple[bytes, _Block]] = {}
        self._openers: dict[str, _Openers] = {}

    def handle(self, exchange: str, person: bytes) -> str:
        """What an exchange, by its configured name, is told of our id of 16 bytes; raises ValueError for another
        length."""
        if len(person) != 16:
            raise ValueError("an id has 16 bytes")
        first, encrypt = self._makers.get(exchange) or self._maker(exchange)
        return (first + encrypt(person)).hex()

    def person(self, exchange: str, text: str) -> bytes | None:
        """Our id behind a handle of an exchange; None for a text that is none, and for a key that left the ring."""
        if len(text) != HANDLE_DIGITS:
            return None
        try:
            told = binascii.unhexlify(text)
        except (ValueError, UnicodeEncodeError):
            return None
        openers = self._openers.get(exchange) or self._open(exchange)
        decrypt = openers.get(told[0])
        return decrypt(told[1:]) if decrypt is not None else None

    def _maker(self, exchange: str) -> tuple[bytes, _Block]:
        number, secret = self._keys[0]
        made = (bytes([number]), _cipher(secret, exchange).encryptor().update)
        if len(self._makers) < MAX_EXCHANGES:
            self._makers[exchange] = made
        return made

    def _open(self, exchange: str) -> _Openers:
        openers: _Openers = {
            number: _cipher(secret, exchange).decryptor().update for number, secret in self._keys
        }
        if len(self._openers) < MAX_EXCHANGES:
            self._openers[exchange] = openers
        return openers


def _cipher(secret: bytes, exchange: str) -> Cipher[ECB]:
    # Takes 20 ms to import, which commands that ask for no handle do not wait for.
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import ECB

    key = blake2b(exchange.encode(), digest_size=16, key=secret[:_MAX_SECRET], person=_DOMAIN).digest()
    return Cipher(AES(key), ECB())  # noqa: S305  one block of random content: that it repeats is what it is for
