"""The bounded memory of bids."""

from bidder.notices.recent import Recent


def test_a_repeat_within_capacity_is_known_and_memory_is_bounded() -> None:
    """The last `capacity` ids are known; never more than twice as many are kept."""
    recent = Recent(capacity=10)
    ids = [bytes([n]) for n in range(100)]
    for at, identity in enumerate(ids):
        assert recent.first(identity)
        assert not any(recent.first(known) for known in ids[max(0, at - 9) : at + 1])
        assert len(recent) <= 20


def test_an_old_id_is_forgotten() -> None:
    """Beyond twice the capacity an id counts as new: the stated limit."""
    recent = Recent(capacity=2)
    for identity in (b"a", b"b", b"c", b"d", b"e"):
        recent.first(identity)
    assert recent.first(b"a")


def test_what_came_to_nothing_is_forgotten() -> None:
    """After `forget` the same id is the first again, and others stay known."""
    recent = Recent()
    assert recent.first(b"a")
    assert recent.first(b"b")
    recent.forget(b"a")
    assert recent.first(b"a")
    assert not recent.first(b"b")
