"""Exchange rates: exact conversion and rounding, unknown currencies, files that are wrong, the shipped file."""

from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.campaigns.rates import (
    MAX_CURRENCIES,
    MAX_RATE,
    MIN_RATE,
    Rates,
    RatesError,
    load_rates,
    round_half_even,
    shipped_rates_path,
)
from tests.bidder.campaigns.written import write

DAY = date(2026, 10, 30)
RATES = Rates("EUR", DAY, {"USD": Decimal("1.25"), "JPY": Decimal("160"), "GBP": Decimal("0.8")})
FILE = "base: EUR\ndate: 2026-10-30\nrates:\n  USD: 1.25\n  JPY: 160\n"


@pytest.mark.parametrize(
    ("micros", "from_cur", "to_cur", "expected"),
    [
        (1_000_000, "EUR", "USD", 1_250_000),
        (1_250_000, "USD", "EUR", 1_000_000),
        (1_000_000, "USD", "JPY", 128_000_000),
        (1, "GBP", "USD", 2),  # 1.5625
        (1, "USD", "EUR", 1),  # 0.8
        (2, "EUR", "USD", 2),  # 2.5, to the even one
        (6, "EUR", "USD", 8),  # 7.5, to the even one
        (-2, "EUR", "USD", -2),
        (-6, "EUR", "USD", -8),
        (0, "EUR", "USD", 0),
        (10**30 + 2, "EUR", "USD", 125 * 10**28 + 2),  # floats and decimals of 28 digits would lose the end
        (7, "USD", "USD", 7),
        (7, "XXX", "XXX", 7),
        (7, "XXX", "USD", None),
        (7, "USD", "XXX", None),
    ],
)
def test_convert(micros: int, from_cur: str, to_cur: str, expected: int | None) -> None:
    """Amounts convert exactly and round half to even; None where a rate is missing."""
    assert RATES.convert(micros, from_cur, to_cur) == expected


@given(st.integers(-(10**20), 10**20), st.integers(1, 10**12))
def test_rounding_is_half_even(numerator: int, denominator: int) -> None:
    """As Python rounds fractions."""
    assert round_half_even(numerator, denominator) == round(Fraction(numerator, denominator))


@given(st.integers(0, 10**15), st.decimals(MIN_RATE, MAX_RATE, places=9).filter(bool))
def test_conversion_is_that_of_decimals(micros: int, rate: Decimal) -> None:
    """From the base, an amount is the product of decimals, rounded once."""
    rates = Rates("EUR", DAY, {"USD": rate})
    exact = Fraction(micros) * Fraction(rate)
    assert rates.convert(micros, "EUR", "USD") == round(exact)


@given(st.integers(0, 10**15))
def test_there_and_back(micros: int) -> None:
    """Into a finer currency and back is the same amount."""
    there = RATES.convert(micros, "EUR", "JPY")
    assert there is not None
    assert RATES.convert(there, "JPY", "EUR") == micros


def test_factors() -> None:
    """A factor is the nearest float of the exact ratio; unknown currencies have none, asked however often."""
    assert RATES.factor("EUR", "USD") == 1.25
    assert RATES.factor("GBP", "USD") == float(Fraction("1.25") / Fraction("0.8"))
    assert RATES.factor("USD", "USD") == 1.0
    assert RATES.factor("GBP", "USD") == RATES.factor("GBP", "USD")
    assert RATES.factor("XXX", "USD") is None
    assert RATES.factor("USD", "XXX") is None


def test_what_rates_know() -> None:
    """Their currencies, the base among them."""
    assert RATES.currencies() == ("EUR", "GBP", "JPY", "USD")
    assert RATES.knows("EUR")
    assert not RATES.knows("eur")


