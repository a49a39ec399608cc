"""What proves that a shop's server is the shop's, and that an upload of matches is the exchange's.

Place: web/shop and web/sync check; `paceline shop token` and `paceline shop secret` print.
Shapes: a shop's token is its advertiser's id, a dot and 43 characters of base64url (HMAC-SHA256); an exchange's secret
    is 64 hexadecimal digits. An upload is signed with the secret over the seconds in decimal, a dot and the body.
Rule: nothing is stored: both are derived from the token keys. The first key makes them, every key of the ring verifies;
    a key that leaves the ring takes its tokens and secrets with it.
Limits: MAX_TOKEN characters; SKEW_S seconds between a signature's time and ours.
Never: a comparison that ends where the first byte differs.
"""

import base64
import hmac
from hashlib import sha256
from typing import Final

from bidder.notices.keys import Keyring

MAX_TOKEN: Final = 128
"""An advertiser's id has 64 characters at most."""
SKEW_S: Final = 300.0
"""How far a sender's clock may be from ours; an upload within it that is sent again changes nothing."""

_SHOP: Final = b"paceline shop\0"
_EXCHANGE: Final = b"paceline exchange\0"
_SIGNATURE_DIGITS: Final = 64


def shop_token(keyring: Keyring, advertiser_id: str) -> str:
    """The token by which an advertiser's server sends events."""
    return _token(keyring.signing.secret, advertiser_id)


def check_shop_token(keyring: Keyring, token: str) -> str | None:
    """The advertiser whose token it is; None for any other text."""
    advertiser_id, _, mac = token.rpartition(".")
    if not advertiser_id or not mac or len(token) > MAX_TOKEN or not token.isascii():
        return None
    matches = [hmac.compare_digest(token, _token(secret, advertiser_id)) for _, secret in keyring.keys]
    return advertiser_id if any(matches) else None


def exchange_secret(keyring: Keyring, name: str) -> str:
    """The secret with which an exchange signs its uploads of matches."""
    return _secret(keyring.signing.secret, name)


def sign(secret: str, at: str, body: bytes) -> str:
    """An upload's signature: 64 hexadecimal digits; `at` seconds since the epoch in decimal."""
    return hmac.new(secret.encode(), at.encode() + b"." + body, sha256).hexdigest()


def check_signature(keyring: Keyring, name: str, at: str, signature: str, body: bytes) -> bool:
    """Whether an exchange signed this body at that time; how old it may be is `is_recent`'s to say."""
    if len(signature) != _SIGNATURE_DIGITS or not signature.isascii() or not at.isascii():
        return False
    signature = signature.lower()
    secrets = [_secret(secret, name) for _, secret in keyring.keys]
    return any([hmac.compare_digest(signature, sign(secret, at, body)) for secret in secrets])  # noqa: C419  every key is tried


def is_recent(at: str, now_s: float) -> bool:
    """Whether a signature's time is within SKEW_S of now."""
    return at.isascii() and at.isdigit() and len(at) <= 12 and abs(int(at) - now_s) <= SKEW_S


def _token(secret: bytes, advertiser_id: str) -> str:
    digest = hmac.new(secret, _SHOP + advertiser_id.encode(), sha256).digest()
    return f"{advertiser_id}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def _secret(secret: bytes, name: str) -> str:
    return hmac.new(secret, _EXCHANGE + name.encode(), sha256).hexdigest()
