"""openrtb/blocks.py: what a publisher blocks or insists on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openrtb.blocks import (
    category_listed,
    domain_listed,
    domains_covered,
    insecure,
    language_listed,
    parents,
)

labels = st.text("abc-", min_size=1, max_size=3)
domains = st.lists(labels, min_size=2, max_size=4).map(".".join)


@pytest.mark.parametrize(
    ("domain", "listed", "expected"),
    [
        ("shop.example", ["shop.example"], True),
        ("SHOP.example", ["shop.EXAMPLE"], True),
        ("de.shop.example", ["shop.example"], True),
        ("www.de.shop.example.", ["a.example", "shop.example"], True),
        ("shop.example", ["de.shop.example"], False),
        ("myshop.example", ["shop.example"], False),
        ("shop.example", ["example"], False),
        ("shop.example", [], False),
        ("", ["shop.example"], False),
    ],
)
def test_domains(domain: str, listed: list[str], expected: bool) -> None:
    """A domain is listed by itself or by a parent, in any case, never by a child or a look-alike."""
    assert domain_listed([domain], listed) is expected


@given(domains, st.lists(domains))
def test_a_domain_is_listed_by_its_parents_alone(domain: str, listed: list[str]) -> None:
    """Being listed means: equal to an entry, or ending in a dot and an entry."""
    by_rule = any(domain == each or domain.endswith(f".{each}") for each in listed)
    assert domain_listed([domain], listed) is by_rule


def test_parents_stop_above_the_registrable_part() -> None:
    """The chain of parents ends with two labels: a top-level domain is nobody's advertiser."""
    assert parents("a.B.c.d") == ["a.b.c.d", "b.c.d", "c.d"]
    assert parents("localhost") == ["localhost"]


def test_all_domains_must_be_covered() -> None:
    """An allow list covers a creative only if it covers each of its domains."""
    assert domains_covered(["a.x.example", "y.example"], ["x.example", "y.example"])
    assert not domains_covered(["x.example", "z.example"], ["x.example"])


@pytest.mark.parametrize(
    ("category", "listed", "taxonomy", "expected"),
    [
        ("IAB7-39", ["IAB7"], 1, True),
        ("IAB7-39", ["IAB7-39"], 1, True),
        ("IAB7", ["IAB7-39"], 1, False),
        ("IAB7-3", ["IAB7-39"], 1, False),
        ("IAB70", ["IAB7"], 1, False),
        ("53", ["53"], 6, True),
        ("53", ["5"], 6, False),
        ("5-3", ["5"], 6, False),
    ],
)
def test_categories(category: str, listed: list[str], taxonomy: int, expected: bool) -> None:
    """In taxonomy 1 a parent blocks its children; elsewhere ids are compared for equality."""
    assert category_listed(category, listed, taxonomy) is expected


@pytest.mark.parametrize(
    ("language", "listed", "expected"),
    [("en", ["EN"], True), ("en-GB", ["en"], True), ("en", ["en-GB"], False), ("eng", ["en"], False)],
)
def test_languages(language: str, listed: list[str], expected: bool) -> None:
    """A general tag covers its regions, not the other way round."""
    assert language_listed(language, listed) is expected


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("<img src='https://x/y.png'>", False),
        ("<img src='http://x/y.png'>", True),
        ('{"url":"http:\\/\\/x"}', True),
        ('<VAST xmlns="http://www.iab.com/VAST">', False),
        ("<svg xmlns:xlink = 'http://www.w3.org/1999/xlink'>", False),
        ('{"vasttag":"<VAST xmlns=\\"http://www.iab.com/VAST\\"/>"}', False),
        ('<!DOCTYPE html PUBLIC "-//W3C" "http://www.w3.org/TR/x.dtd"><p>', False),
        ('<VAST xmlns="http://www.iab.com/VAST"><Impression>http://x</Impression>', True),
    ],
)
def test_addresses_without_encryption(markup: str, expected: bool) -> None:
    """An http: address anywhere in markup is seen; names that only look like addresses are not."""
    assert insecure(markup) is expected
