"""The end of a demo: what happened in words, numbers and curves, and whether the books agree.

Place: session.py prints `tell` and writes `report`.
Shapes: report: a JSON object; the keys are listed in `report`.
Units: latencies in milliseconds, money in micros of the advertiser's currency.
"""

from __future__ import annotations

from typing import Any

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from benchmarks.demo import society
from benchmarks.demo.chart import chart
from benchmarks.demo.checks import checks
from benchmarks.demo.courses import Course
from benchmarks.demo.readings import CampaignReading, Reading, today
from benchmarks.demo.view import frame, too_busy


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
        "campaigns": _campaigns(reading),
        "capped_views": totals.capped_views,
        "cap_violations": totals.cap_violations,
        "overspend_micros": sum(sum(proof.overspend.values()) for proof in reading.proofs),
        "exchanges": {
            name: {"requests": e.requests, "bids": e.bids, "wins": e.wins, "billed_micros": e.billed_micros}
            for name, e in totals.exchanges.items()
        },
        "people": society.report(reading.society, totals.people),
        "model": reading.model,
        "rss_mb": round(reading.rss_mb, 1),
        "store_rss_mb": round(reading.store_mb, 1),
        "conservation": [
            {"check": c.name, "left": c.left, "right": c.right, "holds": c.holds, "detail": c.detail}
            for c in checks(reading)
        ],
    }


def _campaigns(reading: Reading) -> list[dict[str, Any]]:
    courses = {(course.advertiser, course.campaign): course for course in reading.courses}
    return [_campaign(row) | _course(courses.get((row.advertiser, row.id))) for row in reading.campaigns]


def _course(course: Course | None) -> dict[str, Any]:
    """The plan, what became of it, and both second by second; nothing for a campaign that was not watched."""
    if course is None:
        return {}
    return {
        "pacing": course.pacing,
        "planned_micros": course.planned_micros,
        "ledger_spent_micros": course.spent_micros,
        "utilisation": course.utilisation and round(course.utilisation, 4),
        "overspend_micros": course.overspend_micros,
        "pace_error": course.pace_error and round(course.pace_error, 4),
        "series": {
            "at_s": [sample.at_s for sample in course.samples],
            "planned": [sample.planned for sample in course.samples],
            "spent": [sample.spent for sample in course.samples],
        },
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
    return all(check.holds for check in checks(reading))


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
        f", {totals.late:,} answers came after tmax. The service used ", (f"{reading.rss_mb:.0f} MB", "bold"),
        f", its store {reading.store_mb:.0f} MB. Response rates came from: {reading.model}.",
    )  # fmt: skip
    return [
        story,
        *([Text(busy, style="yellow")] if (busy := too_busy(reading)) else []),
        _people(reading),
        Text(),
        frame(reading, seconds, console.width - 4, whole=True),
        Text(),
        chart(reading.courses, seconds, console.width - 4),
        Text(),
        _books(reading),
        *(Text(f"! {example}", style="red") for example in totals.examples[:5]),
    ]


def _people(reading: Reading) -> Text:
    seen, people = reading.society, reading.totals.people
    return Text.assemble(
        (f"{people.visitors:,}", "bold"), " people visited the shops meanwhile; ", (f"{people.returned:,}", "bold"),
        " bids were made to see somebody again whom nobody knew before. ", (f"{seen.drawn:,}", "bold"),
        " of the ads of products were looked at, ", f"{seen.personal:,} drawn for their person; {people.opted_out:,} "
        f"people opted out, {people.erased:,} were erased. {seen.filtered:,} requests of robots were filtered.",
    )  # fmt: skip


def _books(reading: Reading) -> Table:
    table = Table.grid(padding=(0, 1))
    for check in checks(reading):
        mark = Text("✓", style="green") if check.holds else Text("✗", style="bold red")
        numbers = f"{check.left:,}" if check.holds else f"{check.left:,} ≠ {check.right:,}"
        table.add_row(mark, check.name, numbers, Text(check.detail, style="dim"))
    return table
