"""Training: co-visitation by its definition, the same for the same input, bounded."""

import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.catalogue.product import DIMENSIONS
from bidder.catalogue.sections import ArtifactError
from bidder.catalogue.similar import Similar, read_model, write_model
from bidder.learning import affinity
from bidder.learning.affinity import train


def scores_of(model: Similar) -> dict[tuple[int, int], float]:
    """(of, to) keys to score."""
    return {
        (int(model.keys[of]), int(model.keys[to])): float(score)
        for of in range(len(model.keys))
        for to, score in zip(
            model.neighbours[int(model.start[of]) : int(model.start[of + 1])],
            model.scores[int(model.start[of]) : int(model.start[of + 1])],
            strict=True,
        )
    }


def crowd(seed: int, groups: int = 8, size: int = 30, count: int = 3_000) -> list[list[int]]:
    """Sessions that stay within one of some groups of products."""
    rng = random.Random(seed)
    return [
        [group * 1_000 + rng.randrange(size) for _ in range(rng.randint(2, 7))]
        for group in rng.choices(range(groups), k=count)
    ]


@given(st.lists(st.lists(st.integers(0, 9), max_size=12), max_size=12))
def test_scores_are_as_defined(sessions: list[list[int]]) -> None:
    """Sum of 1/distance to later views, none with itself, per session with the product."""
    weights: dict[tuple[int, int], float] = {}
    for session in sessions:
        for at, of in enumerate(session):
            for distance, to in enumerate(session[at + 1 : at + 1 + affinity.WINDOW], 1):
                if of != to:
                    weights[of, to] = weights.get((of, to), 0) + 1 / distance
    expected = {
        (of, to): weight / sum(of in session for session in sessions) for (of, to), weight in weights.items()
    }
    found = scores_of(train(sessions))
    assert found.keys() == expected.keys()
    assert np.allclose([found[pair] for pair in expected], list(expected.values()))


def test_pairs_are_summed_alike_however_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Summing up after each distance or once at the end gives the same model."""
    once = train(crowd(1))
    monkeypatch.setattr(affinity, "PENDING", 0)
    often = train(crowd(1))
    assert (once.neighbours == often.neighbours).all()
    assert np.allclose(once.scores, often.scores)


def test_no_more_neighbours_than_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    """NEIGHBOURS are kept, the best ones, best first."""
    full = scores_of(train(crowd(2)))
    monkeypatch.setattr(affinity, "NEIGHBOURS", 5)
    model = train(crowd(2))
    assert np.diff(model.start.astype(np.int64)).max() == 5
    kept = scores_of(model)
    for key in model.keys.tolist():
        best = sorted((score for (of, _), score in full.items() if of == key), reverse=True)[:5]
        assert [score for (of, _), score in kept.items() if of == key] == best


def test_the_same_sessions_give_the_same_model(tmp_path: Path) -> None:
    """Trained twice, the version, which is a digest of all contents, is the same."""
    versions = {write_model(tmp_path / str(run), "shop", train(crowd(3)), run) for run in range(2)}
    assert len(versions) == 1


@pytest.mark.parametrize("groups", [4, 12])
def test_products_that_are_seen_together_lie_together(groups: int) -> None:
    """Of length 1; within a group the cosine is far above that between groups, in both ways of decomposition."""
    model = train(crowd(4, groups=groups))
    vectors = model.vectors.astype(np.float64)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-2)
    cosines = vectors @ vectors.T
    group = model.keys // 1_000
    same = group[:, None] == group[None, :]
    assert cosines[same].mean() > cosines[~same].mean() + 0.3


def test_a_new_training_lies_where_the_old_one_lay() -> None:
    """Other sessions of the same shop give vectors near to the old ones only where they are turned towards them."""
    old = train(crowd(5))
    turned, free = train(crowd(6), old), train(crowd(6))
    assert (turned.keys == old.keys).all()

    def nearness(model: Similar) -> float:
        return float((model.vectors.astype(np.float64) * old.vectors).sum(axis=1).mean())

    assert nearness(turned) > 0.6
    assert nearness(turned) > nearness(free) + 0.3


def test_a_shop_without_sessions_has_an_empty_model(tmp_path: Path) -> None:
    """Nothing seen, or nothing seen beside another thing: no neighbours, no vectors, and the file is good."""
    for sessions in ([], [[]], [[1], [2]]):
        write_model(tmp_path, "shop", train(sessions), 0)
        model = read_model(tmp_path, "shop")
        assert model is not None
        assert len(model.neighbours) == 0
        assert not model.vectors.any()
        assert model.vectors.shape == (len(model.keys), DIMENSIONS)


def test_long_sessions_are_cut_and_too_many_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """MAX_VIEWS of a session, MAX_TOTAL_VIEWS of all."""
    monkeypatch.setattr(affinity, "MAX_VIEWS", 3)
    monkeypatch.setattr(affinity, "MAX_TOTAL_VIEWS", 5)
    model = train([[1, 2, 3, 4]])
    assert model.keys.tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match="more than 5 views"):
        train([[1, 2, 3], [4, 5, 6]])


def test_a_model_is_read_by_its_advertiser_alone(tmp_path: Path) -> None:
    """Another's model is refused, an absent one is None, a lost file is an ArtifactError."""
    assert read_model(tmp_path, "shop") is None
    version = write_model(tmp_path, "shop", train([[1, 2]]), 0)
    (tmp_path / "shop").rename(tmp_path / "other")
    with pytest.raises(ArtifactError, match="the model of shop"):
        read_model(tmp_path, "other")
    (tmp_path / "other" / f"{version}.bin").unlink()
    with pytest.raises(ArtifactError, match="No such file"):
        read_model(tmp_path, "other")


def test_popularity_counts_views() -> None:
    """Each view of a product counts, in order of the keys."""
    model = train([[5, 7], [7, 7, 9]])
    assert model.keys.tolist() == [5, 7, 9]
    assert model.popularity.tolist() == [1, 3, 1]
    assert all(one < two for one, two in pairwise(model.keys.tolist()))
