"""Short keys of long names."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bidder.keys import field_name, key16, key32, product_key, segment_key


def test_keys_are_what_they_were() -> None:
    """Keys stand in people's hashes and in tokens: they never change from one release to the next."""
    assert key16("xandr/pub/tag") == 61980
    assert key32("line-1") == 2020469517
    assert segment_key("shop", "visited") == 2951294336
    assert product_key("shop", "4711") == 2327783466530273721
    assert field_name("shop") == b"a:shop"


@given(text=st.text(max_size=64))
def test_widths(text: str) -> None:
    """32 and 64 bits, whatever the name."""
    assert 0 < key16(text) < 2**16
    assert 0 <= key32(text) < 2**32
    assert 0 <= segment_key("a", text) < 2**32
    assert 0 <= product_key("a", text) < 2**64


def test_advertisers_are_apart() -> None:
    """One segment's name at two advertisers gives two keys."""
    names = [f"shop{i}" for i in range(500)]
    assert len({segment_key(name, "visited") for name in names}) == 500
    assert len({product_key(name, "1") for name in names}) == 500
