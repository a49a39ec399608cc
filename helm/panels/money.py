"""Money and pacing: what is spent, against what plan, and where money waits."""

from typing import Final

from helm.panels.sketch import (
    Panel,
    Query,
    Section,
    Sheet,
    age,
    by,
    counters,
    figure,
    gauges,
    now,
    rate,
    share,
)

_LINE: Final = "{{campaign}} {{line_item}}"
_SPEND: Final = rate("paceline_line_item_spend_micros_total", "campaign", "line_item")
_BURN: Final = tuple(
    Query(f"paceline:pacing_errors:ratio_rate{window} / 0.01", window) for window in ("5m", "1h", "6h", "3d")
)


def _per_hour(metric: str) -> str:
    """Money that need not ever come: nothing, where it did not."""
    return f"({rate(metric)} or vector(0)) * 3600 / 1e6"


def _line_items(title: str, metric: str, unit: str = "short", divisor: str = "", about: str = "") -> Panel:
    """A gauge of the line items that spend most."""
    expr = f"topk(20, {now(metric, 'campaign', 'line_item')}{divisor})"
    return Panel(title=title, queries=(Query(expr, _LINE),), unit=unit, about=about)


def _micros(title: str, metric: str, about: str = "") -> Panel:
    return _line_items(title, metric, divisor=" / 1e6", about=about)


def _wallets(title: str, metric: str, **more: float) -> Panel:
    queries = (Query(f"{now(metric, 'advertiser')} / 1e6", "{{advertiser}}"),)
    return Panel(title=title, queries=queries, width=6, red_above=more.get("red_above"))


SHEET: Final = Sheet(
    uid="paceline-money",
    title="Paceline / Money and pacing",
    about="Spend against plan, wallets, leases, charges. Amounts are in units of the advertiser's currency.",
    sections=(
        Section(
            "Now",
            (
                figure(
                    "Overspent",
                    f"({now('paceline_wallet_overspent_micros')} + {now('paceline_line_item_overspent_micros')}) / 1e6",
                    about="Must be 0 at all times.",
                    red_above=0,
                ),
                figure(
                    "Pacing periods within 1 %",
                    share(
                        rate("paceline_pacing_periods_total", where='result="within"'),
                        rate("paceline_pacing_periods_total"),
                    ),
                    "percentunit",
                    red_below=0.99,
                ),
                figure("Ledger", f"1 - {now('paceline_ledger_down')}", about="1: it answers.", red_below=1),
                figure("Age of the pace", now("paceline_pace_age_seconds"), "s", red_above=60),
                figure(
                    "Journal on disk", age("paceline_journal_archived_timestamp_seconds"), "s", red_above=300
                ),
                figure("Notices that wait on disk", now("paceline_spool_bytes", of="sum"), "bytes"),
            ),
        ),
        Section(
            "Spend",
            (
                Panel(
                    title="Spend per hour",
                    queries=(
                        Query(
                            f"{rate('paceline_spend_micros_total', 'currency')} * 3600 / 1e6", "{{currency}}"
                        ),
                    ),
                ),
                Panel(
                    title="Spend per hour by line item",
                    queries=(
                        Query(
                            f"topk(20, {_SPEND}) * 3600 / 1e6",
                            _LINE,
                        ),
                    ),
                    kind="stack",
                    about="Line items beyond those that spent most are summed in `other`.",
                ),
                Panel(
                    title="Late and absorbed money, per hour",
                    queries=(
                        Query(_per_hour("paceline_line_item_late_micros_total"), "late"),
                        Query(_per_hour("paceline_line_item_absorbed_micros_total"), "absorbed"),
                    ),
                    about="Absorbed: late, and no room left in the budget. The operator's loss.",
                ),
            ),
        ),
        Section(
            "Pacing",
            (
                Panel(title="Burn rate of the pacing objective", queries=_BURN, red_above=14.4),
                by("Pacing periods", "paceline_pacing_periods_total", "result"),
                _line_items(
                    "Spent more (or less) than aimed at in the last period",
                    "paceline_line_item_pace_error_ratio",
                    "percentunit",
                ),
                _line_items(
                    "Multiplier",
                    "paceline_line_item_multiplier_ratio",
                    "percentunit",
                    about="Share of its value that it bids.",
                ),
                _line_items(
                    "Spent of the tightest budget", "paceline_line_item_utilisation_ratio", "percentunit"
                ),
                counters("Pacing board out of reach", ("paceline_pace_board_failures_total", "failures")),
            ),
        ),
        Section(
            "Line items",
            (
                _micros("Tightest budget", "paceline_line_item_budget_micros"),
                _micros("Spent", "paceline_line_item_spent_micros"),
                _micros(
                    "Due by now",
                    "paceline_line_item_planned_micros",
                    about="What of the tightest budget the plan has spent by now.",
                ),
                _micros("Leased to workers", "paceline_line_item_leased_micros"),
                _micros("Reserved for bids", "paceline_line_item_reserved_micros"),
                _micros(
                    "Leased and idle",
                    "paceline_line_item_idle_micros",
                    about="Stranded for a while where the budget is near its end.",
                ),
                Panel(
                    title="Stranded with workers that are gone",
                    queries=(
                        Query(f"{now('paceline_money_stranded_micros', 'currency')} / 1e6", "{{currency}}"),
                    ),
                    about="It comes home by itself when its notices can no longer arrive.",
                ),
            ),
        ),
        Section(
            "Wallets",
            (
                _wallets("Funded", "paceline_wallet_funded_micros"),
                _wallets("Spent", "paceline_wallet_spent_micros"),
                _wallets("Leased", "paceline_wallet_leased_micros"),
                _wallets("Available", "paceline_wallet_available_micros"),
                _wallets("Late", "paceline_wallet_late_micros"),
                _wallets("Absorbed", "paceline_wallet_absorbed_micros"),
                _wallets("Overspent", "paceline_wallet_overspent_micros", red_above=0),
            ),
        ),
        Section(
            "Leases and charges",
            (
                by("Answers to requests for money", "paceline_leases_total", "result"),
                counters(
                    "Leases that went home",
                    ("paceline_leases_given_back_total", "given back"),
                    ("paceline_leases_lost_total", "taken for dead"),
                    ("paceline_leases_reclaimed_total", "of dead workers"),
                    ("paceline_ledger_expired_total", "reservations freed by time"),
                ),
                by("Charges", "paceline_charges_total", "result"),
                by("Lost bids", "paceline_releases_total", "result"),
                by("Bids told to be over", "paceline_ledger_heard_total", "fate"),
                counters(
                    "Calls without an answer", ("paceline_ledger_failures_total", "ledger"), red_above=0
                ),
                Panel(
                    title="The ledger's clock against ours",
                    queries=(Query(f"max(abs({'paceline_ledger_ahead_seconds'}))", "apart"),),
                    unit="s",
                    red_above=20,
                ),
                by("Accepted notices, by where they wait", "paceline_spool_records_total", "kept"),
                counters(
                    "Spools",
                    ("paceline_spools_adopted_total", "taken over from dead processes"),
                    ("paceline_spool_damaged_bytes_total", "bytes that could not be read"),
                ),
                counters("Journal", ("paceline_journal_failures_total", "failures"), red_above=0),
                gauges(
                    "Exchange rates of", ("paceline_rates_date_seconds * 1000", "date"), unit="dateTimeAsIso"
                ),
            ),
        ),
    ),
)
