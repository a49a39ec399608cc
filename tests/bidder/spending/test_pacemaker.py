"""The pacemaker over whole days: a market whose spend follows the multipliers, and what the pacemaker makes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest

from bidder.campaigns.compile import Line, compile_lines
from bidder.campaigns.load import load_book
from bidder.campaigns.rates import load_rates
from bidder.spending.board import NO_CEILING, Paces, Report
from bidder.spending.pacemaker import Pacemaker, Standing
from budget.accounts import path_at
from budget.money import Micros
from budget.store import Balance

PERIOD_S = 60.0
DAY_S = 86_400
MICRO = 1_000_000
ZONE = "Europe/Berlin"
MIDNIGHT_S = datetime(2026, 11, 23, tzinfo=ZoneInfo(ZONE)).timestamp()

_LINE = """
          - id: {id}
            goal: {{kind: cpm, value: 2}}
            max_bid_cpm: 4
            creatives: [banner]
            {more}
"""
_BOOK = """
advertisers:
  - id: shop
    name: Shop
    domain: shop.example
    currency: EUR
    time_zone: {zone}
    creatives:
      - {{id: banner, kind: image, w: 300, h: 250, image_url: "https://cdn.shop.example/a.png",
         landing_url: "https://shop.example/"}}
    campaigns:
      - id: c
        name: C
        {campaign}
        line_items:{lines}
