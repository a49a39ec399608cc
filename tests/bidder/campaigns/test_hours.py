"""Hours and days in words: the table, spans past midnight and past Sunday, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.campaigns.hours import DAYS, FULL_WEEK, hours_mask, parse_hours


def told(mask: int) -> list[str]:
    """The hours of a mask: tue07 for Tuesday from 7 to 8."""
    return [f"{DAYS[hour // 24]}{hour % 24:02}" for hour in range(168) if mask >> hour & 1]


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("mon 08-10", ["mon08", "mon09"]),
        ("mon 8-9", ["mon08"]),
        ("MON 08-09", ["mon08"]),
        ("  mon   08-09 ", ["mon08"]),
        ("mon 00-01", ["mon00"]),
        ("sun 23-24", ["sun23"]),
        ("mon-wed 12-13", ["mon12", "tue12", "wed12"]),
        ("tue,thu 12-13", ["tue12", "thu12"]),
        ("mon,wed-thu 12-13", ["mon12", "wed12", "thu12"]),
        ("sat-mon 12-13", ["mon12", "sat12", "sun12"]),
        ("mon-mon 12-13", ["mon12"]),
        ("mon 08-09,14-15", ["mon08", "mon14"]),
        ("mon 08-10,09-11", ["mon08", "mon09", "mon10"]),
        ("fri 22-02", ["fri22", "fri23", "sat00", "sat01"]),
        ("sun 23-01", ["mon00", "sun23"]),
        ("fri 22-00", ["fri22", "fri23"]),
        ("fri 23-24", ["fri23"]),
        ("12-13", [f"{day}12" for day in DAYS]),
        ("23-01", [f"{day}{hour}" for day in DAYS for hour in ("00", "23")]),
        ("tue", [f"tue{hour:02}" for hour in range(24)]),
        ("tue 00-24", [f"tue{hour:02}" for hour in range(24)]),
    ],
)
def test_words_to_hours(text: str, hours: list[str]) -> None:
    """Hours end before the second number; a span that ends before it begins goes on into the next day, after
    Sunday into Monday."""
    assert told(parse_hours(text)) == hours


def test_items_add_up() -> None:
    """Several items are all their hours together; none at all is the whole week, as is every day."""
    assert hours_mask(["mon 08-09", "tue 08-09"]) == parse_hours("mon,tue 08-09")
    assert (
        hours_mask([]) == hours_mask(iter(())) == FULL_WEEK == parse_hours("mon-sun") == parse_hours("00-24")
    )


DAYS_WANTED = "expected a day of mon, tue, wed, thu, fri, sat, sun, found "
HOURS_WANTED = "expected hours from 0 to 24 such as 08-20 or 22-06, found "
WORDS_WANTED = "expected days, hours or both, such as mon-fri 08-20, found "


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", f"{WORDS_WANTED}''"),
        ("   ", f"{WORDS_WANTED}'   '"),
        ("mon 08-20 UTC", f"{WORDS_WANTED}'mon 08-20 UTC'"),
        ("montag", f"{DAYS_WANTED}'montag'"),
        ("mon,", f"{DAYS_WANTED}''"),
        ("mon-", f"{DAYS_WANTED}''"),
        ("mon-fri-sat", f"{DAYS_WANTED}'fri-sat'"),
        ("08-20 mon", f"{DAYS_WANTED}'08'"),
        ("mon 8", f"{HOURS_WANTED}'8'"),
        ("mon 08:00-20:00", f"{HOURS_WANTED}'08:00-20:00'"),
        ("mon 08-20,", f"{HOURS_WANTED}''"),
        ("mon 24-06", f"{HOURS_WANTED}'24-06'"),
        ("mon 08-25", f"{HOURS_WANTED}'08-25'"),
        ("mon 08-08", f"{HOURS_WANTED}'08-08'"),
        ("mon 008-20", f"{HOURS_WANTED}'008-20'"),
        ("²-20", f"{HOURS_WANTED}'²-20'"),
        ("٠٨-20", f"{HOURS_WANTED}'٠٨-20'"),
    ],
)
def test_what_is_refused(text: str, words: str) -> None:
    """What is no hour or day is told in words for a person."""
    with pytest.raises(ValueError, match="expected") as caught:
        parse_hours(text)
    assert str(caught.value) == words


@given(day=st.integers(0, 6), start=st.integers(0, 23), end=st.integers(0, 24))
def test_a_span_lasts_as_long_as_it_says(day: int, start: int, end: int) -> None:
    """From its first hour on, hour by hour around the week, for as long as from start to end."""
    if start == end:
        return
    length = (end - start) % 24 or 24
    first = day * 24 + start
    expected = sum(1 << (first + i) % 168 for i in range(length))
    assert parse_hours(f"{DAYS[day]} {start}-{end}") == expected


@given(st.text(alphabet="montuewdhfrisa0123456789-, ", max_size=40))
def test_any_words(text: str) -> None:
    """A mask of the week or a ValueError; nothing else."""
    try:
        mask = parse_hours(text)
    except ValueError:
        return
    assert 0 < mask <= FULL_WEEK
