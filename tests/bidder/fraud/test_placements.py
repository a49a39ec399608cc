"""Placements at which nobody sees an ad, and devices that do not fit."""

from __future__ import annotations

from typing import Any

import pytest

from bidder.fraud.agents import systems_of
from bidder.fraud.placements import (
    CONTRADICTION,
    MISMATCH,
    NAMELESS,
    PLACEMENT,
    TINY,
    contradicted,
    impossible,
    mismatched,
    nameless,
)
from openrtb.request import BrandVersion, UserAgent
from tests.bidder.fraud.support import CHROME, IPHONE, context

VIDEO = {"mimes": ["video/mp4"], "protocols": [2]}


def _imps(*imps: dict[str, Any]) -> int:
    numbered = [{"id": str(number)} | imp for number, imp in enumerate(imps)]
    return impossible(context(imp=numbered)[0])


@pytest.mark.parametrize(
    "imp",
    [
        {"banner": {"w": 1, "h": 1}},
        {"banner": {"w": 300, "h": 1}},
        {"banner": {"format": [{"w": 1, "h": 1}, {"w": 0, "h": 0}]}},
        {"video": {**VIDEO, "w": 1, "h": 1}},
        {"banner": {"w": 1, "h": 1}, "video": {**VIDEO, "w": 2, "h": 2}},
    ],
)
def test_unseen(imp: dict[str, Any]) -> None:
    """Sizes that show nothing are impossible placements."""
    assert _imps(imp) == PLACEMENT


@pytest.mark.parametrize(
    "imp",
    [
        {"banner": {"format": [{"w": 1, "h": 1}, {"w": 300, "h": 250}]}},
        {"banner": {"w": 300, "h": 250}},
        {"banner": {"w": 1, "h": 1}, "instl": 1},
        {"banner": {"w": 1, "h": 1}, "video": {**VIDEO, "w": 640, "h": 360}},
        {"banner": {"w": 1, "h": 1}, "native": {"request": "{}"}},
        {"video": VIDEO},
        {"audio": {"mimes": ["audio/mpeg"]}},
        {"banner": {"format": [{"wratio": 16, "hratio": 9, "wmin": 100}]}},
    ],
)
def test_seen(imp: dict[str, Any]) -> None:
    """Some size that shows, a size that is not stated, the whole screen, native and audio are possible."""
    assert _imps(imp) == 0


def test_some_of_many() -> None:
    """Where only some impressions are impossible the request is not, but tiny."""
    assert _imps({"banner": {"w": 1, "h": 1}}, {"banner": {"w": 300, "h": 250}}) == TINY


def test_nameless() -> None:
    """A site needs a domain or a page, an app a bundle; screens outside the home need neither."""
    assert nameless(context(site={"domain": None, "page": None, "id": "7"})[0]) == NAMELESS
    assert nameless(context(site={"domain": None})[0]) == 0
    assert nameless(context(site=None, app={"id": "7"})[0]) == NAMELESS
    assert nameless(context(site=None, app={"bundle": "com.example.app"})[0]) == 0
    assert nameless(context(site=None, dooh={"id": "7"})[0]) == 0


@pytest.mark.parametrize(
    ("geo", "language", "reason"),
    [
        ({"country": "DEU", "utcoffset": 120}, "de", 0),
        ({"country": "DEU", "utcoffset": 480}, "de", MISMATCH),
        ({"country": "DEU"}, "ja", 0),
        ({"country": "USA", "utcoffset": -600}, "en", 0),
        ({"country": "BRA", "utcoffset": -180}, "ru", MISMATCH),
        ({"country": "ATA", "utcoffset": 480}, "en", 0),
        ({"utcoffset": 480}, "en", 0),
    ],
)
def test_mismatches(geo: dict[str, Any], language: str, reason: int) -> None:
    """Time zones that no part of a country has, languages that hardly anybody there has; else the benefit of doubt."""
    made, _ = context(device={"geo": geo, "language": language})
    device = made.request.device
    assert device is not None
    assert device.geo is not None
    assert mismatched(made, device.geo) == reason


@pytest.mark.parametrize(
    ("platform", "agent", "reason"),
    [
        ("Windows", CHROME, 0),
        ("Android", CHROME, CONTRADICTION),
        ("iOS", IPHONE, 0),
        ("Windows", IPHONE, CONTRADICTION),
        ("iOS", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Safari/605.1.15", 0),
        ("Android", "Mozilla/5.0 (X11; Linux x86_64) Chrome/141.0", 0),
        ("Fuchsia", CHROME, 0),
        (None, CHROME, 0),
        ("Windows", "", 0),
    ],
)
def test_contradictions(platform: str | None, agent: str, reason: int) -> None:
    """A structured user agent that names another system than the plain one contradicts it; unknown ones do not."""
    sua = UserAgent(platform=BrandVersion(brand=platform) if platform else None)
    assert contradicted(sua, systems_of(agent)) == reason
