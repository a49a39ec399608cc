"""Step 5 of a bid: what each candidate is worth and what it bids, for the whole batch in one numpy pass.

Place: between retrieve and choose.
Shapes: P candidate pairs, as in field.Field; N line items; affinity vectors of VECTOR_DIMENSIONS float16.
Units: values and bids are CPM micros of the request's bid currency, float64.
Source: value = response rate x what a response is worth; a second-price auction is bid truthfully
    (Vickrey 1961), a first-price one through a Shading.
Never: fetches; looks at one advertiser's data for another's line item.
"""

from collections.abc import Callable, Sequence
from math import isfinite

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from bidder.auction.field import OPEN_AUCTION, Field, Numbers, Slot
from bidder.auction.pace import Pace
from bidder.auction.pending import Pending
from bidder.auction.rates import PREFERRED_MEDIUM, Affinity, Floats, Responses, Shading, ViewBins
from bidder.audience.frequency import view_bins
from bidder.audience.person import affinity_bytes
from bidder.campaigns.index import Index
from bidder.campaigns.model import VECTOR_DIMENSIONS
from bidder.opportunity import BANNER

MAX_VECTORS = 65_536
"""Affinity vectors of one batch: more than its bounds on requests and on fields of a person allow."""
NO_RATE = -1e9
"""The bid of a line item whose currency cannot be turned into the request's."""
_ZERO, _ONE = np.array(0.0), np.array(1)
_COUNTING = np.arange(1, 1 + MAX_VECTORS)
_FLAT, _PER_CLICK, _PER_CONVERSION, _MAXIMUM = range(4)
_FIRST_MEDIUM = np.array(
    [next((n for n, m in enumerate(PREFERRED_MEDIUM) if both & m), 0) for both in range(16)], np.int64
)


class Prices(Struct):
    """What the candidates bid."""

    value: Floats
    """(P,) the most that an impression is worth, within the line item's maximum."""
    paced: Floats
    """(P,) the same times the line item's pacing multiplier: what is bid truthfully, and shaded otherwise."""
    bid: Floats
    """(P,) NO_RATE where there is no rate between the line item's currency and the request's."""


