"""Ids: ours in hexadecimal, and keys of the match table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.audience.identity import MAX_ID_LENGTH, is_visitor, match_key, person_id, visitor_id


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


SECRET = b"\x07" * 32


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.7", "203.0.113.250", True),
        ("203.0.113.7", "203.0.114.7", False),
        ("2001:db8:1:2::1", "2001:db8:1:ffff::9", True),
        ("2001:db8:1::1", "2001:db8:2::1", False),
        ("::ffff:203.0.113.7", "203.0.113.9", True),
        ("203.0.113.7", "2001:db8:1:2::1", False),
    ],
)
def test_visitors_share_a_network(one: str, other: str, same: bool) -> None:
    """24 bits of an IPv4 address, 48 of an IPv6 one, with the user agent; another agent or secret is another."""
    ids = [visitor_id(SECRET, address, "agent") for address in (one, other)]
    assert all(each is not None and len(each) == 16 and is_visitor(each) for each in ids)
    assert (ids[0] == ids[1]) is same
    assert visitor_id(SECRET, one, "other agent") != ids[0]
    assert visitor_id(b"another", one, "agent") != ids[0]


@given(address=st.text(max_size=50), agent=st.text(max_size=20))
def test_an_address_that_is_none(address: str, agent: str) -> None:
    """No text raises, whatever a request sends as an address or an agent."""
    visitor_id(SECRET, address, agent + "\ud800")


@pytest.mark.parametrize("address", ["", "203.0.113", "203.0.113.0/24", "x", "1.2.3.4\0", ":::", "\ud800:"])
def test_no_address_no_visitor(address: str) -> None:
    """What is no address is nobody's."""
    assert visitor_id(SECRET, address, "agent") is None


@given(raw=st.binary(min_size=16, max_size=16))
def test_people_are_not_visitors(raw: bytes) -> None:
    """A person's random id is not taken for a visitor's."""
    assert is_visitor(raw) == (raw[:4] == b"\xffip\xff")
