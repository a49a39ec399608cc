"""Step 6 of a bid: the best candidate of each impression that passes every filter.

Place: after price: candidates are asked in the order of their bids, so filters that need a creative are applied
    to the few that could win and not to all that match.
Shapes: Choices come in the order of the impressions; an impression yields at most one open bid, and at most one
    for each of its deals.
Units: CPM micros of the bid currency.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from bidder.auction.admit import Admission
from bidder.auction.field import OPEN_AUCTION, Field, Slot
from bidder.auction.fit import Fitting, fit
from bidder.auction.floors import floor_cpm_micros
from bidder.auction.pending import Drops, Pending
from bidder.auction.price import Prices
from bidder.auction.world import World
from bidder.audience.frequency import BidRecord, Exposure
from bidder.campaigns.ads import Ad
from bidder.campaigns.compile import Line
from bidder.opportunity import MTYPE, Context, DealOffer, Opportunity
from bidder.outcome import Drop, Outcome
from budget.money import CpmMicros, Micros

MAX_ASKED = 64
"""Candidates held against the filters for one impression or deal: a request that refuses them all stays cheap."""


class Choice(Struct, gc=False):
    """A bid to be made."""

    pending: int
    """Number of its request in the batch."""
    opportunity: Opportunity
    line: Line
    fitting: Fitting
    bid_cpm_micros: CpmMicros
    deal: DealOffer | None
    repeats: bool = False
    """Its creative answers another impression of the request: it is not admitted yet."""
    rate_ppm: int = 0
    """From here on admit fills it: millionths of the advertiser's currency per unit of the bid currency."""
    exp_s: int = 0
    issued_s: int = 0
    deadline_s: int = 0
    """Until then a notice can charge it."""
    cost: Micros = Micros(0)
    """What was reserved, in the advertiser's currency."""
    lease: int = 0
    bid_id: bytes = b""
    exposure: Exposure | None = None
    """For whom the view counts, where the line item has caps."""
    record: BidRecord | None = None


