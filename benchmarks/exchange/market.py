"""The auction of one impression: our bids against rivals, floors and deals; who wins, what for, and why not.

Place: simulation.py settles every answered impression here; a rival is a price drawn from its medium's market.
Units: prices are CPM in the exchange's currency.
Source: OpenRTB 2.6 sections 3.2.1 (at), 3.2.12 (deals), 4.4 (MIN_TO_WIN) and the loss reason codes of 3.0.
"""

from __future__ import annotations

import math
import random
from typing import Any, Final, NamedTuple

from openrtb.enums import AuctionType, LossReason

FIRST_PRICE: Final = int(AuctionType.FIRST_PRICE)
SECOND_PRICE: Final = int(AuctionType.SECOND_PRICE)
FIXED_PRICE: Final = int(AuctionType.FIXED_PRICE)

WON: Final = int(LossReason.WON)
INVALID_RESPONSE: Final = int(LossReason.INVALID_RESPONSE)
INVALID_DEAL: Final = int(LossReason.INVALID_DEAL_ID)
BELOW_FLOOR: Final = int(LossReason.BELOW_AUCTION_FLOOR)
BELOW_DEAL_FLOOR: Final = int(LossReason.BELOW_DEAL_FLOOR)
OUTBID: Final = int(LossReason.LOST_TO_HIGHER_BID)
LOST_TO_DEAL: Final = int(LossReason.LOST_TO_DEAL)

_INCREMENT: Final = 0.01
_MEDIAN_USD: Final = {"banner": 0.55, "native": 0.7, "video": 4.0, "audio": 2.5}
_SPREAD: Final = {"banner": 0.8, "native": 0.7, "video": 0.6, "audio": 0.5}
_RIVALS_MEAN: Final = 2.2
_CLICK_RATE: Final = {"banner": 0.0015, "native": 0.004, "video": 0.005, "audio": 0.0008}
_INTEREST_LIFT: Final = 9.0
_RENDER_RATE: Final = {"banner": 0.96, "native": 0.93, "video": 0.85, "audio": 0.9}
_CONVERSION_RATE: Final = 0.02
_CONVERSION_LIFT: Final = 8.0


class Terms(NamedTuple):
    """One deal on offer."""

    floor: float
    at: int


class Slot(NamedTuple):
    """One impression as its auction sees it."""

    medium: str
    floor: float
    at: int
    deals: dict[str, Terms]
    private: bool


class Offer(NamedTuple):
    """One bid."""

    price: float
    deal: str | None = None


class Verdict(NamedTuple):
    """What became of one of our bids."""

    reason: int
    """A loss reason code; WON."""
    price: float
    """What the winner pays; 0 where nobody won."""
    min_to_win: float
    """The lowest price that would have won; 0 where none would."""

    @property
    def won(self) -> bool:
        """Whether this bid gets the impression."""
        return self.reason == WON


def slot_of(imp: dict[str, Any], at: int | None, factor: float = 1.0) -> Slot:
    """The auction's view of an imp; `factor` turns its floors into the currency of the bids."""
    medium = next((m for m in ("video", "audio", "native") if m in imp), "banner")
    pmp = imp.get("pmp") or {}
    kind = at if at in (FIRST_PRICE, SECOND_PRICE) else SECOND_PRICE
    deals = {
        deal["id"]: Terms(float(deal.get("bidfloor") or 0) * factor, int(deal.get("at") or kind))
        for deal in pmp.get("deals") or ()
    }
    return Slot(
        medium, float(imp.get("bidfloor") or 0) * factor, kind, deals, bool(pmp.get("private_auction"))
    )


def rivals(rng: random.Random, medium: str, per_usd: float) -> list[float]:
    """What others bid: none to some six prices, log-normal around the medium's median."""
    count = min(int(rng.expovariate(1 / _RIVALS_MEAN) + 0.5), 6)
    median = math.log(_MEDIAN_USD[medium] * per_usd)
    return [round(rng.lognormvariate(median, _SPREAD[medium]), 4) for _ in range(count)]


def settle(slot: Slot, ours: list[Offer], others: list[float]) -> list[Verdict]:
    """The verdict on each of our bids, in their order; on equal prices the rivals win."""
    refused = [_refusal(slot, offer) for offer in ours]
    standing = [i for i, reason in enumerate(refused) if reason == WON]
    others = [] if slot.private else sorted((price for price in others if price >= slot.floor), reverse=True)
    fixed = [i for i in standing if _terms(slot, ours[i]).at == FIXED_PRICE]
    if fixed:
        winner = max(fixed, key=lambda i: ours[i].price)
        price = to_win = _terms(slot, ours[winner]).floor
    else:
        ranked = sorted(standing, key=lambda i: ours[i].price, reverse=True)
        best = ranked[0] if ranked else -1
        rival = others[0] if others else 0.0
        if best < 0 or ours[best].price <= rival:
            return [_lost(reason, OUTBID, (rival, max(rival, slot.floor))) for reason in refused]
        winner = best
        runner_up = max(rival, *(ours[i].price for i in ranked[1:2]), 0.0)
        price, to_win = _clear(slot, ours[winner], runner_up)
    lost = LOST_TO_DEAL if ours[winner].deal else OUTBID
    beaten = (price, ours[winner].price)
    return [
        Verdict(WON, price, to_win) if i == winner else _lost(reason, lost, beaten)
        for i, reason in enumerate(refused)
    ]


def _clear(slot: Slot, offer: Offer, runner_up: float) -> tuple[float, float]:
    """(price, minimum to win) of the winner."""
    terms = _terms(slot, offer)
    to_win = max(runner_up, terms.floor)
    if terms.at == FIRST_PRICE:
        return offer.price, to_win
    return min(offer.price, round(to_win + _INCREMENT, 4)), to_win


def _terms(slot: Slot, offer: Offer) -> Terms:
    return slot.deals[offer.deal] if offer.deal else Terms(slot.floor, slot.at)


def _refusal(slot: Slot, offer: Offer) -> int:
    """Why a bid may not take part; WON where it may."""
    if offer.deal is None:
        return LOST_TO_DEAL if slot.private else WON if offer.price >= slot.floor else BELOW_FLOOR
    terms = slot.deals.get(offer.deal)
    if terms is None:
        return INVALID_DEAL
    return WON if offer.price >= terms.floor else BELOW_DEAL_FLOOR


def _lost(refused: int, reason: int, prices: tuple[float, float]) -> Verdict:
    """`prices`: what the winner pays, and what a bid had to exceed."""
    return Verdict(refused or reason, *prices)


def renders(rng: random.Random, medium: str) -> bool:
    """Whether a won ad is shown at all: some people are gone before."""
    return rng.random() < _RENDER_RATE[medium]


def clicks(rng: random.Random, medium: str, interest: float) -> bool:
    """Whether somebody with this interest in the shop clicks."""
    return rng.random() < _CLICK_RATE[medium] * (1 + _INTEREST_LIFT * interest)


def converts(rng: random.Random, interest: float) -> bool:
    """Whether somebody who clicked buys."""
    return rng.random() < _CONVERSION_RATE * (1 + _CONVERSION_LIFT * interest)
