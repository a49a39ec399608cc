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

STAGES = ("queue", "intake", "person", "retrieve", "price", "admit", "respond")
REGIMES = ("gdpr", "us", "coppa", "other", "none")
CONSENTS = ("personal", "contextual", "opted_out")
_US = 1_000
STAGE_BUCKETS_NS = tuple(
    us * _US for us in (5, 10, 20, 50, 100, 200, 350, 500, 750, 1_000, 1_500, 2_000, 3_000, 5_000, 7_500)
) + tuple(us * _US for us in (10_000, 15_000, 20_000, 30_000, 50_000, 75_000, 100_000, 200_000, 500_000))
STAGE = Metric(
    "paceline_stage_seconds",
    "histogram",
    "Time that the batch of a request spent in a stage of its bid, counted once for each of its requests: queue, "
    "intake, person, retrieve, price, admit, respond",
    ("stage",),
    1e-9,
    STAGE_BUCKETS_NS,
    bound="7 stages",
)
CONSENT = Metric(
    "paceline_consent_total",
    "counter",
    "Requests that were decided, by the law in force and by what it let us do with the person",
    ("regime", "outcome"),
    bound="5 regimes by 3 outcomes",
)

METRICS = (
    STAGE,
    CONSENT,
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