class Chooser:
    """Walks the candidates of one batch."""

    def __init__(self, batch: Sequence[Pending], world: World, drops: Drops, admission: Admission) -> None:
        self._batch, self._lines, self._factor = batch, world.index.lines, world.factor
        self._drops, self._admission = drops, admission
        self._used: dict[int, dict[int, int]] = {}
        """By request: the creatives that answer it already, each with the number of its impression."""

    def choose(self, field: Field, prices: Prices) -> list[Choice]:
        """The bids of a batch; every candidate that is not among them is counted under one Drop."""
        choices: list[Choice] = []
        start = 0
        for slot, end in zip(field.slots, field.ends, strict=True):
            if end > start:
                if field.deal is None or not slot.opportunity.deals:
                    chosen = self._best(field, prices, slot, (start, end))
                    if chosen is not None:
                        choices.append(chosen)
                else:
                    choices += self._with_deals(field, prices, slot, (start, end))
            start = end
        return choices

    def _best(self, field: Field, prices: Prices, slot: Slot, span: tuple[int, int]) -> Choice | None:
        """The best of the candidates in a span, of an impression without deals.

        The first is found by one argmax; only if it does not pass are the rest put in order.
        """
        start, end = span
        place = start + int(prices.bid[start:end].argmax())
        found = self._ask(slot, field, prices, place, None)
        if isinstance(found, Choice) and not found.repeats:
            self._drops.add(Drop.OUTRANKED, end - start - 1)
            return found
        ranked = (start + np.argsort(-prices.bid[start:end], kind="stable")).tolist()
        return self._first(field, prices, (slot, None), ranked, found)

    def _with_deals(self, field: Field, prices: Prices, slot: Slot, span: tuple[int, int]) -> list[Choice]:
        """Deals first, guaranteed ones before all, each with its best; then, beside them, the open auction's best."""
        assert field.deal is not None
        start, end = span
        deals = field.deal[start:end].tolist()
        ranked = (start + np.argsort(-prices.bid[start:end], kind="stable")).tolist()
        runners: dict[int, list[int]] = {}
        for place in ranked:
            runners.setdefault(deals[place - start], []).append(place)
        free = runners.pop(OPEN_AUCTION, [])
        offers = slot.opportunity.deals
        first = sorted(runners, key=lambda n: (not self._guaranteed(field, runners[n]), n))
        entries: list[tuple[DealOffer | None, list[int]]] = [(offers[n], runners[n]) for n in first]
        chosen = []
        for offer, mine in [*entries, (None, free)]:
            found = self._first(field, prices, (slot, offer), mine)
            if found is not None:
                chosen.append(found)
        return chosen

    def _guaranteed(self, field: Field, places: list[int]) -> bool:
        """Whether one of the candidates has guaranteed to buy."""
        return any(self._lines[int(field.line[place])].guaranteed for place in places)

    def _first(
        self,
        field: Field,
        prices: Prices,
        offer: tuple[Slot, DealOffer | None],
        ranked: list[int],
        first: Choice | Drop | None = None,
    ) -> Choice | None:
        """The first that passes; one that repeats a creative only where no other passes. `first` is what is known
        of the first already: lots are drawn once."""
        slot, deal = offer
        repeated: Choice | None = None
        for asked, place in enumerate(ranked[:MAX_ASKED], start=1):
            known, first = first, None
            found = self._ask(slot, field, prices, place, deal) if known is None else known
            if isinstance(found, Drop):
                self._drops.add(found)
                continue
            self._drops.add(Drop.REPEATED, 0 if repeated is None else 1)
            if not found.repeats:
                self._drops.add(Drop.OUTRANKED, len(ranked) - asked)
                return found
            repeated = repeated or found
        self._drops.add(Drop.CANDIDATE_LIMIT, max(0, len(ranked) - MAX_ASKED))
        return self._admitted(repeated) if repeated is not None else None

    def _admitted(self, choice: Choice) -> Choice | None:
        refusal = self._admission.admit(choice)
        if refusal is not None:
            self._drops.add(refusal)
            return None
        return choice

    def _ask(
        self, slot: Slot, field: Field, prices: Prices, place: int, deal: DealOffer | None
    ) -> Choice | Drop:
        """A candidate as an admitted bid that has its creative, or as one that repeats it, or the reason against it."""
        found = self._judge(slot, field, prices, place, deal)
        if isinstance(found, Drop):
            return found
        key, impression = found.fitting.ad.key, found.opportunity.number
        used = self._used.setdefault(found.pending, {})
        if used.get(key, impression) != impression:
            found.repeats = True
            return found
        refusal = self._admission.admit(found)
        if refusal is not None:
            return refusal
        used[key] = impression
        return found

    def _judge(
        self, slot: Slot, field: Field, prices: Prices, place: int, deal: DealOffer | None
    ) -> Choice | Drop:
        """A candidate as a bid, or the reason against it."""
        bid, value, paced = int(prices.bid[place]), int(prices.value[place]), int(prices.paced[place])
        if bid <= 0:
            return Drop.RATE if bid < 0 else Drop.PACING if value > 0 else Drop.FLOOR
        line = self._lines[int(field.line[place])]
        pending = self._batch[slot.pending]
        found = fit(pending.context, slot.opportunity, line, deal)
        if isinstance(found, Drop):
            return found
        floor = self._floor(pending.context, slot.opportunity, found.ad, deal)
        if paced < floor:
            pending.why_none = Outcome.BELOW_FLOOR
            return Drop.PACING if value >= floor else Drop.FLOOR
        fixed = deal is not None and deal.fixed and floor > 0
        price = CpmMicros(floor if fixed else max(bid, floor))
        return Choice(slot.pending, slot.opportunity, line, found, price, deal)

    def _floor(self, context: Context, slot: Opportunity, ad: Ad, deal: DealOffer | None) -> int:
        if not ad.duration_s:
            return slot.floor_cpm_micros if deal is None else deal.floor_cpm_micros
        terms = deal.deal if deal is not None else None
        rate = (context.currency, self._factor)
        return floor_cpm_micros(slot.imp, MTYPE[ad.medium], ad.duration_s, terms, rate)
