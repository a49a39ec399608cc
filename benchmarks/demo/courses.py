"""How campaigns spend their budgets over a run, beside what was planned.

Place: session.py takes a sample with every reading; chart.py draws the courses, summary.py reports them.
Shapes: a Course has one Sample per reading, from the start of the flight to the end of the run.
Units: seconds since the start of the flight; shares of the campaign's total budget, 0 to 1; Micros.
Limits: a campaign without a total budget, or whose flight has no end, has no plan.
"""

from __future__ import annotations

from datetime import datetime
from math import inf
from statistics import fmean
from zoneinfo import ZoneInfo

from msgspec import Struct

from benchmarks.demo.ledger import Accounts
from bidder.campaigns.model import Advertiser, Book, Campaign
from budget.money import micros_from_text
from budget.plan import Kind, Plan, due, plan_of


class Sample(Struct, frozen=True, array_like=True):
    """One moment."""

    at_s: float
    planned: float | None
    spent: float


class Course(Struct, frozen=True):
    """One campaign's run."""

    campaign: str
    name: str
    advertiser: str
    currency: str
    pacing: str
    budget_micros: int
    """0: no total."""
    spent_micros: int
    samples: tuple[Sample, ...]

    @property
    def planned_micros(self) -> int | None:
        """What should be spent by the last sample."""
        last = self.samples[-1] if self.samples else None
        return None if last is None or last.planned is None else round(last.planned * self.budget_micros)

    @property
    def utilisation(self) -> float | None:
        """Spent of the budget."""
        return self.spent_micros / self.budget_micros if self.budget_micros else None

    @property
    def overspend_micros(self) -> int:
        """Spent beyond the budget."""
        return max(0, self.spent_micros - self.budget_micros) if self.budget_micros else 0

    @property
    def pace_error(self) -> float | None:
        """The mean distance of what was spent from what was planned; None where there is no pace to keep: as soon as
        possible."""
        if self.pacing == Kind.ASAP.value:
            return None
        distances = [abs(s.spent - s.planned) for s in self.samples if s.planned is not None]
        return fmean(distances) if distances else None


class Courses:
    """The courses of all campaigns of a book."""

    def __init__(self, book: Book, start_s: float) -> None:
        self._start_s = start_s
        self._campaigns = [(shop, campaign) for shop in book.advertisers for campaign in shop.campaigns]
        self._samples: dict[tuple[str, str], list[Sample]] = {
            (shop.id, campaign.id): [] for shop, campaign in self._campaigns
        }
        self._spent: dict[tuple[str, str], int] = {}

    def sample(self, now_s: float, accounts: Accounts) -> None:
        """How things stand; before the start there is nothing to see."""
        if now_s < self._start_s:
            return
        for shop, campaign in self._campaigns:
            key, budget = (shop.id, campaign.id), budget_micros(campaign)
            balance = accounts.get(shop.id, {}).get(f"campaign/{campaign.id}")
            self._spent[key] = spent = balance.spent if balance is not None else 0
            share = round(spent / budget, 4) if budget else 0.0
            at_s = round(now_s - self._start_s, 2)
            self._samples[key].append(Sample(at_s, planned_share(shop, campaign, now_s), share))

    def courses(self) -> tuple[Course, ...]:
        """All campaigns in the order of the book."""
        return tuple([self._course(shop, campaign) for shop, campaign in self._campaigns])

    def _course(self, shop: Advertiser, campaign: Campaign) -> Course:
        key = (shop.id, campaign.id)
        return Course(
            campaign.id, campaign.name, shop.name, shop.currency, campaign.pacing, budget_micros(campaign),
            self._spent.get(key, 0), tuple(self._samples[key]),
        )  # fmt: skip


def budget_micros(campaign: Campaign) -> int:
    """The total budget; 0: none."""
    total = campaign.budget.total
    return 0 if total is None else micros_from_text(str(total))


def planned_share(shop: Advertiser, campaign: Campaign, now_s: float) -> float | None:
    """The share of the budget that should be spent by now; None without a plan. Before anything is learned of traffic
    one hour is as good as another."""
    if not budget_micros(campaign) or campaign.start is None or campaign.end is None:
        return None
    return round(due(_plan(shop, campaign), now_s), 4)


def _plan(shop: Advertiser, campaign: Campaign) -> Plan:
    flight = (_seconds(campaign.start, -inf), _seconds(campaign.end, inf))
    return plan_of(Kind(campaign.pacing), ZoneInfo(shop.time_zone), flight)


def _seconds(moment: datetime | None, absent: float) -> float:
    return absent if moment is None else moment.timestamp()
