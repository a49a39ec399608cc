"""The sources that ask most."""

from __future__ import annotations

import random

import pytest

from bidder.fraud.sources import NAME, ODD, Sources


def _ask(sources: Sources, place: str, times: int = 1, suspect: int = 0) -> None:
    row = sources.row(("generic", "pub", place), "site", place)
    row[0] += times
    row[1] += suspect


def test_rows() -> None:
    """A source has one row, with everything that was counted of it."""
    sources = Sources()
    _ask(sources, "a.example", 3)
    _ask(sources, "a.example", 2, suspect=1)
    _ask(sources, "b.example", 9)
    first, second = sources.table()
    assert (first.place, first.requests, first.suspect, first.domain) == ("b.example", 9, 0, "b.example")
    assert (second.place, second.requests, second.suspect) == ("a.example", 5, 1)


def test_bounded_and_the_large_ones_stay() -> None:
    """Of any number of sources the frequent ones are kept, and what is missed is told."""
    rng, sources = random.Random(5), Sources(largest=32)
    for _ in range(20_000):
        large = rng.random() < 0.5
        _ask(sources, f"large-{rng.randrange(10)}" if large else f"small-{rng.randrange(5_000)}")
        assert len(sources) <= 64
    assert {source.place for source in sources.table()[:10]} == {f"large-{number}" for number in range(10)}
    assert 0 < sources.missed < 100


def test_suspects_outlive_the_cut() -> None:
    """A small source with many suspect requests stays when others go."""
    sources = Sources(largest=32)
    _ask(sources, "bad.example", 3, suspect=3)
    for number in range(500):
        _ask(sources, f"clean-{number}.example", 5)
    assert "bad.example" in {source.place for source in sources.table()}


def test_long_names_are_cut() -> None:
    """A name takes no more room than the limit, and is one source however often it comes."""
    sources = Sources()
    for _ in range(3):
        _ask(sources, "x" * 100_000)
    (row,) = sources.table()
    assert (row.place, row.domain, row.requests) == ("x" * NAME, "x" * NAME, 3)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        *(
            (name, name)
            for name in ("", "pub-1234", "a.example", "com.example.app", "443904275", "B00EXAMPLE", "a:b")
        ),
        *(
            (odd, ODD)
            for odd in ("jane@mail.example", "jane%40mail.example", "+49301234567", "Mozilla/5.0 (X11)")
        ),
        *((odd, ODD) for odd in ("203.0.113.7", "2001:db8::1", "two words", "zähl.example", "a\nb")),
    ],
)
def test_only_names_are_told(text: str, shown: str) -> None:
    """What a request puts in the place of a publisher, a site or an app, and is no name of one, stays in memory."""
    sources = Sources()
    sources.row(("generic", text, text), "site", text)[0] += 1
    (source,) = sources.table()
    assert (source.publisher, source.place, source.domain) == (shown, shown, shown)
