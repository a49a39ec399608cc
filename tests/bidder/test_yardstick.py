"""The yardstick does the same work everywhere, and tells what it costs."""

from bidder.yardstick import BODIES, Yardstick


def test_equal_work_for_equal_turns() -> None:
    """Two yardsticks make the same bytes of a turn, and turns come round."""
    ours, theirs = Yardstick(), Yardstick()
    assert [ours.turn(n) for n in range(BODIES)] == [theirs.turn(n) for n in range(BODIES)]
    assert ours.turn(BODIES + 3) == ours.turn(3)
    assert len({ours.turn(n) for n in range(BODIES)}) == BODIES


def test_it_tells_a_cost() -> None:
    """A reading, and a measurement of no time at all, are above nothing."""
    yardstick = Yardstick()
    assert yardstick.read(10) > 0
    assert yardstick.measure(0.0) > 0
