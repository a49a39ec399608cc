"""openrtb/prices.py: every form in which a price comes back in a notice."""

from __future__ import annotations

import base64
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openrtb import prices
from openrtb.prices import Price, PriceStatus, price_decoder

_DATA = json.loads((Path(__file__).parents[1] / "data" / "price_crypto_vectors.json").read_text())
VECTORS: list[dict[str, Any]] = _DATA["vectors"]
NEGATIVES: list[dict[str, Any]] = _DATA["negative"]
KEYS = {"encryption_key": VECTORS[0]["e_key"], "integrity_key": VECTORS[0]["i_key"]}
PAIR = prices.google_keys(KEYS)
micros_of = st.integers(min_value=0, max_value=prices.MAX_MICROS)


def _keys(vector: dict[str, Any]) -> dict[str, str]:
    return {"encryption_key": vector["e_key"], "integrity_key": vector["i_key"]}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: str(v["enc"][:12]))
def test_the_published_vectors_decrypt(vector: dict[str, Any]) -> None:
    """Each published Google price decrypts to its plain price, padded as well as unpadded."""
    decode = price_decoder("google", _keys(vector))
    bare = vector["enc"].rstrip("=")
    for text in (vector["enc"], bare, bare + "=" * (-len(bare) % 4)):
        assert decode(text) == Price(PriceStatus.KNOWN, vector["micros"])


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: str(v["enc"][:12]))
def test_the_published_vectors_encrypt(vector: dict[str, Any]) -> None:
    """Encrypting the plain price with the vector's keys and initialisation vector gives its text."""
    bare = vector["enc"].rstrip("=")
    iv = base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4))[:16]
    assert prices.google_encrypt(vector["micros"], prices.google_keys(_keys(vector)), iv) == bare


@pytest.mark.parametrize(
    "text", [n["enc"] for n in NEGATIVES if n.get("enc")] + ["A" * 37, "A" * 39, "é" * 38, "+" * 38]
)
def test_what_has_the_wrong_length_is_invalid(text: str) -> None:
    """Texts that do not hold 28 bytes, or hold no honest signature, are invalid and raise nothing."""
    assert price_decoder("google", KEYS)(text) is prices.INVALID


def test_an_empty_text_is_empty() -> None:
    """A withheld price is told apart from a bad one, by every decoder."""
    for name in prices.DECODERS:
        assert price_decoder(name, KEYS)("") is prices.EMPTY


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: str(v["enc"][:12]))
def test_swapped_keys_do_not_verify(vector: dict[str, Any]) -> None:
    """With the two keys exchanged no vector verifies."""
    swapped = {"encryption_key": vector["i_key"], "integrity_key": vector["e_key"]}
    assert price_decoder("google", swapped)(vector["enc"]) is prices.INVALID


@given(micros=micros_of, bit=st.integers(min_value=0, max_value=28 * 8 - 1))
def test_any_flipped_bit_is_noticed(micros: int, bit: int) -> None:
    """One flipped bit anywhere (initialisation vector, price or signature) makes the price invalid."""
    message = bytearray(base64.urlsafe_b64decode(prices.google_encrypt(micros, PAIR, b"i" * 16) + "=="))
    message[bit // 8] ^= 1 << bit % 8
    assert price_decoder("google", KEYS)(base64.urlsafe_b64encode(bytes(message)).decode()) is prices.INVALID


@given(micros=micros_of, iv=st.binary(min_size=16, max_size=16))
def test_encryption_and_decryption_are_inverse(micros: int, iv: bytes) -> None:
    """Whatever is encrypted decrypts to itself, without padding in its text."""
    text = prices.google_encrypt(micros, PAIR, iv)
    assert "=" not in text
    assert price_decoder("google", KEYS)(text) == Price(PriceStatus.KNOWN, micros)


def test_a_price_beyond_the_limit_is_invalid() -> None:
    """A genuine signature does not make an absurd price usable."""
    text = prices.google_encrypt(prices.MAX_MICROS + 1, PAIR, b"i" * 16)
    assert price_decoder("google", KEYS)(text) is prices.INVALID


@pytest.mark.parametrize(
    ("age_s", "status"),
    [(0, PriceStatus.KNOWN), (600, PriceStatus.KNOWN), (601, PriceStatus.STALE), (-301, PriceStatus.STALE)],
)
def test_an_old_price_is_stale(age_s: int, status: PriceStatus) -> None:
    """With a maximum age, an older text (or one from a future that no clock skew explains) is a replay."""
    now_s = 1_700_000_000.25
    text = prices.google_encrypt(1500, PAIR, prices.google_iv(now_s - age_s))
    assert price_decoder("google", KEYS, 600)(text, now_s) == Price(status, 1500)
    assert price_decoder("google", KEYS)(text, now_s).known


@pytest.mark.parametrize("name", ["plain", "base64", "google"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("AUDIT", prices.AUDIT),
        ("${AUCTION_PRICE}", prices.UNEXPANDED),
        ("${AUCTION_PRICE:B64}", prices.UNEXPANDED),
        ("$%7BAUCTION_PRICE%7D", prices.UNEXPANDED),
        ("%%WINNING_PRICE%%", prices.UNEXPANDED),
        ("1" * 257, prices.INVALID),
        ("\x00", prices.INVALID),
        ("-1", prices.INVALID),
        ("١٢", prices.INVALID),
    ],
)
def test_texts_that_are_no_price(name: str, text: str, expected: Price) -> None:
    """Audit renderings, unexpanded macros and garbage have their own status in every decoder."""
    assert price_decoder(name, KEYS)(text) is expected


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("0", 0),
        ("1", 1_000_000),
        ("1.", 1_000_000),
        (".5", 500_000),
        ("1.25", 1_250_000),
        (" 1.25 ", 1_250_000),
        ("0.000001", 1),
        ("0.0000004", 0),
        ("0.0000005", 1),
        ("0.8999999999999999", 900_000),
        ("9.43", 9_430_000),
        ("1e-05", 10),
        ("1.5E2", 150_000_000),
        ("10000000", prices.MAX_MICROS),
    ],
)
def test_decimal_texts_are_exact(text: str, micros: int) -> None:
    """Decimal texts become whole micros, rounded half up at the sixth place."""
    assert price_decoder("plain")(text) == Price(PriceStatus.KNOWN, micros)
    encoded = base64.b64encode(text.encode()).decode()
    for form in (encoded, encoded.rstrip("="), encoded.replace("+", "-").replace("/", "_")):
        assert price_decoder("base64")(form) == Price(PriceStatus.KNOWN, micros)


