"""What the auction counts: time by stage, consent, candidates, drops, bids by exchange and by line item.

Place: run adds once per batch; the names are in METRICS, the catalogue's part of this room.
Limits: line items beyond LINE_ITEM_SERIES share one series, "other".
"""

from collections.abc import Mapping, Sequence

from bidder.auction.consent import Consent
from bidder.auction.pending import Pending
from bidder.campaigns.compile import Line
from bidder.metrics import Metric, Tally
from bidder.opportunity import MEDIA_NAMES, Context
from bidder.outcome import Drop
from bidder.privacy.regimes import Regime

LINE_ITEM_SERIES = 1_000

STAGES = ("queue", "intake", "person", "retrieve", "price", "admit", "respond")
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
)
CONSENT = Metric(
    "paceline_consent_total",
    "counter",
    "Requests that were decided, by the law in force and by what it let us do with the person",
    ("regime", "outcome"),
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
        stages = {stage: tally.histogram(STAGE, stage) for stage in STAGES}
        self._intake, self._person = stages["intake"], stages["person"]
        self._priced = [stages[stage].observe_many for stage in ("retrieve", "price", "admit", "respond")]
        self._unpriced = [stages[stage].observe_many for stage in ("retrieve", "respond")]
        self._consents = [
            tally.slot(CONSENT.name, regime.name.lower(), consent.name.lower())
            for regime in Regime
            for consent in Consent
        ]
        self._bids: dict[str, list[int]] = {}
        self._lines: dict[int, int] = {}
        self._values: dict[str, int] = {}

    def intake(self, spent_ns: int, requests: int) -> None:
        """A batch was read and let in, or answered at the door."""
        self._intake.observe_many(spent_ns, requests)

    def person(self, waited_ns: int, requests: int) -> None:
        """A batch waited for its people."""
        self._person.observe_many(waited_ns, requests)

    def stages(self, moments_ns: Sequence[int], requests: int) -> None:
        """The moments between which a batch went through retrieve, price, admit and respond: five of them, or three
        where nothing was left to price."""
        began_ns, *ends_ns = moments_ns
        for observe, ended_ns in zip(
            self._priced if len(ends_ns) == len(self._priced) else self._unpriced, ends_ns, strict=True
        ):
            observe(ended_ns - began_ns, requests)
            began_ns = ended_ns

    def consents(self, batch: Sequence[Pending]) -> None:
        """What the requests of a batch let us do."""
        cells, slots = self.cells, self._consents
        for pending in batch:
            cells[slots[pending.consent]] += 1

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
        try:
            slots = self._bids[context.exchange.name]
            own = self._lines[line.key]
            value = self._values[context.currency]
        except KeyError:
            self._learn(context, line)
            self.bid(context, medium, line, bid_cpm_micros)
            return
        cells[slots[2 * medium + context.personal]] += 1
        cells[own] += 1
        cells[value] += bid_cpm_micros

    def _learn(self, context: Context, line: Line) -> None:
        """Find the cells of a bid: of its exchange, its line item and its currency."""
        exchange, slot = context.exchange.name, self._tally.slot
        if exchange not in self._bids:
            slots = self._bids[exchange] = [0] * (2 * max(MEDIA_NAMES) + 2)
            for medium, name in MEDIA_NAMES.items():
                slots[2 * medium] = slot("paceline_bids_total", exchange, name, "contextual")
                slots[2 * medium + 1] = slot("paceline_bids_total", exchange, name, "personal")
        if line.key not in self._lines:
            self._lines[line.key] = self._line_slot(line)
        if context.currency not in self._values:
            self._values[context.currency] = slot("paceline_bid_value_micros_total", context.currency)

    def _line_slot(self, line: Line) -> int:
        if len(self._lines) >= LINE_ITEM_SERIES:
            return self._tally.slot("paceline_line_item_bids_total", "other", "other")
        return self._tally.slot("paceline_line_item_bids_total", line.campaign_id, line.id)
