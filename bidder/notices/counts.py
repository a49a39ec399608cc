"""What is counted of notices: their results, and what they tell of line items and exchanges.

Place: apply.py counts every notice here, once it knows what became of it.
Limits: labels are of few values: line items by series.py, events those of players, loss reasons the codes of OpenRTB.
Never: what the ledger decides: spend is counted where it is applied.
"""

from typing import Final

from bidder.metrics import Histogram, Metric, Tally
from bidder.notices.series import LineSeries
from openrtb.prices import decode_plain
from openrtb.vast import EVENTS

MAX_LOSS_REASON: Final = 499  # the codes above it are each exchange's own
MAX_RATIO: Final = 1_000_000
"""A thousand times our bid: beyond it is a slip of somebody's decimal point."""

METRICS: Final = (
    Metric(
        "paceline_notices_total", "counter", "Notices, beacons and clicks by their result", ("kind", "result")
    ),
    Metric(
        "paceline_loss_reasons_total",
        "counter",
        "Loss notices by the OpenRTB reason code that the exchange gave",
        ("exchange", "reason"),
        bound="exchanges that are configured; codes below 500, `exchange_specific` and `none`",
    ),
    Metric(
        "paceline_clearing_prices_total",
        "counter",
        "Charged impressions by how their price was found; unless read, the bid was charged",
        ("exchange", "clearing"),
    ),
    Metric(
        "paceline_line_item_wins_total", "counter", "Auctions won, by win notices", ("campaign", "line_item")
    ),
    Metric(
        "paceline_line_item_impressions_total",
        "counter",
        "Impressions, by the beacon in the markup",
        ("campaign", "line_item"),
    ),
    Metric("paceline_line_item_clicks_total", "counter", "Clicks, once per bid", ("campaign", "line_item")),
    Metric(
        "paceline_line_item_events_total",
        "counter",
        "How far players got through video and audio ads",
        ("campaign", "line_item", "event"),
    ),
    Metric(
        "paceline_minimum_to_win_ratio",
        "histogram",
        "The price that would have won, as a share of our bid, where a notice tells it",
        ("exchange", "kind"),
        1e-3,
        (
            100,
            250,
            500,
            600,
            700,
            800,
            850,
            900,
            950,
            1_000,
            1_050,
            1_100,
            1_250,
            1_500,
            2_000,
            5_000,
            10_000,
        ),
    ),
)
_TO_WIN: Final = METRICS[-1]
_OF_LINE: Final = {
    "win": "paceline_line_item_wins_total",
    "imp": "paceline_line_item_impressions_total",
    "click": "paceline_line_item_clicks_total",
}


class Counts:
    """The counters of one worker's notices."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._series = LineSeries()
        self._ratios: dict[tuple[str, str], Histogram] = {}

    def result(self, kind: str, result: str) -> None:
        """One notice, whatever became of it."""
        self._tally.count("paceline_notices_total", kind, result)

    def clearing(self, exchange: str, how: str) -> None:
        """How the price of a billed impression was found."""
        self._tally.count("paceline_clearing_prices_total", exchange, how)

    def of_line(self, kind: str, names: tuple[str, str], event: str) -> None:
        """A win, an impression, a click or a player's event of (campaign, line item)."""
        labels = self._series.of(*names)
        if kind == "event":
            self._tally.count("paceline_line_item_events_total", *labels, event_label(event))
        else:
            self._tally.count(_OF_LINE[kind], *labels)

    def loss(self, exchange: str, reason: str) -> None:
        """A loss by the reason that was given."""
        self._tally.count("paceline_loss_reasons_total", exchange, loss_reason(reason))

    def to_win(self, labels: tuple[str, str], text: str, bid_cpm_micros: int) -> None:
        """Keep what would have won, by the exchange's word: a plain price in the currency that was bid.

        `labels` are (exchange, kind of notice). Nothing, zero and anything that is no price tell nothing."""
        price = decode_plain(text)
        if not price.known or not price.micros or not bid_cpm_micros:
            return
        histogram = self._ratios.get(labels)
        if histogram is None:
            histogram = self._ratios[labels] = self._tally.histogram(_TO_WIN, *labels)
        histogram.observe(min(MAX_RATIO, price.micros * 1_000 // bid_cpm_micros))


def event_label(name: str) -> str:
    """A player's event as a label of few values."""
    return name if name in EVENTS else "other"


def loss_reason(text: str) -> str:
    """A loss reason as a label of few values: the OpenRTB code, `exchange_specific` from 500 on, `none`."""
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        return "none"
    code = int(text)
    return str(code) if code <= MAX_LOSS_REASON else "exchange_specific"
