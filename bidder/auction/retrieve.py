"""Step 4 of a bid: which line items may bid on each impression of the batch.

Place: after the person read; price takes the Field.
Shapes: sets of line items are ints until field.py turns the whole batch into arrays.
Limits: `max_candidates` line items per impression of each kind (open auction, segments), those that may pay most;
    what is over is counted as CANDIDATE_LIMIT.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from bidder.auction.field import Field, Numbers, Slot, Wanted, merge, open_pairs, wanted_pairs, with_deals
from bidder.auction.pending import Drops, Pending
from bidder.auction.world import World
from bidder.audience.person import Person, segments_of
from bidder.campaigns.dimensions import bits
from bidder.campaigns.index import Audience, Index
from bidder.opportunity import Opportunity
from bidder.outcome import Drop, Outcome

_BLOCKS = (Drop.ADVERTISER_BLOCKED, Drop.CATEGORY_BLOCKED)


def retrieve(batch: Sequence[Pending], world: World, now_s: float, drops: Drops) -> Field:
    """The candidates of every impression of a batch; tells each Pending whether it has any."""
    index, limit = world.index, world.max_candidates
    size = index.words * 8
    slots: list[Slot] = []
    masks: list[bytes] = []
    wanted = Wanted([], [])
    deals: list[tuple[int, int, int]] = []
    for number, pending in enumerate(batch):
        mask = _request_mask(pending, index, now_s, drops)
        found: list[Numbers] = []
        if mask and pending.person is not None:
            found, refused = _by_segments(pending.person, index.audiences, now_s)
            if refused:
                mask ^= mask & bits(refused)
            if len(found) > 1 and sum(map(len, found)) > limit:
                found = _within(found, limit, drops)
        for opportunity in pending.context.opportunities if mask else ():
            fitting = mask & index.slot_mask(opportunity)
            if not fitting:
                continue
            packed = fitting.to_bytes(size, "little")
            if opportunity.deals:
                deals += _deal_lines(len(slots), opportunity, packed, index, found)
            if opportunity.private:
                packed = bytes(size)  # deals alone may bid
            elif found:
                wanted.slots += [len(slots)] * len(found)
                wanted.lines += found
            slots.append(Slot(number, opportunity))
            masks.append(packed)
    return _field(batch, slots, index, (masks, wanted, deals), (limit, drops))


def _field(
    batch: Sequence[Pending],
    slots: list[Slot],
    index: Index,
    found: tuple[list[bytes], Wanted, list[tuple[int, int, int]]],
    bounds: tuple[int, Drops],
) -> Field:
    masks, wanted, deals = found
    if not slots:
        return Field([], np.empty(0, np.int64), np.empty(0, np.int64), None)
    words = np.frombuffer(b"".join(masks), "<u8").reshape(len(slots), index.words)
    pairs = open_pairs(words, index.open_words, *bounds)
    if wanted.lines:
        pairs = merge(pairs, wanted_pairs(words, wanted))
    slot = pairs // (index.words << 6)
    line = pairs - slot * (index.words << 6)
    field = with_deals(slots, (slot, line), deals) if deals else Field(slots, slot, line, None)
    held = np.zeros(len(slots), np.bool_)
    held[field.slot] = True
    for place in held.nonzero()[0].tolist():
        batch[slots[place].pending].why_none = Outcome.FILTERED
    return field


def _request_mask(pending: Pending, index: Index, now_s: float, drops: Drops) -> int:
    """Targeting and blocks of the request."""
    mask = index.request_mask(pending.context, now_s)
    request = pending.context.request
    if mask and (request.badv or request.bcat or request.bapp):
        for blocked, reason in zip(index.blocked_masks(request), _BLOCKS, strict=True):
            hit = mask & blocked
            if hit:
                mask ^= hit
                drops.add(reason, hit.bit_count())
    return mask


def _by_segments(
    person: Person, audiences: Mapping[bytes, Audience], now_s: float
) -> tuple[list[Numbers], list[int]]:
    """(line items that want each of this person's segments, line items that refuse one)."""
    wanted: list[Numbers] = []
    refused: list[int] = []
    for field, value in person.fields.items():
        audience = audiences.get(field)
        if audience is None:
            continue
        wants, refuses = audience.any, audience.none
        flat = segments_of(value)
        for key, expires_s in zip(flat[::2], flat[1::2], strict=True):
            if expires_s > now_s:
                if key in wants:
                    wanted.append(wants[key])
                if key in refuses:
                    refused += refuses[key]
    return wanted, refused


def _within(found: list[Numbers], limit: int, drops: Drops) -> list[Numbers]:
    """Each line item once; above the limit those that may pay most."""
    once = np.unique(np.concatenate(found))
    if len(once) > limit:
        drops.add(Drop.CANDIDATE_LIMIT, len(once) - limit)
    return [once[:limit]]


def _deal_lines(
    place: int, opportunity: Opportunity, packed: bytes, index: Index, found: list[Numbers]
) -> list[tuple[int, int, int]]:
    """(impression, line item, deal number) of the line items that hold one of the deals on offer."""
    wanted: set[int] = set()
    for numbers in found:
        wanted.update(numbers.tolist())
    pairs: list[tuple[int, int, int]] = []
    for number, offer in enumerate(opportunity.deals):
        pairs += [
            (place, i, number)
            for i in index.deals.get(offer.deal.id, ())
            if packed[i >> 3] >> (i & 7) & 1 and (not index.lines[i].segments or i in wanted)
        ]
    return pairs
