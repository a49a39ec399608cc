"""The live terminal view: one frame of a Reading, at 80 columns and wider.

Place: session.py shows it in rich's Live; without a terminal `plain` says the same in one line.
"""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from benchmarks.demo.readings import MICROS, CampaignReading, Reading
from benchmarks.demo.society import SHOWN, Society
from benchmarks.exchange.report import PeopleTotals

_REASONS_SHOWN = 6
_WIDE = 110
_WORDS = {"late": "decided too late", "no_time": "no time left", "shed": "shed: too busy"}
"""Reasons of the service's that are not what the exchanges call late: those answers came after tmax."""
BUSY_SHARE = 0.02
"""Of requests, those shed, undecided or answered after tmax, beyond which the machine was too busy for the rate."""


def frame(reading: Reading, seconds: float, width: int, *, whole: bool = False) -> RenderableType:
    """One picture of the demo: of its last second, or at the end of the whole run."""
    body = Table.grid(expand=True, padding=(0, 1))
    body.add_column(ratio=1)
    body.add_column(ratio=1)
    body.add_row(_reasons(reading), _exchanges(reading))
    return Group(
        _headline(reading, seconds),
        _tiles(reading, whole=whole),
        body,
        _campaigns(reading, width),
        society_table(reading.society, reading.totals.people),
        _foot(reading),
    )


def plain(reading: Reading) -> str:
    """One line for a log."""
    totals, ms = reading.totals, reading.recent
    if not totals.requests:
        return f"{reading.elapsed_s:5.0f}s waiting for the first answer"
    return (
        f"{reading.elapsed_s:5.0f}s {reading.rate:6.0f} req/s  bid rate {totals.bid_rate:5.1%}"
        f"  win rate {totals.win_rate:5.1%}  p50 {ms.percentile(50) / 1e3:.2f} ms"
        f"  p99 {ms.percentile(99) / 1e3:.2f} ms  impressions {totals.impressions}  clicks {totals.clicks}"
        f"  visits {reading.society.visits}  ads drawn {reading.society.drawn}  errors {totals.errors}"
        f"  answers after tmax {totals.late}  {reading.rss_mb:.0f} MB"
    )


def too_busy(reading: Reading) -> str:
    """Why little was spent where the machine could not keep up; empty where it could."""
    totals, reasons = reading.totals, reading.no_bid_reasons
    share = (totals.late + reasons.get("late", 0) + reasons.get("no_time", 0) + reasons.get("shed", 0)) / max(
        totals.requests, 1
    )
    if share < BUSY_SHARE:
        return ""
    return (
        f"{min(share, 1.0):.0%} of requests were shed, not decided or answered after tmax: this machine was too busy "
        "for the rate, so less was spent than planned. Try a lower --rate, or a machine that does nothing else."
    )


def _headline(reading: Reading, seconds: float) -> RenderableType:
    row = Table.grid(expand=True, padding=(0, 1))
    row.add_column(no_wrap=True)
    row.add_column(ratio=1)
    row.add_column(justify="right", no_wrap=True)
    row.add_row(
        Text("Paceline", style="bold cyan"),
        ProgressBar(total=seconds, completed=min(reading.elapsed_s, seconds), complete_style="cyan"),
        f"{reading.elapsed_s:3.0f} of {seconds:.0f} s",
    )
    return row


def _tiles(reading: Reading, *, whole: bool) -> RenderableType:
    totals = reading.totals
    ms, rate = reading.recent, reading.rate
    if whole:
        ms, rate = totals.latency_us, totals.requests / totals.seconds if totals.seconds else 0.0
    row = Table.grid(expand=True)
    for _ in range(4):
        row.add_column(ratio=1)
    row.add_row(
        _tile("requests/s", f"{rate:,.0f}"),
        _tile("bid rate", f"{totals.bid_rate:.1%}"),
        _tile("win rate", f"{totals.win_rate:.1%}"),
        _tile("p50 / p99 ms", f"{ms.percentile(50) / 1e3:.1f} / {ms.percentile(99) / 1e3:.1f}"),
    )
    return row


def _tile(caption: str, value: str) -> RenderableType:
    return Panel(Text(value, style="bold white", justify="center"), title=caption, border_style="dim")


def _reasons(reading: Reading) -> RenderableType:
    table = _table("no bid, because", "requests", "")
    reasons = list(reading.no_bid_reasons.items())[:_REASONS_SHOWN]
    most = max((count for _, count in reasons), default=1)
    for name, count in reasons:
        table.add_row(
            _WORDS.get(name.lower(), name.lower().replace("_", " ")), f"{count:,}", _bar(count / most, 8)
        )
    return table


