"""The shipped profiles."""

from __future__ import annotations

import msgspec
import pytest

from bidder.exchanges import SHIPPED, Exchange


def test_the_shipped_profiles() -> None:
    """Six, each name once."""
    assert {profile.name for profile in SHIPPED} == {
        "generic",
        "prebid",
        "google",
        "xandr",
        "index",
        "magnite",
    }
    assert len(SHIPPED) == 6


@pytest.mark.parametrize("profile", SHIPPED, ids=lambda profile: profile.name)
def test_a_shipped_profile_keeps_its_own_bounds(profile: Exchange) -> None:
    """Written out and read again under the bounds of the types, it is the same; and it leaves time to decide."""
    assert msgspec.convert(msgspec.to_builtins(profile), Exchange) == profile
    assert profile.tmax_default_ms - profile.margin_ms >= 50


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"name": "A"},
        {"name": "a b"},
        {"name": "ifa"},
        {"name": "a", "tmax_default_ms": 0},
        {"name": "a", "exp_s": 0},
        {"name": "a", "x": 1},
    ],
    ids=str,
)
def test_bounds(bad: dict[str, object]) -> None:
    """What is out of bounds or unknown is refused."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(bad, Exchange)
