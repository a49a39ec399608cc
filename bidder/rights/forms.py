"""Tokens of forms: a form of ours, in this browser, not long ago; nobody else can make one.

Place: web/privacy_pages puts one into each form, and a nonce into a cookie that no other site's request carries.
Shapes: 27 bytes as base64url: key id, 4 bytes of when it expires, 22 of HMAC-SHA256 over both and the nonce; the key is
    derived from a token key, so that a form's token is no notice's.
Limits: LIFE_S; any other length is refused before it is decoded.
"""

import binascii
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from bidder.notices.keys import Keyring

LIFE_S: Final = 3_600
NONCE_CHARACTERS: Final = 32
_MAC_BYTES: Final = 22
_TOKEN_BYTES: Final = 5 + _MAC_BYTES
TOKEN_CHARACTERS: Final = _TOKEN_BYTES * 4 // 3
_DOMAIN: Final = b"paceline form\0"


def new_nonce() -> str:
    """What the browser keeps: 32 hexadecimal digits."""
    return secrets.token_hex(NONCE_CHARACTERS // 2)


def is_nonce(text: str) -> bool:
    """Whether a cookie holds a nonce of ours."""
    return len(text) == NONCE_CHARACTERS and all(letter in "0123456789abcdef" for letter in text)


def form_token(keyring: Keyring, nonce: str, now_s: float) -> str:
    """The token of a form that this browser is shown now."""
    head = bytes([keyring.signing.id]) + (int(now_s) + LIFE_S).to_bytes(4, "big")
    return urlsafe_b64encode(head + _mac(keyring.signing.secret, head, nonce)).decode()


def check_form(keyring: Keyring, token: str, nonce: str, now_s: float) -> bool:
    """Whether a token is of a form that this browser was shown within LIFE_S."""
    if len(token) != TOKEN_CHARACTERS or not token.isascii() or not is_nonce(nonce):
        return False
    try:
        packed = urlsafe_b64decode(token)
    except (binascii.Error, ValueError):
        return False
    head, mac = packed[:5], packed[5:]
    secret = keyring.secret(head[0])
    if secret is None or not hmac.compare_digest(mac, _mac(secret, head, nonce)):
        return False
    return 0 <= int.from_bytes(head[1:], "big") - now_s <= LIFE_S


def _mac(secret: bytes, head: bytes, nonce: str) -> bytes:
    return hmac.digest(secret, _DOMAIN + head + nonce.encode(), "sha256")[:_MAC_BYTES]
