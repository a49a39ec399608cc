"""Who is decided when not all can be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bidder.web.admission import FIRST_COST_NS, MIN_PER_TICK, Admission, share


def test_room_follows_the_measured_cost() -> None:
    """The room in a tick is its budget over the cost per request, which follows what is measured."""
    admission = Admission(max_in_flight=100_000, budget_ns=10_000_000)
    assert admission.room(0) == 10_000_000 // FIRST_COST_NS
    for _ in range(100):
        admission.measured(100, 100 * 20_000)
    assert admission.room(0) in (499, 500)
    for _ in range(100):
        admission.measured(100, 100 * 200_000)
    assert admission.room(0) in (49, 50)


def test_room_has_a_minimum_and_a_bound() -> None:
    """However dear a request, a few are taken; however cheap, never more than may be in flight."""
    admission = Admission(max_in_flight=300, budget_ns=10_000_000)
    for _ in range(100):
        admission.measured(10, 10**12)
    assert admission.room(0) == MIN_PER_TICK
    assert admission.room(300 - 1) == 1
    assert admission.room(300) == 0
    for _ in range(100):
        admission.measured(10_000, 0)
    assert admission.room(100) == 200


def test_one_dear_batch_does_not_close_the_port() -> None:
    """A single slow request moves the cost by its weight among hundreds."""
    admission = Admission(max_in_flight=100_000, budget_ns=10_000_000)
    admission.measured(1, 5_000_000)
    assert admission.cost_ns < 2 * FIRST_COST_NS


@given(st.lists(st.sampled_from("abcd"), max_size=60), st.integers(0, 70))
def test_share(keys: list[str], room: int) -> None:
    """All of the room is used; nothing is lost; order is kept; nobody gets more while another gets less."""
    waiting = list(range(len(keys)))
    taken, left = share(waiting, keys, room)
    assert len(taken) == min(room, len(keys))
    assert sorted(taken + left) == waiting
    assert taken == sorted(taken)
    assert left == sorted(left)
    granted = {key: [i for i in taken if keys[i] == key] for key in set(keys)}
    for key, mine in granted.items():
        assert mine == [i for i in waiting if keys[i] == key][: len(mine)]
    for key in {keys[i] for i in left}:
        assert len(granted[key]) >= max(map(len, granted.values())) - 1
