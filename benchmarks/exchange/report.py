"""What the simulated exchanges counted, and latencies in logarithmic buckets.

Place: the simulation fills one Totals and prints it as JSON lines; the demo reads them.
Units: latencies in microseconds, in buckets two per cent wide; `billed_micros` in the exchange's currency.
"""

from __future__ import annotations

import math
from typing import Final

from msgspec import Struct, field

_BASE: Final = math.log(1.02)
MAX_EXAMPLES: Final = 20


class LogHistogram(Struct):
    """Counts by the logarithm of a value of at least 1."""

    counts: dict[int, int] = field(default_factory=dict)

    def add(self, value: float) -> None:
        """Count one value; below 1 it counts as 1."""
        place = int(math.log(value) / _BASE) if value > 1 else 0
        self.counts[place] = self.counts.get(place, 0) + 1

    @property
    def total(self) -> int:
        """How many values were added."""
        return sum(self.counts.values())

    def percentile(self, share: float) -> float:
        """The value that `share` per cent do not exceed, within one bucket; 0 without values."""
        wanted, seen = math.ceil(self.total * share / 100), 0
        for place in sorted(self.counts):
            seen += self.counts[place]
            if seen >= max(wanted, 1):
                return math.exp((place + 0.5) * _BASE)
        return 0.0

    def since(self, earlier: LogHistogram) -> LogHistogram:
        """What was added after `earlier`, a former state of this histogram."""
        return LogHistogram(
            {
                place: count - earlier.counts.get(place, 0)
                for place, count in self.counts.items()
                if count > earlier.counts.get(place, 0)
            }
        )


class ExchangeTotals(Struct):
    """One exchange's counts."""

    requests: int = 0
    bids: int = 0
    wins: int = 0
    billed_micros: int = 0


class PeopleTotals(Struct):
    """What the simulated people did in shops, saw of it in ads, and asked of us; the names of fields that must stay 0
    are VIOLATIONS."""

    visits: int = 0
    """Pages and products looked at, carts, orders: calls of the pixel that were answered."""
    orders: int = 0
    syncs: int = 0
    """Cookie syncs that told an exchange of our id."""
    visitors: int = 0
    """People who were in a shop during the run."""
    recognised: int = 0
    """Answers whose bid is for a person whom the service knows."""
    returned: int = 0
    """Those of them that know the person from a visit in this run alone."""
    drawn: int = 0
    """Product ads that were looked at."""
    brand: int = 0
    """Those without a product: the brand alone."""
    personal: int = 0
    """Those that show something else than everybody sees."""
    viewed_first: int = 0
    """Those that begin with what the person looked at last, of `viewed`."""
    viewed: int = 0
    product_clicks: int = 0
    opted_out: int = 0
    erased: int = 0
    crawlers: int = 0
    """Requests of crawlers."""
    robots: int = 0
    """Requests of the id that asks more often than any person."""
    robots_unanswered: int = 0
    """Requests of both that got no bid."""
    crawlers_bid_on: int = 0
    kept_without_consent: int = 0
    """Ids that a browser got whose person did not agree."""
    foreign_products: int = 0
    """Drawn in an ad of another shop."""
    drawn_without_consent: int = 0
    """Personal ads of people who did not agree, opted out or were erased."""
    not_viewed_first: int = 0
    wrong_landings: int = 0
    """Clicks that led elsewhere than to the product."""
    issued_ids: list[str] = field(default_factory=list)
    """That the service gave; filled at the end alone."""
    opted_out_ids: list[str] = field(default_factory=list)
    erased_ids: list[str] = field(default_factory=list)


VIOLATIONS: Final = {
    "crawlers_bid_on": "bids for crawlers",
    "kept_without_consent": "ids given without consent",
    "foreign_products": "products of another shop drawn",
    "drawn_without_consent": "personal ads without consent",
    "not_viewed_first": "what was viewed last is not first",
    "wrong_landings": "clicks that missed their product",
}


class Totals(Struct):
    """Everything that the exchanges saw of the bidder."""

    seconds: float = 0.0
    requests: int = 0
    """Sent; each ends as one of bid_responses, no_bids, errors."""
    bid_responses: int = 0
    no_bids: int = 0
    errors: int = 0
    """Neither 200 nor 204, no answer, an unreadable one, or a failed notice."""
    late: int = 0
    """Answers after tmax: they take part in no auction."""
    faults: int = 0
    """Answers that an exchange would reject."""
    bids: int = 0
    wins: int = 0
    losses: int = 0
    billed: int = 0
    impressions: int = 0
    clicks: int = 0
    conversions: int = 0
    notices: int = 0
    """Notices, beacons and clicks that were answered."""
    examples: list[str] = field(default_factory=list)
    """The first errors and faults in words."""
    error_kinds: dict[str, int] = field(default_factory=dict)
    loss_reasons: dict[str, int] = field(default_factory=dict)
    exchanges: dict[str, ExchangeTotals] = field(default_factory=dict)
    campaigns_billed: dict[str, int] = field(default_factory=dict)
    """Billed impressions by the campaign id of the bid."""
    due_micros: dict[str, int] = field(default_factory=dict)
    """What the answered bills come to, by advertiser, in its currency; witness.py knows."""
    capped_views: int = 0
    """Ads that were on a screen and that a frequency cap binds."""
    cap_violations: dict[str, int] = field(default_factory=dict)
    """Those beyond a cap, by cap."""
    latency_us: LogHistogram = field(default_factory=LogHistogram)
    people: PeopleTotals = field(default_factory=PeopleTotals)

    def error(self, kind: str, example: str = "") -> None:
        """Count one error."""
        self.errors += 1
        self.error_kinds[kind] = self.error_kinds.get(kind, 0) + 1
        self.example(f"{kind}: {example}" if example else kind)

    def example(self, text: str) -> None:
        """Keep a text if it is among the first."""
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(text[:300])

    @property
    def bid_rate(self) -> float:
        """Answers with a bid per request answered."""
        answered = self.bid_responses + self.no_bids
        return self.bid_responses / answered if answered else 0.0

    @property
    def win_rate(self) -> float:
        """Wins per bid."""
        return self.wins / self.bids if self.bids else 0.0

    def latency_ms(self) -> dict[str, float]:
        """p50, p99 and p999 in milliseconds."""
        shares = {"p50": 50, "p99": 99, "p999": 99.9}
        return {name: round(self.latency_us.percentile(share) / 1e3, 3) for name, share in shares.items()}
