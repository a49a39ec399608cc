"""Step 7 of a bid: frequency caps, pacing, money. One reservation, and one hold, for each bid that is made.

Place: choose asks for each candidate that would win its impression; run gives back what then was not sent.
Units: costs in Micros of the advertiser's currency; moments in seconds since the epoch.
Limits: a bid reserves the most that it can cost, its own price, until its last notice can have come; it stands for
    `max_exp_s` at most, whatever the exchange asks for.
    A line item with caps does not bid for whom views are not known.
Never: waits. A worker reserves from what was leased to it before; views came with the person.
"""

import os
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from bidder.auction.pending import Pending
from bidder.auction.world import World
from bidder.audience.frequency import Basis, BidRecord, Exposure, Verdict, bid_tag
from bidder.notices.token import BID_ID_BYTES
from bidder.outcome import Drop
from budget.money import PPM, Micros, cost_of_one, exchanged

if TYPE_CHECKING:
    from bidder.auction.choose import Choice


_REFUSED = {Verdict.REACHED: Drop.FREQUENCY, Verdict.HELD: Drop.HELD}


class Money(Protocol):
    """A worker's leases."""

    def reserve(self, line_key: int, cost: Micros, now_s: int, deadline_s: int) -> int:
        """The lease that pays for a bid; 0 where no money is at hand."""

    def halted(self, line_key: int) -> bool:
        """Whether none is at hand because its pace has it wait."""

    def unreserve(self, lease_id: int, cost: Micros, deadline_s: int) -> None:
        """A bid never left the house."""


class Admission:
    """Admits the bids of one batch."""

    __slots__ = ("_batch", "_factor", "_max_exp_s", "_money", "_now_s", "_rates", "_thinned")

    def __init__(self, batch: Sequence[Pending], world: World, money: Money, now_s: float) -> None:
        self._batch, self._money, self._now_s = batch, money, int(now_s)
        self._factor, self._max_exp_s = world.factor, world.max_exp_s
        self._rates: dict[str, int] = {}
        self._thinned = world.pricer.pace.thinned

    def admit(self, choice: "Choice") -> Drop | None:
        """None, with the choice completed for its token; or what is against it."""
        pending, line = self._batch[choice.pending], choice.line
        context = pending.context
        if line.caps or choice.fitting.ad.caps:
            refusal = _capped(pending.exposure, choice)
            if refusal is not None:
                return refusal
            if context.test:  # nobody will tell whether it was seen
                choice.exposure = None
        if self._thinned:
            share = self._thinned.get(line.key)
            if share is not None and random.random() >= share:
                return Drop.PACING
        exchange, now_s = context.exchange, self._now_s
        exp_s = choice.opportunity.imp.exp or 0
        if exp_s <= 0:
            exp_s = exchange.exp_s
        if exp_s > self._max_exp_s:
            exp_s = self._max_exp_s
        pair = context.currency + line.currency
        rate_ppm = self._rates.get(pair)
        if rate_ppm is None:
            factor = self._factor(context.currency, line.currency) or 0.0
            rate_ppm = self._rates[pair] = max(1, round(factor * PPM))  # never for nothing
        deadline_s = now_s + exp_s + exchange.notice_delay_s
        if not context.test:
            choice.cost = cost = cost_of_one(exchanged(choice.bid_cpm_micros, rate_ppm))
            choice.lease = lease = self._money.reserve(line.key, cost, now_s, deadline_s)
            if not lease:
                return Drop.PACING if self._money.halted(line.key) else Drop.BUDGET
        choice.exp_s, choice.issued_s, choice.deadline_s, choice.rate_ppm = exp_s, now_s, deadline_s, rate_ppm
        choice.bid_id = os.urandom(BID_ID_BYTES)
        if choice.exposure is not None:
            ad_key = choice.fitting.ad.key32
            tag = bid_tag(choice.bid_id)
            choice.record = BidRecord(line.field, tag, line.campaign_key32, line.key32, ad_key, line.window_s)
            choice.exposure.chosen(choice.record)
        return None


def _capped(exposure: Exposure | None, choice: "Choice") -> Drop | None:
    """What caps have against a bid; where they have nothing, its view will count for `choice.exposure`."""
    line, ad = choice.line, choice.fitting.ad
    if exposure is None or (exposure.basis is Basis.VISITOR and not line.visitors):
        return Drop.UNCOUNTED
    verdict = exposure.verdict(line.field, line.caps + ad.caps if ad.caps else line.caps)
    if verdict is not Verdict.PASSES:
        return _REFUSED[verdict]
    choice.exposure = exposure
    return None
