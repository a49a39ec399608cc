"""Steps 5 and 7 of a bid: the best candidate of each impression that passes every filter.

Place: after price: candidates are asked in the order of their bids, so filters that need a creative are applied
    to the few that could win and not to all that match.
Shapes: Choices come in the order of the impressions; an impression yields at most one open bid, and at most one
    for each of its deals.
Units: CPM micros of the bid currency.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from bidder.auction.fit import Fitting, fit
from bidder.auction.floors import floor_cpm_micros
from bidder.auction.pending import Drops, Pending
from bidder.auction.price import Prices
from bidder.auction.retrieve import OPEN_AUCTION, Field, Slot
from bidder.auction.world import World
from bidder.campaigns.ads import Ad
from bidder.campaigns.compile import Line
from bidder.opportunity import MTYPE, Context, DealOffer, Opportunity
from bidder.outcome import Drop, Outcome
from budget.money import CpmMicros


class Choice(Struct, gc=False):
    """A bid to be made."""

    pending: int
    """Number of its request in the batch."""
    opportunity: Opportunity
    line: Line
    fitting: Fitting
    bid_cpm_micros: CpmMicros
    deal: DealOffer | None


class Runner(Struct, gc=False):
    """One candidate of an impression."""

    line: Line
    value: int
    bid: int


class Chooser:
    """Walks the candidates of one batch."""

    def __init__(self, batch: Sequence[Pending], world: World, drops: Drops) -> None:
        self._batch, self._lines, self._factor = batch, world.index.lines, world.factor
        self._drops = drops
        self._used: list[set[int]] = [set() for _ in batch]
        """Keys of the creatives that already answer another impression of the request."""

    def choose(self, field: Field, prices: Prices) -> list[Choice]:
        """The bids of a batch; every candidate that is not among them is counted under one Drop."""
        ends = np.searchsorted(field.slot, np.arange(1, len(field.slots) + 1)).tolist()
        lines, deals = field.line.tolist(), field.deal.tolist() if _any_deal(field) else None
        bids, values = prices.bid.tolist(), prices.value.tolist()
        choices: list[Choice] = []
        start = 0
        for slot, end in zip(field.slots, ends, strict=True):
            places = range(start, end)
            if deals is None or not slot.opportunity.deals:
                self._take(choices, slot, places, None, (lines, values, bids))
            else:
                for number, offer in enumerate(slot.opportunity.deals):
                    mine = [i for i in places if deals[i] == number]
                    self._take(choices, slot, mine, offer, (lines, values, bids))
                free = [i for i in places if deals[i] == OPEN_AUCTION]
                self._take(choices, slot, free, None, (lines, values, bids))
            start = end
        return choices

    def _take(
        self,
        choices: list[Choice],
        slot: Slot,
        places: Sequence[int],
        deal: DealOffer | None,
        columns: tuple[list[int], list[float], list[float]],
    ) -> None:
        """The best of some candidates, if one passes."""
        if not places:
            return
        lines, values, bids = columns
        used = self._used[slot.pending]
        repeated: Choice | None = None
        ranked = sorted(places, key=bids.__getitem__, reverse=True) if len(places) > 1 else places
        for asked, place in enumerate(ranked, start=1):
            runner = Runner(self._lines[lines[place]], int(values[place]), int(bids[place]))
            found = self._judge(slot, runner, deal)
            if isinstance(found, Drop):
                self._drops.add(found)
            elif found.fitting.ad.key in used:
                self._drops.add(Drop.REPEATED)
                repeated = repeated or found
            else:
                used.add(found.fitting.ad.key)
                choices.append(found)
                self._drops.add(Drop.OUTRANKED, len(ranked) - asked)
                return
        if repeated is not None:
            self._drops.add(Drop.REPEATED, -1)
            choices.append(repeated)

    def _judge(self, slot: Slot, runner: Runner, deal: DealOffer | None) -> Choice | Drop:
        """A candidate as a bid, or the reason against it."""
        if runner.bid <= 0:
            return Drop.RATE if runner.bid < 0 else Drop.FLOOR
        context = self._batch[slot.pending].context
        found = fit(context, slot.opportunity, runner.line, deal)
        if isinstance(found, Drop):
            return found
        floor = self._floor(context, slot.opportunity, found.ad, deal)
        if runner.value < floor:
            self._batch[slot.pending].why_none = Outcome.BELOW_FLOOR
            return Drop.FLOOR
        fixed = deal is not None and deal.fixed and floor > 0
        bid = floor if fixed else max(runner.bid, floor)
        return Choice(slot.pending, slot.opportunity, runner.line, found, CpmMicros(bid), deal)

    def _floor(self, context: Context, slot: Opportunity, ad: Ad, deal: DealOffer | None) -> int:
        if not ad.duration_s:
            return slot.floor_cpm_micros if deal is None else deal.floor_cpm_micros
        terms = deal.deal if deal is not None else None
        rate = (context.currency, self._factor)
        return floor_cpm_micros(slot.imp, MTYPE[ad.medium], ad.duration_s, terms, rate)


def _any_deal(field: Field) -> bool:
    return any(slot.opportunity.deals for slot in field.slots)
