"""openrtb/floors.py: the order of floors, and their currencies."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from openrtb.floors import applicable_floor, timed_floor
from openrtb.request import Deal, DurFloors, Imp

RANGES = [
    {"mindur": 1, "maxdur": 15, "bidfloor": 5.0},
    {"mindur": 10, "maxdur": 30, "bidfloor": 8.0},
    {"mindur": 60, "bidfloor": 20.0},
]
EUR = {"bidfloor": 1.0, "bidfloorcur": "EUR"}
MIMES = {"mimes": ["video/mp4"]}


@pytest.mark.parametrize(
    ("imp", "mtype", "dur_s", "deal", "expected"),
    [
        ({}, 1, None, None, (0.0, "USD")),
        ({"bidfloor": 1.0}, 1, None, None, (1.0, "USD")),
        (EUR, 1, None, None, (1.0, "EUR")),
        (EUR, 1, None, {"bidfloor": 2.0}, (2.0, "USD")),
        (EUR, 1, None, {"bidfloor": 2.0, "bidfloorcur": "GBP"}, (2.0, "GBP")),
        (EUR, 1, None, {"bidfloor": 0.0}, (0.0, "USD")),
        (EUR, 1, None, {}, (1.0, "EUR")),
        ({**EUR, "video": {**MIMES, "durfloors": RANGES}}, 2, 5, None, (5.0, "EUR")),
        ({**EUR, "video": {**MIMES, "durfloors": RANGES}}, 2, 12, None, (8.0, "EUR")),
        ({**EUR, "video": {**MIMES, "durfloors": RANGES}}, 2, 45, None, (1.0, "EUR")),
        ({**EUR, "video": {**MIMES, "durfloors": RANGES}}, 2, 90, None, (20.0, "EUR")),
        ({**EUR, "video": {**MIMES, "durfloors": RANGES}}, 2, None, None, (1.0, "EUR")),
        ({**EUR, "video": {**MIMES, "durfloors": RANGES}}, 1, 5, None, (1.0, "EUR")),
        ({**EUR, "audio": {**MIMES, "mincpmpersec": 0.5}}, 3, 10, None, (5.0, "EUR")),
        ({**EUR, "video": {**MIMES, "durfloors": RANGES}}, 2, 12, {"bidfloor": 2.0}, (2.0, "USD")),
        ({**EUR, "video": {**MIMES, "durfloors": RANGES}}, 2, 12, {}, (8.0, "EUR")),
        ({**EUR, "video": MIMES}, 2, 12, {"bidfloor": 2.0, "durfloors": RANGES}, (8.0, "USD")),
        ({**EUR, "video": MIMES}, 2, 45, {"bidfloor": 2.0, "durfloors": RANGES}, (2.0, "USD")),
        ({**EUR, "video": MIMES}, 2, 10, {"bidfloor": 2.0, "mincpmpersec": 0.5}, (5.0, "USD")),
    ],
)
def test_the_order_of_floors(
    imp: dict[str, Any],
    mtype: int,
    dur_s: int | None,
    deal: dict[str, Any] | None,
    expected: tuple[float, str],
) -> None:
    """The deal goes before the slot, the slot before the imp; a deal's currency is never inherited."""
    offered = msgspec.convert({"id": "1", **imp}, Imp)
    agreed = None if deal is None else msgspec.convert({"id": "d", **deal}, Deal)
    assert applicable_floor(offered, mtype, dur_s, agreed) == expected


def test_the_highest_of_several_floors_applies() -> None:
    """Where ranges overlap, or a price per second stands beside them, the highest counts."""
    ranges = msgspec.convert(RANGES, list[DurFloors])
    assert timed_floor(ranges, 1.0, 12) == 12.0
    assert timed_floor(ranges, 0.1, 12) == 8.0
    assert timed_floor(None, None, 12) is None