"""


def _lines(folder: Path, campaign: str = "pacing: even", **items: str) -> list[Line]:
    written = "".join(_LINE.format(id=name, more=more) for name, more in items.items())
    path = folder / "book.yaml"
    path.write_text(_BOOK.format(zone=ZONE, campaign=campaign, lines=written))
    rates = load_rates()
    return compile_lines(load_book(path, rates), rates)


class Market:
    """What line items would spend unthrottled, per second, and what they spend under a pace: in its proportion, all
    of it reserved a minute before it is charged, and twice as much reserved as charged."""

    def __init__(self, lines: Sequence[Line], supply: Callable[[str, float], float], now_s: float) -> None:
        self.lines, self.supply, self.now_s = list(lines), supply, now_s
        self.maker = Pacemaker(lines, now_s)
        self.reported: Report | None = None
        self.paces: Paces | None = None
        self.standing: Standing | None = None
        self.accounts: dict[str, Balance] = {}
        self.pending = np.zeros(len(lines))
        self.settled, self.freed = np.zeros(len(lines)), np.zeros(len(lines))
        self.seen = np.zeros(len(lines), np.int64)
        self.periods: Counter[str] = Counter()
        self.by_hour: dict[int, np.ndarray[tuple[int], np.dtype[np.float64]]] = {}

    def run(self, seconds: float) -> None:
        """So much time passes."""
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self._step()

    def _step(self) -> None:
        charged = self.pending / 2
        self._charge(charged)
        self.settled += charged
        self.freed += self.pending - charged
        self.reported = self.report()
        self.paces, self.standing = self.maker.step(
            self.now_s, {"shop": self.accounts}, {1: self.reported}, PERIOD_S
        )
        self.periods.update(self.standing.periods)
        pace = {
            int(key): float(m * share)
            for key, m, share in zip(self.paces.keys, self.paces.multiplier, self.paces.share, strict=True)
        }
        supply = np.array([self.supply(line.id, self.now_s) for line in self.lines])
        spend = supply * PERIOD_S * np.array([pace[line.key] for line in self.lines]) * MICRO
        left = np.array([self._left(line) for line in self.lines])
        self.pending = 2 * np.minimum(spend, left)
        self.seen += (supply * PERIOD_S * 1_000).astype(np.int64)
        self.now_s += PERIOD_S

    def _left(self, line: Line) -> float:
        """What a ledger would still lease."""
        rooms = [
            level.limit - self.accounts.get(level.account, Balance(None)).spent
            for level in path_at(line.limits, self.now_s)
            if level.limit is not None
        ]
        return float(min(rooms, default=10**15))

    def _charge(self, charged: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
        hour = int((self.now_s - MIDNIGHT_S) // 3600)
        self.by_hour[hour] = self.by_hour.get(hour, np.zeros(len(self.lines))) + charged
        for line, amount in zip(self.lines, charged.tolist(), strict=True):
            for level in path_at(line.limits, self.now_s - 1):
                before = self.accounts.get(level.account, Balance(None))
                self.accounts[level.account] = msgspec.structs.replace(
                    before, spent=Micros(before.spent + int(amount))
                )

    def report(self) -> Report:
        """Of the one worker, now."""
        keys = np.array([line.key for line in self.lines], np.uint64)

        def whole(
            column: np.ndarray[tuple[int], np.dtype[np.float64]],
        ) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
            return column.astype(np.int64)

        return Report(
            self.now_s,
            keys,
            np.zeros(len(keys), np.int64),
            np.zeros(len(keys), np.int64),
            self.seen.copy(),
            whole(self.settled),
            whole(self.freed),
            whole(self.settled / 2_000),
        )

    def spent(self, name: str) -> float:
        """Of a line item, in units."""
        row = [line.id for line in self.lines].index(name)
        return float(self.settled[row]) / MICRO

    def hours(self, name: str) -> list[float]:
        """Spend of a line item by hour, in units."""
        row = [line.id for line in self.lines].index(name)
        return [float(self.by_hour[hour][row]) / MICRO for hour in sorted(self.by_hour)]


def _steady(rate: float) -> Callable[[str, float], float]:
    return lambda name, now_s: rate


def test_a_day_is_spent_evenly(tmp_path: Path) -> None:
    """Five times as much supply as money: each hour after the first two costs a 24th of the daily budget, within a
    tenth, and the day ends with all of it spent."""
    market = Market(_lines(tmp_path, a="budget: {daily: 240}"), _steady(240 * 5 / DAY_S), MIDNIGHT_S)
    market.run(DAY_S)
    hours = market.hours("a")
    assert all(abs(hour - 10) < 1 for hour in hours[2:24]), hours
    assert 0.98 * 240 <= market.spent("a") <= 240


def test_a_day_on_plan_is_told_as_such(tmp_path: Path) -> None:
    """Every period of a steady day after the first hour is within its plan, and nothing is overspent."""
    market = Market(_lines(tmp_path, a="budget: {daily: 240}"), _steady(240 * 5 / DAY_S), MIDNIGHT_S)
    market.run(3_600)
    market.periods.clear()
    market.run(DAY_S - 7_200)
    assert set(market.periods.elements()) == {"within"}
    assert market.periods["within"] == (DAY_S - 7_200) / PERIOD_S
    assert market.standing is not None
    assert market.standing.overspent.tolist() == [0.0]


def test_an_hour_without_traffic_is_off_and_too_little_of_it_short(tmp_path: Path) -> None:
    """No requests at all: off, for the plan was there. A tenth of what the plan needs: short, for all is bought."""
    lines = _lines(tmp_path, a="budget: {daily: 240}")
    supply = {"now": 240 * 5 / DAY_S}
    market = Market(lines, lambda name, now_s: supply["now"], MIDNIGHT_S)
    market.run(6 * 3_600)
    assert market.periods["off"] + market.periods["short"] == 0
    supply["now"] = 0.0
    market.run(3_600)
    assert market.periods["off"] > 30
    assert market.periods["short"] == 0
    supply["now"] = 24 / DAY_S
    market.run(3 * 3_600)
    assert market.periods["short"] > 100


def test_money_beyond_a_budget_is_told(tmp_path: Path) -> None:
    """As the ledger has it, by the worst of a line item's own budgets."""
    market = Market(_lines(tmp_path, a="budget: {daily: 240}", b=""), _steady(1 / DAY_S), MIDNIGHT_S)
    day = path_at(market.lines[0].limits, MIDNIGHT_S)[-1].account
    market.accounts[day] = Balance(None, spent=Micros(241 * MICRO))
    market.run(PERIOD_S)
    assert market.standing is not None
    assert market.standing.overspent.tolist() == [1.0 * MICRO, 0.0]


