"""The price in a notice: what stands where we had put `${AUCTION_PRICE}`.

Place: notices decode with `price_decoder`; the exchange simulator and tests encrypt with `google_encrypt`.
Units: `micros` are millionths of the currency per thousand impressions (CPM).
Limits: text over MAX_TEXT characters and prices over MAX_MICROS are invalid; arithmetic is on integers only.
Raises: ValueError for bad keys or an unknown decoder, when a decoder is made; decoding never raises.
Source: developers.google.com/authorized-buyers/rtb/response-guide/decrypt-price; OpenRTB 2.6 section 4.4.
"""

from __future__ import annotations

import binascii
import hmac
import re
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Final, Protocol

from msgspec import Struct

MAX_TEXT: Final = 256
"""Google's price takes 38 characters, a vendor's cipher rarely over 100; the rest is abuse."""
MAX_MICROS: Final = 10**13
"""Ten million per thousand: no honest price is near it, and sums of them still fit in 64 bits."""

_DECIMAL: Final = re.compile(r"([0-9]{1,32})?(?:\.([0-9]{0,64}))?(?:[eE]([+-]?[0-9]{1,2}))?", re.ASCII)
_IV_BYTES: Final = 16
_PRICE_BYTES: Final = 8
_SIGNATURE_BYTES: Final = 4
_MESSAGE_BYTES: Final = _IV_BYTES + _PRICE_BYTES + _SIGNATURE_BYTES
_KEY_BYTES: Final = 32
_CLOCK_SKEW_S: Final = 300  # an exchange's clock may run this far ahead of ours


class PriceStatus(IntEnum):
    """What a price text turned out to be."""

    KNOWN = 0
    EMPTY = 1  # withheld, as in many loss notices
    AUDIT = 2  # rendered for a test: nothing was sold
    UNEXPANDED = 3  # the macro itself: the caller does not substitute
    INVALID = 4  # not a price, or its signature does not hold
    STALE = 5  # genuine, but older than allowed: a replay


class Price(Struct, frozen=True, gc=False):
    """A decoded price; `micros` is 0 unless `status` is KNOWN or STALE."""

    status: PriceStatus
    micros: int = 0

    @property
    def known(self) -> bool:
        """Whether `micros` may be used as the price."""
        return self.status is PriceStatus.KNOWN


class PriceDecoder(Protocol):
    """A function from the text in a notice to a Price; `now_s` (Unix seconds) serves stale checks only."""

    def __call__(self, text: str, now_s: float | None = None) -> Price:
        """Decode one text; never raises."""


EMPTY: Final = Price(PriceStatus.EMPTY)
AUDIT: Final = Price(PriceStatus.AUDIT)
UNEXPANDED: Final = Price(PriceStatus.UNEXPANDED)
INVALID: Final = Price(PriceStatus.INVALID)


def _special(text: str) -> Price | None:
    """Return what a text means which is no price in any encoding; None if it may be one."""
    if not text:
        return EMPTY
    if len(text) > MAX_TEXT:
        return INVALID
    if text == "AUDIT":
        return AUDIT
    # "${AUCTION_PRICE:X}", also with its braces percent-encoded, and Google's %%WINNING_PRICE%%.
    if "AUCTION_PRICE" in text or "WINNING_PRICE" in text:
        return UNEXPANDED
    return None


def decimal_micros(text: str) -> int | None:
    """Return a decimal text as millionths, rounded half up beyond the sixth place; None if it is no price.

    `"1.25"` is 1_250_000. Signs, thousands separators, NaN and infinities are no prices; an exponent of at
    most two digits is read, because some writers print 0.00001 as 1e-05.
    """
    match = _DECIMAL.fullmatch(text)
    if match is None:
        return None
    whole, fraction, exponent = match[1] or "", match[2] or "", int(match[3] or 0)
    if not whole and not fraction:
        return None
    shift = 6 + exponent - len(fraction)
    digits = int(whole + fraction)
    micros = digits * 10**shift if shift >= 0 else (digits + 5 * 10 ** (-shift - 1)) // 10**-shift
    return micros if micros <= MAX_MICROS else None


def decode_plain(text: str, now_s: float | None = None) -> Price:
    """Decode a decimal text such as `1.25`."""
    text = text.strip() if len(text) <= MAX_TEXT else text
    special = _special(text)
    if special is not None:
        return special
    micros = decimal_micros(text)
    return INVALID if micros is None else Price(PriceStatus.KNOWN, micros)


def decode_base64(text: str, now_s: float | None = None) -> Price:
    """Decode `${AUCTION_PRICE:B64}`: a decimal text in base64 of either alphabet, padded or not."""
    special = _special(text)
    if special is not None:
        return special
    raw = _unbase64(text)
    if raw is None or not raw.isascii():
        return INVALID
    return decode_plain(raw.decode("ascii"))


