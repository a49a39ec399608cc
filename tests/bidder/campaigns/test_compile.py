"""A book flattened to line items: who is in, in which order, and in which units."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pytest

from bidder.campaigns.compile import columns, compile_lines
from bidder.campaigns.model import Book, Goal, LineItem, Segments, Targeting
from bidder.keys import field_name, key64, segment_key
from tests.bidder.auction.market import market
from tests.bidder.auction.support import RATES

MARKET = market()
Changes = dict[str, Any] | None


def _changed(
    shop: dict[str, Any] | None = None,
    campaign: dict[str, Any] | None = None,
    item: dict[str, Any] | None = None,
) -> Book:
    """The first shop alone, with one line item, and some fields changed."""
    first = MARKET.advertisers[0]
    plan = first.campaigns[0]
    line = msgspec.structs.replace(plan.line_items[0], **(item or {}))
    plan = msgspec.structs.replace(plan, line_items=(line,), **(campaign or {}))
    return Book(advertisers=(msgspec.structs.replace(first, campaigns=(plan,), **(shop or {})),))


def test_each_active_line_item_is_in_once() -> None:
    """All of the market's, by their ids."""
    expected = {item.id for shop in MARKET.advertisers for plan in shop.campaigns for item in plan.line_items}
    lines = compile_lines(MARKET, RATES)
    assert {line.id for line in lines} == expected
    assert len(lines) == len(expected)


@pytest.mark.parametrize("part", ["shop", "campaign", "item"])
def test_what_is_not_active_is_left_out(part: str) -> None:
    """At any level."""
    assert compile_lines(_changed(**{part: {"active": False}}), RATES) == []


def test_a_currency_without_a_rate_is_left_out() -> None:
    """Its line items could not be compared with others."""
    assert compile_lines(_changed(shop={"currency": "XTS"}), RATES) == []


def test_units_and_keys() -> None:
    """Micros of the advertiser's currency; seconds; keys of names."""
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    segments = Segments(any=("a", "b"), none=("c",))
    item = {
        "goal": Goal(kind="cpa", value=Decimal("12.345678")),
        "max_bid_cpm": Decimal("3.5"),
        "targeting": Targeting(segments=segments),
        "click_rate": 0.01,
    }
    (line,) = compile_lines(_changed(campaign={"start": start, "end": end}, item=item), RATES)
    assert (line.goal, line.goal_micros, line.max_bid_cpm_micros) == ("cpa", 12_345_678, 3_500_000)
    assert (line.start_s, line.end_s) == (start.timestamp(), end.timestamp())
    assert (line.key, line.field) == (key64(f"shoes/{line.id}"), field_name("shoes"))
    assert line.advertiser_key == key64("shoes")
    assert line.segments == (segment_key("shoes", "a"), segment_key("shoes", "b"))
    assert line.excluded == (segment_key("shoes", "c"),)


def test_a_line_item_that_moves_is_another() -> None:
    """The same id under another advertiser has another key: bids of before stay those of who bid."""
    ((here,), (there,)) = (compile_lines(_changed(shop={"id": name}), RATES) for name in ("here", "there"))
    assert here.id == there.id
    assert here.key != there.key


def test_without_dates_a_flight_has_no_end() -> None:
    """From ever, for ever."""
    (line,) = compile_lines(_changed(), RATES)
    assert (line.start_s, line.end_s) == (float("-inf"), float("inf"))


def test_who_may_pay_most_comes_first() -> None:
    """By the maximum bid in one currency, ties by id; those that need a segment stand apart."""
    shop = MARKET.advertisers[1]  # euros
    bids = {"x": "1", "b": "2", "a": "2", "z": "3"}
    model = shop.campaigns[0].line_items[0]
    items: tuple[LineItem, ...] = tuple(
        msgspec.structs.replace(model, id=name, max_bid_cpm=Decimal(bid)) for name, bid in bids.items()
    )
    plan = msgspec.structs.replace(shop.campaigns[0], line_items=items)
    dollars = _changed(item={"id": "usd", "max_bid_cpm": Decimal("2.1")}).advertisers[0]
    book = Book(advertisers=(dollars, msgspec.structs.replace(shop, campaigns=(plan,))))
    assert [line.id for line in compile_lines(book, RATES)] == ["z", "a", "b", "usd", "x"]


def test_columns_hold_what_lines_hold() -> None:
    """Row by row, with NaN where a line item gives no rate."""
    lines = compile_lines(MARKET, RATES)
    table = columns(lines)
    for i, line in enumerate(lines):
        assert table.goal_micros[i] == line.goal_micros
        assert table.max_bid_cpm_micros[i] == line.max_bid_cpm_micros
        assert table.goal_is_click[i] == (line.goal == "cpc")
        assert table.goal_is_conversion[i] == (line.goal == "cpa")
        assert table.currencies[table.currency[i]] == line.currency
        assert table.advertiser[i] == line.advertiser
        assert tuple(table.vectors[i][: len(line.vector)]) == line.vector
    assert np.isnan(table.click_rate).all()
    assert columns([]).vectors.shape[0] == 0
