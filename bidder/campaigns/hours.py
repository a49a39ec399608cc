"""Hours and days in words to a mask over the week.

Place: rules.py checks the words; index.py compiles the masks.
Shapes: a mask has WEEK_HOURS bits; bit weekday * 24 + hour, Monday 0. Hours end before the second number.
    `mon-fri 08-20`   `sat,sun 10-24`   `fri 22-06` (Friday 22:00 to Saturday 06:00)   `22-06` (every day)
    `sat-mon` (all day)   `mon 08-12,14-18`
Raises: ValueError with words for a person.
"""

import re
from collections.abc import Iterable
from functools import cache

WEEK_HOURS = 168
FULL_WEEK = (1 << WEEK_HOURS) - 1
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_SPAN = re.compile(r"([0-9]{1,2})-([0-9]{1,2})")


def hours_mask(items: Iterable[str]) -> int:
    """The hours of all items together; the whole week where there are none."""
    mask, empty = 0, True
    for item in items:
        mask |= parse_hours(item)
        empty = False
    return FULL_WEEK if empty else mask


@cache
def _day_mask(day: int, start: int, end: int) -> int:
    """From hour `start` of a day up to hour `end`, past Sunday on to Monday."""
    hours = end - start if end > start else end + 24 - start
    first = day * 24 + start
    mask = ((1 << hours) - 1) << first
    return (mask & FULL_WEEK) | (mask >> WEEK_HOURS)


def parse_hours(text: str) -> int:
    """The mask of one item."""
    words = text.lower().split()
    if not 1 <= len(words) <= 2:
        raise ValueError(f"expected days, hours or both, such as mon-fri 08-20, found {text!r}")
    if len(words) == 1:
        words = ["mon-sun", *words] if words[0][0].isdigit() else [*words, "00-24"]
    days = [day for part in words[0].split(",") for day in _days(part)]
    spans = [_span(part) for part in words[1].split(",")]
    mask = 0
    for day in days:
        for start, end in spans:
            mask |= _day_mask(day, start, end)
    return mask


def _days(text: str) -> list[int]:
    first, dash, last = text.partition("-")
    for name in (first, last) if dash else (first,):
        if name not in DAYS:
            raise ValueError(f"expected a day of {', '.join(DAYS)}, found {name!r}")
    start = DAYS.index(first)
    count = (DAYS.index(last) - start) % 7 + 1 if dash else 1
    return [(start + i) % 7 for i in range(count)]


def _span(text: str) -> tuple[int, int]:
    match = _SPAN.fullmatch(text)
    start, end = (int(match[1]), int(match[2])) if match else (24, 24)
    if start > 23 or end > 24 or start == end:
        raise ValueError(f"expected hours from 0 to 24 such as 08-20 or 22-06, found {text!r}")
    return start, end
