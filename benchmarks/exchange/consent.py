"""Consent signals that simulated people give: TC strings of version 2.3, US Privacy strings.

Place: population.py gives each person one; no signal of a real person is used.
Shapes: a TC string is a core segment and the segment of disclosed vendors, base64url without padding.
Source: TCF string format v2.3, core string and disclosed vendors.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Final

_MAX_VENDOR: Final = 1_400  # every registered vendor is in the range 1..1400
_DAY_S: Final = 86_400
_POLICY_VERSION: Final = 5
_CORE_VERSION: Final = 2
_DISCLOSED_SEGMENT: Final = 1
ALL_PURPOSES: Final = tuple(range(1, 12))
CONTEXTUAL_PURPOSES: Final = (2, 7)


class Bits:
    """Integers packed one after another, most significant bit first."""

    def __init__(self) -> None:
        self._value = 0
        self._length = 0

    def put(self, value: int, width: int) -> None:
        """Append `value` as `width` bits."""
        assert 0 <= value < 1 << width
        self._value = self._value << width | value
        self._length += width

    def text(self) -> str:
        """The bits as base64url, filled with zero bits to whole bytes."""
        fill = -self._length % 8
        raw = (self._value << fill).to_bytes((self._length + fill) // 8, "big")
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def tc_string(purposes: Iterable[int], now_s: float, *, vendors: bool = True, country: str = "DE") -> str:
    """A valid TC string given today: consent to `purposes`, and to all vendors or to none."""
    core = Bits()
    core.put(_CORE_VERSION, 6)
    day_decis = int(now_s // _DAY_S * _DAY_S * 10)
    for value, width in ((day_decis, 36), (day_decis, 36), (31, 12), (1, 12), (1, 6)):
        core.put(value, width)
    _letters(core, "EN")
    core.put(157, 12)
    core.put(_POLICY_VERSION, 6)
    core.put(0b10, 2)  # service specific, standard texts
    core.put(0, 12)
    core.put(_set_of(purposes, 24), 24)
    core.put(_set_of((2, 7, 8, 9, 10, 11), 24) if vendors else 0, 24)
    core.put(0, 1)
    _letters(core, country)
    _vendors(core, vendors)
    _vendors(core, vendors)
    core.put(0, 12)
    disclosed = Bits()
    disclosed.put(_DISCLOSED_SEGMENT, 3)
    _vendors(disclosed, True)
    return f"{core.text()}.{disclosed.text()}"


def us_privacy(opted_out: bool) -> str:
    """A US Privacy string of version 1: notice given, opted out or not."""
    return "1YYN" if opted_out else "1YNN"


def _letters(bits: Bits, text: str) -> None:
    for letter in text:
        bits.put(ord(letter) - ord("A"), 6)


def _set_of(members: Iterable[int], width: int) -> int:
    return sum(1 << (width - member) for member in members)


def _vendors(bits: Bits, everyone: bool) -> None:
    """A vendor section: one range from 1 to the last, or none at all."""
    if not everyone:
        bits.put(0, 17)
        return
    bits.put(_MAX_VENDOR, 16)
    bits.put(1, 1)  # ranges follow
    bits.put(1, 12)
    bits.put(1, 1)  # a range, not a single id
    bits.put(1, 16)
    bits.put(_MAX_VENDOR, 16)
