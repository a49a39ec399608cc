"""What the demo shows and reports, from made-up readings."""

import json

import msgspec
import pytest
from rich.console import Console

from benchmarks.demo import summary, view
from benchmarks.demo.checks import checks
from benchmarks.demo.courses import Course, Sample
from benchmarks.demo.ledger import Proof
from benchmarks.demo.readings import (
    CampaignReading,
    Metrics,
    Reading,
    campaigns_of,
    model_kind,
    no_bid_reasons,
)
from benchmarks.demo.residue import Residue
from benchmarks.demo.society import society_of
from benchmarks.exchange.report import VIOLATIONS, ExchangeTotals, LogHistogram, PeopleTotals, Totals
from bidder.campaigns.load import load_book
from tests.corpus import ROOT

SHOP = ROOT / "tests" / "benchmarks" / "data" / "shop.yaml"
EXPOSITION = """\
# TYPE paceline_requests_total counter
paceline_requests_total{exchange="google"} 60
paceline_requests_total{exchange="prebid"} 40
# TYPE paceline_outcomes_total counter
paceline_outcomes_total{exchange="google",outcome="bid"} 30
paceline_outcomes_total{exchange="google",outcome="no_candidate"} 25
paceline_outcomes_total{exchange="google",outcome="late"} 5
paceline_outcomes_total{exchange="prebid",outcome="no_candidate"} 40
# TYPE paceline_candidates_total counter
paceline_candidates_total 100
# TYPE paceline_drops_total counter
paceline_drops_total{reason="outranked"} 70
# TYPE paceline_line_item_bids_total counter
paceline_line_item_bids_total{campaign="shoes-all",line_item="a"} 20
paceline_line_item_bids_total{campaign="shoes-all",line_item="b"} 10
# TYPE paceline_line_item_impressions_total counter
paceline_line_item_impressions_total{campaign="shoes-all",line_item="a"} 12
# TYPE paceline_line_item_clicks_total counter
paceline_line_item_clicks_total{campaign="shoes-all",line_item="a"} 2
# TYPE paceline_line_item_spend_micros_total counter
paceline_line_item_spend_micros_total{campaign="shoes-all",line_item="a"} 25000000
# TYPE paceline_clearing_prices_total counter
paceline_clearing_prices_total{exchange="google",clearing="read"} 12
# TYPE paceline_people_asked_total counter
paceline_people_asked_total 80
# TYPE paceline_people_found_total counter
paceline_people_found_total 20
# TYPE paceline_shop_people_total counter
paceline_shop_people_total{advertiser="shoes",person="kept"} 50
paceline_shop_people_total{advertiser="shoes",person="unconsented"} 9
paceline_shop_people_total{advertiser="shoes",person="opted_out"} 1
# TYPE paceline_renders_total counter
paceline_renders_total{what="personal"} 6
paceline_renders_total{what="contextual"} 3
paceline_renders_total{what="brand"} 1
paceline_renders_total{what="refused"} 2
# TYPE paceline_layout_views_total counter
paceline_layout_views_total{layout="grid"} 8
# TYPE paceline_layout_clicks_total counter
paceline_layout_clicks_total{layout="grid"} 1
# TYPE paceline_events_recorded_total counter
paceline_events_recorded_total 70
# TYPE paceline_events_compacted_total counter
paceline_events_compacted_total 65
# TYPE paceline_model_info gauge
paceline_model_info{kind="priors"} 1
"""


def people() -> PeopleTotals:
    """What the people did and saw meanwhile."""
    return PeopleTotals(
        visits=60, visitors=31, drawn=9, brand=1, viewed=4, viewed_first=4, product_clicks=1, opted_out=2,
        erased=3, crawlers=2, robots=2, robots_unanswered=4,
    )  # fmt: skip


