"""Durations in words: read as meant, shown in the largest whole unit, refused with words."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.campaigns.durations import PATTERN, duration_text, seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("6h", 21_600), ("1d", 86_400), ("30d", 2_592_000)]
)
def test_units(text: str, seconds: int) -> None:
    """Seconds, minutes, hours and days."""
    assert seconds_of(text) == seconds


@given(st.from_regex(PATTERN))
def test_a_duration_is_shown_as_one_of_equal_length(text: str) -> None:
    """What is shown reads as the same number of seconds, in no more digits than were written."""
    shown = duration_text(seconds_of(text))
    assert seconds_of(shown) == seconds_of(text)
    assert len(shown) <= len(text)
    assert re.search(PATTERN, shown)


@pytest.mark.parametrize("text", ["", "d", "1", "1w", "1.5h", "-1d", "+1d", "1_0s", "1 d", "\u0661d", "h1"])
def test_what_is_none(text: str) -> None:
    """Anything else is told as it was written."""
    with pytest.raises(ValueError, match="expected a duration such as 90s, 15m, 6h or 30d, found"):
        seconds_of(text)
