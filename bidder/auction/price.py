"""Step 6 of a bid: what each candidate is worth and what it bids, for the whole batch in one numpy pass.

Place: between retrieve and choose.
Shapes: P candidate pairs, as in retrieve.Field; affinity vectors (rows, D) float32, row 0 = nobody's.
Units: values and bids are CPM micros of the request's bid currency, float64.
Source: value = response rate x what a response is worth; a second-price auction is bid truthfully
    (Vickrey 1961), a first-price one through a Shading.
Never: fetches; looks at one advertiser's data for another's line item.
"""

from collections.abc import Callable, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from bidder.auction.pending import Pending
from bidder.auction.rates import PREFERRED_MEDIUM, Floats
from bidder.auction.retrieve import Field
from bidder.auction.world import World
from bidder.audience.person import VERSION
from bidder.campaigns.index import Index
from bidder.campaigns.model import VECTOR_DIMENSIONS

_HEADER = 8
_VECTOR_BYTES = 2 * VECTOR_DIMENSIONS
_FIRST_MEDIUM = np.array(
    [next((n for n, m in enumerate(PREFERRED_MEDIUM) if both & m), 0) for both in range(16)], np.intp
)


class Prices(Struct):
    """What the candidates bid."""

    value: Floats
    """(P,) the most that an impression is worth, within the line item's maximum."""
    bid: Floats
    """(P,) -1 where there is no rate between the line item's currency and the request's."""


def price(batch: Sequence[Pending], field: Field, world: World) -> Prices:
    """Values and bids of all candidates of a batch."""
    index = world.index
    columns = index.columns
    slots, line, slot = field.slots, field.line, field.slot
    request = np.array([s.pending for s in slots], np.intp)[slot]
    media = np.array([s.opportunity.media for s in slots], np.uint8)[slot]
    medium = _FIRST_MEDIUM[columns.media[line] & media]
    affinity = _affinity(batch, index, request, line)
    click_rate, conversion_rate = world.responses.rates(line, medium, affinity)
    worth = _worth(index, line, click_rate, conversion_rate)
    rates = _rates(batch, index, world.factor)[request, columns.currency[line]]
    value = np.minimum(worth, columns.max_bid_cpm_micros[line]) * rates
    first = [pending.context.first_price for pending in batch]
    if any(first):
        exchange = [batch[s.pending].call.profile.name for s in slots]
        bid = np.where(np.array(first)[request], world.shading.shade(value, exchange, slot), value)
    else:
        bid = value
    return Prices(value, np.where(rates > 0, bid, -1.0))


def _worth(index: Index, line: NDArray[np.intp], click_rate: Floats, conversion_rate: Floats) -> Floats:
    """CPM micros in the advertiser's currency: the goal's value for a thousand impressions."""
    columns = index.columns
    by_click = np.where(columns.goal_is_click[line], click_rate * 1000.0, 1.0)
    by_conversion = np.where(
        columns.goal_is_conversion[line], click_rate * conversion_rate * 1000.0, by_click
    )
    return columns.goal_micros[line] * by_conversion


def _rates(batch: Sequence[Pending], index: Index, factor: Callable[[str, str], float | None]) -> Floats:
    """(requests, currencies): factors into each request's bid currency; 0 where there is none."""
    known: dict[str, list[float]] = {}
    rows = []
    for pending in batch:
        currency = pending.context.currency
        row = known.get(currency)
        if row is None:
            row = known[currency] = [factor(own, currency) or 0.0 for own in index.columns.currencies]
        rows.append(row)
    return np.array(rows, np.float64)


def _affinity(
    batch: Sequence[Pending], index: Index, request: NDArray[np.intp], line: NDArray[np.intp]
) -> Floats:
    """(P,) user vector . line-item vector; 0 where the advertiser knows nothing of the person."""
    score = np.zeros(len(line))
    vectors: list[bytes] = []
    owners: list[tuple[int, int]] = []  # (request, advertiser) of each vector
    for number, pending in enumerate(batch):
        if pending.person is None:
            continue
        for name, value in pending.person.fields.items():
            advertiser = index.vectored.get(name)
            if (
                advertiser is not None
                and len(value) >= _HEADER + _VECTOR_BYTES
                and value[1] == VECTOR_DIMENSIONS
                and value[0] == VERSION
            ):
                owners.append((number, advertiser))
                vectors.append(value[_HEADER : _HEADER + _VECTOR_BYTES])
    if not owners:
        return score
    table = np.zeros((len(batch), index.advertiser_count), np.intp)
    pairs = np.array(owners, np.intp)
    table[pairs[:, 0], pairs[:, 1]] = np.arange(1, len(owners) + 1)
    row = table[request, index.columns.advertiser[line]]
    known = np.flatnonzero(row)
    if len(known):
        users = np.frombuffer(b"".join(vectors), "<f2").reshape(-1, VECTOR_DIMENSIONS).astype(np.float32)
        score[known] = np.einsum("ij,ij->i", users[row[known] - 1], index.columns.vectors[line[known]])
        np.nan_to_num(score, copy=False)
    return score
