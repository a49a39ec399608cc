"""The replay harness against published tables, and the rules of its markets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.pacing import logs, published
from benchmarks.pacing.market import SLOTS, Market, shading
from benchmarks.pacing.rlb import EPISODE, lin, replay, rlb, values

LOG = logs.Log(
    "made up",
    np.array([1, 0, 0, 1] * 300),
    np.array([10, 50, 100, 20] * 300),
    np.array([0.002, 0.001, 0.004, 0.001] * 300),
)
HISTORY = logs.History(1000, 2, 45_000, np.bincount([10, 20, 50, 100] * 250, minlength=301))


@pytest.fixture
def real(shared: Path) -> Path:
    """The auction logs; skips where they are absent."""
    if not (shared / "data" / "ipinyou").is_dir():
        pytest.skip("../shared/data is absent: the published tables cannot be replayed")
    return shared / "data"


@pytest.mark.parametrize("part", [32, 16])
def test_the_rlb_table(real: Path, part: int) -> None:
    """Impressions, clicks and cost of every way to bid equal the published ones, for budgets of 1/32 and 1/16."""
    assert published.rlb_differences((part,)) == []


def test_the_sam_table(real: Path) -> None:
    """All six rows of the SAM demo equal the published ones, from the parameter chosen to the cost."""
    assert published.sam_differences() == []


def test_a_difference_is_told(real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A figure that is not reproduced is named."""
    monkeypatch.setitem(published.SAM, "truth", (0, 44.72, 3, 80_000, 602, 11_862))
    assert len(published.sam_differences()) == 1
    assert "truth" in published.sam_differences()[0]


def test_absent_logs_are_said_to_be_absent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the folder is not beside the repository, a clear message says so."""
    monkeypatch.setattr(logs, "DATA", tmp_path)
    with pytest.raises(logs.NoLogs, match=r"1458\.nowhere\.txt\.gz is absent"):
        logs.campaign_1458("nowhere")


def test_no_episode_costs_more_than_its_budget() -> None:
    """Bids are cut to what is left: two episodes never cost more than two budgets."""
    for purse in (5, 500, 20_000):
        assert replay(LOG, purse, lin(HISTORY, 300)).cost <= 2 * purse


def test_plenty_of_money_buys_everything() -> None:
    """With a budget beyond the price of all rows, a bid at the top wins them all."""
    tally = replay(LOG, 10**9, lambda _, left, rate: np.full(len(rate), 300))
    assert (tally.impressions, tally.clicks, tally.cost) == (1200, 600, int(LOG.price.sum()))


def test_more_money_and_more_rows_are_worth_more() -> None:
    """The value of dynamic programming grows with the budget and with the rows left, and is nothing without money."""
    table = values(HISTORY, 200, steps=50)
    assert (np.diff(table, axis=0)[:, 1:] > 0).all()
    assert (np.diff(table, axis=1) >= 0).all()
    assert not table[:, 0].any()


def test_the_last_row_is_worth_all_the_money() -> None:
    """With one row left, the best bid is everything."""
    table = values(HISTORY, 200, steps=2)
    assert rlb(table)(1, np.array([150, 0]), np.array([0.001, 0.001])).tolist() == [150, 0]
    assert EPISODE > 1


def test_a_shaded_bid_is_below_the_value_and_grows_with_it() -> None:
    """Shading never bids above the value, and never less for more."""
    bids = shading(LOG.price)
    assert (bids <= np.arange(len(bids))).all()
    assert (np.diff(bids) >= 0).all()


@pytest.mark.parametrize("auction", ["first", "second"])
def test_the_best_fixed_multiplier_just_spends_the_budget(auction: str) -> None:
    """A multiplier a little larger would cost more than the budget."""
    market = Market(LOG, "first" if auction == "first" else "second", np.full(SLOTS, 1.0))
    budget = market.full_cost / 4
    best, value = market.best_fixed(budget)
    assert market.fixed(best)[0] <= budget
    assert market.fixed(best * 1.01)[0] > budget
    assert value > 0


def test_a_slot_stops_at_its_cap() -> None:
    """What a lane wins in a slot costs no more than its cap, and lanes do not touch each other."""
    market = Market(LOG, "second", np.full(SLOTS, 1.0))
    rows = slice(0, 100)
    multipliers, caps = np.full(3, 300.0), np.array([0.0, 500.0, np.inf])
    cost, value, wins = market.play(multipliers, caps, rows)
    assert cost[0] == value[0] == wins[0] == 0
    assert 0 < cost[1] <= 500
    assert cost[2] == LOG.price[rows].sum()


def test_participation_thins_out() -> None:
    """A quarter of participation wins about a quarter of the auctions, the same ones each time."""
    market = Market(LOG, "second", np.full(SLOTS, 1.0))
    everything, quarter = market.fixed(300.0), market.fixed(300.0, taking_part=0.25)
    assert quarter == market.fixed(300.0, taking_part=0.25)
    assert 0.2 < quarter[1] / everything[1] < 0.3
