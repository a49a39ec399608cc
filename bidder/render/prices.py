"""Prices as people of a language write them.

Place: page.py shows them; nothing is counted with what stands here.
Units: micros of the currency.
Limits: the languages and currencies of the tables; others are written with a full stop, and the currency's code.
Source: Unicode CLDR 46, numbers of each language's largest country; ISO 4217 for the decimals.
"""

from typing import Final

NBSP: Final = "\u00a0"
_NARROW: Final = "\u202f"
_DECIMALS: Final = {
    **dict.fromkeys(("JPY", "KRW", "VND", "CLP", "ISK", "UGX", "XAF", "XOF", "PYG", "RWF"), 0),
    **dict.fromkeys(("BHD", "KWD", "OMR", "JOD", "TND"), 3),
}
_SIGNS: Final = {
    "EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥", "CNY": "CN¥", "KRW": "₩", "INR": "₹", "BRL": "R$", "CAD": "CA$",
    "AUD": "A$", "NZD": "NZ$", "MXN": "MX$", "ILS": "₪", "VND": "₫", "PLN": "zł", "CZK": "Kč", "SEK": "kr",
    "NOK": "kr", "DKK": "kr", "TRY": "₺", "UAH": "₴", "PHP": "₱",
}  # fmt: skip
_SIGN_BEHIND: Final = frozenset(
    ("de", "fr", "es", "it", "pt", "pl", "cs", "sk", "sv", "nb", "no", "da", "fi", "ru", "uk", "hu", "ro", "bg", "el",
     "lt", "lv", "et", "sl", "hr")
)  # fmt: skip
_COMMA: Final = _SIGN_BEHIND | {"nl", "tr", "id"}
"""Languages with a decimal comma."""
_GROUPS: Final = {
    **dict.fromkeys(("fr",), _NARROW),
    **dict.fromkeys(
        ("pl", "cs", "sk", "sv", "nb", "no", "fi", "ru", "uk", "hu", "bg", "lt", "lv", "et", "pt"), NBSP
    ),
}


def price_text(micros: int, currency: str, language: str) -> str:
    """An amount such as $1,299.00 or 1.299,00 €; whole amounts keep their decimals, as shops write them."""
    digits = _DECIMALS.get(currency, 2)
    unit = 10 ** (6 - digits)
    whole, part = divmod((micros + unit // 2) // unit, 10**digits)
    comma = language in _COMMA
    group = _GROUPS.get(language, "." if comma else ",")
    number = f"{whole:,}".replace(",", group)
    if digits:
        number += f"{',' if comma else '.'}{part:0{digits}d}"
    sign = _SIGNS.get(currency, currency)
    if language in _SIGN_BEHIND:
        return f"{number}{NBSP}{sign}"
    return f"{sign}{NBSP if sign[-1:].isalpha() else ''}{number}"
