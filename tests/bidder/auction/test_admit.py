"""Money and pace on the path of a bid: what is reserved, what is given back, who waits."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pytest

from bidder.campaigns.model import (
    Advertiser,
    Book,
    Campaign,
    Creative,
    Goal,
    LineItem,
)
from bidder.exchanges import Exchange
from bidder.keys import key64
from bidder.notices.token import LATE_S, Audience, Claim, open_token
from bidder.outcome import Outcome
from budget.money import CpmMicros, cost_of_one, exchanged
from tests.bidder.auction.support import NOW_S, RATES, RING, Asked, Bench, config_of

Json = dict[str, Any]
EXCHANGE = Exchange(name="generic", exp_s=300, notice_delay_s=600)


def _creative(name: str) -> Creative:
    return Creative(
        id=name,
        kind="image",
        landing_url="https://shop.example/",
        w=300,
        h=250,
        image_url=f"https://cdn.shop.example/{name}.png",
    )


def _line(name: str, cpm: str, creative: str) -> LineItem:
    return LineItem(
        id=name, goal=Goal(kind="cpm", value=Decimal(cpm)), max_bid_cpm=Decimal(cpm), creatives=(creative,)
    )


def _book(currency: str = "USD", **lines: str) -> Book:
    """A shop whose line items pay these CPMs, each with a creative of its own."""
    campaign = Campaign(
        id="c", name="C", line_items=tuple(_line(name, cpm, f"ad-{name}") for name, cpm in lines.items())
    )
    shop = Advertiser(
        id="shop",
        name="Shop",
        domain="shop.example",
        currency=currency,
        creatives=tuple(_creative(f"ad-{name}") for name in lines),
        campaigns=(campaign,),
    )
    return Book(advertisers=(shop,))


def _request(*, imps: int = 1, floor: float = 0.0, **more: Any) -> Json:
    imp = {"banner": {"w": 300, "h": 250}, "bidfloor": floor}
    return {
        "id": "r",
        "at": 2,
        "tmax": 100,
        "imp": [{"id": str(n)} | imp for n in range(imps)],
        "site": {"domain": "news.example"},
    } | more


def _claim(call: Asked, place: int = 0) -> Claim:
    token = (call.bids[place].nurl or "").rpartition("t=")[2]
    claim = open_token(token, RING, Audience.EXCHANGE, NOW_S)
    assert isinstance(claim, Claim)
    return claim


def _prices(call: Asked) -> list[float]:
    return [bid.price for bid in call.bids]


# -- money


@pytest.mark.parametrize("currency", ["USD", "EUR", "JPY"])
def test_a_bid_reserves_the_most_that_it_can_cost(currency: str) -> None:
    """Its own price, in the advertiser's currency, rounded up to a whole micro; the token says where it is kept."""
    bench = Bench(_book(currency, a="7.777777"))
    (call,) = bench.ask(_request(), profile=EXCHANGE)
    claim = _claim(call)
    rate = RATES.factor("USD", currency)
    assert rate is not None
    assert claim.rate_ppm == round(rate * 1e6)
    price = CpmMicros(claim.bid_cpm_micros)
    assert bench.money.reserved == {int(NOW_S) + 900: cost_of_one(exchanged(price, claim.rate_ppm))}
    assert claim.lease == 1


def test_a_token_names_who_pays() -> None:
    """The advertiser beside its line item, so that a bill finds its wallet though the line item is gone."""
    (call,) = Bench(_book(a="5")).ask(_request())
    assert (_claim(call).advertiser, _claim(call).line_item) == (key64("shop"), key64("shop/a"))


def test_a_reservation_lasts_until_the_last_notice() -> None:
    """The exchange's word of how long a bid may wait counts up to our maximum; late notices have an hour more."""
    bench = Bench(_book(a="5"), config=config_of())
    imp = {"id": "1", "banner": {"w": 300, "h": 250}}
    asked = {None: 300, 60: 60, 86_400: 3_600, -5: 300}
    for exp, granted in asked.items():
        (call,) = bench.ask(_request() | {"imp": [imp | ({"exp": exp} if exp is not None else {})]})
        assert call.bids[0].exp == granted
        assert _claim(call).deadline_s == int(NOW_S) + granted + 600
        assert _claim(call).expires_s == _claim(call).deadline_s + LATE_S


def test_without_money_the_next_one_bids() -> None:
    """A line item whose lease is empty is passed over, and counted."""
    bench = Bench(_book(rich="9", poor="5"))
    bench.money.refuse = {key64("shop/rich")}
    (call,) = bench.ask(_request())
    assert _prices(call) == [5.0]
    assert bench.drops() == {"budget": 1}
    assert bench.balance() == 0


def test_without_any_money_there_is_no_bid() -> None:
    """Every candidate ends as `budget`, the request as filtered."""
    bench = Bench(_book(rich="9", poor="5"))
    bench.money.refuse = {key64("shop/rich"), key64("shop/poor")}
    (call,) = bench.ask(_request())
    assert call.outcome is Outcome.FILTERED
    assert bench.drops() == {"budget": 2}
    assert bench.money.total == 0


def test_only_winners_reserve() -> None:
    """Of three candidates for two impressions two bid, and two reserve."""
    bench = Bench(_book(a="9", b="7", c="5"))
    (call,) = bench.ask(_request(imps=2))
    assert sorted(_prices(call)) == [7.0, 9.0]
    assert bench.money.total == 9_000 + 7_000


