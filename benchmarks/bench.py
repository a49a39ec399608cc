"""`make bench`: what a bid costs, as ratios to yardsticks measured in the same run.

Place: `python -m benchmarks.bench`; subjects run on the first core, the load on the second.
Shapes: rounds over all subjects in turn, so that a busy minute of the machine hits all alike; a ratio is taken
    within its round, and the median of the rounds is told.
Units: CPU in microseconds per request of the measured process (user and system), latencies in milliseconds.
Limits: Linux (/proc); closed loop with 1 and with 64 connections for cost, open loop for latency.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final

import orjson
from msgspec import Struct, field

from benchmarks import bench_table
from benchmarks.exchange.dialects import BY_NAME
from benchmarks.exchange.requests import Call, prepare
from benchmarks.generator import Generator, Prepared, Result
from benchmarks.latency import Latencies
from benchmarks.load import measure, prepared
from benchmarks.subjects import Absent, Subject, peers, pin, whole_bids

LINE_ITEMS: Final = (100, 1_000, 10_000, 100_000)
LOADS: Final = {"1": 1, "64": 64, "64 mixed": 64}
"""Connections by the name of the column: with 64, some 60 requests wait whenever the server looks. Requests have one
impression; mixed ones have up to four, as the exchanges of the demo send them."""
COST: Final = "64"
MIXED: Final = "64 mixed"
SHARES: Final = (0.5, 0.8)
MIN_BIDS: Final = 0.5
"""Of the answers of a subject: refusing costs less than bidding, and is not what is measured. A worker that shares its
core with others refuses some by the clock."""
_DIALECTS: Final = ("generic", "google", "xandr")
_BODIES: Final = 20_000
"""At 10,000 requests/s each is sent every two seconds, of people some of whom are more active than others."""


class Plan(Struct, frozen=True):
    """How much is measured."""

    line_items: tuple[int, ...] = LINE_ITEMS
    rounds: int = 3
    seconds: float = 3.0
    latency_seconds: float = 6.0
    warm_up_s: float = 2.0


QUICK: Final = Plan((1_000, 10_000), 1, 1.0, 2.0, 0.5)


class Finding(Struct):
    """What was measured of one subject; lists hold one number per round."""

    name: str
    line_items: int
    cpu_us: dict[str, list[float]] = field(default_factory=lambda: {load: [] for load in LOADS})
    rate: dict[str, list[float]] = field(default_factory=lambda: {load: [] for load in LOADS})
    errors: int = 0
    rss_mb: float = 0.0
    latency_ms: dict[str, dict[str, float]] = field(default_factory=dict)
    """By share of saturation."""
    bid_share: float = 1.0
    """Of the answers, the least of the rounds: the rest were no-bids."""

    def cost(self, load: str) -> float:
        """The median CPU per request."""
        return median(self.cpu_us[load])

    def throughput(self) -> float:
        """The median saturated rate."""
        return median(self.rate[COST])

    def ratio(self, base: Finding, load: str) -> float:
        """The median of the rounds' ratios to another subject."""
        pairs = zip(self.cpu_us[load], base.cpu_us[load], strict=True)
        return median(own / other if other else 0.0 for own, other in pairs)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; 1 where nothing could be measured."""
    args = _parser().parse_args(argv)
    plan = QUICK if args.quick else Plan()
    if args.line_items:
        plan = Plan(tuple(args.line_items), plan.rounds, plan.seconds, plan.latency_seconds, plan.warm_up_s)
    if not Path("/proc/self/stat").exists():
        print("make bench reads /proc: Linux only", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        findings, notes = run(plan, Path(folder))
    if not findings:
        print("\n".join(notes), file=sys.stderr)
        return 1
    report = bench_table.report(findings, notes, plan)
    print(bench_table.text(report))
    if args.json:
        args.json.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS))
    names = refusing(findings)
    if names:
        print(f"most requests have to be bid on; they were not by: {', '.join(names)}", file=sys.stderr)
    return 1 if names else 0


def refusing(findings: Sequence[Finding]) -> list[str]:
    """The names of those that answered without a bid too often for their cost to be that of bids."""
    return [finding.name for finding in findings if finding.bid_share < MIN_BIDS]


def run(plan: Plan, folder: Path) -> tuple[list[Finding], list[str]]:
    """Start, measure and end every subject; what could not be measured is in the notes."""
    cores = sorted(os.sched_getaffinity(0))
    server_core = cores[0] if len(cores) > 1 else None
    recipes, notes = peers(folder)
    subjects: list[Subject] = []
    try:
        for recipe in (*recipes, *whole_bids(plan.line_items)):
            _say(f"starting {recipe.name}")
            try:
                subjects.append(Subject(recipe, server_core))
            except Absent as absent:
                notes.append(str(absent))
        if len(cores) > 1:
            pin(os.getpid(), cores[1])
        else:
            notes.append("one core only: subjects and load share it")
        return _measure_all(subjects, plan), notes
    finally:
        for subject in subjects:
            subject.stop()


def _measure_all(subjects: list[Subject], plan: Plan) -> list[Finding]:
    mixed = prepare(1, _BODIES, time.time(), tuple(BY_NAME[name] for name in _DIALECTS))
    single = [call for call in mixed if len(call.request["imp"]) == 1]
    findings = [Finding(subject.recipe.name, subject.recipe.line_items) for subject in subjects]
    for subject in subjects:
        _closed_loop(subject, mixed, 64, plan.warm_up_s)
    for number in range(plan.rounds):
        for subject, finding in zip(subjects, findings, strict=True):
            _say(f"round {number + 1} of {plan.rounds}: {finding.name}")
            for load, connections in LOADS.items():
                calls = mixed if load == MIXED else single
                cost_us, result = _closed_loop(subject, calls, connections, plan.seconds)
                finding.cpu_us[load].append(round(cost_us, 2))
                finding.rate[load].append(round(result.rate, 1))
                finding.errors += result.errors
                bids = round(result.statuses["200"] / max(result.answered, 1), 3)
                finding.bid_share = min(finding.bid_share, bids)
    for subject, finding in zip(subjects, findings, strict=True):
        finding.rss_mb = round(subject.rss_mb(), 1)
        for share in SHARES:
            _say(f"latency at {share:.0%} of saturation: {finding.name}")
            finding.latency_ms[f"{share:.0%}"] = _latency(subject, single, share * finding.throughput(), plan)
    return findings


def _closed_loop(
    subject: Subject, calls: list[Call], connections: int, seconds: float
) -> tuple[float, Result]:
    """(CPU microseconds per request, what was answered)."""
    with contextlib.closing(_generator(subject, calls, connections)) as generator:
        before = subject.cpu_us()
        result = measure(generator, None, seconds, 0.0)
        used = subject.cpu_us() - before
    return used / max(result.answered, 1), result


def _latency(subject: Subject, calls: list[Call], rate: float, plan: Plan) -> dict[str, float]:
    """Percentiles at a rate, open loop."""
    with contextlib.closing(_generator(subject, calls, 64)) as generator:
        result = measure(generator, max(rate, 1.0), plan.latency_seconds, plan.warm_up_s)
    return Latencies(result.arrivals.latencies_ns).table() | {"rate": round(rate, 1)}


def _generator(subject: Subject, calls: list[Call], connections: int) -> Generator:
    address = ("127.0.0.1", subject.port)
    requests: list[Prepared] = prepared(address, calls)
    return Generator(address, requests, connections)


def _say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the report here")
    parser.add_argument("--quick", action="store_true", help="one short round, fewer line items")
    parser.add_argument("--line-items", type=int, nargs="*", help="sizes of the book instead of the usual")
    return parser


if __name__ == "__main__":
    sys.exit(main())