def test_a_file(tmp_path: Path) -> None:
    """A file's rates are exact decimals; the base may stand among them as 1."""
    rates = load_rates(write(tmp_path, FILE + "  EUR: 1\n  PLN: 4.2450\n  CZK: '24.31'\n"))
    assert (rates.base, rates.as_of) == ("EUR", DAY)
    assert rates.convert(1_000_000, "EUR", "PLN") == 4_245_000
    assert rates.convert(1_000_000, "EUR", "CZK") == 24_310_000


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ("base: EUR\n", "", "1: base: is missing"),
        ("base: EUR", "base: euro", '1: base: expected 3 capital letters, found text "euro"'),
        ("2026-10-30", "2026-02-30", '2: date: expected a date such as 2026-11-01, found text "2026-02-30"'),
        ("2026-10-30", "today", '2: date: expected a date such as 2026-11-01, found text "today"'),
        ("USD: 1.25", "USD: 0", "4: rates.USD: expected a rate from 1E-9 to 1000000000, found 0"),
        ("USD: 1.25", "USD: -1", "4: rates.USD: expected a rate from 1E-9 to 1000000000, found -1"),
        ("USD: 1.25", "USD: 1e10", "4: rates.USD: expected a rate from 1E-9 to 1000000000, found 1E+10"),
        ("USD: 1.25", "USD: NaN", "4: rates.USD: expected a rate from 1E-9 to 1000000000, found NaN"),
        ("USD: 1.25", "EUR: sNaN", "4: rates.EUR: expected a rate from 1E-9 to 1000000000, found sNaN"),
        ("USD: 1.25", "USD: .nan", "4: rates.USD: not a finite number: .nan"),
        ("USD: 1.25", "USD: true", "4: rates.USD: expected a number, found true"),
        ("USD: 1.25", "USD: [1]", "4: rates.USD: expected a number, found a list"),
        ("USD: 1.25", "USD: cheap", '4: rates.USD: expected a number, found text "cheap"'),
        ("USD: 1.25", "usd: 1.25", "4: rates.usd: a currency is 3 capital letters"),
        ("USD: 1.25", "ÄÖÜ: 1.25", "4: rates.ÄÖÜ: a currency is 3 capital letters"),
        ("USD: 1.25", "EUR: 2", "4: rates.EUR: the base is worth 1"),
        ("USD: 1.25", "JPY: 150", "5: rates.JPY: stands twice (first in line 4)"),
        ("date:", "day: 1\ndate:", "2: day: unknown field; known: base, date, rates"),
        (FILE, "", "1: holds nothing"),
        (FILE, "[", "2: not YAML: did not find expected node content"),
        (FILE, "EUR", '1: expected a mapping of fields, found text "EUR"'),
    ],
)
def test_wrong_files(old: str, new: str, wrong: str, tmp_path: Path) -> None:
    """Each mistake is told with file, line and field."""
    assert FILE.count(old) == 1
    with pytest.raises(RatesError) as caught:
        load_rates(write(tmp_path, FILE.replace(old, new), "rates.yaml"))
    assert str(caught.value) == f"rates.yaml:{wrong}"


def test_a_file_that_is_absent(tmp_path: Path) -> None:
    """A file that cannot be read is told so."""
    with pytest.raises(RatesError, match=r"rates.yaml: cannot be read: No such file or directory"):
        load_rates(tmp_path / "rates.yaml")


@pytest.mark.parametrize("rate", [str(MIN_RATE), f"{MAX_RATE:f}"])
def test_rates_at_their_edge(rate: str, tmp_path: Path) -> None:
    """The smallest and the largest rate convert."""
    rates = load_rates(write(tmp_path, FILE.replace("USD: 1.25", f"USD: {rate}")))
    assert rates.factor("EUR", "USD") == float(rate)


def test_currencies_at_their_edge(tmp_path: Path) -> None:
    """MAX_CURRENCIES pass, one more does not."""
    codes = [f"{a}{b}X" for a in "ABCDEFGHIJKLMNOPQRSTU" for b in "ABCDEFGHIJKLMNOPQRST"]
    lines = [f"  {code}: 2\n" for code in codes[: MAX_CURRENCIES - 2]]
    assert len(load_rates(write(tmp_path, FILE + "".join(lines))).currencies()) == MAX_CURRENCIES + 1
    with pytest.raises(RatesError, match=r"book\.yaml:4: rates: more than 400 currencies"):
        load_rates(write(tmp_path, FILE + "".join(lines) + "  ZZZ: 2\n"))


@given(st.binary(max_size=200))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Any file is rates or a RatesError."""
    file = write(tmp_path_factory.getbasetemp(), data, "any-rates.yaml")
    with pytest.raises(RatesError):
        load_rates(file)


def test_the_shipped_rates() -> None:
    """They load, are dated, and hold the currencies of the world's large markets and of the demo."""
    rates = load_rates()
    assert rates.base == "EUR"
    assert rates.as_of > date(2026, 1, 1)
    assert {"USD", "EUR", "GBP", "JPY", "CNY", "INR", "BRL", "PLN", "CHF", "CAD", "AUD", "SEK"} <= set(
        rates.currencies()
    )
    assert shipped_rates_path().read_text().startswith("# ")
