"""Intake: bytes to a request that the steps can read, and no further."""

from __future__ import annotations

from typing import Any

import pytest

from bidder.auction.intake import (
    bid_currency,
    context_of,
    deadline_ns,
    opportunities_of,
    read_request,
    seat_allowed,
)
from bidder.exchanges import Exchange
from bidder.opportunity import AUDIO, BANNER, NATIVE, VIDEO, Context
from bidder.privacy.gate import CHILD, FULL, Permissions
from openrtb.violation import OverLimit, Violation
from tests.bidder.auction.support import NOW_S, RATES, request_of
from tests.corpus import compact

PROFILE = Exchange(name="x", margin_ms=20, tmax_default_ms=120)


def _body(**more: Any) -> bytes:
    return compact({"id": "r", "imp": [{"id": "1", "banner": {"w": 300, "h": 250}}]} | more)


def _context(permissions: Permissions = FULL, **more: Any) -> Context:
    context = context_of(request_of(_body(**more)), PROFILE, permissions, NOW_S, "USD")
    context.opportunities = opportunities_of(context, RATES.factor)
    return context


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"id":"r"}', b"\xff", compact({"id": "r", "imp": []})]
)
def test_malformed(body: bytes) -> None:
    """Each is one Violation."""
    with pytest.raises(Violation):
        read_request(body)


def test_over_the_limits() -> None:
    """More impressions than we read is a Violation of its own kind."""
    imps = [{"id": str(i), "banner": {"w": 1, "h": 1}} for i in range(101)]
    with pytest.raises(OverLimit):
        read_request(_body(imp=imps))


@pytest.mark.parametrize(
    ("tmax", "left_ms"),
    [(100, 80), (None, 100), (0, 100), (-3, 100), (10, -10), (2**31 - 1, 59_980)],
)
def test_deadlines(tmax: int | None, left_ms: int) -> None:
    """Received + tmax - margin; the profile's tmax where the request names none that makes sense."""
    assert deadline_ns(request_of(_body(tmax=tmax)), PROFILE, 1_000) == 1_000 + left_ms * 1_000_000


@pytest.mark.parametrize(
    ("wseat", "bseat", "seat", "allowed"),
    [
        (None, None, "", True),
        (["1"], None, "1", True),
        (["1"], None, "2", False),
        (["1"], None, "", False),
        (None, ["1"], "1", False),
        (None, ["1"], "2", True),
        (["1"], ["1"], "1", False),
        (["1", "2"], ["1"], "2", True),
        ([], [], "", True),
    ],
)
def test_seats(wseat: list[str] | None, bseat: list[str] | None, seat: str, allowed: bool) -> None:
    """Both lists together are an intersection."""
    assert seat_allowed(request_of(_body(wseat=wseat, bseat=bseat)), seat) is allowed


@pytest.mark.parametrize(
    ("cur", "found"),
    [
        (None, "USD"),
        ([], "USD"),
        (["EUR"], "EUR"),
        (["EUR", "USD"], "USD"),
        (["XTS", "PLN"], "PLN"),
        (["XTS"], ""),
    ],
)
def test_currencies(cur: list[str] | None, found: str) -> None:
    """Ours where it is allowed, else the first that we have a rate for."""
    assert bid_currency(request_of(_body(cur=cur)), "USD", RATES.factor) == found


@pytest.mark.parametrize(
    ("geo", "place"),
    [
        ({"lat": 52.5, "lon": 13.4}, (52.5, 13.4)),
        ({"lat": 0, "lon": 0}, None),
        ({"lat": 91, "lon": 0}, None),
        ({"lat": 5, "lon": 181}, None),
        ({"lat": 5}, None),
        ({}, None),
    ],
)
def test_places(geo: dict[str, float], place: tuple[float, float] | None) -> None:
    """A place is a pair on the globe; 0, 0 is how unknown is written."""
    assert _context(device={"geo": geo}).place == place


def test_precise_geo_needs_permission() -> None:
    """Without it neither the place nor the postal code reaches targeting; country and city do."""
    geo = {"lat": 52.5, "lon": 13.4, "zip": "10115", "country": "DEU", "city": "Berlin", "region": "BE"}
    told, hidden = _context(device={"geo": geo}), _context(CHILD, device={"geo": geo})
    assert (told.place, told.zip) == ((52.5, 13.4), "DEU-10115")
    assert (hidden.place, hidden.zip) == (None, "")
    assert (hidden.city, hidden.region) == ("DEU-berlin", "DEU-BE")


@pytest.mark.parametrize(
    ("more", "inventory", "domain"),
    [
        ({"site": {"domain": "WWW.News.Example"}}, "site", "news.example"),
        ({"app": {"domain": "app.example", "bundle": "b"}}, "app", "app.example"),
        ({"dooh": {"domain": "screen.example"}}, "dooh", "screen.example"),
        ({"site": {}, "app": {"bundle": "b"}}, "site", ""),
        ({}, "", ""),
    ],
)
def test_inventory(more: dict[str, Any], inventory: str, domain: str) -> None:
    """Site, app or screen; more than one is read as the first."""
    context = _context(**more)
    assert (context.inventory, context.domain) == (inventory, domain)
    assert context.bundle == ("b" if inventory == "app" else "")


@pytest.mark.parametrize(
    ("imp", "media", "sizes"),
    [
        ({"banner": {"w": 300, "h": 250}}, BANNER, ((300, 250),)),
        (
            {"banner": {"w": 1, "h": 2, "format": [{"w": 3, "h": 4}, {"w": 1, "h": 2}]}},
            BANNER,
            ((3, 4), (1, 2)),
        ),
        ({"banner": {"format": [{"wratio": 4, "hratio": 3}]}}, BANNER, ()),
        ({"video": {"mimes": ["video/mp4"]}}, VIDEO, ()),
        ({"audio": {"mimes": ["audio/mp4"]}, "video": {"mimes": []}}, AUDIO, ()),
        ({"native": {"request": "{}"}, "banner": {"w": 1, "h": 1}}, NATIVE | BANNER, ((1, 1),)),
    ],
    ids=str,
)
def test_slots(imp: dict[str, Any], media: int, sizes: tuple[tuple[int, int], ...]) -> None:
    """Media that can be read, sizes in the exchange's order."""
    (slot,) = _context(imp=[{"id": "1"} | imp]).opportunities
    assert (slot.media, slot.sizes) == (media, sizes)


def test_an_impression_without_a_medium_is_passed_over() -> None:
    """The others keep their numbers."""
    imps = [{"id": "1"}, {"id": "2", "banner": {"w": 1, "h": 1}}]
    assert [slot.number for slot in _context(imp=imps).opportunities] == [1]


@pytest.mark.parametrize(("secure", "expected"), [(None, True), (1, True), (0, False)])
def test_secure_unless_told_otherwise(secure: int | None, expected: bool) -> None:
    """Absent is secure to us."""
    imps = [{"id": "1", "banner": {"w": 1, "h": 1}, "secure": secure}]
    assert _context(imp=imps).opportunities[0].secure is expected
