"""Turns: a burst, then a rate, for each caller alone, and no more memory than was said."""

from bidder.web.turns import Turns


def test_a_burst_then_a_rate() -> None:
    """Two at once, then one a second, however long nobody called; another caller has a bucket of its own."""
    turns = Turns(per_s=1.0, burst=2, most=10)
    assert [turns.take("one", 100.0) for _ in range(3)] == [True, True, False]
    assert turns.take("other", 100.0)
    assert not turns.take("one", 100.5)
    assert turns.take("one", 101.0)
    assert [turns.take("one", 900.0) for _ in range(3)] == [True, True, False]


def test_who_called_longest_ago_is_forgotten() -> None:
    """Of three callers two are remembered; the first begins anew, the last does not."""
    turns = Turns(per_s=1.0, burst=1, most=2)
    assert all(turns.take(caller, 0.0) for caller in ("one", "two", "three"))
    assert not turns.take("three", 0.0)
    assert turns.take("one", 0.0)
    assert len(turns._left) == 2
