"""Durations in words to seconds: `90s`, `15m`, `6h`, `30d`.

Place: bounds.py checks the words; caps.py compiles them; `paceline campaigns list` shows them as written.
Raises: ValueError with words for a person.
"""

from typing import Final

MINUTE_S: Final = 60
HOUR_S: Final = 3_600
DAY_S: Final = 86_400

PATTERN: Final = r"^[1-9][0-9]{0,6}[smhd]\Z"

_UNITS: Final = {"s": 1, "m": MINUTE_S, "h": HOUR_S, "d": DAY_S}


def seconds_of(text: str) -> int:
    """The seconds of a duration of the form PATTERN."""
    unit = _UNITS.get(text[-1:])
    if unit is None or not (text[:-1].isascii() and text[:-1].isdigit()):
        raise ValueError(f"expected a duration such as 90s, 15m, 6h or 30d, found {text!r}")
    return int(text[:-1]) * unit


def duration_text(seconds: int) -> str:
    """A duration in its largest whole unit: 86400 is 1d."""
    for unit, length in (("d", DAY_S), ("h", HOUR_S), ("m", MINUTE_S)):
        if seconds and seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"
