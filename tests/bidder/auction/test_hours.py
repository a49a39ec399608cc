"""The viewer's hour of the week."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.auction.hours import MAX_OFFSET_MINUTES, UNKNOWN, hour_of_week


def _at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


ZONES = {"DEU": "Europe/Berlin", "GBR": "Europe/London", "IND": "Asia/Kolkata", "JPN": "Asia/Tokyo"}


@given(now_s=st.integers(946_684_800, 3_786_912_000), minutes=st.integers(-840, 840))
def test_an_offset_moves_the_clock(now_s: int, minutes: int) -> None:
    """The local weekday and hour, whatever the offset."""
    local = datetime.fromtimestamp(now_s, UTC) + timedelta(minutes=minutes)
    assert hour_of_week(now_s, minutes, "DEU") == local.weekday() * 24 + local.hour


@given(now_s=st.integers(1_577_836_800, 2_114_380_800), country=st.sampled_from(sorted(ZONES)))
def test_a_country_of_one_zone(now_s: int, country: str) -> None:
    """Its summer time included, to the hour in which it changes."""
    local = datetime.fromtimestamp(now_s, UTC).astimezone(ZoneInfo(ZONES[country]))
    assert hour_of_week(now_s, None, country) == local.weekday() * 24 + local.hour


@pytest.mark.parametrize(
    ("now", "hour"),
    [("2026-03-29T00:30", 6 * 24 + 1), ("2026-03-29T01:30", 6 * 24 + 3), ("2026-10-25T01:30", 6 * 24 + 2)],
)
def test_summer_time(now: str, hour: int) -> None:
    """On the last Sundays of March and October."""
    assert hour_of_week(_at(now), None, "DEU") == hour


@pytest.mark.parametrize(
    ("minutes", "country"),
    [(None, ""), (None, "USA"), (None, "XXX"), (MAX_OFFSET_MINUTES + 1, ""), (-100_000, "USA")],
)
def test_unknown(minutes: int | None, country: str) -> None:
    """A country of several zones, none, or an absurd offset: no hour."""
    assert hour_of_week(_at("2026-11-25T12:00"), minutes, country) == UNKNOWN


def test_an_absurd_offset_falls_back_to_the_country() -> None:
    """What cannot be an offset says nothing."""
    assert hour_of_week(_at("2026-11-25T12:00"), 10_000, "DEU") == 2 * 24 + 13
