"""Step 4 of a bid: which line items may bid on each impression of the batch.

Place: after the person read; price takes the pairs.
Shapes: a Field of P pairs (impression, line item), ordered by impression; `slots` lists the impressions of the
    whole batch. Sets of line items are ints until the whole batch is turned into numbers by numpy at once.
Limits: `max_candidates` line items per impression and kind (open auction, segments, deals), those that may pay
    most; what is over is counted as CANDIDATE_LIMIT.
Source: bits to numbers for a batch at a time costs a third of doing it one by one (benchmarks/micro/retrieve.py).
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from bidder.auction.pending import Drops, Pending
from bidder.auction.world import World
from bidder.audience.person import Person, segments_of
from bidder.campaigns.dimensions import bits
from bidder.campaigns.index import Index
from bidder.opportunity import Opportunity
from bidder.outcome import Drop, Outcome

OPEN_AUCTION = -1
"""The deal number of a pair that bids without a deal."""


class Slot(Struct):
    """One impression of the batch, on its way."""

    pending: int
    """Number of its request in the batch."""
    opportunity: Opportunity
    mask: bytes
    """The line items whose targeting it meets, bit by bit."""


class Field(Struct):
    """Who runs for what."""

    slots: list[Slot]
    slot: NDArray[np.intp]
    """(P,) number of the impression, ascending."""
    line: NDArray[np.intp]
    """(P,) number of the line item."""
    deal: NDArray[np.intp]
    """(P,) number of the deal within the impression, or OPEN_AUCTION."""


def retrieve(batch: Sequence[Pending], world: World, now_s: float, drops: Drops) -> Field:
    """The candidates of every impression of a batch."""
    index, limit = world.index, world.max_candidates
    slots: list[Slot] = []
    extra: list[tuple[int, int, int]] = []  # (slot, line item, deal) found one by one
    for number, pending in enumerate(batch):
        mask = _request_mask(pending, index, now_s, drops)
        if not mask:
            continue
        wanted = _segment_lines(pending.person, index, now_s, limit, drops)
        for opportunity in pending.context.opportunities:
            fitting = mask & index.slot_mask(opportunity)
            if not fitting:
                continue
            packed = fitting.to_bytes(index.words * 8, "little")
            place = len(slots)
            if wanted and not opportunity.private:
                extra += [(place, i, OPEN_AUCTION) for i in wanted if packed[i >> 3] >> (i & 7) & 1]
            if opportunity.deals:
                extra += _deal_lines(place, opportunity, packed, index, wanted)
            slots.append(Slot(number, opportunity, packed))
    field = _join(slots, extra, index, limit, drops)
    for place in set(field.slot.tolist()):
        batch[slots[place].pending].why_none = Outcome.FILTERED
    return field


def _request_mask(pending: Pending, index: Index, now_s: float, drops: Drops) -> int:
    """Targeting and blocks of the request, and the segments that shut a line item out."""
    context = pending.context
    mask = index.request_mask(context, now_s)
    request = context.request
    if mask and (request.badv or request.bcat or request.bapp):
        for blocked, reason in zip(index.blocked_masks(request), _BLOCKS, strict=True):
            hit = mask & blocked
            if hit:
                mask ^= hit
                drops.add(reason, hit.bit_count())
    if pending.person is not None and mask:
        refused = _refused(pending.person, index, now_s)
        if refused:
            mask ^= mask & bits(refused)
    return mask


_BLOCKS = (Drop.ADVERTISER_BLOCKED, Drop.CATEGORY_BLOCKED)


def _refused(person: Person, index: Index, now_s: float) -> list[int]:
    refused: list[int] = []
    for field, value in person.fields.items():
        audience = index.audiences.get(field)
        if audience is not None and audience.none:
            for key in segments_of(value, now_s):
                refused += audience.none.get(key, ())
    return refused


def _segment_lines(person: Person | None, index: Index, now_s: float, limit: int, drops: Drops) -> list[int]:
    """The line items that want a segment of this person's, those that may pay most."""
    if person is None:
        return []
    found: set[int] = set()
    for field, value in person.fields.items():
        audience = index.audiences.get(field)
        if audience is not None and audience.any:
            for key in segments_of(value, now_s):
                found.update(audience.any.get(key, ()))
    if len(found) <= limit:
        return list(found)
    drops.add(Drop.CANDIDATE_LIMIT, len(found) - limit)
    return sorted(found)[:limit]


def _deal_lines(
    place: int, opportunity: Opportunity, packed: bytes, index: Index, wanted: list[int]
) -> list[tuple[int, int, int]]:
    found: list[tuple[int, int, int]] = []
    for number, offer in enumerate(opportunity.deals):
        found += [
            (place, i, number)
            for i in index.deals.get(offer.deal.id, ())
            if packed[i >> 3] >> (i & 7) & 1 and (not index.lines[i].segments or i in wanted)
        ]
    return found


def _join(
    slots: list[Slot], extra: list[tuple[int, int, int]], index: Index, limit: int, drops: Drops
) -> Field:
    rows, lines = _open_lines(slots, index, limit, drops)
    deals = np.full(len(rows), OPEN_AUCTION, np.intp)
    if extra:
        more = np.array(extra, np.intp)
        rows = np.concatenate((rows, more[:, 0]))
        order = np.argsort(rows, kind="stable")
        rows = rows[order]
        lines = np.concatenate((lines, more[:, 1]))[order]
        deals = np.concatenate((deals, more[:, 2]))[order]
    return Field(slots, rows, lines, deals)


def _open_lines(
    slots: list[Slot], index: Index, limit: int, drops: Drops
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The first `limit` line items of the open auction for each impression: (slot, line item) pairs."""
    packed = b"".join(
        [slot.mask if not slot.opportunity.private else bytes(len(slot.mask)) for slot in slots]
    )
    words = np.frombuffer(packed, "<u8").reshape(len(slots), index.words) & index.open_words
    rows, columns = np.nonzero(words)
    chosen = words[rows, columns]
    if len(rows) > limit:  # the first `limit` words of a row hold its first `limit` bits
        keep = _rank(rows, len(slots)) < limit
        if not keep.all():
            drops.add(Drop.CANDIDATE_LIMIT, int(np.bitwise_count(chosen[~keep]).sum()))
            rows, columns, chosen = rows[keep], columns[keep], chosen[keep]
    flags = np.unpackbits(chosen.view(np.uint8), bitorder="little").reshape(-1, 64)
    word, bit = np.nonzero(flags)
    rows, lines = rows[word], columns[word] * 64 + bit
    if len(rows) > limit:
        keep = _rank(rows, len(slots)) < limit
        over = len(keep) - int(np.count_nonzero(keep))
        if over:
            drops.add(Drop.CANDIDATE_LIMIT, over)
            rows, lines = rows[keep], lines[keep]
    return rows, lines


def _rank(rows: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """The place of each entry among those of its row; `rows` ascends."""
    starts = np.searchsorted(rows, np.arange(count))
    return np.arange(len(rows)) - starts[rows]
