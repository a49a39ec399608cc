"""What the page is told: rates of counters, quantiles of histograms, money against plan."""

from __future__ import annotations

import msgspec
import pytest

from bidder.console.state import HISTORY, REASONS, ROWS
from tests.bidder.console.samples import Service


def test_rates_are_of_the_last_seconds() -> None:
    """Requests and bids a second, by exchange, from the counters' growth alone; nothing at the first look."""
    service = Service()
    service.add("paceline_requests_total", 1_000_000, "google")
    first = service.view.look(service.now_s)
    assert (first.traffic.requests, first.traffic.bids) == (0, 0)
    service.serve(10)
    now = service.view.look(service.now_s + 0.001)
    assert (now.traffic.requests, now.traffic.bids) == (
        pytest.approx(100, rel=0.01),
        pytest.approx(60, rel=0.01),
    )
    assert [(each.name, round(each.requests)) for each in now.traffic.exchanges] == [("google", 100)]
    assert dict(now.reasons.outcomes) == pytest.approx({"bid": 60, "no_candidate": 40}, rel=0.01)
    assert (now.level, now.version) == ("ok", "1.2.3")


def test_quantiles_lie_in_their_buckets() -> None:
    """Of what came in the last seconds, not of all that ever came."""
    service = Service()
    service.observe("paceline_bid_latency_seconds", {0.9: 1_000_000}, "google")
    service.serve(20)
    service.observe("paceline_bid_latency_seconds", {0.0009: 89, 0.0049: 10, 0.25: 1}, "xandr")
    service.now_s += 1
    told = service.view.look(service.now_s).latency
    assert told.p50_ms is not None
    assert 0.75 <= told.p50_ms <= 1.0
    assert told.p99_ms is not None
    assert told.p99_ms <= 5.0
    service = Service()
    assert service.view.look(service.now_s).latency.p50_ms is None


def test_a_stage_tells_its_mean() -> None:
    """The sum over the count of the last seconds, in the exposed unit."""
    service = Service()
    service.view.look(service.now_s)
    sums = {"0": 5.0, "sum": 0.0004}
    service.samples["paceline_stage_seconds", ("price",)] = sums
    told = {each.name: each.mean_ms for each in service.view.look(service.now_s + 1).latency.stages}
    assert told["price"] == pytest.approx(0.08)
    assert told["queue"] is None


def test_a_counter_that_begins_anew() -> None:
    """A supervisor's own counters start at 0 with it: what they count then is what came."""
    service = Service()
    service.add("paceline_requests_total", 500, "google")
    service.view.look(service.now_s)
    service.set("paceline_requests_total", 50, "google")
    assert service.view.look(service.now_s + 1).traffic.requests == 50


def test_money_against_plan() -> None:
    """Used and due are of the tightest budget, and nothing where nothing bounds or paces; who spent most is first."""
    service = Service()
    for line, spent in (("a", 5e6), ("b", 9e6), ("gone", 0.0)):
        service.set("paceline_line_item_spent_micros", spent, "c", line)
    service.set("paceline_line_item_budget_micros", 20e6, "c", "a")
    service.set("paceline_line_item_utilisation_ratio", 0.2, "c", "a")
    service.set("paceline_line_item_planned_micros", 6e6, "c", "a")
    service.set("paceline_line_item_multiplier_ratio", 0.5, "c", "a")
    service.set("paceline_wallet_funded_micros", 30e6, "shop")
    service.set("paceline_wallet_available_micros", 10e6, "shop")
    told = service.view.look(service.now_s).money
    assert [each.line_item for each in told.lines] == ["b", "a"]
    line = told.lines[1]
    assert (line.budget, line.used, line.planned, line.multiplier) == (20e6, 4e6, 6e6, 0.5)
    assert (told.lines[0].budget, told.lines[0].planned) == (None, None)
    assert [(each.advertiser, each.funded, each.available) for each in told.wallets] == [("shop", 30e6, 10e6)]


def test_a_plan_without_requests() -> None:
    """Where nobody asks, nobody can keep to a plan: nothing is said of it."""
    service = Service()
    service.serve(3)
    service.add("paceline_pacing_periods_total", 9, "off")
    service.add("paceline_pacing_periods_total", 1, "within")
    service.serve(1)
    assert service.view.look(service.now_s + 1).money.within_share == 0.1
    service.now_s += 120
    service.view.look(service.now_s)
    service.add("paceline_pacing_periods_total", 9, "off")
    assert service.view.look(service.now_s + 1).money.within_share is None


def test_what_is_sent_is_bounded() -> None:
    """Whatever a service has: so many rows, reasons and points, and no more than 64 KB."""
    service = Service()
    for number in range(200):
        service.set("paceline_line_item_spent_micros", number + 1, "campaign" * 8, f"line-item-{number}")
    for number in range(100):
        service.set("paceline_drops_total", 0, f"reason-{number}")
    service.view.look(service.now_s)
    for number in range(100):
        service.set("paceline_drops_total", number + 1, f"reason-{number}")
    service.serve(HISTORY + 5)
    told = service.view.look(service.now_s + 1)
    assert len(told.money.lines) == ROWS
    assert len(told.reasons.drops) <= REASONS
    assert len(service.view.history) == HISTORY
    assert len(msgspec.json.encode(told)) < 65_536


def test_a_look_that_comes_late() -> None:
    """After seconds without a look, rates are of all that time; a service that stood still is not told to be idle."""
    service = Service()
    service.serve(10)
    service.now_s += 19
    service.add("paceline_requests_total", 1_900, "google")
    service.serve(1)
    assert service.view.history[-1][1] == pytest.approx(100)


def test_a_clock_that_was_set_back() -> None:
    """What was seen in what is now the future is forgotten; nothing fails."""
    service = Service()
    service.serve(10)
    service.now_s -= 3_600
    service.serve(3)
    assert service.view.look(service.now_s + 1).traffic.requests >= 0


def test_loss_reasons_have_words() -> None:
    """The code of an exchange's own stays as it is."""
    service = Service()
    for code in ("102", "1999"):
        service.set("paceline_loss_reasons_total", 0, "google", code)
    service.view.look(service.now_s)
    for code in ("102", "1999"):
        service.set("paceline_loss_reasons_total", 10, "google", code)
    assert dict(service.view.look(service.now_s + 1).reasons.losses) == {"lost_to_higher_bid": 10, "1999": 10}