def totals() -> Totals:
    """What the exchanges counted in the same run."""
    made = Totals(
        seconds=10, requests=100, bid_responses=30, no_bids=70, bids=30, wins=15, losses=15,
        impressions=12, billed=12, clicks=2, exchanges={"google": ExchangeTotals(60, 30, 15)},
        due_micros={"shoes": 25_000_000}, capped_views=7, people=people(),
    )  # fmt: skip
    for us in (500, 700, 900, 12_000):
        made.latency_us.add(us)
    return made


PROOF = Proof("shoes", "Shoe Shop", "USD", 25_000_000, 0, 60, (), {"wallet": 0, "campaign/shoes-all": 0})
FOUND = Residue(people=40, opted_out=1)
COURSE = Course(
    "shoes-all", "Everybody", "Shoe Shop", "USD", "even", 100_000_000, 25_000_000,
    (Sample(0, 0, 0), Sample(1, 0.1, 0.05), Sample(2, 0.2, 0.25)),
)  # fmt: skip


def reading(
    text: str = EXPOSITION,
    seen: Totals | None = None,
    proof: Proof = PROOF,
    found: Residue | None = FOUND,
) -> Reading:
    """A whole reading."""
    metrics, seen = Metrics(text), seen or totals()
    campaigns = campaigns_of(load_book(SHOP), metrics, 0)
    return Reading(
        10,
        seen,
        seen.latency_us,
        123.4,
        no_bid_reasons(metrics),
        campaigns,
        model_kind(metrics),
        88,
        9,
        metrics,
        (COURSE,),
        (proof,),
        society_of(metrics, {"Shoe": {"viewers": 1_234, "cart": 56}}, found),
    )


def test_metrics_become_campaigns_and_reasons() -> None:
    """Counters are summed over line items and exchanges, the largest reason first, bids are no reason."""
    made = reading()
    assert list(made.no_bid_reasons.items()) == [("no_candidate", 65), ("late", 5)]
    assert made.campaigns[0] == CampaignReading(
        "shoes-all", "Everybody", "Shoe Shop", "USD", 100_000_000, 25_000_000, 30, 12, 2
    )
    assert made.campaigns[1].spent_micros == 0
    assert made.model == "priors"


@pytest.mark.parametrize("width", [80, 120])
def test_a_frame_fits_its_terminal(width: int) -> None:
    """At 80 and 120 columns no line is longer, nothing that matters is cut, 24 lines are enough."""
    console = Console(width=width, record=True, force_terminal=True, file=open("/dev/null", "w"))  # noqa: SIM115  closed with the test
    console.print(view.frame(reading(), 60, width))
    console.file.close()
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) <= 33
    text = "\n".join(lines)
    for shown in (
        "no candidate",
        "google",
        "25.00 USD",
        "Everybody",
        "123",
        "30.0%",
        "50.0%",
        "88 MB",
        "priors",
        "viewers / cart: Shoe 1,234 / 56",
        "25% of 80",
        "grid 8 (12.5%)",
        "erased 3, found again 0",
        "events 70",
    ):
        assert shown in text
    assert "…" not in text


def test_the_books_agree() -> None:
    """A run in which every number meets its counterpart is sound."""
    made = reading()
    assert [check.name for check in checks(made) if not check.holds] == []
    assert summary.sound(made)


@pytest.mark.parametrize(
    ("old", "new", "broken"),
    [
        ('outcome="late"} 5', 'outcome="late"} 4', "requests received = sum of outcomes"),
        ('reason="outranked"} 70', 'reason="outranked"} 71', "candidates = drops + bids"),
        (
            'exchange="prebid"} 40\n# TYPE paceline_o',
            'exchange="prebid"} 39\n# TYPE paceline_o',
            "requests sent",
        ),
        ('clearing="read"} 12', 'clearing="read"} 13', "billed = charged"),
        ('outcome="late"} 5', 'outcome="fault"} 5', "errors inside the service"),
    ],
)
def test_books_that_do_not_agree_are_told(old: str, new: str, broken: str) -> None:
    """Each broken balance makes the run unsound and stands in the summary by name."""
    made = reading(EXPOSITION.replace(old, new))
    failed = [check.name for check in checks(made) if not check.holds]
    assert any(name.startswith(broken) for name in failed)
    assert not summary.sound(made)