@pytest.mark.parametrize(
    "text",
    [
        "-0.1",
        "+1",
        "1,5",
        "1 000",
        "nan",
        "inf",
        "1e999",
        "1e99",
        "1.2.3",
        ".",
        "e5",
        "0x10",
        "1_0",
        "10000000.000001",
        "9" * 33,
    ],
)
def test_other_texts_are_invalid(text: str) -> None:
    """Signs, separators, specials, huge exponents and prices over the limit are invalid, not exceptions."""
    assert price_decoder("plain")(text) is prices.INVALID


@given(st.decimals(min_value=0, max_value=10**7, allow_nan=False, places=9))
def test_decimals_round_half_up(value: Any) -> None:
    """For any decimal the micros are its exact value times a million, rounded half up."""
    exact = Fraction(value) * 1_000_000
    assert prices.decimal_micros(format(value, "f")) == int(exact + Fraction(1, 2))


@given(name=st.sampled_from(sorted(prices.DECODERS)), text=st.text())
def test_no_text_raises(name: str, text: str) -> None:
    """Whatever stands in a notice, a decoder answers with a Price."""
    price = price_decoder(name, KEYS)(text)
    assert price.micros == 0 or price.known


def test_audit_is_recognised_inside_base64() -> None:
    """An exchange that encodes AUDIT too is understood."""
    assert price_decoder("base64")(base64.b64encode(b"AUDIT").decode()) is prices.AUDIT


def test_keys_in_hexadecimal_are_the_same_keys() -> None:
    """Google shows keys in web-safe base64 and the older console in hexadecimal; both are read."""
    hexadecimal = {name: base64.urlsafe_b64decode(text).hex() for name, text in KEYS.items()}
    assert prices.google_keys(hexadecimal) == PAIR


@pytest.mark.parametrize(
    "keys",
    [{}, {"encryption_key": "short"}, {**KEYS, "integrity_key": "g" * 64}, {**KEYS, "integrity_key": "é"}],
)
def test_bad_keys_are_refused_without_showing_them(keys: dict[str, str]) -> None:
    """A decoder is not made with keys that cannot work, and the message never holds a key."""
    with pytest.raises(ValueError, match="_key") as caught:
        price_decoder("google", keys)
    assert not any(text in str(caught.value) for text in keys.values() if len(text) > 1)


def test_an_unknown_decoder_is_refused() -> None:
    """A name outside the registry is refused, and the message says what there is."""
    with pytest.raises(ValueError, match="base64, google, plain"):
        price_decoder("rot13")


def test_an_initialisation_vector_has_sixteen_bytes() -> None:
    """Encryption with another length is refused: it could not be decrypted."""
    with pytest.raises(ValueError, match="16 bytes"):
        prices.google_encrypt(1, PAIR, b"short")
