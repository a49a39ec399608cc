"""The counts of a run and their percentiles."""

import random

import msgspec
import pytest

from benchmarks.exchange.report import MAX_EXAMPLES, LogHistogram, Totals


@pytest.mark.parametrize("share", [1, 50, 90, 99, 99.9, 100])
def test_percentiles_are_right_within_a_bucket(share: float) -> None:
    """A log-normal sample: each percentile is within three per cent of the exact one."""
    rng = random.Random(1)
    values = sorted(rng.lognormvariate(7, 1) for _ in range(10_000))
    histogram = LogHistogram()
    for value in values:
        histogram.add(value)
    exact = values[max(0, int(len(values) * share / 100 + 0.999999) - 1)]
    assert histogram.percentile(share) == pytest.approx(exact, rel=0.03)
    assert histogram.total == 10_000


def test_percentiles_of_nothing_and_of_little() -> None:
    """No values give 0; values below 1 count as 1."""
    histogram = LogHistogram()
    assert histogram.percentile(99) == 0
    histogram.add(0.2)
    assert histogram.percentile(50) == pytest.approx(1, rel=0.02)


def test_what_was_added_since() -> None:
    """The difference of two states is what came between them."""
    histogram = LogHistogram()
    histogram.add(100)
    earlier = LogHistogram(dict(histogram.counts))
    for value in (100, 5_000, 5_000):
        histogram.add(value)
    assert sorted(histogram.since(earlier).counts.values()) == [1, 2]


def test_rates() -> None:
    """Bid rate is per answer, win rate per bid, and neither divides by zero."""
    assert (Totals().bid_rate, Totals().win_rate) == (0, 0)
    totals = Totals(bid_responses=20, no_bids=60, bids=25, wins=5)
    assert (totals.bid_rate, totals.win_rate) == (0.25, 0.2)


def test_examples_are_bounded() -> None:
    """Every error counts; only the first are told in words."""
    totals = Totals()
    for i in range(100):
        totals.error("status 500", f"number {i} " + "x" * 1_000)
    assert totals.errors == totals.error_kinds["status 500"] == 100
    assert len(totals.examples) == MAX_EXAMPLES
    assert max(map(len, totals.examples)) <= 300


def test_totals_travel_as_json() -> None:
    """What the simulation prints is what the demo reads."""
    totals = Totals(requests=3)
    totals.latency_us.add(250)
    assert msgspec.json.decode(msgspec.json.encode(totals), type=Totals) == totals