@pytest.mark.parametrize(
    ("change", "broken", "told"),
    [
        ({"spent": 24_999_999}, "Shoe Shop: ledger = bills", "USD micros"),
        ({"spent": 25_000_001}, "Shoe Shop: ledger = bills", "USD micros"),
        ({"overspend": {"campaign/shoes-all": 1}}, "spent beyond a budget = 0", "shoes campaign/shoes-all"),
        ({"findings": ("shoes wallet: odd",)}, "findings in the ledger's audit = 0", "shoes wallet: odd"),
    ],
)
def test_money_that_does_not_add_up_is_told(change: dict[str, object], broken: str, told: str) -> None:
    """A micro too few or too many, a budget exceeded, a balance without proof: each makes the run unsound."""
    made = reading(proof=msgspec.structs.replace(PROOF, **change))
    assert [(check.name, check.detail) for check in checks(made) if not check.holds] == [(broken, told)]
    assert not summary.sound(made)


def test_a_busy_machine_is_named() -> None:
    """Where answers come too late, a line says that the machine is why, not the campaigns; a run that has no answer yet
    tells no latency."""
    calm = Totals(seconds=10, requests=1_000, late=9)
    assert not view.too_busy(reading(seen=calm))  # and five that the service decided too late
    busy = reading(seen=Totals(seconds=10, requests=100, late=40))
    assert view.too_busy(busy).startswith("45% of requests")
    console = Console(record=True, width=100)
    summary.tell(console, busy, 60)
    text = console.export_text()
    assert "this machine was too busy" in " ".join(text.replace("│", " ").split())
    assert "decided too late" in text
    assert "p50" not in view.plain(reading(seen=Totals()))


def test_late_money_without_room_is_billed_too() -> None:
    """What the operator loses is no difference between the ledger and the bills."""
    made = reading(proof=msgspec.structs.replace(PROOF, spent=24_000_000, absorbed=1_000_000))
    assert summary.sound(made)
    assert any("1,000,000 of them late and absorbed" in check.detail for check in checks(made))


def test_a_view_beyond_a_cap_is_told() -> None:
    """One is enough, and its cap is named."""
    seen = totals()
    seen.cap_violations["line item a: 2 per 10m"] = 1
    made = reading(seen=seen)
    failed = [(check.name, check.left, check.detail) for check in checks(made) if not check.holds]
    assert failed == [("cap violations = 0", 1, "line item a: 2 per 10m")]
    assert not summary.sound(made)


@pytest.mark.parametrize(
    ("old", "new", "broken"),
    [
        ('person="kept"} 50', 'person="kept"} 49', "shop visits made = counted"),
        ('what="personal"} 6', 'what="personal"} 7', "product ads looked at = drawn"),
        (
            'exchange="google",outcome="no_candidate"} 25',
            'exchange="google",outcome="invalid_traffic"} 25',
            "people taken for robots = 0",
        ),
    ],
)
def test_people_that_do_not_add_up_are_told(old: str, new: str, broken: str) -> None:
    """A visit or an ad that is missing, or more requests filtered than robots sent."""
    made = reading(EXPOSITION.replace(old, new))
    assert [check.name for check in checks(made) if not check.holds] == [broken]
    assert not summary.sound(made)


@pytest.mark.parametrize("wrong", VIOLATIONS)
def test_a_wrong_done_to_somebody_is_told(wrong: str) -> None:
    """One is enough, and it is named."""
    seen = totals()
    setattr(seen.people, wrong, 1)
    made = reading(seen=seen)
    failed = [(check.name, check.detail) for check in checks(made) if not check.holds]
    assert failed == [("wrongs done to people = 0", f"{VIOLATIONS[wrong]}: 1")]


