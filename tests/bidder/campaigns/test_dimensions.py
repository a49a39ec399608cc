"""One dimension: values to line items, within bounds of memory."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.campaigns.dimensions import Circles, Dimension, bits, category_names, distance_km, domain_names


@given(items=st.sets(st.integers(0, 300)))
def test_bits(items: set[int]) -> None:
    """A set of numbers as an int, and back."""
    mask = bits(items)
    assert {i for i in range(301) if mask >> i & 1} == items
    assert mask.bit_length() <= 301


def test_a_list_may_name_a_number_twice() -> None:
    """Twice is once."""
    assert bits([3, 3, 0]) == 0b1001


_sides = st.lists(st.tuples(st.sets(st.sampled_from("abc")), st.sets(st.sampled_from("abc"))), max_size=8)


@given(sides=_sides, value=st.sampled_from(("a", "b", "c", "d", "")))
def test_a_single_value(sides: list[tuple[set[str], set[str]]], value: str) -> None:
    """Excluded is out; where something is included, that alone is in; asked twice, the answer is the same."""
    dimension = Dimension(len(sides))
    for i, (include, exclude) in enumerate(sides):
        dimension.add(i, include, exclude)
    assert dimension.seal() is any(include or exclude for include, exclude in sides)
    expected = bits(
        i
        for i, (include, exclude) in enumerate(sides)
        if value not in exclude and (not include or value in include)
    )
    assert dimension.one(value) == dimension.one(value) == expected
    assert dimension.many((value,)) == expected


@given(sides=_sides, values=st.lists(st.sampled_from("abcd"), max_size=4))
def test_a_value_of_several_names(sides: list[tuple[set[str], set[str]]], values: list[str]) -> None:
    """One name that is excluded is enough to be out; one that is included to be in."""
    dimension = Dimension(len(sides))
    for i, (include, exclude) in enumerate(sides):
        dimension.add(i, include, exclude)
    dimension.seal()
    held = set(values)
    assert dimension.many(values) == bits(
        i
        for i, (include, exclude) in enumerate(sides)
        if not held & exclude and (not include or held & include)
    )


def test_a_stream_of_unseen_values_is_answered_alike() -> None:
    """Values that nobody names share one answer."""
    dimension = Dimension(2)
    dimension.add(0, ["a"])
    dimension.seal()
    assert {dimension.one(f"new{i}") for i in range(100_000)} == {0b10}


@given(
    lat=st.floats(-90, 90),
    lon=st.floats(-180, 180),
    radius_km=st.floats(0.5, 500),
    bearing=st.floats(0, 2 * math.pi),
    share=st.sampled_from((0.0, 0.3, 0.9, 0.999, 1.001, 1.5)),
)
def test_circles_anywhere(lat: float, lon: float, radius_km: float, bearing: float, share: float) -> None:
    """A place inside is found and one outside is not: at the poles, at the date line, at the edge of a cell."""
    circles = Circles(1)
    circles.add(0, [(lat, lon, radius_km)])
    assert circles.seal()
    place = _away(lat, lon, radius_km * share, bearing)
    inside = distance_km(place, (lat, lon)) <= radius_km
    assert circles.at(place) == int(inside)


def _away(lat: float, lon: float, km: float, bearing: float) -> tuple[float, float]:
    """The place some way off in a direction, on a sphere."""
    angle, phi = km / 6_371, math.radians(lat)
    north = math.sin(phi) * math.cos(angle) + math.cos(phi) * math.sin(angle) * math.cos(bearing)
    north = max(-1.0, min(1.0, north))
    east = math.atan2(
        math.sin(bearing) * math.sin(angle) * math.cos(phi), math.cos(angle) - math.sin(phi) * north
    )
    return math.degrees(math.asin(north)), (lon + math.degrees(east) + 180) % 360 - 180


def test_places_at_the_seams() -> None:
    """Longitude 180 is longitude -180; an unknown place is in no circle."""
    circles = Circles(2)
    circles.add(0, [(0.0, 180.0, 50.0)])
    circles.seal()
    assert circles.at((0.0, 180.0)) == circles.at((0.0, -180.0)) == circles.at((0.1, -179.9)) == 0b11
    assert circles.at(None) == circles.at((1.0, 0.0)) == 0b10


@pytest.mark.parametrize(
    ("a", "b", "km"),
    [
        ((0, 0), (0, 0), 0),
        ((0, 0), (0, 90), 10_007.5),
        ((90, 0), (-90, 0), 20_015),
        ((52.52, 13.405), (48.137, 11.575), 504.4),
    ],
)
def test_distances(a: tuple[float, float], b: tuple[float, float], km: float) -> None:
    """Along the great circle."""
    assert distance_km(a, b) == pytest.approx(km, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize(
    ("domain", "names"),
    [
        ("a.b.example", ("a.b.example", "b.example")),
        ("b.example", ("b.example",)),
        ("localhost", ("localhost",)),
        ("", ("",)),
    ],
)
def test_domains(domain: str, names: tuple[str, ...]) -> None:
    """The domain and those above it that still have two labels."""
    assert tuple(domain_names(domain)) == names


def test_a_domain_of_many_labels_costs_a_bounded_number_of_names() -> None:
    """Eight names are enough for any honest domain."""
    assert len(domain_names("a." * 100 + "example")) == 8


@pytest.mark.parametrize(
    ("taxonomy", "category", "names"),
    [
        (1, "IAB1-2", {(1, "IAB1-2"), (1, "IAB1")}),
        (1, "IAB3", {(1, "IAB3")}),
        (6, "1-2", {(6, "1-2")}),
    ],
)
def test_categories(taxonomy: int, category: str, names: set[tuple[int, str]]) -> None:
    """Taxonomy 1 shows parents in its ids, no other does."""
    assert set(category_names(taxonomy, category)) == names
