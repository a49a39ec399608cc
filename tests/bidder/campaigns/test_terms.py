"""The table of dimensions and the words of the model are one."""

from __future__ import annotations

from bidder.campaigns import rules, terms
from bidder.campaigns.model import Targeting, Terms
from tests.bidder.campaigns.targets import DIMENSIONS


def test_every_dimension_of_the_model_is_in_the_property_tests() -> None:
    """A field of Targeting that nobody tests does not exist."""
    assert set(Targeting.__struct_fields__) == set(DIMENSIONS)


def test_every_dimension_of_the_model_is_compiled() -> None:
    """Each field of Terms is read by exactly one row of the table (positions stand in the slots)."""
    of_terms = [
        name
        for name in Targeting.__struct_fields__
        if name != "positions" and "Terms" in str(Targeting.__annotations__[name])
    ]
    tables = [read for _, read in (*terms.SINGLES, *terms.MANYS)]
    for name in of_terms:
        value = _sample(name)
        wish = Targeting(**{name: Terms(include=(value,))})
        assert sum(read(wish) is not None for read in tables) == 1, name


def _sample(name: str) -> str:
    return rules.KNOWN_VALUES[name][0] if name in rules.KNOWN_VALUES else "DEU-x"


def test_checked_words_and_compiled_words_are_the_same() -> None:
    """What campaign files may say is what the index understands."""
    assert set(rules.DEVICE_TYPES) == set(terms.DEVICE_TYPES)
    assert set(rules.CONNECTIONS) == set(terms.CONNECTIONS)
    assert set(rules.POSITIONS) == set(terms.POSITIONS)


def test_numbers_of_openrtb() -> None:
    """Every published number but "unknown" has a word."""
    assert {n for numbers in terms.DEVICE_TYPES.values() for n in numbers} == set(range(1, 9))
    assert {n for numbers in terms.CONNECTIONS.values() for n in numbers} == set(range(1, 8))
    assert {n for numbers in terms.POSITIONS.values() for n in numbers} == set(range(8))


def test_a_domain_is_compared_as_requests_tell_it() -> None:
    """Lower case, without www."""
    wish = Targeting(domains=Terms(include=("WWW.News.Example",), exclude=("www.bad.example",)))
    (read,) = [read for values, read in terms.MANYS if values is terms.request_domains]
    assert read(wish) == (["news.example"], ["bad.example"])
