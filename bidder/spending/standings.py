"""How money stands, as gauges: line items by what they spent, and advertisers' wallets.

Place: the bookkeeper that leads tells it once per period; one that no longer leads clears it.
Units: Micros of the advertiser's currency; ratios in millionths.
Limits: LINE_ITEM_SERIES line items, those that spent most; of the others the sums.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bidder.campaigns.compile import Line
from bidder.metrics import Metric, Tally
from bidder.notices.series import LINE_ITEM_SERIES, OTHERS
from bidder.spending.pacemaker import Accounts, Standing
from budget.accounts import WALLET
from budget.money import Micros
from budget.store import Balance

_LABELS: Final = ("campaign", "line_item")
_PPM: Final = 1e6
_STRANDED: Final = "paceline_money_stranded_micros"


def _gauge(name: str, what: str, labels: tuple[str, ...] = _LABELS, scale: float = 1.0) -> Metric:
    return Metric(name, "gauge", what, labels, scale, merge="max")


METRICS: Final = (
    _gauge("paceline_line_item_budget_micros", "The tightest budget that bounds it; absent: none does"),
    _gauge(
        "paceline_line_item_planned_micros",
        "Of that budget, what its plan has due by now; absent: nothing paces it",
    ),
    _gauge("paceline_line_item_spent_micros", "Spent in all, as the ledger has it"),
    _gauge("paceline_line_item_leased_micros", "With workers: reserved for bids, or idle"),
    _gauge("paceline_line_item_reserved_micros", "Reserved for bids that may yet be charged"),
    _gauge(
        "paceline_line_item_idle_micros", "Leased and not reserved: stranded where the budget is near its end"
    ),
    _gauge("paceline_line_item_utilisation_ratio", "Spent of the tightest budget", scale=1 / _PPM),
    _gauge("paceline_line_item_multiplier_ratio", "Share of its value that it bids", scale=1 / _PPM),
    _gauge(
        "paceline_line_item_pace_error_ratio",
        "Spent in the last period, more (or less) than was aimed at, as a share of that",
        scale=1 / _PPM,
    ),
    _gauge("paceline_wallet_funded_micros", "Funded less withdrawn", ("advertiser",)),
    _gauge("paceline_wallet_spent_micros", "Spent", ("advertiser",)),
    _gauge("paceline_wallet_leased_micros", "Leased to workers", ("advertiser",)),
    _gauge("paceline_wallet_available_micros", "Neither leased nor spent", ("advertiser",)),
    _gauge("paceline_wallet_late_micros", "Part of the spend that came after expiry", ("advertiser",)),
    _gauge(
        "paceline_wallet_absorbed_micros",
        "Late money without room in a budget: the operator's loss",
        ("advertiser",),
    ),
    Metric(
        "paceline_pacing_periods_total",
        "counter",
        "Pacing periods of budgets with a plan, of line items and of campaigns: within, where spend and plan of the "
        "last hour differ by at most 1 % of a day's plan; off; short, behind though all is bid on at full value",
        ("result",),
    ),
    _gauge(
        "paceline_wallet_overspent_micros",
        "Spent beyond what was funded: must be 0",
        ("advertiser",),
    ),
    _gauge(
        "paceline_line_item_overspent_micros",
        "Spent beyond their own budgets by line items, in sum: must be 0. A budget that is made less than was spent "
        "counts from there on",
        ("currency",),
    ),
    Metric(
        "paceline_money_stranded_micros",
        "gauge",
        "Leased to workers that are gone, and not home yet",
        ("currency",),
        merge="max",
    ),
    _gauge(
        "paceline_journal_archived_timestamp_seconds",
        "When the ledger's journal was last on disk as a whole",
        (),
    ),
    Metric("paceline_journal_failures_total", "counter", "Times the journal could not be archived"),
)


class Standings:
    """The gauges of one bookkeeper."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._told: set[tuple[str, ...]] = set()
        self._stranded: set[str] = set()

    def tell(self, lines: Sequence[Line], standing: Standing, accounts: Accounts) -> None:
        """Where line items (L) and wallets stand now."""
        before, self._told = self._told, set()
        order = np.argsort(-standing.spent, kind="stable")
        for row in order[:LINE_ITEM_SERIES].tolist():
            line = lines[row]
            names = (line.campaign_id, line.id)
            limit = standing.limit[row]
            if np.isfinite(limit):
                self._set("paceline_line_item_budget_micros", *names, value=limit)
                used = standing.used[row] / limit if limit else 0.0
                self._set("paceline_line_item_utilisation_ratio", *names, value=used * _PPM)
                planned = standing.planned[row]
                if np.isfinite(planned):
                    self._set("paceline_line_item_planned_micros", *names, value=planned)
            self._set("paceline_line_item_spent_micros", *names, value=standing.spent[row])
            self._set("paceline_line_item_leased_micros", *names, value=standing.leased[row])
            self._set("paceline_line_item_reserved_micros", *names, value=standing.reserved[row])
            self._set("paceline_line_item_idle_micros", *names, value=standing.idle[row])
            self._set("paceline_line_item_multiplier_ratio", *names, value=standing.multiplier[row] * _PPM)
            self._set("paceline_line_item_pace_error_ratio", *names, value=standing.error[row] * _PPM)
        self._sum_rest(standing, order[LINE_ITEM_SERIES:])
        for result, periods in standing.periods.items():
            self._tally.count("paceline_pacing_periods_total", result, by=periods)
        self._overspent(lines, standing)
        for advertiser, held in accounts.items():
            self._wallet(advertiser, held.get(WALLET, Balance(Micros(0))))
        self._wipe(before - self._told)

    def stranded(self, by_currency: Mapping[str, int]) -> None:
        """What is leased to workers that are gone, by currency: all of it."""
        before, self._stranded = self._stranded, set(by_currency)
        for currency in before | self._stranded:
            self._tally.set(_STRANDED, currency, value=by_currency.get(currency, 0))

    def clear(self) -> None:
        """Another one leads: what stood here is no longer true."""
        gone, self._told = self._told, set()
        self._wipe(gone)
        self.stranded({})

    def _sum_rest(self, standing: Standing, rows: NDArray[np.intp]) -> None:
        """Those that have no gauges of their own."""
        if len(rows):
            for name in ("spent", "leased", "reserved", "idle"):
                total = getattr(standing, name)[rows].sum()
                self._set(f"paceline_line_item_{name}_micros", *OTHERS, value=total)

    def _overspent(self, lines: Sequence[Line], standing: Standing) -> None:
        over = dict.fromkeys((line.currency for line in lines), 0.0)
        for row in np.flatnonzero(standing.overspent > 0).tolist():
            over[lines[row].currency] += standing.overspent[row]
        for currency, value in over.items():
            self._set("paceline_line_item_overspent_micros", currency, value=value)

    def _wallet(self, name: str, wallet: Balance) -> None:
        funded = wallet.limit or 0
        self._set("paceline_wallet_funded_micros", name, value=funded)
        self._set("paceline_wallet_overspent_micros", name, value=max(0, wallet.spent - funded))
        self._set("paceline_wallet_spent_micros", name, value=wallet.spent)
        self._set("paceline_wallet_leased_micros", name, value=wallet.leased)
        self._set("paceline_wallet_available_micros", name, value=wallet.available or 0)
        self._set("paceline_wallet_late_micros", name, value=wallet.late)
        self._set("paceline_wallet_absorbed_micros", name, value=wallet.absorbed)

    def _set(self, name: str, *labels: str, value: float) -> None:
        self._told.add((name, *labels))
        self._tally.set(name, *labels, value=int(value))

    def _wipe(self, gone: Iterable[tuple[str, ...]]) -> None:
        for name, *labels in gone:
            self._tally.set(name, *labels, value=0)