def test_a_campaign_is_shared(tmp_path: Path) -> None:
    """Line items without budgets of their own share the campaign's and bid the same share of their values: together
    they keep its plan, whatever each can buy; one without supply keeps nothing from the others."""
    lines = _lines(tmp_path, "budget: {daily: 240}\n        pacing: even", a="", b="", c="")
    market = Market(lines, lambda name, _: {"a": 900, "b": 300, "c": 0}[name] / DAY_S, MIDNIGHT_S)
    market.run(DAY_S)
    hours = [a + b for a, b in zip(market.hours("a"), market.hours("b"), strict=True)]
    assert all(abs(hour - 10) < 1 for hour in hours[2:24]), hours
    assert 0.97 * 240 <= market.spent("a") + market.spent("b") <= 240
    assert market.spent("a") == pytest.approx(3 * market.spent("b"), rel=0.01)


def test_a_line_item_keeps_its_own_plan_within_its_campaign(tmp_path: Path) -> None:
    """One with a budget of its own is held to it, and what it leaves of the campaign's goes to the other."""
    lines = _lines(tmp_path, "budget: {daily: 240}\n        pacing: even", a="budget: {daily: 48}", b="")
    market = Market(lines, _steady(240 * 5 / DAY_S), MIDNIGHT_S)
    market.run(DAY_S)
    assert market.spent("a") == pytest.approx(48, rel=0.03)
    assert market.spent("a") + market.spent("b") == pytest.approx(240, rel=0.03)


def test_the_next_day_begins_where_the_last_one_ended(tmp_path: Path) -> None:
    """The multiplier of the evening is that of the next morning: the first hours of day two are on plan at once."""
    market = Market(_lines(tmp_path, a="budget: {daily: 240}"), _steady(240 * 5 / DAY_S), MIDNIGHT_S)
    market.run(DAY_S * 1.25)
    hours = market.hours("a")
    assert all(abs(hour - 10) < 1 for hour in hours[24:30]), hours[20:]


def test_traffic_is_learned(tmp_path: Path) -> None:
    """Supply comes from 8 to 20 alone; on the third day the plan expects it: the hours are even, and all but a
    twentieth of the budget is spent."""

    def supply(name: str, now_s: float) -> float:
        return 240 * 5 / DAY_S if 8 <= datetime.fromtimestamp(now_s, ZoneInfo(ZONE)).hour < 20 else 0.0

    market = Market(_lines(tmp_path, "pacing: traffic", a="budget: {daily: 240}"), supply, MIDNIGHT_S)
    market.run(DAY_S * 3)
    third = market.hours("a")[48:72]
    assert sum(third) >= 0.95 * 240, third
    assert all(abs(hour - 20) < 3.5 for hour in third[9:19]), third


def test_a_jump_of_supply_is_met(tmp_path: Path) -> None:
    """Three times the supply from noon on: two hours later spend is back on plan."""

    def supply(name: str, now_s: float) -> float:
        return 240 * 3 / DAY_S * (3 if now_s > MIDNIGHT_S + DAY_S / 2 else 1)

    market = Market(_lines(tmp_path, a="budget: {daily: 240}"), supply, MIDNIGHT_S)
    market.run(DAY_S)
    assert all(abs(hour - 10) < 1.5 for hour in market.hours("a")[14:24]), market.hours("a")


@pytest.mark.parametrize("more", ["deals: {ids: [d], guaranteed: true}", "pacing: asap"])
def test_who_must_spend_is_never_slowed(tmp_path: Path, more: str) -> None:
    """Guaranteed deals, and line items that spend as soon as possible, go at full pace whatever their campaign does."""
    lines = _lines(tmp_path, "budget: {daily: 240}\n        pacing: even", a="", b=more)
    market = Market(lines, _steady(240 * 5 / DAY_S), MIDNIGHT_S)
    market.run(3600)
    assert market.paces is not None
    pace = dict(zip(market.paces.keys.tolist(), market.paces.multiplier.tolist(), strict=True))
    keys = {line.id: line.key for line in lines}
    assert pace[keys["b"]] == 1.0
    assert pace[keys["a"]] < 1.0


def test_an_old_report_teaches_nothing(tmp_path: Path) -> None:
    """Reports that were heard before change no multiplier; the next ones count for all the time since."""
    market = Market(_lines(tmp_path, a="budget: {daily: 240}"), _steady(240 * 5 / DAY_S), MIDNIGHT_S)
    market.run(6 * 3600)
    assert market.paces is not None
    assert market.reported is not None
    before = market.paces.multiplier[0]
    report = market.reported
    for late_s in (1, 20, 40):
        paces, _ = market.maker.step(
            market.now_s - 60 + late_s, {"shop": market.accounts}, {1: report}, PERIOD_S
        )
        assert paces.multiplier[0] == pytest.approx(before, rel=0.05)
    market.run(DAY_S - 6 * 3600)
    assert all(abs(hour - 10) < 1 for hour in market.hours("a")[7:24]), market.hours("a")


