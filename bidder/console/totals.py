"""One second's numbers out of all series of a service: sums by one label, gauges, histograms.

Place: state.py takes one each second and keeps those of the last minute, so a look is small whatever the service has.
Shapes: samples as web/exposition merges them: (name, labels) to part to value; bucket counts in a histogram's parts.
Units: as the metrics are exposed; bounds of histograms in seconds or ratios.
Never: I/O, a clock.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from bidder.metrics import Metric
from bidder.web.exposition import Samples

_NONE: Final = -1
_LINE: Final = -2
COUNTERS: Final[dict[str, int]] = {
    "paceline_requests_total": 0,
    "paceline_bids_total": 0,
    "paceline_late_answers_total": 0,
    "paceline_slo_answers_total": 1,
    "paceline_outcomes_total": 1,
    "paceline_drops_total": 0,
    "paceline_loss_reasons_total": 1,
    "paceline_notices_total": 0,
    "paceline_line_item_wins_total": _NONE,
    "paceline_line_item_impressions_total": _NONE,
    "paceline_line_item_clicks_total": _NONE,
    "paceline_line_item_spend_micros_total": _LINE,
    "paceline_spend_micros_total": 0,
    "paceline_pacing_periods_total": 0,
    "paceline_people_reads_total": 0,
    "paceline_people_asked_total": _NONE,
    "paceline_people_found_total": _NONE,
    "paceline_consent_total": 1,
    "paceline_invalid_traffic_requests_total": 1,
    "paceline_process_cpu_seconds_total": 0,
    "paceline_worker_restarts_total": _NONE,
    "paceline_workers_hung_total": _NONE,
    "paceline_chore_failures_total": 0,
    "paceline_events_dropped_total": 1,
    "paceline_spool_records_total": 0,
    "paceline_self_check_faults_total": _NONE,
    "paceline_public_faults_total": _NONE,
    "paceline_series_overflow_total": _NONE,
}
"""Counters whose rates are shown, and the number of the label that they are summed by; or by none, or by campaign and
line item."""
HISTOGRAMS: Final[dict[str, int]] = {
    "paceline_bid_latency_seconds": _NONE,
    "paceline_stage_seconds": 0,
    "paceline_queue_age_seconds": _NONE,
    "paceline_people_read_seconds": _NONE,
    "paceline_notice_lag_seconds": _NONE,
}
"""Histograms that are shown, and the number of the label that they are kept apart by."""
ALL: Final = ""
"""The one key of what is not summed by a label."""

Sums = dict[str, float]
Buckets = dict[str, list[float]]


class Totals(Struct, frozen=True):
    """What was counted until one moment, and what stood then."""

    at_s: float
    counters: Mapping[str, Sums]
    """Metric to label to sum; every metric of COUNTERS is there."""
    histograms: Mapping[str, Buckets]
    """Metric to label to counts by bucket, each of its own bucket alone, and then the sum."""
    gauges: Mapping[str, Mapping[tuple[str, ...], float]]
    """Every other metric, by labels."""

    def gauge(self, name: str, *labels: str, absent: float = 0.0) -> float:
        """One gauge, or what stands for an absent one."""
        return self.gauges.get(name, {}).get(labels, absent)

    def all_of(self, name: str) -> Mapping[tuple[str, ...], float]:
        """A gauge by labels."""
        return self.gauges.get(name, {})

    def most(self, name: str) -> float:
        """The greatest of a gauge; 0 where there is none."""
        return max(self.all_of(name).values(), default=0.0)


def totals(at_s: float, samples: Samples, catalogue: Mapping[str, Metric]) -> Totals:
    """A second's numbers."""
    counters: dict[str, Sums] = {name: {} for name in COUNTERS}
    histograms: dict[str, Buckets] = {name: {} for name in HISTOGRAMS}
    gauges: dict[str, dict[tuple[str, ...], float]] = {}
    for (name, labels), parts in samples.items():
        if name in COUNTERS:
            sums, key = counters[name], _key(labels, COUNTERS[name])
            sums[key] = sums.get(key, 0.0) + parts.get("", 0.0)
        elif name in HISTOGRAMS:
            known = catalogue.get(name)
            if known is not None:
                _add(histograms[name], _key(labels, HISTOGRAMS[name]), parts, len(known.buckets) + 1)
        elif "" in parts:
            gauges.setdefault(name, {})[labels] = parts[""]
    return Totals(at_s, counters, histograms, gauges)


def since(now: Sums, then: Sums) -> Sums:
    """What was counted between two looks; a counter that began anew counts from 0."""
    return {
        key: value - then.get(key, 0.0) if value >= then.get(key, 0.0) else value
        for key, value in now.items()
    }


def buckets_since(now: Sequence[float], then: Sequence[float]) -> list[float]:
    """What was added to each bucket, and to the sum, between two looks."""
    before = then or [0.0] * len(now)
    return [max(0.0, count - earlier) for count, earlier in zip(now, before, strict=True)]


def quantile(share: float, metric: Metric, counts: Sequence[float]) -> float | None:
    """The value below which a share of what was counted lies, by a straight line within its bucket; the last bound
    stands for what is above it. None where nothing was counted. `counts` end with the sum."""
    bounds = [bound * metric.scale for bound in metric.buckets]
    total = sum(counts[:-1])
    if total <= 0:
        return None
    wanted, below, low = share * total, 0.0, 0.0
    for bound, count in zip(bounds, counts, strict=False):
        if count and below + count >= wanted:
            return low + (bound - low) * (wanted - below) / count
        below += count
        low = bound
    return bounds[-1]


def line_key(campaign: str, line_item: str) -> str:
    """By what a line item's counts are kept."""
    return f"{campaign}\0{line_item}"


def _key(labels: tuple[str, ...], number: int) -> str:
    if number == _LINE:
        return line_key(*labels)
    return labels[number] if number >= 0 else ALL


def _add(buckets: Buckets, key: str, parts: Mapping[str, float], count: int) -> None:
    row = buckets.setdefault(key, [0.0] * (count + 1))
    for number in range(count):
        row[number] += parts.get(str(number), 0.0)
    row[count] += parts.get("sum", 0.0)
