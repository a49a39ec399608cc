"""Places: so many in all, so many for each owner, and each comes back."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from bidder.shop.slots import Share, Slots


def test_places_end_and_come_back() -> None:
    """The one after the last is not held; what was held is free afterwards, and nothing is remembered of owners."""
    slots = Slots(2)
    for _ in range(3):
        with ExitStack() as held:
            assert [held.enter_context(slots.place(Share("a", 5))) for _ in range(3)] == [True, True, False]
    assert (slots._taken, slots._by_owner) == (0, {})


def test_an_owner_leaves_places_to_others() -> None:
    """Of several shares the smallest decides; a call that got no place takes from no share."""
    slots = Slots(10)
    with ExitStack() as held:
        assert held.enter_context(slots.place(Share("shop", 2), Share("person", 1)))
        assert not held.enter_context(slots.place(Share("shop", 2), Share("person", 1)))
        assert held.enter_context(slots.place(Share("shop", 2), Share("other", 1)))
        assert not held.enter_context(slots.place(Share("shop", 2)))
        assert held.enter_context(slots.place(Share("else", 2)))


def test_a_failure_gives_its_place_back() -> None:
    """Whatever ends a call."""
    slots = Slots(1)
    with pytest.raises(OSError, match="x"), slots.place(Share("a", 1)):
        raise OSError("x")
    with slots.place(Share("a", 1)) as free:
        assert free
