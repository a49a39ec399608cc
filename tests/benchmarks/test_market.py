"""The simulated auction: who wins, what they pay, what the others are told."""

import random
from collections import Counter
from itertools import chain

import pytest

from benchmarks.exchange import market
from benchmarks.exchange.market import Offer, Slot, Terms, Verdict, settle, slot_of

OPEN = Slot("banner", 0.5, market.FIRST_PRICE, {}, False)
SECOND = Slot("banner", 0.5, market.SECOND_PRICE, {}, False)
DEALS = {"first": Terms(1.0, 1), "second": Terms(1.0, 2), "fixed": Terms(1.5, 3)}
PMP = Slot("banner", 0.5, market.FIRST_PRICE, DEALS, False)
PRIVATE = Slot("banner", 0.5, market.FIRST_PRICE, DEALS, True)


@pytest.mark.parametrize(
    ("slot", "ours", "rivals", "expected"),
    [
        # first price: the winner pays its bid, and learns what would have been enough
        (OPEN, [Offer(1.0)], [0.9, 0.7], [Verdict(0, 1.0, 0.9)]),
        (OPEN, [Offer(1.0)], [], [Verdict(0, 1.0, 0.5)]),
        (OPEN, [Offer(1.0)], [0.4], [Verdict(0, 1.0, 0.5)]),
        # a loser learns what it had to exceed
        (OPEN, [Offer(0.9)], [1.0], [Verdict(102, 1.0, 1.0)]),
        (OPEN, [Offer(1.0)], [1.0], [Verdict(102, 1.0, 1.0)]),
        (OPEN, [Offer(0.4)], [], [Verdict(100, 0.0, 0.5)]),
        (OPEN, [Offer(0.4)], [2.0], [Verdict(100, 2.0, 2.0)]),
        # second price: the runner-up or the floor, and a cent; never above the bid
        (SECOND, [Offer(2.0)], [1.0, 0.9], [Verdict(0, 1.01, 1.0)]),
        (SECOND, [Offer(2.0)], [], [Verdict(0, 0.51, 0.5)]),
        (SECOND, [Offer(1.005)], [1.0], [Verdict(0, 1.005, 1.0)]),
        (SECOND, [Offer(2.0), Offer(1.5)], [1.0], [Verdict(0, 1.51, 1.5), Verdict(102, 1.51, 2.0)]),
        # deals: their own floor and rule; a fixed price wins over the open auction
        (PMP, [Offer(1.2, "first")], [1.1], [Verdict(0, 1.2, 1.1)]),
        (PMP, [Offer(1.2, "second")], [0.6], [Verdict(0, 1.01, 1.0)]),
        (PMP, [Offer(0.9, "first")], [], [Verdict(101, 0.0, 0.5)]),
        (PMP, [Offer(1.6, "fixed")], [9.0], [Verdict(0, 1.5, 1.5)]),
        (PMP, [Offer(1.2, "unknown")], [], [Verdict(4, 0.0, 0.5)]),
        (PMP, [Offer(1.2, "first"), Offer(1.1)], [], [Verdict(0, 1.2, 1.1), Verdict(103, 1.2, 1.2)]),
        # a private auction: no open bids, no rivals
        (PRIVATE, [Offer(5.0)], [1.0], [Verdict(103, 0.0, 0.5)]),
        (PRIVATE, [Offer(1.2, "first")], [9.0], [Verdict(0, 1.2, 1.0)]),
        (OPEN, [], [1.0], []),
    ],
)
def test_settle(slot: Slot, ours: list[Offer], rivals: list[float], expected: list[Verdict]) -> None:
    """Each rule of the auction, by example."""
    assert settle(slot, ours, rivals) == expected


def test_at_most_one_bid_wins_and_pays_at_most_its_bid() -> None:
    """Over many random auctions: one winner at most, never above its bid nor below its floor."""
    rng = random.Random(4)
    for _ in range(5_000):
        slot = rng.choice((OPEN, SECOND, PMP, PRIVATE))
        ours = [
            Offer(round(rng.uniform(0.1, 3), 2), rng.choice((None, *slot.deals)))
            for _ in range(rng.randint(0, 3))
        ]
        verdicts = settle(slot, ours, [rng.uniform(0.1, 3) for _ in range(rng.randint(0, 4))])
        winners = [(offer, verdict) for offer, verdict in zip(ours, verdicts, strict=True) if verdict.won]
        assert len(winners) <= 1
        for offer, verdict in winners:
            floor = slot.deals[offer.deal].floor if offer.deal else slot.floor
            assert floor <= verdict.price <= offer.price
            assert verdict.min_to_win <= offer.price


def test_slot_of_reads_defaults_as_the_specification_has_them() -> None:
    """No `at` is a second price auction, no floor is none, a deal without its own rule takes the request's."""
    imp = {"banner": {}, "bidfloor": 2, "pmp": {"private_auction": 1, "deals": [{"id": "d", "bidfloor": 3}]}}
    assert slot_of(imp, None, 0.5) == Slot("banner", 1.0, 2, {"d": Terms(1.5, 2)}, True)
    assert slot_of({"video": {}}, 1) == Slot("video", 0.0, 1, {}, False)


def test_rivals_follow_their_market() -> None:
    """Video costs more than banners, some impressions have no rival, and equal seeds give equal prices."""

    def draw(medium: str) -> list[list[float]]:
        rng = random.Random(9)
        return [market.rivals(rng, medium, 1.0) for _ in range(2_000)]

    banner, video = draw("banner"), draw("video")
    assert banner == draw("banner")
    assert sorted(chain(*banner))[1_000] < sorted(chain(*video))[1_000]
    assert Counter(map(len, banner))[0] > 100


def test_people_who_like_a_shop_click_more() -> None:
    """Interest lifts the click rate of every medium, and conversions."""
    rng = random.Random(2)
    for medium in ("banner", "native", "video", "audio"):
        cold = sum(market.clicks(rng, medium, 0.0) for _ in range(40_000))
        warm = sum(market.clicks(rng, medium, 1.0) for _ in range(40_000))
        assert warm > 2 * cold
    assert sum(market.converts(rng, 1.0) for _ in range(4_000)) > sum(
        market.converts(rng, 0.0) for _ in range(4_000)
    )
