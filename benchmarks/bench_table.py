"""The findings of `make bench` as JSON and as a table, with the machine's facts and the targets.

Place: bench.py hands in what it measured; nothing is measured here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from benchmarks.machine import machine, words

if TYPE_CHECKING:
    from benchmarks.bench import Finding, Plan

MAX_COST_RATIO: Final = 3.5
"""Of a whole bid to (a), at 10,000 line items and batch 16 or more."""
MAX_GROWTH: Final = 2.0
"""Of the cost of a bid from 1,000 to 100,000 line items."""
_PERCENTILES: Final = ("p50", "p99", "p999")


def report(findings: Sequence[Finding], notes: Sequence[str], plan: Plan) -> dict[str, Any]:
    """Everything as plain JSON; ratios are to (a)."""
    base = next((f for f in findings if f.name.startswith("(a)")), None)
    return {
        "machine": machine(),
        "plan": {name: getattr(plan, name) for name in plan.__struct_fields__},
        "subjects": [_subject(finding, base) for finding in findings],
        "targets": targets(findings),
        "notes": list(notes),
    }


def _subject(finding: Finding, base: Finding | None) -> dict[str, Any]:
    loads = {
        load: {
            "cpu_us": round(finding.cost(load), 1),
            "ratio_to_a": round(finding.ratio(base, load), 2) if base else None,
            "rounds_us": finding.cpu_us[load],
        }
        for load in finding.cpu_us
    }
    return {
        "name": finding.name,
        "line_items": finding.line_items,
        "connections": loads,
        "requests_per_s": round(finding.throughput()),
        "rss_mb": finding.rss_mb,
        "latency_ms": finding.latency_ms,
        "errors": finding.errors,
        "bid_share": finding.bid_share,
    }


def targets(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """The promises that can be judged from these findings."""
    by_size = {finding.line_items: finding for finding in findings if finding.line_items}
    peers = {finding.name[:3]: finding for finding in findings if not finding.line_items}
    found: list[dict[str, Any]] = []

    def judge(name: str, value: float, limit: float, *, at_most: bool = True) -> None:
        holds = value <= limit if at_most else value >= limit
        found.append({"name": name, "value": round(value, 2), "limit": limit, "holds": holds})

    whole = by_size.get(10_000)
    if whole and "(a)" in peers:
        judge(
            "a whole bid / (a), 10,000 line items, 64 connections",
            whole.ratio(peers["(a)"], "64"),
            MAX_COST_RATIO,
        )
    if whole and "(c)" in peers:
        rate = whole.throughput() / peers["(c)"].throughput()
        judge("requests/s of a whole bid / (c), 10,000 line items", rate, 1.0, at_most=False)
    if 1_000 in by_size and 100_000 in by_size:
        growth = by_size[100_000].cost("64") / by_size[1_000].cost("64")
        judge("cost at 100,000 line items / at 1,000", growth, MAX_GROWTH)
    return found


def text(made: dict[str, Any]) -> str:
    """The report as a table for a terminal."""
    facts = made["machine"]
    shares = list(made["subjects"][0]["latency_ms"])
    lines = [
        words(facts),
        "CPU in µs per request and as a ratio to (a); latency in ms, p50 / p99 / p99.9, open loop",
        "requests have one impression; mixed ones up to four, 1.8 on average",
        "",
        f"{'':<32}{'1 connection':>15}{'64 connections':>16}{'64, mixed':>16}{'req/s':>9}{'MB':>7}"
        + "".join(f"{'at ' + share + ' of saturation':>27}" for share in shares),
    ]
    for subject in made["subjects"]:
        cells = [f"{subject['name']:<32}"]
        for width, load in zip((15, 16, 16), subject["connections"].values(), strict=True):
            ratio = f" {load['ratio_to_a']:5.2f}x" if load["ratio_to_a"] is not None else ""
            cells.append(f"{load['cpu_us']:.1f}{ratio}".rjust(width))
        cells.append(f"{subject['requests_per_s']:>9,}{subject['rss_mb']:>7.0f}")
        for share in shares:
            ms = subject["latency_ms"][share]
            cells.append(" / ".join(f"{ms[p]:.2f}" for p in _PERCENTILES).rjust(27))
        lines.append("".join(cells))
    lines.append("")
    for target in made["targets"]:
        word = "holds" if target["holds"] else "MISSED"
        lines.append(f"{word:<7} {target['name']}: {target['value']} (limit {target['limit']})")
    errors = sum(subject["errors"] for subject in made["subjects"])
    lines += [f"note: {note}" for note in made["notes"]]
    return "\n".join([*lines, *([f"ERRORS: {errors}"] if errors else [])])
