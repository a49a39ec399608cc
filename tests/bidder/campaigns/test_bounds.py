"""Budgets, flights, pacing and caps of any book: compiled as one reads them, level by level."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from bidder.campaigns.ads import Ad
from bidder.campaigns.caps import ADVERTISER, CAMPAIGN, CREATIVE, LINE, Cap
from bidder.campaigns.compile import Line, compile_lines
from bidder.campaigns.index import Index
from bidder.campaigns.load import load_book
from bidder.campaigns.model import Advertiser, Book, Campaign, Frequency, LineItem
from bidder.campaigns.rates import load_rates
from bidder.keys import key32
from budget.accounts import path_at, period_end_s
from tests.bidder.campaigns.generated import books, length_s, written_out
from tests.bidder.campaigns.written import BOOK, RICH, advised, change, told, write

RATES = load_rates()
FREQUENCY = "advertisers[0].campaigns[0].line_items[0].frequency"
SLOW = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def in_dollars(book: Book) -> Book:
    """The book, in a currency that has a rate, so that nothing is left out for want of one."""
    shops = [msgspec.structs.replace(shop, currency="USD") for shop in book.advertisers]
    return Book(advertisers=tuple(shops))


def compiled(book: Book) -> Iterator[tuple[Line, Advertiser, Campaign, LineItem]]:
    """Each line item that is in, with what it was made of."""
    lines = {line.id: line for line in compile_lines(book, RATES)}
    for shop in book.advertisers:
        for plan in shop.campaigns:
            for item in plan.line_items:
                if item.id in lines:
                    yield lines[item.id], shop, plan, item


def caps(frequency: Frequency | None, scope: int, name: str) -> set[Cap]:
    """What a level's frequency means, as caps."""
    if frequency is None:
        return set()
    key = key32(name) if scope != ADVERTISER else 0
    meant = {Cap(scope, key, cap.views, length_s(cap.per)) for cap in frequency.caps}
    return meant | ({Cap(scope, key, 1, length_s(frequency.min_gap))} if frequency.min_gap else set())


@SLOW
@given(book=books().map(in_dollars))
def test_every_bound_of_every_level_is_there(book: Book) -> None:
    """A line item has the caps and gaps of the advertiser, of its campaign and of its own, each creative its own, and
    no others; it is capped where there is any."""
    for line, shop, plan, item in compiled(book):
        assert set(line.caps) == (
            caps(shop.frequency, ADVERTISER, "")
            | caps(plan.frequency, CAMPAIGN, f"{shop.id}/{plan.id}")
            | caps(item.frequency, LINE, item.id)
        )
        own = {ad.id: ad.frequency for ad in shop.creatives}
        for ad in line.ads:
            assert set(ad.caps) == caps(own[ad.id], CREATIVE, f"{shop.id}/{ad.id}")
            assert ad.key32 == key32(f"{shop.id}/{ad.id}")
        levels = [shop.frequency, plan.frequency, item.frequency, *[own[ad.id] for ad in line.ads]]
        assert line.capped == any(levels)
        assert line.visitors == (item.frequency is not None and item.frequency.visitors)


@SLOW
@given(book=books().map(in_dollars))
def test_money_and_time_are_as_written(book: Book) -> None:
    """Budgets to the micro, days of the advertiser's zone, the line item's pacing where it names one, and a flight
    that is the part common to both."""
    for line, shop, plan, item in compiled(book):
        limits = line.limits
        told = {
            "campaign_total": plan.budget.total,
            "campaign_daily": plan.budget.daily,
            "line_total": item.budget.total,
            "line_daily": item.budget.daily,
            "line_hourly": item.budget.hourly,
        }
        for name, amount in told.items():
            assert getattr(limits, name) == (None if amount is None else int(amount * 1_000_000))
        assert limits.zone == ZoneInfo(shop.time_zone)
        assert (limits.campaign_id, limits.line_item_id) == (plan.id, item.id)
        assert line.pacing == (item.pacing if item.pacing else plan.pacing)
        assert line.guaranteed == (item.deals is not None and item.deals.guaranteed)
        assert not (line.guaranteed and line.open)
        starts = [moment.timestamp() for moment in (plan.start, item.start) if moment]
        ends = [moment.timestamp() for moment in (plan.end, item.end) if moment]
        assert line.start_s == max(starts, default=float("-inf"))
        assert line.end_s == min(ends, default=float("inf"))