class Pricer:
    """Prices the candidates of batches for one index; belongs to one event loop."""

    def __init__(
        self,
        index: Index,
        responses: Responses,
        shading: Shading,
        factor: Callable[[str, str], float | None],
    ) -> None:
        self._index, self._factor = index, factor
        self._responses, self._shading = responses, shading
        self._pays_conversions = bool(index.columns.goal_is_conversion.any())
        self._terms = np.zeros((0, 4))
        """(currencies x N, 4): the terms of all line items, one currency after the other."""
        self._rows: dict[str, int] = {}
        self._width = np.array(index.advertiser_count)
        self.pace = Pace(index.count)
        self._owner = np.zeros(index.advertiser_count, np.int64)
        """(requests x advertisers): which vector of the batch, from 1; wiped after each use."""

    @property
    def model(self) -> str:
        """What predicts response rates."""
        return self._responses.kind

    def price(self, batch: Sequence[Pending], field: Field) -> Prices:
        """Values and bids of all candidates of a batch."""
        slots, line = field.slots, field.line
        numbers = [s.pending for s in slots]
        alike = len(numbers) == len(batch) and numbers == list(range(len(batch)))  # one impression each
        request = field.slot if alike else np.array(numbers, np.int64).take(field.slot)
        click = self._responses.click_rates(
            line,
            self._medium(slots, field),
            self._affinity(batch, request, line),
            self._views(batch, request, line),
        )
        value = self._values(self._terms_of(batch, request, line), click, line)
        paced = value * self.pace.multiplier.take(line) if self.pace.slowed else value
        first = [pending.context.first_price for pending in batch]
        if True not in first and field.deal is None:
            return Prices(value, paced, paced)
        exchange = [batch[number].call.profile.name for number in numbers]
        shaded = self._shading.shade(paced, exchange, field.slot)
        applies = paced > _ZERO  # what is no bid stays as it is
        if False in first or field.deal is not None:
            applies &= _is_first_price(np.array(first).take(request), field)
        return Prices(value, paced, np.where(applies, shaded, paced))

    def _values(self, terms: Floats, click: Floats, line: Numbers) -> Floats:
        """(P,) what an impression is worth, within the maximum."""
        per_click = terms[:, _PER_CLICK]
        if self._pays_conversions:
            per_click = per_click + self._responses.conversion_rates(line) * terms[:, _PER_CONVERSION]
        click *= per_click
        click += terms[:, _FLAT]
        return np.minimum(click, terms[:, _MAXIMUM], out=click)

    def _medium(self, slots: list[Slot], field: Field) -> Numbers | None:
        """(P,) the medium that each pair is priced for, as a place in PREFERRED_MEDIUM; None: all are banners."""
        media = [s.opportunity.media for s in slots]
        if media.count(BANNER) == len(media):
            return None
        both = self._index.columns.media.take(field.line) & np.array(media, np.uint8).take(field.slot)
        return _FIRST_MEDIUM.take(both)

    def _terms_of(self, batch: Sequence[Pending], request: Numbers, line: Numbers) -> Floats:
        """(P, 4) what an impression, click and conversion are worth, and the maximum, in the bid currency."""
        rows = [self._row(pending.context.currency) for pending in batch]
        if rows.count(rows[0]) == len(rows):
            entry = line + rows[0] if rows[0] else line
        else:
            entry = np.array(rows).take(request) + line
        return self._terms.take(entry, axis=0)

    def _row(self, currency: str) -> int:
        """Where a currency's rows begin in `_terms`; they are made at its first request."""
        row = self._rows.get(currency)
        if row is None:
            row = self._rows[currency] = len(self._terms)
            self._terms = np.concatenate((self._terms, self._in_currency(currency)))
        return row

    def _in_currency(self, currency: str) -> Floats:
        """(N, 4) the terms of all line items in a currency."""
        columns = self._index.columns
        rates = np.array([self._factor(own, currency) or 0.0 for own in columns.currencies])
        rate = rates[columns.currency] if len(rates) else np.zeros(0)
        thousand = columns.goal_micros * 1000.0 * rate
        by_response = columns.goal_is_click | columns.goal_is_conversion
        terms = np.zeros((self._index.count, 4))
        terms[:, _FLAT] = np.where(by_response, 0.0, columns.goal_micros * rate)
        terms[:, _PER_CLICK] = np.where(columns.goal_is_click, thousand, 0.0)
        terms[:, _PER_CONVERSION] = np.where(columns.goal_is_conversion, thousand, 0.0)
        terms[:, _MAXIMUM] = np.where(rate > 0, columns.max_bid_cpm_micros * rate, NO_RATE)
        return terms

    def _views(self, batch: Sequence[Pending], request: Numbers, line: Numbers) -> ViewBins | None:
        """What each pair's advertiser has shown the person; None where none of the people was shown anything."""
        exposures = [pending.exposure if pending.context.personal else None for pending in batch]
        if not any(exposure is not None and exposure.views for exposure in exposures):
            return None
        cell = self._index.columns.advertiser[line]
        if len(batch) > 1:
            cell += request * self._width
        return view_bins(exposures, self._index.advertisers, cell, int(self._width))

    def _affinity(self, batch: Sequence[Pending], request: Numbers, line: Numbers) -> Affinity | None:
        """User vector . line-item vector of the pairs whose advertiser knows the person; None where none does."""
        cells, vectors = self._vectors(batch)
        if not vectors:
            return None
        columns, owners, held = self._index.columns, self._owner, np.array(cells)
        cell = columns.advertiser[line]
        if len(batch) > 1:
            cell += request * self._width
        owners[held] = _COUNTING[: len(cells)]
        owner = owners[cell]
        owners[held] = 0
        known = owner.nonzero()[0]
        users = np.frombuffer(b"".join(vectors), "<f2").astype(np.float32)
        if not isfinite(users.dot(users)):  # of a damaged vector the numbers that are none count as 0
            users[~np.isfinite(users)] = 0.0
        mine = users.reshape(-1, VECTOR_DIMENSIONS).take(owner[known] - _ONE, axis=0)
        score = np.vecdot(mine, columns.vectors.take(line[known], axis=0))
        return known, score

    def _vectors(self, batch: Sequence[Pending]) -> tuple[list[int], list[bytes]]:
        """(place in `_owner`, float16 vector) of each advertiser that knows one of the batch's people."""
        cells: list[int] = []
        vectors: list[bytes] = []
        vectored, width = self._index.vectored, self._index.advertiser_count
        for number, pending in enumerate(batch):
            if pending.person is None:
                continue
            for name, value in pending.person.fields.items():
                advertiser = vectored.get(name)
                if advertiser is not None and (vector := affinity_bytes(value, VECTOR_DIMENSIONS)):
                    cells.append(number * width + advertiser)
                    vectors.append(vector)
        if len(self._owner) < len(batch) * width:
            self._owner = np.zeros(len(batch) * width, np.int64)
        return cells, vectors


def _is_first_price(by_request: NDArray[np.bool_], field: Field) -> NDArray[np.bool_]:
    """(P,) whether each pair is bid in a first-price auction: a deal that says so goes before its request."""
    if field.deal is not None:
        for place in np.flatnonzero(field.deal != OPEN_AUCTION).tolist():
            offers = field.slots[int(field.slot[place])].opportunity.deals
            own = offers[int(field.deal[place])].first_price
            if own is not None:
                by_request[place] = own
    return by_request
