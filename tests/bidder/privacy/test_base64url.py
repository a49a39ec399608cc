"""Base64url text as bytes."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.privacy.base64url import TAIL_BYTES, decode_base64url


@given(st.binary(max_size=60))
def test_bytes_come_back(data: bytes) -> None:
    """What the standard library writes is read back, with a tail of zeros."""
    text = base64.urlsafe_b64encode(data).decode().rstrip("=")
    decoded = decode_base64url(text)
    assert decoded is not None
    assert decoded.startswith(data)
    tail = decoded[len(data) :]
    assert len(tail) >= TAIL_BYTES
    assert not any(tail)


@pytest.mark.parametrize("text", ["A+", "A/", "A=", "AAA=", "A A", "A\n", "A.", "é", "\ud800", "\x00"])
def test_foreign_characters(text: str) -> None:
    """Characters of other alphabets, padding and blanks are refused."""
    assert decode_base64url(text) is None