def test_a_repeated_creative_reserves_once() -> None:
    """The only creative answers both impressions, each with its own reservation and id."""
    bench = Bench(_book(a="9"))
    (call,) = bench.ask(_request(imps=2))
    assert _prices(call) == [9.0, 9.0]
    assert bench.money.total == 2 * 9_000
    assert len({bid.id for bid in call.bids}) == 2


def test_a_repeated_creative_without_money_is_no_bid() -> None:
    """Where money is there for one impression only, the other goes without."""
    bench = Bench(_book(a="9"))
    reserve = bench.money.reserve

    def once(line_key: int, cost: Any, now_s: int, deadline_s: int) -> int:
        return reserve(line_key, cost, now_s, deadline_s) if not bench.money.total else 0

    bench.money.reserve = once  # type: ignore[method-assign]
    (call,) = bench.ask(_request(imps=2))
    assert _prices(call) == [9.0]
    assert bench.drops() == {"budget": 1}
    assert bench.balance() == 0


def test_test_requests_cost_nothing() -> None:
    """A bid on a test request has a token that says so, and no reservation."""
    bench = Bench(_book(a="9"))
    (call,) = bench.ask(_request(test=1))
    assert _claim(call).test
    assert _claim(call).lease == 0
    assert bench.money.total == 0


def test_who_hung_up_costs_nothing() -> None:
    """A bid that could not be delivered gives its money back."""
    bench = Bench(_book(a="9"))
    call = Asked(json.dumps(_request()).encode(), EXCHANGE, bench.clock.monotonic_ns())
    call.connected = False
    bench.auction.decide([call])
    assert call.outcome is Outcome.BID
    assert bench.money.reserved == {int(NOW_S) + 900: 0}
    assert bench.drops() == {"unsent": 1}


def test_an_answer_that_fails_its_check_costs_nothing() -> None:
    """What the response check holds back (a floor in a currency that it cannot convert) gives its money back."""
    bench = Bench(_book(a="9"))
    bench.auction.world = msgspec.structs.replace(bench.world, convert=lambda *_: None)
    (call,) = bench.ask(_request(floor=1.0) | {"imp": [_foreign_floor()]})
    assert call.outcome is Outcome.SELF_CHECK
    assert bench.money.reserved == {int(NOW_S) + 900: 0}


def _foreign_floor() -> Json:
    return {"id": "1", "banner": {"w": 300, "h": 250}, "bidfloor": 1.0, "bidfloorcur": "EUR"}


def test_a_broken_answer_costs_nothing() -> None:
    """Our own mistake while writing an answer gives the money back."""
    bench = Bench(_book(a="9"))
    bench.auction.world = msgspec.structs.replace(bench.world, urls={})
    (call,) = bench.ask(_request())
    assert call.outcome is Outcome.FAULT
    assert bench.money.total == 0
    assert bench.balance() == 0


# -- pace


def test_who_waits_for_the_next_period_is_counted_as_paced() -> None:
    """No money because of the pace is `pacing`, not `budget`."""
    bench = Bench(_book(rich="9", poor="5"))
    bench.money.refuse = bench.money.waiting = {key64("shop/rich")}
    (call,) = bench.ask(_request())
    assert _prices(call) == [5.0]
    assert bench.drops() == {"pacing": 1}


def test_a_slow_pace_bids_less() -> None:
    """The multiplier acts on the value; one line item's pace leaves the others alone."""
    bench = Bench(_book(a="8", b="6"))
    _pace(bench, a=0.5)
    (call,) = bench.ask(_request())
    assert _prices(call) == [6.0]
    _pace(bench, a=0.9)
    (call,) = bench.ask(_request())
    assert _prices(call) == [7.2]


def test_a_first_price_bid_is_shaded_after_its_pace() -> None:
    """Half the value, then the share that is bid in first-price auctions."""
    bench = Bench(_book(a="8"))
    _pace(bench, a=0.5)
    (call,) = bench.ask(_request(at=1))
    assert _prices(call) == [8 * 0.5 * 0.75]


def test_a_pace_below_the_floor_is_counted_apart() -> None:
    """`pacing` where the value would have cleared the floor, `floor` where it would not."""
    bench = Bench(_book(a="8", b="2"))
    _pace(bench, a=0.5)
    (call,) = bench.ask(_request(floor=5.0))
    assert call.outcome is Outcome.BELOW_FLOOR
    assert bench.drops() == {"pacing": 1, "floor": 1}


def test_a_thinned_line_item_takes_part_in_its_share() -> None:
    """Of 2,000 auctions a share of 0.3 takes part in 600, within five standard deviations: lots are drawn once."""
    bench = Bench(_book(a="8", b="2"))
    bench.world.pricer.pace.set(np.ones(2), {key64("shop/a"): 0.3})
    calls = bench.ask(*[_request() for _ in range(2_000)])
    bids = sum(_prices(call) == [8.0] for call in calls)
    assert abs(bids - 600) < 5 * (2_000 * 0.3 * 0.7) ** 0.5
    assert bench.drops() == {"pacing": 2_000 - bids, "outranked": bids}
    assert bench.balance() == 0


def test_a_pace_of_another_index_is_refused() -> None:
    """Multipliers are by number: those of another snapshot would slow the wrong line items."""
    bench = Bench(_book(a="8", b="2"))
    with pytest.raises(ValueError, match="a pace of 3 line items for an index of 2"):
        bench.world.pricer.pace.set(np.ones(3), {})


def _pace(bench: Bench, **multipliers: float) -> None:
    lines = bench.world.index.lines
    bench.world.pricer.pace.set(np.array([multipliers.get(line.id, 1.0) for line in lines]), {})
