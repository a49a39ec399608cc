"""What the demo shows: the exchanges' totals and the service's metrics as one Reading.

Place: session.py makes one per second; view.py draws it; summary.py judges the last.
Units: micros of each advertiser's currency; latencies in milliseconds; memory in megabytes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime

from msgspec import Struct
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.demo.courses import Course, planned_share
from benchmarks.demo.ledger import Proof
from benchmarks.demo.society import Society
from benchmarks.exchange.report import LogHistogram, Totals
from bidder.campaigns.model import Book
from bidder.outcome import Outcome

MICROS = 1_000_000
BID = Outcome.BID.name.lower()


class Metrics:
    """One scrape, by sample name."""

    def __init__(self, text: str) -> None:
        """Raises ValueError for text that is no Prometheus exposition."""
        self._samples: dict[str, list[tuple[Mapping[str, str], float]]] = defaultdict(list)
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                self._samples[sample.name].append((sample.labels, sample.value))

    def total(self, name: str, **labels: str) -> int:
        """The sum of all samples of a name that carry these labels; 0 where there are none."""
        wanted = labels.items()
        return int(sum(value for has, value in self._samples.get(name, ()) if wanted <= has.items()))

    def by(self, name: str, label: str) -> dict[str, int]:
        """The sums by one label, the largest first, zeros left out."""
        sums: dict[str, int] = defaultdict(int)
        for labels, value in self._samples.get(name, ()):
            sums[labels.get(label, "")] += int(value)
        return dict(sorted(((k, v) for k, v in sums.items() if v), key=lambda pair: -pair[1]))

    def samples(self, name: str) -> list[tuple[Mapping[str, str], float]]:
        """(labels, value) of every sample of a name."""
        return list(self._samples.get(name, ()))

    def labels(self, name: str) -> list[Mapping[str, str]]:
        """The labels of every sample of a name."""
        return [labels for labels, _ in self._samples.get(name, ())]


class CampaignReading(Struct, frozen=True):
    """One campaign's standing."""

    id: str
    name: str
    advertiser: str
    currency: str
    budget_micros: int
    spent_micros: int
    bids: int
    impressions: int
    clicks: int
    planned: float | None = None
    """The share of the total budget that should be spent by now; None without a plan."""


class Reading(Struct, frozen=True):
    """One moment of the demo."""

    elapsed_s: float
    totals: Totals
    recent: LogHistogram
    """Latencies since the reading before."""
    rate: float
    """Requests per second since the reading before."""
    no_bid_reasons: dict[str, int]
    campaigns: tuple[CampaignReading, ...]
    model: str
    rss_mb: float
    store_mb: float
    metrics: Metrics
    courses: tuple[Course, ...] = ()
    proofs: tuple[Proof, ...] = ()
    """Of the last reading alone."""
    society: Society = Society()


def campaigns_of(book: Book, metrics: Metrics, now_s: float) -> tuple[CampaignReading, ...]:
    """Every campaign with its counters; the budget is the total one, else the daily one."""
    rows = []
    for shop in book.advertisers:
        for campaign in shop.campaigns:
            budget = campaign.budget.total or campaign.budget.daily
            counted = {
                kind: metrics.total(f"paceline_line_item_{kind}_total", campaign=campaign.id)
                for kind in ("spend_micros", "bids", "impressions", "clicks")
            }
            rows.append(
                CampaignReading(
                    campaign.id, campaign.name, shop.name, shop.currency, int((budget or 0) * MICROS),
                    counted["spend_micros"], counted["bids"], counted["impressions"], counted["clicks"],
                    planned_share(shop, campaign, now_s),
                )
            )  # fmt: skip
    return tuple(rows)


def no_bid_reasons(metrics: Metrics) -> dict[str, int]:
    """How requests ended without a bid, by outcome, the largest first."""
    return {k: v for k, v in metrics.by("paceline_outcomes_total", "outcome").items() if k.lower() != BID}


def model_kind(metrics: Metrics) -> str:
    """Where response rates come from: the model's kind as the service names it."""
    kinds = {labels.get("kind", "") for labels in metrics.labels("paceline_model_info")}
    return ", ".join(sorted(kinds - {""})) or "priors"


def today() -> str:
    """The date and time in UTC, for a report."""
    return datetime.now(UTC).isoformat(timespec="seconds")
