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


def test_memory_is_there_from_the_start() -> None:
    """However many ids come, no table grows: a worker's memory stays what it was."""
    recent = Recent(capacity=1_000)
    cells = len(recent._young), len(recent._old)
    for number in range(20_000):
        assert recent.first(number.to_bytes(8, "little"))
    assert (len(recent._young), len(recent._old)) == cells == (2_048, 2_048)


def test_what_stands_behind_a_forgotten_one_is_found() -> None:
    """Ids that share a place stay known when one before them is forgotten, and what is forgotten can come again."""
    recent = Recent(capacity=4)
    ids = [bytes([n]) for n in range(4)]
    for known in ids:
        recent.first(known)
    for gone in ids:
        recent.forget(gone)
        assert not any(recent.first(each) for each in ids if each > gone)
    assert len(recent) == 0