@pytest.mark.parametrize(
    ("found", "broken", "told"),
    [
        (Residue(40, 1, again=("key of ab",)), "known again though they left = 0", "key of ab"),
        (Residue(40, 1, strangers=("cd",)), "known without having agreed = 0", "cd"),
        (None, "store of people looked through", "it was not asked"),
    ],
)
def test_people_who_should_not_be_known_are_told(found: Residue | None, broken: str, told: str) -> None:
    """Who left and is there again, who never agreed, and a store that nobody looked through."""
    made = reading(found=found)
    assert [(check.name, check.detail) for check in checks(made) if not check.holds] == [(broken, told)]


def test_the_end_speaks_of_the_whole_run() -> None:
    """Its tiles are not those of the last second."""
    made = msgspec.structs.replace(reading(), recent=LogHistogram(), rate=999.0)
    with open("/dev/null", "w") as sink:
        console = Console(width=80, record=True, file=sink)
        console.print(view.frame(made, 60, 80, whole=True))
    text = console.export_text()
    assert "0.7 / 12" in text
    assert "999" not in text
    assert "answers after tmax" in text


def test_a_ledger_that_was_not_proven_makes_a_run_unsound() -> None:
    """No proof is no balance."""
    made = msgspec.structs.replace(reading(), proofs=())
    assert [check.name for check in checks(made) if not check.holds] == ["ledger proven from its journal"]
    assert not summary.sound(made)


@pytest.mark.parametrize("change", ["errors", "faults"])
def test_errors_make_a_run_unsound(change: str) -> None:
    """One error or one fault is enough, and so is a run without requests."""
    seen = totals()
    setattr(seen, change, 1)
    assert not summary.sound(reading(seen=seen))
    assert not summary.sound(reading("", Totals()))


def test_the_report_has_what_was_promised() -> None:
    """The keys that others read, with plain JSON values."""
    report = json.loads(json.dumps(summary.report(reading(), 7, False)))
    assert {
        "requests", "bids", "wins", "impressions", "clicks", "conversions", "errors", "late", "faults",
        "bid_rate", "latency_ms", "no_bid_reasons", "campaigns", "conservation", "rss_mb", "people",
    } <= report.keys()  # fmt: skip
    assert report["people"]["product_ads"]["personal"] == 6
    assert report["people"]["layouts"]["grid"] == {"views": 8, "clicks": 1, "click_rate": 0.125}
    assert report["people"]["found_again"] == []
    assert report["latency_ms"].keys() == {"p50", "p99", "p999"}
    assert {"cap_violations", "capped_views", "overspend_micros"} <= report.keys()
    first, second = report["campaigns"]
    assert {"id", "budget_micros", "spent_micros", "impressions", "clicks"} <= first.keys() & second.keys()
    assert first["series"] == {"at_s": [0, 1, 2], "planned": [0, 0.1, 0.2], "spent": [0, 0.05, 0.25]}
    assert (first["planned_micros"], first["utilisation"], first["overspend_micros"]) == (20_000_000, 0.25, 0)
    assert first["pace_error"] == 0.0333
    assert "series" not in second


@pytest.mark.parametrize("width", [80, 120])
def test_the_summary_is_readable(width: int) -> None:
    """It fits, and names what went wrong."""
    seen = totals()
    seen.error("status 500", "google")
    with open("/dev/null", "w") as sink:
        console = Console(width=width, record=True, file=sink)
        summary.tell(console, reading(seen=seen), 60)
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= width
    assert "status 500: google" in text
    assert "100 bid requests" in text
    assert "of 7 views under a cap" in text
    assert "Shoe Shop: ledger = bills" in text
    assert "…" not in text


def test_a_plain_line_says_the_same() -> None:
    """Without a terminal one line per second."""
    line = view.plain(reading())
    assert "123 req/s" in line
    assert "\n" not in line


def test_a_reading_without_anything_can_be_drawn() -> None:
    """The first second: no request, no metric, no latency."""
    empty = Reading(0, Totals(), LogHistogram(), 0, {}, (), "priors", 0, 0, Metrics(""))
    with open("/dev/null", "w") as sink:
        Console(width=80, file=sink).print(view.frame(empty, 60, 80))
    assert "waiting for the first answer" in view.plain(empty)
