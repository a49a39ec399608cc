"""The end of a demo: what happened in words and numbers, and whether the books agree.

Place: session.py prints `tell` and writes `report`.
Shapes: report: a JSON object; the keys are listed in `report`.
Units: latencies in milliseconds, money in micros of the advertiser's currency.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from benchmarks.demo.readings import CampaignReading, Metrics, Reading, today
from benchmarks.demo.view import frame, money
from benchmarks.exchange.report import Totals


class Check(Struct, frozen=True):
    """Two numbers that must be equal."""

    name: str
    left: int
    right: int

    @property
    def holds(self) -> bool:
        """Whether they are."""
        return self.left == self.right


def checks(totals: Totals, metrics: Metrics) -> list[Check]:
    """Conservation, inside the service and between it and the exchanges."""
    total = metrics.total
    drops = total("paceline_drops_total")
    return [
        Check("requests sent = requests received", totals.requests, total("paceline_requests_total")),
        Check(
            "requests received = sum of outcomes",
            total("paceline_requests_total"),
            total("paceline_outcomes_total"),
        ),
        Check(
            "candidates = drops + bids",
            total("paceline_candidates_total"),
            drops + total("paceline_line_item_bids_total"),
        ),
        Check("bids received = bids sent", totals.bids, total("paceline_line_item_bids_total")),
        Check(
            "beacons fetched = impressions", totals.impressions, total("paceline_line_item_impressions_total")
        ),
        Check("billed = charged, each once", totals.billed, total("paceline_clearing_prices_total")),
        Check("clicks made = clicks counted", totals.clicks, total("paceline_line_item_clicks_total")),
        Check("errors inside the service = 0", total("paceline_outcomes_total", outcome="fault"), 0),
    ]


def report(reading: Reading, seed: int, interrupted: bool) -> dict[str, Any]:
    """The run as plain JSON."""
    totals, metrics = reading.totals, reading.metrics
    return {
        "finished": today(),
        "seconds": round(totals.seconds, 1),
        "seed": seed,
        "interrupted": interrupted,
        "requests": totals.requests,
        "bids": totals.bids,
        "bid_rate": round(totals.bid_rate, 4),
        "wins": totals.wins,
        "win_rate": round(totals.win_rate, 4),
        "losses": totals.losses,
        "impressions": totals.impressions,
        "clicks": totals.clicks,
        "conversions": totals.conversions,
        "billed": totals.billed,
        "errors": totals.errors,
        "late": totals.late,
        "faults": totals.faults,
        "error_kinds": totals.error_kinds,
        "examples": totals.examples,
        "latency_ms": totals.latency_ms(),
        "no_bid_reasons": reading.no_bid_reasons,
        "drops": metrics.by("paceline_drops_total", "reason"),
        "loss_reasons": totals.loss_reasons,
        "campaigns": [_campaign(row) for row in reading.campaigns],
        "exchanges": {
            name: {"requests": e.requests, "bids": e.bids, "wins": e.wins, "billed_micros": e.billed_micros}
            for name, e in totals.exchanges.items()
        },
        "model": reading.model,
        "rss_mb": round(reading.rss_mb, 1),
        "store_rss_mb": round(reading.store_mb, 1),
        "conservation": [
            {"check": c.name, "left": c.left, "right": c.right, "holds": c.holds}
            for c in checks(totals, metrics)
        ],
    }


def _campaign(row: CampaignReading) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "advertiser": row.advertiser,
        "currency": row.currency,
        "budget_micros": row.budget_micros,
        "spent_micros": row.spent_micros,
        "bids": row.bids,
        "impressions": row.impressions,
        "clicks": row.clicks,
    }


def sound(reading: Reading) -> bool:
    """Whether nothing went wrong: no error, no fault, and the books agree."""
    totals = reading.totals
    if totals.errors or totals.faults or not totals.requests:
        return False
    return all(check.holds for check in checks(totals, reading.metrics))


def tell(console: Console, reading: Reading, seconds: float) -> None:
    """Print the summary."""
    console.print(
        Panel(Group(*_parts(console, reading, seconds)), title="Paceline demo", border_style="cyan")
    )


def _parts(console: Console, reading: Reading, seconds: float) -> list[RenderableType]:
    totals = reading.totals
    ms = totals.latency_ms()
    story = Text.assemble(
        (f"{totals.requests:,}", "bold"), " bid requests from six simulated exchanges in ",
        f"{totals.seconds:.0f} s: ", (f"{totals.bids:,}", "bold"), " bids, ", (f"{totals.wins:,}", "bold"),
        " auctions won, ", (f"{totals.impressions:,}", "bold"), " impressions, ", (f"{totals.clicks:,}", "bold"),
        " clicks, ", f"{totals.conversions:,}", " sales. Half of the answers took less than ",
        (f"{ms['p50']:.1f} ms", "bold"), ", 99 % less than ", (f"{ms['p99']:.1f} ms", "bold"),
        f", {totals.late:,} were late. The service used ", (f"{reading.rss_mb:.0f} MB", "bold"),
        f", its store {reading.store_mb:.0f} MB. Response rates came from: {reading.model}.",
    )  # fmt: skip
    spent = ", ".join(f"{row.name} {money(row)}" for row in reading.campaigns if row.spent_micros)
    return [
        story,
        Text(f"Spent: {spent or 'nothing'}."),
        Text(),
        frame(reading, seconds, console.width - 4),
        Text(),
        _books(totals, reading.metrics),
        *(Text(f"! {example}", style="red") for example in totals.examples[:5]),
    ]


def _books(totals: Totals, metrics: Metrics) -> Table:
    table = Table.grid(padding=(0, 1))
    for check in checks(totals, metrics):
        mark = Text("✓", style="green") if check.holds else Text("✗", style="bold red")
        numbers = f"{check.left:,}" if check.holds else f"{check.left:,} ≠ {check.right:,}"
        table.add_row(mark, check.name, numbers)
    return table
