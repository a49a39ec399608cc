"""The controller and gains of production on real logs and on dense traffic, in small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from benchmarks.pacing import action, dense, replay
from benchmarks.pacing.dense import MINUTES, Day, average_error, ordinary, recovery, simulate, stepped
from bidder.settings import Ledger

NOON = 720


@pytest.fixture(scope="module")
def real(shared: Path) -> Path:
    """The auction logs and traffic shapes; skips where they are absent."""
    if not (shared / "data" / "pacing").is_dir():
        pytest.skip("../shared/data is absent: there are no logs to pace on")
    return shared / "data"


@pytest.fixture(scope="module")
def world(real: Path) -> dense.World:
    """An ordinary day of two regions, one period of the controller a minute."""
    return ordinary(np.random.default_rng(1), count=2, period_s=60)


def test_value_won_on_real_logs(real: Path) -> None:
    """Over all deviations, budgets, delays and streams: 0.98 of the best fixed multiplier's value, never below 0.93."""
    cells = replay.cells(replay.markets())
    assert len(cells) == 16
    figures = replay.summary(cells)
    assert figures["mean"] >= 0.98
    assert figures["worst"] >= 0.93
    assert figures["least_utilisation"] >= 0.98


def test_no_run_costs_more_than_its_budget(real: Path) -> None:
    """With and without the ceiling, whatever the first multiplier, a run never spends beyond its budget."""
    market = replay.markets()[1]
    for bounded in (True, False):
        run = replay.Run(market.full_cost / 32, np.array([1e-3, 1.0, 1e4]), 1, bounded)
        assert (replay.drive(market, run)[1] <= run.budget).all()


def test_the_bid_wins_more_than_participation(real: Path) -> None:
    """Where money is short, acting on the bid wins what production's floor wins or more; lots alone win less."""
    for case in action.cases():
        assert case.ratio["0"] >= case.ratio["0.01"] - 0.002 > case.ratio["1"]


def test_spend_follows_the_plan(world: dense.World) -> None:
    """Per quarter of an hour spend keeps within 10 % of a plan learned in two weeks, and the day's money is used."""
    day = simulate(world, np.random.default_rng(2))
    assert (average_error(day) <= 0.10).all()
    used = day.spent.sum(axis=1) / world.budgets
    assert (used >= 0.98).all()
    assert (used <= 1 + 1e-9).all()


@pytest.mark.parametrize("factor", [3.0, 1 / 3])
def test_jumps_of_supply(world: dense.World, factor: float) -> None:
    """Supply that triples or falls to a third is answered within minutes."""
    day = simulate(stepped(world, NOON, factor), np.random.default_rng(3))
    back = recovery(day, NOON)
    assert np.median(back) <= 6
    assert (average_error(day) <= 0.12).all()


def test_ten_minutes_without_a_controller(world: dense.World) -> None:
    """Supply triples while the controller is away: ceilings bound what that costs, and spend comes back with it."""
    away = range(540, 550)
    day = simulate(stepped(world, 545, 3.0, away), np.random.default_rng(4))
    minutes = day.spent[:, 545:550] / day.aim[:, 545:550]
    assert (minutes <= 3.0 * 1.5).all()
    assert np.median(recovery(day, away.stop)) <= 10


@pytest.mark.parametrize("period_s", [5, int(Ledger().pacing_period_s)])
def test_other_periods_pace_as_well(world: dense.World, period_s: int) -> None:
    """The same gains hold with the service's own period, and with a shorter one."""
    day = simulate(structs.replace(world, period_s=period_s), np.random.default_rng(5))
    assert (average_error(day) <= 0.10).all()


def test_average_error() -> None:
    """Spend that is a tenth above and below its plan by turns has an AvgErr of a tenth."""
    plan = np.ones((1, MINUTES))
    spent = plan * np.where(np.arange(MINUTES) // 15 % 2, 0.9, 1.1)
    assert average_error(Day(plan, plan, spent, plan, plan)) == pytest.approx([0.1])


def test_recovery() -> None:
    """Recovery counts the minutes until spend is near its target for good; it is infinite where it never is."""
    aim = np.ones((2, MINUTES))
    spent = aim.copy()
    spent[0, 600:607] = 3.0
    spent[1, 600:] = 3.0
    assert recovery(Day(aim, aim, spent, aim, aim), 600).tolist() == [7.0, np.inf]
