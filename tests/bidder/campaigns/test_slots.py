"""Slots and blocks beyond what the property test of the index draws."""

from __future__ import annotations

import msgspec
import pytest

from bidder.auction.intake import context_of, opportunities_of
from bidder.campaigns import slots
from bidder.campaigns.index import Index
from bidder.campaigns.model import Book
from bidder.exchanges import Exchange
from bidder.privacy.gate import FULL
from tests.bidder.auction.market import SIZES, market
from tests.bidder.auction.support import NOW_S, RATES, request_of
from tests.corpus import compact

INDEX = Index(market(), RATES)


def _mask(index: Index, **banner: object) -> int:
    body = {"id": "r", "imp": [{"id": "1", "banner": banner}]}
    context = context_of(request_of(compact(body)), Exchange(name="x"), FULL, NOW_S, "USD")
    (slot,) = opportunities_of(context, RATES.factor)
    return index.slot_mask(slot)


@pytest.mark.parametrize(("w", "h"), SIZES)
def test_every_size_finds_its_ads(w: int, h: int) -> None:
    """All of the market's line items have every size; rewarded ones want another slot."""
    expected = sum(line.targeting.rewarded is not True for line in INDEX.lines)
    assert _mask(INDEX, w=w, h=h).bit_count() == expected
    assert _mask(INDEX, w=w + 1, h=h) == 0


def test_masks_are_the_same_when_the_cache_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream of strange slots empties the cache and changes no answer."""
    monkeypatch.setattr(slots, "SLOT_CACHE", 2)
    index = Index(market(), RATES)
    known = _mask(index, w=300, h=250)
    for i in range(1, 500):
        assert _mask(index, w=i, h=9_999) == 0
    assert _mask(index, w=300, h=250) == known


def test_a_line_item_is_blocked_as_a_whole_only_by_what_all_its_ads_share() -> None:
    """One ad in a blocked category leaves the others: the filter of creatives decides then."""
    shop = market().advertisers[0]
    mixed = tuple(
        msgspec.structs.replace(ad, categories=("IAB1",) if i % 2 else ("IAB2",))
        for i, ad in enumerate(shop.creatives)
    )
    same = tuple(msgspec.structs.replace(ad, categories=("IAB1-1",)) for ad in shop.creatives)
    request = request_of(
        compact({"id": "r", "imp": [{"id": "1", "banner": {"w": 1, "h": 1}}], "bcat": ["IAB1"]})
    )
    for ads, blocked in ((mixed, 0), (same, len(shop.campaigns[0].line_items))):
        index = Index(Book(advertisers=(msgspec.structs.replace(shop, creatives=ads),)), RATES)
        assert index.blocked_masks(request)[1].bit_count() == blocked
