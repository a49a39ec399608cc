"""Sets of line items as ints become arrays without losing, adding or reordering any."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bidder.auction.field import OPEN_AUCTION, Run, Runs, Slot, first_bits, lines_of, with_deals
from bidder.opportunity import Opportunity

masks = st.one_of(
    st.integers(0, 1 << 300),
    st.sets(st.integers(0, 20_000), max_size=200).map(lambda items: sum(1 << i for i in items)),
)
runs = st.lists(st.tuples(st.integers(0, 5_000), st.integers(1, 1 << 200)), max_size=4)


def _set_bits(mask: int) -> list[int]:
    return [i for i in range(mask.bit_length()) if mask >> i & 1]


@given(masks, st.integers(1, 100))
def test_the_first_bits_are_the_lowest(mask: int, limit: int) -> None:
    """As many as allowed, the lowest ones, and what is left over is counted."""
    kept, over = first_bits(mask, limit)
    everything = _set_bits(mask)
    assert _set_bits(kept) == everything[:limit]
    assert over == len(everything[limit:])


def test_bits_that_lie_unevenly_are_cut_rightly() -> None:
    """A desert before, between or behind the bits does not mislead the guess of where to cut."""
    crowd = (1 << 100) - 1
    for mask in (crowd << 90_000, crowd | 1 << 90_000, crowd | crowd << 50_000, (1 << 5_000) - 1 << 70_000):
        kept, over = first_bits(mask, 48)
        assert (_set_bits(kept), over) == (_set_bits(mask)[:48], mask.bit_count() - 48)


@given(st.lists(runs, max_size=5))
def test_pairs_are_the_bits_of_the_runs(batch: list[list[Run]]) -> None:
    """Impression by impression, run by run, bit by bit; `ends` part the impressions."""
    collected = Runs()
    for number, found in enumerate(batch):
        collected.add(Slot(number, _slot()), found)
    field = collected.field()
    expected = [
        (n, first + i) for n, found in enumerate(batch) for first, bits in found for i in _set_bits(bits)
    ]
    assert list(zip(field.slot.tolist(), field.line.tolist(), strict=True)) == expected
    assert field.ends == [sum(slot <= n for slot, _ in expected) for n in range(len(batch))]
    assert [line for found in batch for line in lines_of(found)] == [line for _, line in expected]


def test_pairs_under_deals_join_their_impression() -> None:
    """A deal's pair stands with the others of its impression and says which deal; theirs say none."""
    collected = Runs()
    collected.add(Slot(0, _slot()), [(0, 0b101)])
    collected.add(Slot(1, _slot()), [(10, 0b1)])
    field = with_deals(collected.field(), [(0, 7, 1), (1, 8, 0)])
    assert field.deal is not None
    assert np.column_stack((field.slot, field.line, field.deal)).tolist() == [
        [0, 0, OPEN_AUCTION],
        [0, 2, OPEN_AUCTION],
        [0, 7, 1],
        [1, 10, OPEN_AUCTION],
        [1, 8, 0],
    ]
    assert field.ends == [3, 5]


def _slot() -> Opportunity:
    """Any: these functions only hand it on."""
    return Opportunity(0, None, 1, (), 0, 0, True, 0, False, False, -1.0, (), False, None, None)  # type: ignore[arg-type]
