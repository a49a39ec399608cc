"""Ids: ours in hexadecimal, and keys of the match table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.audience.identity import MAX_ID_LENGTH, match_key, person_id


@given(raw=st.binary(min_size=16, max_size=16))
def test_our_id_in_either_case(raw: bytes) -> None:
    """32 hexadecimal digits are 16 bytes."""
    assert person_id(raw.hex()) == raw
    assert person_id(raw.hex().upper()) == raw


@given(text=st.text(max_size=40))
def test_anything_else_is_none(text: str) -> None:
    """No text raises; what is not 32 hexadecimal digits is nobody's id."""
    expected = len(text) == 32 and all(letter in "0123456789abcdefABCDEF" for letter in text)
    assert (person_id(text) is not None) is expected


@pytest.mark.parametrize("text", ["", "0" * 31, "0" * 33, "g" * 32, "０" * 32, " " * 32])
def test_near_misses(text: str) -> None:
    """Too short, too long, other digits."""
    assert person_id(text) is None


def test_match_keys() -> None:
    """Source and id; no empty and no endless id."""
    assert match_key("generic", "u1") == "generic/u1"
    for bad in ("", "x" * (MAX_ID_LENGTH + 1)):
        with pytest.raises(ValueError, match="1 to 256"):
            match_key("generic", bad)