def _exchanges(reading: Reading) -> RenderableType:
    table = _table("exchange", "requests", "bids", "wins")
    for name, seen in reading.totals.exchanges.items():
        table.add_row(name, f"{seen.requests:,}", f"{seen.bids:,}", f"{seen.wins:,}")
    return table


def _campaigns(reading: Reading, width: int) -> RenderableType:
    table = _table("campaign", "spent", "of budget", "impressions", "clicks")
    if width >= _WIDE:
        table = _table("shop", "campaign", "spent", "of budget", "impressions", "clicks", "bids")
    for row in reading.campaigns:
        share = row.spent_micros / row.budget_micros if row.budget_micros else 0.0
        cells: list[RenderableType] = [
            row.name,
            money(row),
            _bar(share, 9, row.planned).append(f" {share:4.0%}"),
            f"{row.impressions:,}",
            f"{row.clicks:,}",
        ]
        table.add_row(*([row.advertiser, *cells, f"{row.bids:,}"] if width >= _WIDE else cells))
    return table


def _foot(reading: Reading) -> RenderableType:
    totals = reading.totals
    wrong = totals.errors + totals.faults
    counts = Text.assemble(
        (" impressions ", "dim"), f"{totals.impressions:,}  ", ("clicks ", "dim"), f"{totals.clicks:,}  ",
        ("sales ", "dim"), f"{totals.conversions:,}  ", ("answers after tmax ", "dim"), f"{totals.late:,}  ",
        ("errors ", "dim"), (f"{wrong:,}", "bold red" if wrong else ""),
    )  # fmt: skip
    means = Text.assemble(
        (" memory ", "dim"), f"{reading.rss_mb:.0f} MB  ", ("store ", "dim"), f"{reading.store_mb:.0f} MB  ",
        ("response rates from ", "dim"), reading.model,
    )  # fmt: skip
    return Group(counts, means)


def society_table(society: Society, people: PeopleTotals) -> RenderableType:
    """Everything about people in seven lines."""
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    residue = society.residue
    proven = "" if residue is None else f", found again {len(residue.again)}"
    sizes = [
        f"{shop} {' / '.join(f'{segments.get(name, 0):,}' for name in SHOWN)}"
        for shop, segments in society.sizes.items()
    ]
    layouts = (f"{name} {drawn.views:,} ({drawn.rate:.1%})" for name, drawn in society.layouts.items())
    recognised = society.found / society.asked if society.asked else 0.0
    rows = (
        (" shop visits", f"{society.visits:,} by {people.visitors:,} people, kept {society.kept:,}, orders "
         f"{people.orders:,}, syncs {people.syncs:,}"),
        (" recognised", f"{recognised:.0%} of {society.asked:,} asked for; bids to see them again "
         f"{people.recognised:,}, new here {people.returned:,}"),
        (" segments", f"{' / '.join(SHOWN)}: {', '.join(sizes)}" if sizes else ""),
        (" product ads", f"personal {society.personal:,}, for everybody {society.contextual:,}; viewed comes first "
         f"{people.viewed_first:,} of {people.viewed:,}"),
        (" layouts", ", ".join(layouts)),
        (" left", f"opted out {people.opted_out:,}, erased {people.erased:,}{proven}"),
        (" records", f"events {society.recorded:,}, compacted {society.compacted:,}; robots' requests "
         f"{people.crawlers + people.robots:,}, filtered {society.filtered:,}"),
    )  # fmt: skip
    for row in rows:
        table.add_row(*row)
    return table


def money(row: CampaignReading) -> str:
    """What a campaign has spent, in its own currency."""
    return f"{row.spent_micros / MICROS:,.2f} {row.currency}"


def _bar(share: float, width: int, planned: float | None = None) -> Text:
    """A bar for a share of 1, with a line where it was planned to be; a very small share shows as a sliver."""
    eighths = round(max(0.0, min(share, 1.0)) * width * 8)
    full, rest = divmod(max(eighths, 1 if share > 0 else 0), 8)
    bar = ("█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")).ljust(width, "·")[:width]
    if planned is None:
        return Text(bar, style="cyan")
    place = min(int(planned * width), width - 1)
    return Text.assemble(
        (bar[:place], "cyan"),
        ("│", "bold black on cyan" if place < full else "bold"),
        (bar[place + 1 :], "cyan"),
    )


def _table(first: str, *others: str) -> Table:
    table = Table(expand=True, box=None, padding=(0, 1), header_style="dim", collapse_padding=True)
    table.add_column(first, no_wrap=True, overflow="ellipsis", ratio=1)
    for name in others:
        text = name in ("campaign", "", "of budget")
        table.add_column(name, justify="left" if text else "right", no_wrap=True, overflow="ellipsis",
                         ratio=1 if name == "campaign" else None)  # fmt: skip
    return table
