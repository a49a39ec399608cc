"""The floor that a bid must reach, in the bid currency.

Place: intake asks for creatives without a duration, choose for video and audio; the rules are openrtb.floors.
Units: CPM micros of the bid currency.
"""

from collections.abc import Callable

from openrtb.floors import USD, applicable_floor
from openrtb.request import Deal, Imp

__all__ = ["NO_RATE", "USD", "Factor", "floor_cpm_micros"]

Factor = Callable[[str, str], float | None]
MICROS = 1_000_000
NO_RATE = 1 << 62
"""The floor in a currency that we have no rate for: nothing reaches it."""


def floor_cpm_micros(
    imp: Imp, mtype: int, duration_s: int | None, deal: Deal | None, rate: tuple[str, Factor]
) -> int:
    """The floor of a creative; `rate` is the bid currency and where to find factors into it.

    Rounded up, so that what meets ours meets theirs.
    """
    amount, currency = applicable_floor(imp, mtype, duration_s, deal)
    if amount <= 0:
        return 0
    bid_currency, factor = rate
    if currency == bid_currency:
        micros = -int(-amount * MICROS // 1)
        return micros + (micros / MICROS < amount)  # 36.160000000000004 is above 36.16, as floats go
    by = factor(currency, bid_currency)
    return NO_RATE if by is None else -int(-amount * by * MICROS // 1)
