"""Prices as people write them."""

import pytest

from bidder.render.prices import NBSP, price_text


@pytest.mark.parametrize(
    ("micros", "currency", "language", "text"),
    [
        (1_299_000_000, "USD", "en", "$1,299.00"),
        (1_299_000_000, "EUR", "de", f"1.299,00{NBSP}€"),
        (1_299_990_000, "EUR", "fr", f"1\u202f299,99{NBSP}€"),
        (1_299_990_000, "EUR", "nl", "€1.299,99"),
        (1_299_990_000, "PLN", "pl", f"1{NBSP}299,99{NBSP}zł"),
        (12_345_600_000, "JPY", "en", "¥12,346"),
        (1_234_567, "KWD", "en", f"KWD{NBSP}1.235"),
        (14_900_000, "CHF", "de", f"14,90{NBSP}CHF"),
        (14_900_000, "SEK", "en", f"kr{NBSP}14.90"),
        (9_995_000, "USD", "", "$10.00"),
        (0, "USD", "xx", "$0.00"),
    ],
)
def test_prices(micros: int, currency: str, language: str, text: str) -> None:
    """Signs, separators and decimals are those of the currency and the language; halves are rounded up."""
    assert price_text(micros, currency, language) == text
