"""Affinity: what came in many steps is what comes in one, however long ago and in whatever order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from numpy.typing import NDArray

from bidder.audience.affinity import HALF_LIFE_S, MAX_NORM, WEIGHTS, bounded, decayed, moved
from bidder.audience.visit import EventKind, Visit
from tests.bidder.audience.visits import NOW_S

NONE = np.zeros(0, np.float16)
SIZE = 8
Step = tuple[Visit, NDArray[np.float16]]


def _vector(seed: int, length: float = 1.0) -> NDArray[np.float16]:
    numbers = np.random.default_rng(seed).standard_normal(SIZE)
    return (numbers / np.linalg.norm(numbers) * length).astype(np.float16)


_steps = st.lists(
    st.builds(
        lambda kind, ago_s, seed: (Visit(kind, NOW_S - ago_s), _vector(seed)),
        st.sampled_from(EventKind),
        st.integers(0, 30 * 86_400),
        st.integers(0, 50),
    ),
    max_size=20,
)


@given(steps=_steps, data=st.data())
def test_many_steps_are_one(steps: list[Step], data: st.DataObject) -> None:
    """Visits added one call at a time, in any order, are as near as float16 allows to all added at once."""
    shuffled = data.draw(st.permutations(steps))
    vector, at_s = NONE, NOW_S - 30 * 86_400
    largest = 1.0
    for visit, towards in shuffled:
        step_s = max(at_s, visit.at_s)
        vector = moved(vector, [(visit, towards)], at_s, step_s)
        at_s = step_s
        largest = max(largest, float(np.linalg.norm(vector.astype(np.float64))))
    whole = moved(NONE, steps, NOW_S, NOW_S)
    if largest < MAX_NORM / 2 and np.linalg.norm(whole.astype(np.float64)) < MAX_NORM / 2 and steps:
        stepped = decayed(vector, at_s, NOW_S)
        if not len(stepped):
            stepped = np.zeros(len(whole), np.float32)
        padded = whole.astype(np.float32) if len(whole) else np.zeros(len(stepped), np.float32)
        # Each call rounds to float16 once: 2**-11 of the largest that it was.
        assert np.abs(stepped - padded).max(initial=0) <= (len(steps) + 1) * largest * 2**-10


@given(steps=_steps, times=st.integers(1, 100))
def test_the_norm_is_bounded(steps: list[Step], times: int) -> None:
    """However often somebody comes back, the vector stays finite and no longer than MAX_NORM."""
    vector = NONE
    for _ in range(times):
        vector = moved(vector, steps, NOW_S, NOW_S)
    assert np.isfinite(vector).all()
    assert np.linalg.norm(vector.astype(np.float64)) <= MAX_NORM * (1 + 2**-9)


def test_a_half_life_halves() -> None:
    """What is a half-life old weighs half, whether it came then or is told now."""
    view = Visit(EventKind.PRODUCT_VIEW, NOW_S - HALF_LIFE_S)
    then = moved(NONE, [(view, _vector(1))], view.at_s, view.at_s)
    assert np.allclose(decayed(then, view.at_s, NOW_S), _vector(1).astype(np.float32) / 2, atol=1e-3)
    assert np.allclose(moved(NONE, [(view, _vector(1))], NOW_S, NOW_S), _vector(1) / 2, atol=1e-3)


def test_time_that_runs_backwards_does_not_grow_it() -> None:
    """Clocks of two machines differ: a vector of the future is taken as it is."""
    assert np.array_equal(decayed(_vector(1), NOW_S + 10, NOW_S), _vector(1).astype(np.float32))


def test_a_purchase_undoes_its_cart() -> None:
    """Who put a thing into the cart and bought it is drawn to it no more; who bought it is repelled."""
    cart, bought = Visit(EventKind.CART, NOW_S), Visit(EventKind.PURCHASE, NOW_S)
    assert not moved(NONE, [(cart, _vector(1)), (bought, _vector(1))], NOW_S, NOW_S).any()
    towards = _vector(1).astype(np.float32)
    assert float(moved(NONE, [(bought, _vector(1))], NOW_S, NOW_S).astype(np.float32) @ towards) < 0


@pytest.mark.parametrize("kind", EventKind)
def test_each_kind_has_its_weight(kind: EventKind) -> None:
    """A visit moves by its kind's weight; kinds without one leave everything as it was."""
    found = moved(_vector(2), [(Visit(kind, NOW_S), _vector(1))], NOW_S, NOW_S)
    assert np.allclose(found, _vector(2) + np.float16(WEIGHTS.get(kind, 0)) * _vector(1), atol=1e-2)


def test_what_has_no_vector_moves_nothing() -> None:
    """A product that no model knows, or a vector with holes, is left out."""
    view = Visit(EventKind.PRODUCT_VIEW, NOW_S)
    holes = np.full(SIZE, np.nan, np.float16)
    steps = [(view, None), (view, NONE), (view, holes)]
    assert np.array_equal(moved(_vector(1), steps, NOW_S, NOW_S), _vector(1))
    assert len(moved(NONE, steps, NOW_S, NOW_S)) == 0


def test_another_model_begins_anew() -> None:
    """Vectors of another length lie in another space: nothing is carried over."""
    view = Visit(EventKind.PRODUCT_VIEW, NOW_S)
    towards = np.ones(4, np.float16)
    assert np.array_equal(moved(_vector(1), [(view, towards)], NOW_S, NOW_S), towards)


def test_a_damaged_vector_begins_anew() -> None:
    """Numbers that are none have no direction."""
    assert not bounded(np.array([np.inf, 1], np.float32)).any()
    old = np.array([np.nan, 1], np.float16)
    assert not moved(old, [(replace(Visit(EventKind.CART, NOW_S)), None)], NOW_S, NOW_S).any()