def test_a_period_has_a_ceiling(tmp_path: Path) -> None:
    """A few times what is aimed at, split among the workers, more where little of what is reserved gets charged; none
    for who is not paced."""
    lines = _lines(tmp_path, a="budget: {daily: 240}", b="")
    market = Market(lines, _steady(240 * 5 / DAY_S), MIDNIGHT_S)
    market.run(3 * 3600)
    assert market.paces is not None
    ceiling = dict(zip(market.paces.keys.tolist(), market.paces.ceiling.tolist(), strict=True))
    aimed = 240 * MICRO * PERIOD_S / DAY_S
    assert aimed * 2 < ceiling[lines[0].key] / 2 < aimed * 5  # half of what is reserved is charged
    assert ceiling[lines[1].key] == NO_CEILING


def test_without_budgets_nothing_is_slowed(tmp_path: Path) -> None:
    """A line item that nothing bounds bids its full value."""
    market = Market(_lines(tmp_path, a=""), _steady(1.0), MIDNIGHT_S)
    market.run(600)
    assert market.paces is not None
    assert market.paces.multiplier.tolist() == [1.0]
    assert market.paces.share.tolist() == [1.0]


def test_who_takes_the_lead_goes_on(tmp_path: Path) -> None:
    """Another pacemaker begins with the pace that was followed and with what was learned of traffic."""
    lines = _lines(tmp_path, "pacing: traffic", a="budget: {daily: 240}")
    market = Market(lines, _steady(240 * 5 / DAY_S), MIDNIGHT_S)
    market.run(DAY_S / 2)
    assert market.paces is not None
    learned = market.maker.learned()
    successor = Pacemaker(lines, market.now_s, market.paces)
    assert successor.recall(learned | {b"99": b"x"}) == [b"99"]
    paces, _ = successor.step(market.now_s, {"shop": market.accounts}, {}, PERIOD_S)
    assert paces.multiplier[0] == pytest.approx(market.paces.multiplier[0], rel=1e-5)
    assert successor.learned().keys() == learned.keys()


def test_reports_of_several_workers_are_summed(tmp_path: Path) -> None:
    """Each line item's reserved and idle money over all workers; line items that nobody has are passed over."""
    lines = _lines(tmp_path, a="", b="")
    maker = Pacemaker(lines, MIDNIGHT_S)
    keys = np.array([lines[1].key, 12345], np.uint64)
    some = np.array([7, 9], np.int64)
    report = Report(MIDNIGHT_S, keys, some, some * 10, some, some, some, some)
    _, standing = maker.step(MIDNIGHT_S, {}, {1: report, 2: report}, PERIOD_S)
    assert standing.reserved.tolist() == [0, 14]
    assert standing.idle.tolist() == [0, 140]


def test_where_things_stand(tmp_path: Path) -> None:
    """The tightest budget, what is spent of it and what is due of it by now, is the campaign's day here."""
    lines = _lines(tmp_path, "budget: {total: 1000, daily: 50}", a="budget: {total: 900}")
    maker = Pacemaker(lines, MIDNIGHT_S)
    day = "campaign/c/day/2026-11-23"
    accounts = {
        "campaign/c": Balance(None, spent=Micros(100 * MICRO)),
        day: Balance(None, spent=Micros(20 * MICRO)),
        "line/a": Balance(None, leased=Micros(3), spent=Micros(100 * MICRO)),
    }
    _, standing = maker.step(MIDNIGHT_S + 60, {"shop": accounts}, {}, PERIOD_S)
    assert standing.limit.tolist() == [50 * MICRO]
    assert standing.used.tolist() == [20 * MICRO]
    assert standing.planned.tolist() == pytest.approx([50 * MICRO * 60 / DAY_S])
    assert (standing.spent.tolist(), standing.leased.tolist()) == ([100 * MICRO], [3])