def google_decrypt(text: str, keys: tuple[bytes, bytes]) -> tuple[Price, int]:
    """Decrypt a Google winning price: the Price, and when it was encrypted in Unix seconds (0 if invalid).

    `keys` are the encryption key and the integrity key. The signature is compared in constant time.
    """
    special = _special(text)
    if special is not None:
        return special, 0
    message = _unbase64(text)
    if message is None or len(message) != _MESSAGE_BYTES:
        return INVALID, 0
    encryption_key, integrity_key = keys
    iv, sealed = message[:_IV_BYTES], message[_IV_BYTES : _IV_BYTES + _PRICE_BYTES]
    price = _xor(sealed, hmac.digest(encryption_key, iv, "sha1"))
    signature = hmac.digest(integrity_key, price + iv, "sha1")[:_SIGNATURE_BYTES]
    if not hmac.compare_digest(signature, message[-_SIGNATURE_BYTES:]):
        return INVALID, 0
    micros = int.from_bytes(price, "big")
    if micros > MAX_MICROS:
        return INVALID, 0
    return Price(PriceStatus.KNOWN, micros), int.from_bytes(iv[:4], "big")


def google_encrypt(micros: int, keys: tuple[bytes, bytes], iv: bytes) -> str:
    """Encrypt a price as Google does, unpadded; `iv` is 16 bytes: seconds (4), microseconds (4), server (8).

    Raises ValueError if `iv` has another length.
    """
    if len(iv) != _IV_BYTES:
        raise ValueError("an initialisation vector has 16 bytes")
    encryption_key, integrity_key = keys
    price = micros.to_bytes(_PRICE_BYTES, "big")
    sealed = _xor(price, hmac.digest(encryption_key, iv, "sha1"))
    signature = hmac.digest(integrity_key, price + iv, "sha1")[:_SIGNATURE_BYTES]
    text = binascii.b2a_base64(iv + sealed + signature, newline=False).decode("ascii")
    return text.translate(_TO_WEB).rstrip("=")


def google_iv(now_s: float, server: bytes = b"\0" * 8) -> bytes:
    """Return the initialisation vector of a price: when (Unix seconds) and by which server (8 bytes)."""
    micros = int(now_s * 1_000_000)
    return (micros // 1_000_000).to_bytes(4, "big") + (micros % 1_000_000).to_bytes(4, "big") + server


def google_keys(keys: Mapping[str, str]) -> tuple[bytes, bytes]:
    """Read `encryption_key` and `integrity_key`: 32 bytes each, web-safe base64 or hexadecimal.

    Raises ValueError naming the key that is missing or wrong, never showing its text.
    """
    return _key(keys, "encryption_key"), _key(keys, "integrity_key")


def _key(keys: Mapping[str, str], name: str) -> bytes:
    text = keys.get(name, "").strip()
    if len(text) == 2 * _KEY_BYTES:
        try:
            return bytes.fromhex(text)
        except ValueError:
            raise ValueError(f"{name} is not hexadecimal") from None
    raw = _unbase64(text)
    if raw is None or len(raw) != _KEY_BYTES:
        raise ValueError(f"{name} must be 32 bytes as web-safe base64 or hexadecimal")
    return raw


_TO_WEB: Final = str.maketrans("+/", "-_")
_FROM_WEB: Final = str.maketrans("-_", "+/")


def _unbase64(text: str) -> bytes | None:
    """Decode base64 of either alphabet, padded or not; None if it is not base64."""
    body = text.translate(_FROM_WEB).rstrip("=")
    try:
        return binascii.a2b_base64(body + "=" * (-len(body) % 4), strict_mode=True)
    except ValueError:  # binascii.Error, and text that is not ASCII
        return None


def _xor(left: bytes, right: bytes) -> bytes:
    """Exclusive or of the first 8 bytes of each."""
    mixed = int.from_bytes(left[:_PRICE_BYTES], "big") ^ int.from_bytes(right[:_PRICE_BYTES], "big")
    return mixed.to_bytes(_PRICE_BYTES, "big")


def _plain(keys: Mapping[str, str], max_age_s: int) -> PriceDecoder:
    return decode_plain


def _base64(keys: Mapping[str, str], max_age_s: int) -> PriceDecoder:
    return decode_base64


def _google(keys: Mapping[str, str], max_age_s: int) -> PriceDecoder:
    pair = google_keys(keys)

    def decode(text: str, now_s: float | None = None) -> Price:
        price, encrypted_s = google_decrypt(text, pair)
        if not max_age_s or now_s is None or not price.known:
            return price
        fresh = -_CLOCK_SKEW_S <= int(now_s) - encrypted_s <= max_age_s  # the text holds whole seconds
        return price if fresh else Price(PriceStatus.STALE, price.micros)

    return decode


DECODERS: Final[dict[str, Callable[[Mapping[str, str], int], PriceDecoder]]] = {
    "plain": _plain,
    "base64": _base64,
    "google": _google,
}
"""Makers of decoders by name: (keys, max_age_s) -> decoder. An exchange's own cipher is added here."""


def price_decoder(name: str, keys: Mapping[str, str] | None = None, max_age_s: int = 0) -> PriceDecoder:
    """Return the decoder called `name`; with `max_age_s` a genuine but older price is STALE (0: any age).

    Raises ValueError for a name that is not in DECODERS, or for keys that this decoder cannot use.
    """
    maker = DECODERS.get(name)
    if maker is None:
        raise ValueError(f"no price decoder is called {name!r}; there are {', '.join(sorted(DECODERS))}")
    return maker(keys or {}, max_age_s)
