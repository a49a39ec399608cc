"""Next items: the sum over the session, by hand and by definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.catalogue.scoring import SESSION, centroid, next_items
from bidder.catalogue.snapshot import Catalogue, open_catalogue, write_snapshot
from bidder.keys import product_key
from tests.bidder.catalogue.shelf import SHOP, model, product

NEAR = {
    1: [(2, 0.5), (3, 0.25)],
    2: [(3, 0.5), (4, 0.125)],
    3: [(1, 0.75)],
    5: [(number, 0.01 * number) for number in range(6, 30)],
}


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    folder = tmp_path_factory.mktemp("catalogue")
    products = [product(number, category="Tents" if number == 4 else "Boots") for number in range(1, 40)]
    version = write_snapshot(folder, SHOP, products, model(NEAR))
    return open_catalogue(folder / SHOP, SHOP, version)


def row(catalogue: Catalogue, number: int) -> int:
    return catalogue.find(product_key(SHOP, f"p{number}"))


def test_the_score_is_the_decayed_sum_over_the_session(catalogue: Catalogue) -> None:
    """2 was the last, 1 the one before: 3 scores 0.5 + 0.8 x 0.25."""
    rows, scores = next_items([row(catalogue, 2), row(catalogue, 1)], catalogue, 0.8)
    assert [catalogue.product(int(found)).id for found in rows] == ["p3", "p2", "p4"]
    assert np.allclose(scores, [0.7, 0.4, 0.125])


@given(st.lists(st.integers(-1, 38), max_size=20), st.floats(0.1, 1))
def test_any_session_scores_as_defined(catalogue: Catalogue, recent: list[int], decay: float) -> None:
    """The vectorised sum equals the definition, item by item."""
    expected: dict[int, float] = {}
    for step, place in enumerate(recent[:SESSION]):
        if place >= 0:
            for other, score in zip(*catalogue.similar(place), strict=True):
                expected[int(other)] = expected.get(int(other), 0) + decay**step * float(score)
    rows, scores = next_items(recent, catalogue, decay)
    assert np.allclose(scores, [expected[int(found)] for found in rows], rtol=1e-5)
    assert len(rows) == len(expected)
    assert (np.diff(scores) <= 1e-6).all()


def test_no_more_than_asked_for(catalogue: Catalogue) -> None:
    """`count` bounds the list, with one recent item and with several."""
    assert len(next_items([row(catalogue, 5)], catalogue, count=3)[0]) == 3
    assert len(next_items([row(catalogue, 5), row(catalogue, 1)], catalogue, count=3)[0]) == 3


def test_nothing_known_is_nothing_next(catalogue: Catalogue) -> None:
    """No session, products that left, and products that nobody goes on from give empty lists."""
    for recent in ([], [-1, -1], [row(catalogue, 30)]):
        rows, scores = next_items(recent, catalogue)
        assert (len(rows), len(scores)) == (0, 0)


def test_centroids_lie_where_the_products_do(catalogue: Catalogue) -> None:
    """One product's centroid is its vector; a category's is of length 1; unknown names have none."""
    one = centroid(catalogue, ["p4"], by="product")
    assert one is not None
    assert np.flatnonzero(one).tolist() == [4]
    tents = centroid(catalogue, ["tents"])
    assert tents is not None
    assert (tents == one).all()
    boots = centroid(catalogue, ["Boots"])
    whole = centroid(catalogue)
    assert boots is not None
    assert whole is not None
    assert np.isclose(np.linalg.norm(boots), 1)
    assert whole.dtype == np.float32
    assert centroid(catalogue, ["Lamps"]) is None
    assert centroid(catalogue, ["p99"], by="product") is None
