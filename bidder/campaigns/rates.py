"""Exchange rates: a dated file of decimals, and amounts of one currency in another.

Place: index.py and the auction convert by it; the service reads it again when it changes.
Shapes: a rate says how many units of a currency one unit of the base is worth.
Units: amounts are micros, whole; `convert` rounds half to even, exactly, without floats.
Limits: MAX_CURRENCIES; rates above 0.
Raises: RatesError, every mistake with its line.
"""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction
from importlib import resources
from pathlib import Path

from msgspec import Struct

from bidder.campaigns.document import read
from bidder.campaigns.located import LocatedError, Problems
from bidder.campaigns.model import CurrencyCode
from bidder.campaigns.structs import At, Filler, Rules

MAX_CURRENCIES = 400  # ISO 4217 lists some 180
MIN_RATE, MAX_RATE = Decimal("1e-9"), Decimal("1e9")


class RatesError(LocatedError):
    """The rates cannot be used."""


class RatesFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file as written."""

    base: CurrencyCode
    date: date
    rates: dict[str, Decimal]


class Rates:
    """The rates of one day. Never changes; safe to share."""

    __slots__ = ("_factors", "_ratios", "_units", "as_of", "base")

    def __init__(self, base: str, as_of: date, rates: Mapping[str, Decimal]) -> None:
        self.base = base
        self.as_of = as_of
        """The day whose rates these are: metrics show its age."""
        self._units = {code: Fraction(rate) for code, rate in rates.items()} | {base: Fraction(1)}
        self._factors: dict[tuple[str, str], float] = {}
        self._ratios: dict[tuple[str, str], Fraction] = {}

    def convert(self, micros: int, from_cur: str, to_cur: str) -> int | None:
        """Micros of one currency in micros of another, rounded half to even; None where a rate is missing."""
        if from_cur == to_cur:
            return micros
        ratio = self._ratio(from_cur, to_cur)
        return None if ratio is None else round_half_even(micros * ratio.numerator, ratio.denominator)

    def factor(self, from_cur: str, to_cur: str) -> float | None:
        """What one unit of a currency is worth in another, for prices in arrays; None where unknown."""
        found = self._factors.get((from_cur, to_cur))
        if found is not None:
            return found
        ratio = self._ratio(from_cur, to_cur)
        if ratio is None:
            return None  # not kept: a stream of made-up codes costs no memory
        factor = self._factors[from_cur, to_cur] = float(ratio)
        return factor

    def knows(self, currency: str) -> bool:
        """Whether amounts of a currency can be converted."""
        return currency in self._units

    def currencies(self) -> tuple[str, ...]:
        """All currencies, the base among them, in alphabetical order."""
        return tuple(sorted(self._units))

    def _ratio(self, from_cur: str, to_cur: str) -> Fraction | None:
        found = self._ratios.get((from_cur, to_cur))
        if found is None and from_cur in self._units and to_cur in self._units:
            found = self._ratios[from_cur, to_cur] = self._units[to_cur] / self._units[from_cur]
        return found


def round_half_even(numerator: int, denominator: int) -> int:
    """The whole number nearest to a fraction; of two equally near, the even one. `denominator` > 0."""
    whole, rest = divmod(numerator, denominator)
    double = 2 * rest
    return whole + (double > denominator or (double == denominator and whole % 2))


def load_rates(path: Path | None = None) -> Rates:
    """The rates of a file, or the shipped ones; raises RatesError."""
    problems = Problems()
    path = path or shipped_rates_path()
    root = read(path, problems)
    made = Filler(path.name, problems, _RULES, {}).struct(RatesFile, root, ()) if root else None
    if made is None or problems.count:
        raise RatesError(problems.listed())
    return Rates(made.base, made.date, made.rates)


def shipped_rates_path() -> Path:
    """Where the shipped rates lie."""
    return Path(str(resources.files("bidder.campaigns") / "rates.yaml"))


def _check_rates(rates: Mapping[str, Decimal], at: At) -> None:
    if len(rates) > MAX_CURRENCIES:
        at.wrong(f"more than {MAX_CURRENCIES} currencies")
    for code, rate in rates.items():
        if len(code) != 3 or not code.isascii() or not code.isalpha() or not code.isupper():
            at.wrong("a currency is 3 capital letters", code)
        if not rate.is_finite() or not MIN_RATE <= rate <= MAX_RATE:
            at.wrong(f"expected a rate from {MIN_RATE} to {MAX_RATE:f}, found {rate}", code)


def _check_base(file: RatesFile, at: At) -> None:
    if file.rates.get(file.base, 1) != 1:
        at.wrong("the base is worth 1", "rates", file.base)


_RULES: Rules = {(RatesFile, "rates"): _check_rates, RatesFile: _check_base}
