"""Money: every rounding goes the way its name says, and nothing else rounds."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget.money import (
    MAX_UNITS,
    PPM,
    CpmMicros,
    amount_text,
    cost_of_one,
    cpm_to_units,
    exchanged,
    micros_from_text,
)

_prices = st.integers(0, 10**15)


@given(price=_prices)
def test_an_impression_costs_a_thousandth_rounded_up(price: int) -> None:
    """Never less than its share of a thousand, and less than a micro more."""
    cost = cost_of_one(CpmMicros(price))
    assert 0 <= Fraction(cost) - Fraction(price, 1_000) < 1


@given(prices=st.lists(_prices, max_size=50))
def test_costs_set_aside_cover_what_is_settled(prices: list[int]) -> None:
    """The sum of single costs is never below the exact cost of all of them together."""
    assert sum(cost_of_one(CpmMicros(price)) for price in prices) >= Fraction(sum(prices), 1_000)


@given(reserved=_prices, cleared=_prices)
def test_cost_is_monotonous(reserved: int, cleared: int) -> None:
    """Who clears at or below the bid costs at most what was reserved for the bid."""
    low, high = sorted((reserved, cleared))
    assert cost_of_one(CpmMicros(low)) <= cost_of_one(CpmMicros(high))


@given(price=_prices, rate_ppm=st.integers(0, 10**12))
def test_an_exchanged_price_is_rounded_up(price: int, rate_ppm: int) -> None:
    """Never less than the exact amount, and less than a micro more; a rate of 1 changes nothing."""
    assert 0 <= exchanged(CpmMicros(price), rate_ppm) - Fraction(price * rate_ppm, PPM) < 1
    assert exchanged(CpmMicros(price), PPM) == price


@given(price=st.integers(0, 10**13))
def test_prices_survive_the_wire(price: int) -> None:
    """A float of the wire tells every micro apart, up to ten million units."""
    assert round(cpm_to_units(CpmMicros(price)) * 1_000_000) == price


@given(amount=st.decimals(0, MAX_UNITS, places=6))
def test_an_amount_in_words_is_exact(amount: Decimal) -> None:
    """Six decimals are kept as they are."""
    assert micros_from_text(str(amount)) == int(amount * 1_000_000)


@pytest.mark.parametrize(
    ("text", "micros"),
    [("1.25", 1_250_000), (3, 3_000_000), (0.1, 100_000), ("1e-6", 1), ("0", 0), ("1E3", 10**9)],
)
def test_amounts(text: str | float, micros: int) -> None:
    """As people write them."""
    assert micros_from_text(text) == micros


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not an amount"),
        ("ten", "not an amount"),
        ("1,5", "not an amount"),
        ("nan", "not an amount between"),
        ("inf", "not an amount between"),
        ("-1", "not an amount between"),
        ("-0.000001", "not an amount between"),
        (MAX_UNITS + 1, "not an amount between"),
        ("1e400", "not an amount between"),
        ("0.0000001", "finer than a millionth"),
        ("1.0000005", "finer than a millionth"),
    ],
)
def test_what_is_no_amount(text: str | float, words: str) -> None:
    """Said in words that a person understands."""
    with pytest.raises(ValueError, match=words):
        micros_from_text(text)


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "0.00"),
        (1, "0.000001"),
        (129_000_000, "129.00"),
        (1_234_500_000, "1,234.50"),
        (-2_050_000, "-2.05"),
        (9_007_199_254_740_993, "9,007,199,254.740993"),
    ],
)
def test_people_read_exact_amounts(micros: int, text: str) -> None:
    """To the last micro, also beyond what a float holds."""
    assert amount_text(micros) == text
