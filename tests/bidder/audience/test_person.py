"""What is known of a person, packed: what goes in comes out, and damage is nobody's error."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_st

from bidder.audience.person import (
    MAX_DIMENSIONS,
    MAX_PRODUCTS,
    MAX_SEGMENTS,
    Profile,
    affinity_bytes,
    pack,
    segments_of,
    unpack,
)

NOW_S = 1_790_000_000
_u32 = st.integers(0, 2**32 - 1)
_profiles = st.builds(
    Profile,
    updated_s=_u32,
    affinity=st.integers(0, MAX_DIMENSIONS).flatmap(
        lambda size: numpy_st.arrays(np.float16, size, elements=st.floats(width=16, allow_nan=False))
    ),
    segments=st.lists(st.tuples(_u32, _u32), max_size=MAX_SEGMENTS).map(tuple),
    products=st.lists(st.tuples(st.integers(0, 2**64 - 1), _u32), max_size=MAX_PRODUCTS).map(tuple),
    waiting=st.lists(st.tuples(_u32, _u32, _u32), max_size=MAX_SEGMENTS).map(tuple),
)


@given(profile=_profiles)
def test_a_profile_comes_back(profile: Profile) -> None:
    """Every part, to the bit; and the short cuts of the path of a bid see the same."""
    value = pack(profile)
    back = unpack(value)
    assert back is not None
    assert (back.updated_s, back.segments, back.products, back.waiting) == (
        profile.updated_s,
        profile.segments,
        profile.products,
        profile.waiting,
    )
    assert back.affinity.tobytes() == profile.affinity.tobytes()
    begun = tuple((key, end_s) for key, begins_s, end_s in profile.waiting if begins_s <= NOW_S)
    assert tuple(segments_of(value, NOW_S)) == begun + profile.segments
    assert affinity_bytes(value, len(profile.affinity)) == profile.affinity.tobytes()
    assert affinity_bytes(value, len(profile.affinity) + 1) == b""


@given(profile=_profiles, data=st.data())
def test_a_damaged_value_is_nothing(profile: Profile, data: st.DataObject) -> None:
    """A cut or lengthened value holds no profile; the short cuts never read beyond it."""
    value = pack(profile)
    cut = value[: data.draw(st.integers(0, len(value) - 1))]
    assert unpack(cut) is None
    assert unpack(value + b"\0") is None
    assert tuple(segments_of(cut, NOW_S)) in ((), profile.segments)
    assert len(affinity_bytes(cut, len(profile.affinity))) in (0, 2 * len(profile.affinity))


@given(value=st.binary(max_size=200), dimensions=st.integers(0, 64))
def test_any_bytes_are_read_without_an_error(value: bytes, dimensions: int) -> None:
    """Whatever stands in a field: a profile that packs to it, or nothing."""
    profile = unpack(value)
    assert all(len(segment) == 2 for segment in segments_of(value, NOW_S))
    assert len(affinity_bytes(value, dimensions)) in (0, 2 * dimensions)
    if (
        profile is not None
        and len(profile.affinity) <= MAX_DIMENSIONS
        and len(profile.products) <= MAX_PRODUCTS
    ):
        assert pack(profile) == value


@pytest.mark.parametrize("version", [0, 3, 255])
def test_another_version_is_nothing(version: int) -> None:
    """A value of a version that we do not know is as good as none."""
    value = bytes([version]) + pack(Profile(1, np.zeros(2, np.float16), ((1, 2),)))[1:]
    assert unpack(value) is None
    assert tuple(segments_of(value, NOW_S)) == ()
    assert affinity_bytes(value, 2) == b""


@pytest.mark.parametrize(
    "profile",
    [
        Profile(0, np.zeros(MAX_DIMENSIONS + 1, np.float16)),
        Profile(0, np.zeros(0, np.float16), ((1, 2),) * (MAX_SEGMENTS + 1)),
        Profile(0, np.zeros(0, np.float16), (), ((1, 2),) * (MAX_PRODUCTS + 1)),
        Profile(0, np.zeros(0, np.float16), waiting=((1, 2, 3),) * (MAX_SEGMENTS + 1)),
    ],
    ids=["dimensions", "segments", "products", "waiting"],
)
def test_above_the_limits_nothing_is_packed(profile: Profile) -> None:
    """A profile that is too large is refused in words."""
    with pytest.raises(ValueError, match="profile too large"):
        pack(profile)


def test_a_number_of_segments_above_the_limit_is_damage() -> None:
    """A header that promises more segments than there may be is believed by nobody."""
    value = struct.pack("<BBBBI", 1, 0, MAX_SEGMENTS + 1, 0, 0) + bytes(8 * (MAX_SEGMENTS + 1))
    assert unpack(value) is None
    assert tuple(segments_of(value, NOW_S)) == ()


def test_a_segment_that_waits_begins_at_its_second() -> None:
    """The path of a bid sees it from the second on in which it begins, along with those that began before."""
    value = pack(Profile(1, np.zeros(2, np.float16), ((1, 20),), waiting=((2, 10, 30),)))
    assert tuple(segments_of(value, 9)) == ((1, 20),)
    assert tuple(segments_of(value, 10)) == ((2, 30), (1, 20))
    assert len(affinity_bytes(value, 2)) == 4


def test_a_value_that_promises_segments_has_some() -> None:
    """A profile without waiting segments is written in one way alone, so that equal profiles are equal bytes."""
    plain = pack(Profile(1, np.zeros(2, np.float16)))
    assert unpack(b"\x02" + plain[1:] + b"\0") is None
    assert unpack(b"\x02" + plain[1:]) is None
