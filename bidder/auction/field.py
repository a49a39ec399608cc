"""From bits to numbers: the candidates of a whole batch as arrays, in a handful of numpy calls.

Place: the second half of retrieve.
Shapes: S impressions; P candidate pairs (impression, line item), in the order of the impressions. A run of line items
    is (first, bits): bit i of the int `bits` stands for line item `first` + i.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, count, pairwise

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from bidder.opportunity import Opportunity

Numbers = NDArray[np.int64]
Run = tuple[int, int]

OPEN_AUCTION = -1
"""The deal number of a pair that bids without a deal."""
_GUESSES = 4
"""Guesses where to cut a mask, before it is bisected."""


class Slot(Struct, gc=False):
    """One impression of the batch, on its way."""

    pending: int
    """Number of its request in the batch."""
    opportunity: Opportunity


class Field(Struct, gc=False):
    """Who runs for what."""

    slots: list[Slot]
    ends: list[int]
    """By impression: where its pairs end, and those of the next begin."""
    slot: Numbers
    """(P,) number of the impression, ascending."""
    line: Numbers
    """(P,) number of the line item."""
    deal: Numbers | None
    """(P,) number of the deal within the impression, or OPEN_AUCTION; None where no impression has deals."""


class Runs:
    """Collects the candidates of a batch, impression by impression."""

    __slots__ = ("_run_ends", "_runs", "slots")

    def __init__(self) -> None:
        self.slots: list[Slot] = []
        self._runs: list[Run] = []
        self._run_ends: list[int] = []

    def add(self, slot: Slot, runs: list[Run]) -> None:
        """Add the next impression with its runs."""
        self.slots.append(slot)
        self._runs += runs
        self._run_ends.append(len(self._runs))

    def field(self) -> Field:
        """All pairs as arrays."""
        packed, counts, offsets = [], [], []
        before = 0
        for first, bits in self._runs:
            size = (bits.bit_length() + 7) >> 3
            packed.append(bits.to_bytes(size, "little"))
            counts.append(bits.bit_count())
            offsets.append(first - before)  # from the place of a bit among all bits to its line item
            before += size << 3
        flags = np.unpackbits(np.frombuffer(b"".join(packed), np.uint8), bitorder="little")
        place = flags.view(np.bool_).nonzero()[0]
        line = place + np.array(offsets, np.int64).repeat(counts)
        total = [0, *accumulate(counts)]
        ends = [total[end] for end in self._run_ends]
        per_slot = [end - start for start, end in pairwise([0, *ends])]
        return Field(self.slots, ends, np.arange(len(ends)).repeat(per_slot), line, None)


def first_bits(mask: int, limit: int) -> tuple[int, int]:
    """(the `limit` lowest bits of a mask that are set, how many more there are).

    The place to cut is guessed from the share of bits that are set, and the guess mended: some three tries of
    0.2 us, where turning all bits into an array costs ten times that. Bits that lie unevenly are bisected.
    """
    total = mask.bit_count()
    if total <= limit:
        return mask, 0
    low, high = 0, mask.bit_length()  # fewer than `limit` bits below low, more below high
    spread = high / total
    cut = int(limit * spread)
    for tried in count():
        head = mask & ((1 << cut) - 1)
        missing = limit - head.bit_count()
        if not missing:
            return head, total - limit
        if missing > 0:
            low = cut
        else:
            high = cut
        cut += int(missing * spread)
        if tried >= _GUESSES or not low < cut < high:
            cut = (low + high) >> 1
    raise AssertionError("the cut closes in on one place")


def lines_of(runs: Iterable[Run]) -> Iterator[int]:
    """The line items of some runs."""
    for first, bits in runs:
        while bits:
            lowest = bits & -bits
            yield first + lowest.bit_length() - 1
            bits ^= lowest


def with_deals(field: Field, deals: Sequence[tuple[int, int, int]]) -> Field:
    """A field with pairs under deals added; `deals` are (impression, line item, deal number)."""
    more = np.array(deals, np.int64).reshape(-1, 3)
    slot = np.concatenate((field.slot, more[:, 0]))
    order = np.argsort(slot, kind="stable")
    slot = slot[order]
    deal = np.concatenate((np.full(len(field.line), OPEN_AUCTION, np.int64), more[:, 2]))[order]
    line = np.concatenate((field.line, more[:, 1]))[order]
    ends = np.searchsorted(slot, np.arange(1, len(field.slots) + 1)).tolist()
    return Field(field.slots, ends, slot, line, deal)
