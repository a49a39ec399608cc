"""Views beyond a cap, as the simulated people themselves would count them."""

from pathlib import Path

import pytest

from benchmarks.exchange.viewings import Viewer, Viewings
from bidder.campaigns.load import load_book
from bidder.keys import key64

ANNA, BERT = Viewer("anna"), Viewer("bert")
GUEST = Viewer("198.51.100 Firefox", visitor=True)
LINES = {name: key64(f"shop/{name}") for name in ("open", "thrice", "gap", "other")}
FILM, STILL = key64("shop/film"), key64("shop/still")
BOOK = """
advertisers:
  - id: shop
    name: Shop
    domain: shop.example
    currency: EUR
    frequency: [{views: 5, per: 1d}]
    creatives:
      - &still {id: still, kind: image, w: 300, h: 250, landing_url: "https://s.example", image_url: "https://s.example/a"}
      - {<<: *still, id: film, frequency: [{views: 1, per: 2h}]}
    campaigns:
      - id: first
        name: First
        frequency: [{views: 4, per: 1h}]
        line_items:
          - &line
            id: thrice
            goal: {kind: cpm, value: 1}
            max_bid_cpm: 2
            creatives: [still, film]
            frequency: [{views: 3, per: 10m}]
          - {<<: *line, id: gap, frequency: {min_gap: 30s}}
      - id: second
        name: Second
        line_items: [{<<: *line, id: other, frequency: null}]
"""


@pytest.fixture
def viewings(tmp_path: Path) -> Viewings:
    """Of a shop with caps on all four levels."""
    path = tmp_path / "book.yaml"
    path.write_text(BOOK)
    return Viewings(load_book(path))


def seen(viewings: Viewings, line: str, moments: list[float], viewer: Viewer = ANNA) -> list[list[str]]:
    """What each view of a line item's still picture is beyond."""
    return [viewings.saw(viewer, LINES[line], STILL, moment)[1] for moment in moments]


def test_a_view_too_many_is_told_by_its_cap(viewings: Viewings) -> None:
    """The fourth within ten minutes is beyond 3 per 10m, and so is the next while the window has three others."""
    beyond = seen(viewings, "thrice", [0, 1, 2, 599])
    assert beyond == [[], [], [], ["line item thrice: 3 per 10m"]]


def test_the_window_slides_and_its_end_is_outside(viewings: Viewings) -> None:
    """A view exactly a window after the one that it takes the place of is allowed; a moment before it is not."""
    assert seen(viewings, "thrice", [0, 100, 200, 600]) == [[], [], [], []]
    assert seen(viewings, "thrice", [0, 100, 200, 599.999], BERT)[3] == ["line item thrice: 3 per 10m"]


def test_a_gap_is_a_cap_of_one(viewings: Viewings) -> None:
    """Views 30 s apart keep a gap of 30s, and 29 s do not."""
    assert seen(viewings, "gap", [0, 30, 59]) == [[], [], ["line item gap: 1 per 30s"]]


def test_caps_of_all_levels_count_what_they_stand_for(viewings: Viewings) -> None:
    """The campaign's counts both of its line items, the advertiser's all three, the creative's every use of it."""
    assert seen(viewings, "thrice", [0, 60, 120]) == [[], [], []]
    assert seen(viewings, "gap", [180, 240]) == [[], ["campaign shop/first: 4 per 1h"]]
    assert seen(viewings, "other", [300]) == [["advertiser shop: 5 per 1d"]]
    film = [viewings.saw(BERT, LINES[line], FILM, at_s)[1] for line, at_s in (("thrice", 0), ("other", 60))]
    assert film == [[], ["creative shop/film: 1 per 2h"]]


def test_people_are_counted_apart(viewings: Viewings) -> None:
    """What one person has seen is no other's."""
    assert seen(viewings, "thrice", [0, 1, 2]) == seen(viewings, "thrice", [0, 1, 2], BERT) == [[], [], []]


def test_of_a_visitor_an_hour_is_known(viewings: Viewings) -> None:
    """A window of two hours or a day binds whom nobody can tell apart for one hour alone."""
    film = [viewings.saw(GUEST, LINES["other"], FILM, at_s)[1] for at_s in (0, 3_599, 7_199)]
    assert film == [[], ["creative shop/film: 1 per 2h"], []]


def test_views_tell_how_many_caps_bind_them(viewings: Viewings) -> None:
    """Caps of advertiser, campaign and line item, and of the creative; none where nothing is known."""
    assert viewings.saw(ANNA, LINES["thrice"], FILM, 0)[0] == 4
    assert viewings.saw(ANNA, LINES["other"], STILL, 0)[0] == 1
    assert viewings.saw(ANNA, key64("unknown"), key64("unknown"), 0) == (0, [])
