"""The synthetic books of the benchmarks: seeded, of the size that was asked for, and like real ones."""

from pathlib import Path

import pytest
import yaml
from msgspec import to_builtins

from benchmarks.books import BUYERS, LINES_PER_ADVERTISER, RETARGETING, SEGMENTS, SIZES, synthetic
from bidder.campaigns.index import Index
from bidder.campaigns.load import load
from bidder.campaigns.model import VECTOR_DIMENSIONS, Book, LineItem
from bidder.campaigns.rates import load_rates


def items(book: Book) -> list[LineItem]:
    """All line items."""
    return [item for shop in book.advertisers for campaign in shop.campaigns for item in campaign.line_items]


def test_equal_seeds_give_equal_books() -> None:
    """Every run measures the same book; another seed is another book."""
    assert synthetic(200, 1) == synthetic(200, 1)
    assert synthetic(200, 1) != synthetic(200, 2)


@pytest.mark.parametrize(
    ("wanted", "made"), [(1, 20), (20, 20), (29, 20), (31, 40), (100, 100), (1_000, 1_000)]
)
def test_sizes(wanted: int, made: int) -> None:
    """As many line items as asked for, in whole advertisers, and at least one of those."""
    book = synthetic(wanted, 1)
    assert len(items(book)) == made
    assert len(book.advertisers) == made // LINES_PER_ADVERTISER


def test_a_larger_book_begins_as_a_smaller_one() -> None:
    """Sizes differ in how much there is, not in what."""
    assert synthetic(200, 1).advertisers[:5] == synthetic(100, 1).advertisers


def test_it_loads_from_files(tmp_path: Path) -> None:
    """Written as campaign files it passes every rule without advice, and comes back equal."""
    book = synthetic(60, 1)
    for shop in book.advertisers:
        file = tmp_path / f"{shop.id}.yaml"
        file.write_text(yaml.safe_dump(to_builtins(Book(advertisers=(shop,)))))
    loaded = load(tmp_path, load_rates())
    assert loaded.book == book
    assert loaded.advice == ()


def test_it_compiles_whole() -> None:
    """Every line item is in the index: none is left out for want of a rate."""
    index = Index(synthetic(400, 1), load_rates())
    assert index.count == len(index.lines) == 400
    assert len({line.key for line in index.lines}) == 400


def test_line_items_are_like_real_ones() -> None:
    """Most want a segment of people and leave buyers out, the rest target openly; vectors have unit length; every
    shop has banners in all sizes, native and video."""
    book = synthetic(2_000, 1)
    retargeting = [item for item in items(book) if item.targeting.segments]
    assert len(retargeting) / 2_000 == pytest.approx(RETARGETING, abs=0.05)
    for item in retargeting:
        segments = item.targeting.segments
        assert segments is not None
        assert set(segments.any) <= set(SEGMENTS)
        assert segments.none == (BUYERS,)
    for item in items(book)[:100]:
        assert len(item.vector) == VECTOR_DIMENSIONS
        assert sum(x * x for x in item.vector) == pytest.approx(1, abs=0.001)
    for shop in book.advertisers:
        assert {(c.w, c.h) for c in shop.creatives if c.kind == "image"} == set(SIZES)
        assert {c.kind for c in shop.creatives} == {"image", "native", "video"}


def test_line_items_have_budgets_and_caps() -> None:
    """Every campaign has a budget and some line items have; all retargeting is capped, and every kind of pacing and
    level of cap but the creative's is there."""
    book = synthetic(2_000, 1)
    campaigns = [campaign for shop in book.advertisers for campaign in shop.campaigns]
    assert all(campaign.budget.total and campaign.budget.daily for campaign in campaigns)
    assert {campaign.pacing for campaign in campaigns} == {"traffic", "even", "front_loaded", "asap"}
    assert {bool(campaign.frequency) for campaign in campaigns} == {True, False}
    assert {bool(shop.frequency) for shop in book.advertisers} == {True, False}
    assert {(bool(i.budget.daily), bool(i.budget.hourly)) for i in items(book)} >= {
        (True, True),
        (False, False),
    }
    assert all(bool(item.frequency) == bool(item.targeting.segments) for item in items(book))
