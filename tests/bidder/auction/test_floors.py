"""Floors in the bid currency: what meets ours meets the exchange's."""

from __future__ import annotations

import math

from hypothesis import example, given
from hypothesis import strategies as st

from bidder.auction.floors import NO_RATE, floor_cpm_micros
from budget.money import CpmMicros, cpm_to_units
from openrtb.request import Deal, DurFloors, Imp, Video
from tests.bidder.auction.support import RATES


def _floor(imp: Imp, currency: str = "USD", deal: Deal | None = None) -> int:
    return floor_cpm_micros(imp, 1, None, deal, (currency, RATES.factor))


@given(
    amount=st.one_of(st.floats(1e-6, 1e6), st.integers(1, 10**7).map(lambda n: math.nextafter(n / 100, 1e9)))
)
@example(amount=36.160000000000004)
def test_a_bid_at_the_floor_reaches_it(amount: float) -> None:
    """On the wire, as the exchange compares floats, our floor is at least theirs, and less than two micros above."""
    floor = _floor(Imp(id="1", bidfloor=amount))
    assert cpm_to_units(CpmMicros(floor)) >= amount
    assert floor <= amount * 1e6 + 2


@given(amount=st.decimals("0.01", "1000", places=2))
def test_a_floor_of_cents_is_met_exactly(amount: object) -> None:
    """A floor written in cents costs at most one micro more."""
    text = float(str(amount))
    assert round(text * 1e6) <= _floor(Imp(id="1", bidfloor=text)) <= round(text * 1e6) + 1


@given(amount=st.floats(0.001, 1e5), currency=st.sampled_from(("EUR", "JPY", "GBP")))
def test_a_floor_in_another_currency(amount: float, currency: str) -> None:
    """Converted, and rounded up to the micro."""
    factor = RATES.factor(currency, "USD")
    assert factor is not None
    floor = _floor(Imp(id="1", bidfloor=amount, bidfloorcur=currency))
    assert 0 <= floor - amount * factor * 1e6 < 1.01


def test_a_currency_without_a_rate_is_never_reached() -> None:
    """Nothing can be shown to reach it; a floor of 0 is none in any currency."""
    assert _floor(Imp(id="1", bidfloor=0.01, bidfloorcur="XTS")) == NO_RATE
    assert _floor(Imp(id="1", bidfloor=0.0, bidfloorcur="XTS")) == 0
    assert _floor(Imp(id="1", bidfloor=-1.0)) == 0


def test_the_deal_goes_first_and_brings_its_own_currency() -> None:
    """A deal's floor replaces the imp's, in dollars unless it says otherwise."""
    imp = Imp(id="1", bidfloor=9.0, bidfloorcur="EUR")
    assert _floor(imp, deal=Deal(id="d", bidfloor=1.5)) == 1_500_000
    assert _floor(imp, "EUR", Deal(id="d", bidfloor=1.5, bidfloorcur="EUR")) == 1_500_000
    assert _floor(imp, "EUR", Deal(id="d")) == 9_000_000


def test_a_range_of_lengths_holds_its_creatives_alone() -> None:
    """A film within the range has its floor, one outside the imp's."""
    video = Video(mimes=["video/mp4"], durfloors=[DurFloors(mindur=1, maxdur=15, bidfloor=3.0)])
    imp = Imp(id="1", video=video, bidfloor=1.0)
    rate = ("USD", RATES.factor)
    assert floor_cpm_micros(imp, 2, 15, None, rate) == 3_000_000
    assert floor_cpm_micros(imp, 2, 16, None, rate) == 1_000_000