@SLOW
@given(book=books().map(in_dollars))
def test_the_index_numbers_what_it_holds(book: Book) -> None:
    """Keys lead to numbers and back, and the columns and the book's flags say what the line items say."""
    index = Index(book, RATES)
    assert {index.lines[i].key: i for i in range(index.count)} == index.lines_by_key
    assert index.columns.keys.dtype == np.uint64
    assert index.columns.keys.tolist() == [line.key for line in index.lines]
    assert index.columns.guaranteed.tolist() == [line.guaranteed for line in index.lines]
    assert index.columns.capped.tolist() == [line.capped for line in index.lines]
    assert index.any_capped == any(line.capped for line in index.lines)
    assert index.any_visitors == any(line.visitors and line.capped for line in index.lines)


def test_a_path_of_accounts_follows_the_file(tmp_path: Path) -> None:
    """What is written becomes the accounts that bound a line item, days by the shop's own clock."""
    text = change("active: false", "active: true", RICH)
    first = next(compiled(load_book(write(tmp_path, text))))[0]
    moment = datetime(2026, 3, 29, 23, 30, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
    assert [(level.account, level.limit) for level in path_at(first.limits, moment)] == [
        ("wallet", None),
        ("campaign/spring", 100_000_000),
        ("campaign/spring/day/2026-03-29", 10_000_000),
        ("line/all", 50_000_000),
        ("line/all/day/2026-03-29", 5_000_000),
        ("line/all/hour/2026-03-29T23", 500_000),
    ]
    assert period_end_s(first.limits, moment) == moment + 1_800


def test_caps_as_a_plain_list(tmp_path: Path) -> None:
    """A list means what `caps` means, at every level."""
    short = change("targeting: {}", "frequency: [{views: 3, per: 1d}]", BOOK)
    long = change("targeting: {}", "frequency: {caps: [{views: 3, per: 1d}]}", BOOK)
    assert load_book(write(tmp_path, short)) == load_book(write(tmp_path, long))


def test_a_creatives_caps_cap_its_line_items(tmp_path: Path) -> None:
    """A line item without a cap of its own is capped where one of its creatives is."""
    text = change("w: 300\n", "w: 300\n        frequency: {min_gap: 1s}\n")
    line = next(compiled(load_book(write(tmp_path, text))))[0]
    ad: Ad = line.ads[0]
    assert (line.caps, line.capped, line.min_gap_s) == ((), True, 0)
    assert ad.caps == (Cap(CREATIVE, ad.key32, 1, 1),)


@pytest.mark.parametrize(
    ("frequency", "advice"),
    [
        ("[{views: 5, per: 1d}, {views: 5, per: 1h}]", "caps[1]: is never reached: 5 per 1d is stricter"),
        ("[{views: 3, per: 1d}, {views: 20, per: 10m}]", "caps[1]: is never reached: 3 per 1d is stricter"),
        ("{min_gap: 1h, caps: [{views: 3, per: 3h}]}", "caps[0]: is never reached: a gap of 1h is stricter"),
        ("[{views: 4, per: 1h}, {views: 5, per: 1d}]", ""),
        ("{min_gap: 1h, caps: [{views: 3, per: 181m}]}", ""),
    ],
)
def test_caps_that_are_never_reached(frequency: str, advice: str, tmp_path: Path) -> None:
    """A cap that a longer one or the gap makes void works and is told; a cap that can be reached is not."""
    file = write(tmp_path, change("targeting: {}", f"frequency: {frequency}"))
    place = advice if frequency.startswith("{") else advice.removeprefix("caps")
    dot = "." if frequency.startswith("{") else ""
    assert advised(file) == ([f"book.yaml:22: {FREQUENCY}{dot}{place}"] if advice else [])


def test_a_budget_above_the_campaigns_is_told(tmp_path: Path) -> None:
    """It works, and the campaign's bounds it."""
    text = change("targeting: {}", "budget: {total: 100.5, daily: 9}")
    assert advised(write(tmp_path, text)) == [
        "book.yaml:22: advertisers[0].campaigns[0].line_items[0].budget.total: "
        "is more than the campaign's (100), which bounds it"
    ]


@pytest.mark.parametrize(
    ("old", "fits", "too_much"),
    [
        ("targeting: {}", "frequency: [{views: 200, per: 1m}]", "frequency: [{views: 201, per: 1m}]"),
        ("targeting: {}", "frequency: [{views: 1, per: 60s}]", "frequency: [{views: 1, per: 59s}]"),
        ("targeting: {}", "frequency: [{views: 1, per: 720h}]", "frequency: [{views: 1, per: 721h}]"),
        ("targeting: {}", "frequency: {min_gap: 30d}", "frequency: {min_gap: 2592001s}"),
        ("targeting: {}", "budget: {daily: 1, hourly: 1}", "budget: {daily: 1, hourly: 1.000001}"),
        ("currency: EUR", f"currency: EUR\n    frequency: {[{'views': i, 'per': f'{i}m'} for i in range(1, 9)]}",
         f"currency: EUR\n    frequency: {[{'views': i, 'per': f'{i}m'} for i in range(1, 10)]}"),
    ],
)  # fmt: skip
def test_limits(old: str, fits: str, too_much: str, tmp_path: Path) -> None:
    """At each limit a value still passes; one more, and it is told."""
    assert told(write(tmp_path, change(old, fits))) == []
    assert len(told(write(tmp_path, change(old, too_much)))) == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("currency: EUR", "currency: EUR\n    frequency: {min_gap: 1s}"),
        ("name: Spring", "name: Spring\n        frequency: [{views: 1, per: 1d}]"),
        ("w: 300", "w: 300\n        frequency: [{views: 1, per: 1d}]"),
    ],
)
def test_visitors_are_capped_by_what_stands_above(old: str, new: str, tmp_path: Path) -> None:
    """A line item may count visitors for the caps of its advertiser, campaign or creative alone."""
    text = change(old, new, change("targeting: {}", "frequency: {visitors: true}"))
    file = write(tmp_path, text)
    assert told(file) == []
    line = next(compiled(load_book(file)))[0]
    assert (line.visitors, line.capped) == (True, True)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (
            change("id: viewers", "id: li-55717").replace("            targeting: {}\n", "")
            + "          - {id: li-101476, goal: {kind: cpc, value: 1}, max_bid_cpm: 1, creatives: [banner]}\n",
            'book.yaml:22: advertisers[0].campaigns[0].line_items[1].id: "li-101476" and "li-55717"',
        ),
        (
            change("id: spring", "id: c-44673")
            + "      - {id: c-119419, name: A, line_items: [{id: b, goal: {kind: cpc, value: 1}, "
            + "max_bid_cpm: 1, creatives: [banner]}]}\n",
            'book.yaml:23: advertisers[0].campaigns[1].id: "c-119419" and "c-44673"',
        ),
        (
            BOOK.replace("banner", "ad-88333").replace(
                "      - id: ad-88333\n",
                "      - {id: ad-124397, kind: image, w: 1, h: 1, image_url: 'https://x.example/', "
                "landing_url: 'https://x.example/'}\n      - id: ad-88333\n",
            ),
            'book.yaml:8: advertisers[0].creatives[1].id: "ad-88333" and "ad-124397"',
        ),
    ],
    ids=["line items", "campaigns", "creatives"],
)
def test_two_of_one_key(text: str, wrong: str, tmp_path: Path) -> None:
    """Two of an advertiser whose views could not be told apart are refused."""
    assert told(write(tmp_path, text)) == [f"{wrong} have the same key: rename one of them"]


def test_written_and_read_again(tmp_path: Path) -> None:
    """A book of every field comes back from its own YAML with the same bounds."""
    book = load_book(write(tmp_path, RICH))
    again = load_book(write(tmp_path, yaml.safe_dump(written_out(book))))
    assert again == book


def test_shops_for_children_cap_nobody(tmp_path: Path) -> None:
    """Caps need to know who saw what, on whatever level they stand."""
    text = change(
        "    currency: EUR\n",
        "    currency: EUR\n    child_directed: true\n    frequency: [{views: 3, per: 1d}]\n",
    )
    text = text.replace(
        "            targeting: {}\n", "            targeting: {}\n            frequency: {min_gap: 1h}\n"
    )
    places = ("advertisers[0].frequency", FREQUENCY)
    said = "a child-directed shop has none: nobody's views are kept for it"
    assert [line.split(": ", 1)[1] for line in told(write(tmp_path, text))] == [
        f"{place}: {said}" for place in places
    ]
