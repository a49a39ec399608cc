"""Which products an ad shows, and which it never does."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bidder.audience.known import Known
from bidder.audience.person import Profile
from bidder.audience.visit import EventKind
from bidder.catalogue.snapshot import Catalogue
from bidder.keys import product_key
from bidder.render.choose import ASSUMED_IMAGE_BYTES, choose
from tests.bidder.catalogue.shelf import SHOP
from tests.bidder.render.shop import DAY_S, NOW_S, catalogue_of, ids, known, products, visit

PLENTY = 10_000_000
BOUGHT = EventKind.PURCHASE


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return catalogue_of(tmp_path_factory.mktemp("catalogue"))


def test_what_was_viewed_last_is_first_and_what_is_like_it_follows(catalogue: Catalogue) -> None:
    """A viewed and a similar product stand in one ad."""
    chosen = ids(choose(known(visit(1)), catalogue, 4, PLENTY, NOW_S))
    assert chosen[0] == "p1"
    assert "p2" in chosen[1:3]
    assert len(set(chosen)) == 4


def test_one_place_shows_what_was_viewed_last(catalogue: Catalogue) -> None:
    """Whatever else scores."""
    person = known(visit(17), visit(1, ago_s=90), visit(2, ago_s=95), affinity=[0, 1])
    assert ids(choose(person, catalogue, 1, PLENTY, NOW_S)) == ["p17"]


def test_what_was_bought_is_not_shown_for_thirty_days(catalogue: Catalogue) -> None:
    """Neither as viewed nor as similar; after that it is a product as any."""
    viewed = (visit(1, ago_s=5), visit(2, ago_s=9))
    for ago_s, shown in ((3_600, False), (30 * DAY_S - 1, False), (30 * DAY_S + 1, True)):
        person = known(*viewed, visit(2, BOUGHT, ago_s))
        assert ("p2" in ids(choose(person, catalogue, 6, PLENTY, NOW_S))) == shown
    person = known(visit(1, ago_s=5), visit(1, BOUGHT, ago_s=4))
    assert "p1" not in ids(choose(person, catalogue, 6, PLENTY, NOW_S))


def test_what_cannot_be_sold_or_seen_is_not_shown(tmp_path: Path) -> None:
    """Out of stock, or without an image: not even where it was viewed last."""
    listed = products()
    listed[0] = replace(listed[0], available=False)
    listed[1] = replace(listed[1], image_url="")
    chosen = ids(choose(known(visit(1), visit(2)), catalogue_of(tmp_path, listed), 6, PLENTY, NOW_S))
    assert len(chosen) == 6
    assert not {"p1", "p2"} & set(chosen)


@pytest.mark.parametrize("person", [None, Known(), known(), known(visit(99))])
def test_nobody_in_particular_sees_the_best_sellers(catalogue: Catalogue, person: Known | None) -> None:
    """Without consent, without a history, or with one of products that are no longer listed; of several categories."""
    chosen = choose(person, catalogue, 4, PLENTY, NOW_S)
    assert chosen[0].id == "p1"
    assert len({each.category for each in chosen}) >= 2
    assert chosen == choose(None, catalogue, 4, PLENTY, NOW_S)


def test_no_category_takes_more_than_its_share(catalogue: Catalogue) -> None:
    """Half of the places, while others have something; all of them where nobody else has."""
    person = known(*(visit(number, ago_s=number) for number in range(1, 9)))
    categories = Counter(each.category for each in choose(person, catalogue, 6, PLENTY, NOW_S))
    assert categories["Boots"] == 3


def test_a_shop_of_one_category_fills_its_places(tmp_path: Path) -> None:
    """The shares give way before a place stays empty."""
    boots = catalogue_of(tmp_path, products()[:8])
    assert len(choose(known(visit(1)), boots, 6, PLENTY, NOW_S)) == 6


def test_taste_decides_among_equals(tmp_path: Path) -> None:
    """Of best sellers, those that lie where the person's vector points come first."""
    catalogue = catalogue_of(tmp_path)
    taste = [0.0] * 16
    taste[15] = 3.0
    chosen = ids(choose(known(visit(17), affinity=taste), catalogue, 3, PLENTY, NOW_S))
    assert chosen[0] == "p17"
    assert "p15" in chosen
    assert "p15" not in ids(choose(known(visit(17)), catalogue, 3, PLENTY, NOW_S))


def test_a_profile_alone_names_what_was_viewed(catalogue: Catalogue) -> None:
    """Where there is no history, the products of the profile are what was viewed."""
    person = known(affinity=[])
    assert person.profile is not None
    profile = Profile(NOW_S, person.profile.affinity, products=((product_key(SHOP, "p18"), NOW_S),))
    assert ids(choose(Known(profile), catalogue, 2, PLENTY, NOW_S))[0] == "p18"


def test_images_stay_within_their_budget(tmp_path: Path) -> None:
    """Known weights count as they are, unknown ones as assumed; what is too heavy gives way to what is not."""
    listed = products()
    listed[0] = replace(listed[0], image_bytes=500_000)
    listed[1] = replace(listed[1], image_bytes=40_000)
    catalogue = catalogue_of(tmp_path, listed)
    budget = 40_000 + 2 * ASSUMED_IMAGE_BYTES
    chosen = ids(choose(known(visit(1), visit(2)), catalogue, 6, budget, NOW_S))
    assert chosen[0] == "p2"
    assert len(chosen) == 3


@settings(max_examples=60, deadline=None)
@given(
    viewed=st.lists(st.integers(0, 25), max_size=20),
    bought=st.lists(st.integers(0, 25), max_size=5),
    taste=st.lists(st.floats(-9, 9, width=16), max_size=32),
    count=st.integers(0, 8),
    budget=st.integers(0, 200_000),
)
def test_any_person_gets_a_decent_ad(
    catalogue: Catalogue, viewed: list[int], bought: list[int], taste: list[float], count: int, budget: int
) -> None:
    """Never more than asked for, none twice, none bought, within the budget; and as many as there are."""
    person = known(*(visit(n) for n in viewed), *(visit(n, BOUGHT) for n in bought), affinity=taste)
    chosen = ids(choose(person, catalogue, count, budget, NOW_S))
    assert len(chosen) == min(count, budget // ASSUMED_IMAGE_BYTES)
    assert len(set(chosen)) == len(chosen)
    assert not {f"p{n}" for n in bought} & set(chosen)
    viewed_now = [n for n in viewed if 1 <= n <= 20 and n not in bought]
    if viewed_now and chosen:
        assert chosen[0] == f"p{viewed_now[0]}"


@pytest.mark.parametrize("taste", [[float("nan")], [float("inf"), 1.0], [0.0]])
def test_a_vector_that_says_nothing_changes_nothing(catalogue: Catalogue, taste: list[float]) -> None:
    """Neither numbers that are none nor a vector without length."""
    plain = ids(choose(known(visit(17)), catalogue, 4, PLENTY, NOW_S))
    assert ids(choose(known(visit(17), affinity=taste), catalogue, 4, PLENTY, NOW_S)) == plain
