"""Money as integers: micros of an account's currency, and micros per thousand impressions.

Place: everything that names an amount; only this file converts between the two, and each rounding has a name.
Units: 1 unit of a currency = 1,000,000 Micros; a price of 1.25 CPM = 1,250,000 CpmMicros.
Never: a float in, except at the edge where OpenRTB prices are floats by definition.
"""

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import NewType

Micros = NewType("Micros", int)
CpmMicros = NewType("CpmMicros", int)

MICROS_PER_UNIT = 1_000_000
IMPRESSIONS_PER_CPM = 1_000
PPM = 1_000_000
"""Exchange rates are millionths of the target currency per unit of the source currency."""
MAX_UNITS = 1_000_000_000  # a larger amount is a slip of the keyboard


def cost_of_one(price: CpmMicros) -> Micros:
    """What one impression costs at a CPM price; a fraction of a micro is rounded up, so that a sum of
    impressions never exceeds what was set aside for them."""
    return Micros(-(-price // IMPRESSIONS_PER_CPM))


def exchanged(price: CpmMicros, rate_ppm: int) -> CpmMicros:
    """A CPM price in another currency; a fraction of a micro is rounded up, as in `cost_of_one`."""
    return CpmMicros(-(-price * rate_ppm // PPM))


def cpm_to_units(price: CpmMicros) -> float:
    """A CPM price for the wire."""
    return price / MICROS_PER_UNIT


def micros_from_text(text: str | int | float) -> Micros:
    """An amount written by a person ("1.25"), exactly; raises ValueError where it is none, negative, finer
    than a micro or above MAX_UNITS."""
    try:
        amount = Decimal(str(text))
    except InvalidOperation:
        raise ValueError(f"not an amount: {text!r}") from None
    if not amount.is_finite() or amount < 0 or amount > MAX_UNITS:
        raise ValueError(f"not an amount between 0 and {MAX_UNITS}: {text!r}")
    micros = (amount * MICROS_PER_UNIT).quantize(Decimal(1), rounding=ROUND_HALF_EVEN)
    if micros != amount * MICROS_PER_UNIT:
        raise ValueError(f"finer than a millionth: {text!r}")
    return Micros(int(micros))


def amount_text(micros: int) -> str:
    """Micros as people read them, 1,234.50: exact, at least two decimals."""
    whole, part = divmod(abs(micros), MICROS_PER_UNIT)
    decimals = f"{part:06}".rstrip("0").ljust(2, "0")
    return f"{'-' if micros < 0 else ''}{whole:,}.{decimals}"
