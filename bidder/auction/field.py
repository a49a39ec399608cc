"""From bits to numbers: the candidates of a whole batch as arrays, in a handful of numpy calls.

Place: the second half of retrieve.
Shapes: S impressions, W words of 64 line items each; P candidate pairs (impression, line item). A pair is also one
    number, impression x 64 W + line item: sorted, pairs of an impression stand together, best-paying first.
Limits: `limit` line items of the open auction per impression, those that may pay most.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from bidder.auction.pending import Drops
from bidder.opportunity import Opportunity
from bidder.outcome import Drop

Numbers = NDArray[np.int64]
Words = NDArray[np.uint64]

OPEN_AUCTION = -1
"""The deal number of a pair that bids without a deal."""


class Slot(Struct):
    """One impression of the batch, on its way."""

    pending: int
    """Number of its request in the batch."""
    opportunity: Opportunity


class Field(Struct):
    """Who runs for what."""

    slots: list[Slot]
    slot: Numbers
    """(P,) number of the impression, ascending."""
    line: Numbers
    """(P,) number of the line item."""
    deal: Numbers | None
    """(P,) number of the deal within the impression, or OPEN_AUCTION; None where no impression has deals."""


class Wanted(Struct):
    """Line items that bid because of a segment of the person's: one entry per (impression, segment)."""

    slots: list[int]
    lines: list[Numbers]


def open_pairs(words: Words, open_words: Words, limit: int, drops: Drops) -> Numbers:
    """Pairs of the open auction, sorted: the first `limit` bits of each row of (S, W) `words`."""
    rows, width = words.shape
    free = words & open_words
    counts = np.bitwise_count(free)
    total = counts.cumsum(axis=1, dtype=np.int64)
    over = np.maximum(total[:, -1] - limit, 0).sum()
    if over:
        drops.add(Drop.CANDIDATE_LIMIT, int(over))
    kept = ((total - counts < limit) & (counts > 0)).ravel().nonzero()[0]
    flags = np.unpackbits(free.ravel().take(kept).view(np.uint8), bitorder="little").view(np.bool_)
    found = flags.nonzero()[0]
    pairs: Numbers = (kept << 6).take(found >> 6) + (found & 63)
    if over:  # the last word of a row may hold more than the limit allows
        row = pairs // (width << 6)
        starts = np.searchsorted(row, np.arange(rows))
        pairs = pairs[np.arange(len(pairs)) - starts.take(row) < limit]
    return pairs


def wanted_pairs(words: Words, wanted: Wanted) -> Numbers:
    """Pairs of line items that want a segment and whose bit is set in (S, W) `words`; unsorted, may repeat."""
    width = words.shape[1]
    lines = np.concatenate(wanted.lines)
    slots = np.repeat(np.array(wanted.slots), [len(found) for found in wanted.lines])
    word = words.ravel().take(slots * width + (lines >> 6))
    fits = (word >> (lines & 63).astype(np.uint64)) & np.uint64(1)
    keep = fits.nonzero()[0]
    pairs: Numbers = slots.take(keep) * (width << 6) + lines.take(keep)
    return pairs


def merge(first: Numbers, second: Numbers) -> Numbers:
    """Two arrays of pairs as one, sorted, each pair once."""
    pairs = np.concatenate((first, second))
    pairs.sort()
    if len(pairs) < 2:
        return pairs
    once = np.empty(len(pairs), np.bool_)
    once[0] = True
    np.not_equal(pairs[1:], pairs[:-1], out=once[1:])
    return pairs[once]


def with_deals(
    slots: list[Slot], open_auction: tuple[Numbers, Numbers], deals: Sequence[tuple[int, int, int]]
) -> Field:
    """A field of pairs with and without deals; `deals` are (impression, line item, deal number)."""
    slot, line = open_auction
    more = np.array(deals, np.int64).reshape(-1, 3)
    slot = np.concatenate((slot, more[:, 0]))
    order = np.argsort(slot, kind="stable")
    deal = np.concatenate((np.full(len(line), OPEN_AUCTION, np.int64), more[:, 2]))
    return Field(slots, slot[order], np.concatenate((line, more[:, 1]))[order], deal[order])
