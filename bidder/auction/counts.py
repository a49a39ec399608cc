"""What the auction counts: candidates, drops, bids, by exchange and by line item.

Place: run adds once per batch; the names are in METRICS, the catalogue's part of this room.
Limits: line items beyond LINE_ITEM_SERIES share one series, "other".
"""

from collections.abc import Mapping

from bidder.campaigns.compile import Line
from bidder.metrics import Metric, Tally
from bidder.opportunity import MEDIA_NAMES, Context
from bidder.outcome import Drop

LINE_ITEM_SERIES = 1_000

METRICS = (
    Metric(
        "paceline_candidates_total",
        "counter",
        "Line items that suit an impression by targeting, audience and format, counted for each impression; "
        "those whose advertiser or category the request blocks, counted once for the request",
    ),
    Metric(
        "paceline_drops_total", "counter", "Candidates that became no bid, by the one reason", ("reason",)
    ),
    Metric("paceline_bids_total", "counter", "Bids sent", ("exchange", "medium", "person")),
    Metric("paceline_bid_value_micros_total", "counter", "Sum of bid prices, in CPM micros", ("currency",)),
    Metric("paceline_line_item_bids_total", "counter", "Bids sent by line item", ("campaign", "line_item")),
    Metric(
        "paceline_self_check_faults_total", "counter", "Answers of ours that the response check held back"
    ),
)


class AuctionCounts:
    """The cells of the auction."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self.cells = tally.cells
        self.candidates = tally.slot("paceline_candidates_total")
        self.drops = [tally.slot("paceline_drops_total", drop.name.lower()) for drop in Drop]
        self._faults = tally.slot("paceline_self_check_faults_total")
        self._bids: dict[tuple[str, int, bool], int] = {}
        self._lines: dict[int, int] = {}
        self._values: dict[str, int] = {}

    def batch(self, candidates: int, dropped: Mapping[Drop, int]) -> None:
        """Count what a batch considered and dropped."""
        cells = self.cells
        cells[self.candidates] += candidates
        for reason, count in dropped.items():
            cells[self.drops[reason]] += count

    def fault(self) -> None:
        """Count an answer that was held back."""
        self.cells[self._faults] += 1

    def bid(self, context: Context, medium: int, line: Line, bid_cpm_micros: int) -> None:
        """Count a bid that was sent."""
        cells = self.cells
        key = (context.exchange.name, medium, context.personal)
        slot = self._bids.get(key)
        if slot is None:
            slot = self._bids[key] = self._bid_slot(key)
        cells[slot] += 1
        own = self._lines.get(line.key)
        if own is None:
            own = self._lines[line.key] = self._line_slot(line)
        cells[own] += 1
        value = self._values.get(context.currency)
        if value is None:
            value = self._values[context.currency] = self._tally.slot(
                "paceline_bid_value_micros_total", context.currency
            )
        cells[value] += bid_cpm_micros

    def _bid_slot(self, key: tuple[str, int, bool]) -> int:
        exchange, medium, personal = key
        person = "personal" if personal else "contextual"
        return self._tally.slot("paceline_bids_total", exchange, MEDIA_NAMES[medium], person)

    def _line_slot(self, line: Line) -> int:
        if len(self._lines) >= LINE_ITEM_SERIES:
            return self._tally.slot("paceline_line_item_bids_total", "other", "other")
        return self._tally.slot("paceline_line_item_bids_total", line.campaign_id, line.id)
