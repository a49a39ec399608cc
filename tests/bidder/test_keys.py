"""Short keys of long names."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bidder.keys import category_key, field_name, key16, key32, name_key, product_key, segment_key


def test_keys_are_what_they_were() -> None:
    """Keys stand in people's hashes and in tokens: they never change from one release to the next."""
    assert key16("xandr/pub/tag") == 61980
    assert key32("line-1") == 2020469517
    assert segment_key("shop", "visited") == 2951294336
    assert product_key("shop", "4711") == 2327783466530273721
    assert field_name("shop") == b"a:shop"
    assert category_key("shop", "Shoes > Trail") == 2401826207
    assert name_key("shop", "event-1") == 3923459514


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


def test_categories_are_read_as_people_write_them() -> None:
    """Case and spaces do not count, levels do; no name is no key."""
    same = {category_key("shop", name) for name in ("Shoes > Trail", "shoes>TRAIL", " Shoes  >  Trail > ")}
    assert len(same) == 1
    assert category_key("shop", "Shoes") not in same
    assert category_key("shop", "Shoes Trail") not in same
    assert category_key("shop", "Trail Shoes") == category_key("shop", "trail   shoes")
    assert category_key("shop", "Shoes") != category_key("store", "Shoes")
    assert [category_key("shop", name) for name in ("", "  ", " > ")] == [0, 0, 0]


@given(name=st.text(max_size=64))
def test_a_name_has_a_key_and_none_has_zero(name: str) -> None:
    """Zero says that there is no name, so no name may have it."""
    assert (name_key("shop", name) == 0) is (name == "")
    assert name_key("shop", name) < 2**32
