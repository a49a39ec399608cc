"""Plan and spend of campaigns over a run, and how they are drawn."""

from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.demo import chart
from benchmarks.demo.courses import Course, Courses, Sample, planned_share
from benchmarks.demo.stage import Load, write_book
from bidder.campaigns.load import load_book
from bidder.campaigns.model import Book
from budget.accounts import WALLET
from budget.money import Micros
from budget.store import Balance
from tests.corpus import ROOT

START_S = 1_795_000_000.0
SHOP = ROOT / "tests" / "benchmarks" / "data" / "shop.yaml"


@pytest.fixture
def book(tmp_path: Path) -> Book:
    """The run's book for 60 s."""
    write_book(tmp_path / "book.yaml", Load(500, 60), START_S)
    return load_book(tmp_path / "book.yaml")


def course(samples: list[Sample], pacing: str = "even", spent: int = 9_000_000) -> Course:
    """A campaign with 10 EUR."""
    return Course("c", "Campaign", "Shop", "EUR", pacing, 10_000_000, spent, tuple(samples))


def test_a_course_is_what_the_ledger_said(book: Book) -> None:
    """Samples from the start of the flight on; spent by the ledger's account, planned by the kind of plan."""
    courses = Courses(book, START_S)
    budget = courses.courses()[0].budget_micros
    for now_s, spent in ((START_S - 1, 0), (START_S, 0), (START_S + 30, budget // 2), (START_S + 63, budget)):
        accounts = {
            WALLET: Balance(Micros(10**12)),
            "campaign/fernhill-retargeting": Balance(Micros(budget), spent=Micros(spent)),
        }
        courses.sample(now_s, {"fernhill": accounts})
    first, *others = courses.courses()
    assert [sample.at_s for sample in first.samples] == [0, 30, 63]
    assert [sample.planned for sample in first.samples] == [0, 0.625, 1]  # front-loaded
    assert [sample.spent for sample in first.samples] == pytest.approx([0, 0.5, 1], abs=1e-4)
    assert (first.spent_micros, first.planned_micros, first.utilisation) == (budget, budget, 1)
    assert all(other.spent_micros == 0 for other in others)
    plans = {other.pacing: [sample.planned for sample in other.samples] for other in others}
    assert plans == {"traffic": [0, 0.5, 1], "even": [0, 0.5, 1], "asap": [1, 1, 1]}


def test_the_pace_error_is_the_mean_distance_from_the_plan() -> None:
    """Ahead and behind weigh alike; as soon as possible keeps no pace."""
    samples = [Sample(0, 0, 0), Sample(1, 0.5, 0.6), Sample(2, 1, 0.8)]
    assert course(samples).pace_error == pytest.approx(0.1)
    assert course(samples, "asap").pace_error is None
    assert course([]).pace_error is None


def test_overspend_is_what_exceeds_the_budget() -> None:
    """Nothing up to the budget, each micro beyond it."""
    assert course([], spent=10_000_000).overspend_micros == 0
    assert course([], spent=10_000_001).overspend_micros == 1


def test_a_flight_without_an_end_has_no_plan() -> None:
    """Nothing is due by any moment; the course is what was spent."""
    book = load_book(SHOP)
    shop = book.advertisers[0]
    assert planned_share(shop, shop.campaigns[0], START_S) is None
    courses = Courses(book, START_S)
    courses.sample(START_S, {})
    made = courses.courses()[0]
    assert (made.planned_micros, made.pace_error, made.utilisation) == (None, None, 0)


@pytest.mark.parametrize("width", [76, 96])
def test_the_chart_shows_both_curves(width: int) -> None:
    """Two rows of blocks and the numbers, in any terminal; a sliver for what is nearly nothing."""
    samples = [Sample(at_s, at_s / 60, at_s / 120 if at_s else 0.001) for at_s in range(61)]
    with open("/dev/null", "w") as sink:
        console = Console(width=width, record=True, file=sink)
        console.print(chart.chart([course(samples), course([])], 60, width))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= width
    planned, spent = lines[1], lines[2]
    assert "10.00 EUR" in planned
    assert planned.split("EUR")[0].count("█") >= 1
    assert all(text in spent for text in ("even", "9.00 EUR", "90.0%", "25.0%", "0.00"))
    assert "▁" in spent
    assert "█" not in spent


def test_the_chart_is_drawn_by_time_not_by_sample() -> None:
    """A reading that came late leaves the last one standing, not the curve displaced."""
    samples = [Sample(0, 0, 0), Sample(30, 0.5, 1.0), Sample(60, 1, 1.0)]
    row = chart._spent([chart._at(samples, moment) for moment in (15, 29, 30, 59, 60)])
    assert row.plain == "  ███"
