"""How money stands, as gauges: line items by what they spent, and advertisers' wallets.

Place: the bookkeeper that leads tells it once per period; one that no longer leads clears it.
Units: Micros of the advertiser's currency; ratios in millionths.
Limits: LINE_ITEM_SERIES line items, those that spent most; the others are not shown.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from bidder.campaigns.compile import Line
from bidder.metrics import Metric, Tally
from bidder.spending.pacemaker import Accounts, Standing
from budget.accounts import WALLET
from budget.money import Micros
from budget.store import Balance

LINE_ITEM_SERIES: Final = 1_000
_LABELS: Final = ("campaign", "line_item")
_PPM: Final = 1e6


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
        "Line items' pacing periods, by whether the spend since the budget began was within 1 % of that budget of what "
        "its plan had due (within), or was not (off)",
        ("result",),
        bound="2 results",
    ),
    _gauge(
        "paceline_wallet_overspent_micros",
        "Spent beyond what was funded: must be 0",
        ("advertiser",),
    ),
    _gauge(
        "paceline_line_item_overspent_micros",
        "Spent beyond their own budgets by line items, in sum: must be 0",
        (),
    ),
    Metric(
        "paceline_money_stranded_micros",
        "gauge",
        "Leased to workers that are gone, and not home yet",
        ("currency",),
        merge="max",
        bound="currencies of the exchange rates",
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

    def tell(self, lines: Sequence[Line], standing: Standing, accounts: Accounts) -> None:
        """Where line items (L) and wallets stand now."""
        before, self._told = self._told, set()
        busiest = np.argsort(-standing.spent, kind="stable")[:LINE_ITEM_SERIES].tolist()
        for row in busiest:
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
        for advertiser, held in accounts.items():
            self._wallet(advertiser, held.get(WALLET, Balance(Micros(0))))
        self._wipe(before - self._told)

    def clear(self) -> None:
        """Another one leads: what stood here is no longer true."""
        gone, self._told = self._told, set()
        self._wipe(gone)

    def _wallet(self, name: str, wallet: Balance) -> None:
        self._set("paceline_wallet_funded_micros", name, value=wallet.limit or 0)
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
