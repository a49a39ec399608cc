"""Operators' tokens: who it is, what they may do, and until when; signed, so that nothing need be stored.

Place: `paceline token` makes them; web/ops.py and console/ ask what a caller may do.
Shapes: `plo1.<claim>.<mac>`, both base64url: the claim is a JSON array [key id, role, name, expiry], the mac 32 bytes
    of HMAC-SHA256 over all before it, by a key derived from a token key.
Rule: the newest key signs, every key of the ring verifies; a key that leaves the ring takes its tokens with it, which
    is how one is taken back before its time. A role may do all that a lesser one may.
Units: seconds since the epoch.
Limits: MAX_TOKEN characters; a life of at most MAX_DAYS.
Never: a comparison that ends where the first byte differs; a token in a log.
"""

import binascii
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from enum import IntEnum
from typing import Final

import msgspec
from msgspec import Struct

from bidder.notices.keys import Keyring

MAX_TOKEN: Final = 256
MAX_DAYS: Final = 366
DAY_S: Final = 86_400
VERSION: Final = "plo1"
_DOMAIN: Final = b"paceline operator 1\0"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._+-]{0,63}")
_MAC_CHARACTERS: Final = 43


class Role(IntEnum):
    """What a holder may do, each more than the one before."""

    VIEWER = 1  # look: the page, its feed, the metrics
    OPERATOR = 2  # reload campaigns, pause and resume them
    ADMIN = 3  # replace all workers

    @property
    def word(self) -> str:
        """As people write it."""
        return self.name.lower()


ROLES: Final = {role.word: role for role in Role}


class _Claim(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    key: int
    role: int
    name: str
    expires_s: int


class Holder(Struct, frozen=True):
    """Whom a token names."""

    name: str
    role: Role
    expires_s: int

    def may(self, role: Role) -> bool:
        """Whether this role is enough."""
        return self.role >= role


_decode: Final = msgspec.json.Decoder(_Claim).decode


def is_name(text: str) -> bool:
    """Whether a token may bear it: 1 to 64 letters, digits and `@._+-`."""
    return _NAME.fullmatch(text) is not None


def make_token(keyring: Keyring, holder: Holder, signer: int | None = None) -> str:
    """A token signed by the key of this id, else by the newest; raises ValueError for a name that is none."""
    if not is_name(holder.name):
        raise ValueError(
            "a name has 1 to 64 letters, digits and @ . _ + - and begins with one of the first two"
        )
    key_id = keyring.signing.id if signer is None else signer
    secret = keyring.secret(key_id)
    assert secret is not None, "a key of this ring"
    claim = msgspec.json.encode(_Claim(key_id, int(holder.role), holder.name, holder.expires_s))
    head = f"{VERSION}.{_base64(claim)}"
    return f"{head}.{_mac(secret, head)}"


def signer_of(token: str) -> int:
    """The id of the key that signed a token which was checked."""
    return _claim(token.split(".")[1]).key


def check_token(keyring: Keyring, token: str, now_s: float) -> Holder | None:
    """Whose token it is; None for one that is forged, cut, of a key that is no more, too old, or no token at all."""
    head, _, mac = token.rpartition(".")
    version, _, claim = head.partition(".")
    if len(token) > MAX_TOKEN or not token.isascii() or version != VERSION or len(mac) != _MAC_CHARACTERS:
        return None
    try:
        told = _claim(claim)
        role = Role(told.role)
    except (binascii.Error, ValueError):
        return None
    secret = keyring.secret(told.key)
    if secret is None or not hmac.compare_digest(mac, _mac(secret, head)):
        return None
    soon = told.expires_s - now_s
    return (
        Holder(told.name, role, told.expires_s)
        if 0 < soon <= MAX_DAYS * DAY_S and is_name(told.name)
        else None
    )


def _claim(text: str) -> _Claim:
    return _decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def _mac(secret: bytes, head: str) -> str:
    key = hmac.digest(secret, _DOMAIN, "sha256")
    return _base64(hmac.digest(key, head.encode("ascii"), "sha256"))


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
