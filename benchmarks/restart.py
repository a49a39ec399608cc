"""Rolling restarts under open-loop load: what exchanges notice while every worker is replaced.

    python -m benchmarks.restart
    python -m benchmarks.restart --restarts 5 --share 0.5 --out benchmarks/results
    python -m benchmarks.restart --how term         (each worker is told to end, and followed by another: no rolling)

Place: run by hand; stand.py starts everything.
Shapes: load at a share of saturation with churn, so that connections are opened all the time, and simulated exchanges
    that judge every answer. A restart has ended when every worker is a younger process than before and all are ready.
Units: seconds since the load began; latencies in milliseconds from the intended send time.
Limits: RESTART_S for each restart. Exit code 1 where a connection failed, or late, failed and invalid answers together
    pass BAD_SHARE.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from math import ceil
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from benchmarks.demo.service import DemoError
from benchmarks.machine import machine
from benchmarks.plots import Panel, Series, svg
from benchmarks.soak import MONEY_RATE, MONEY_SHARE, add_common, rate_of, setup_of, write
from benchmarks.soak_report import top
from benchmarks.stand import Load, Sample, Stand, as_command, say, standing
from benchmarks.windows import Window

EVERY_S: Final = 0.5
RESTART_S: Final = 120.0
BAD_SHARE: Final = 0.001
_POLL_S: Final = 1.0
"""Scrapes cost the machine that answers: ten a second take a quarter of a core from it."""


class Stretch(Struct):
    """What came of the load while workers were replaced, or while nothing was done to them."""

    name: str
    requests: int = 0
    late: int = 0
    failed: int = 0
    made: int = 0
    """Connections."""
    failed_connects: int = 0
    worst_p99_ms: float = 0.0
    max_ms: float = 0.0

    def add(self, window: Window) -> None:
        """Count one window."""
        self.requests += sum(window.statuses.values())
        self.late += window.late
        self.failed += window.errors
        self.made += window.connects.get("made", 0)
        self.failed_connects += window.failed_connects
        self.worst_p99_ms = max(self.worst_p99_ms, window.p99_ms)
        self.max_ms = max(self.max_ms, window.max_ms)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; 1 where exchanges noticed."""
    args = _parser().parse_args(argv)
    return as_command("restart", _measure(args))


async def _measure(args: argparse.Namespace) -> int:
    facts = machine()
    async with standing(setup_of(args), 120 + args.limit + args.restarts * (RESTART_S + args.pause)) as stand:
        rate, found = await rate_of(stand, args)
        windows, spans = await _restarts(stand, args, rate)
        audit = await stand.audit()
    totals = stand.totals
    stretches = split(windows, spans)
    report = {
        "machine": facts,
        "workers": args.workers,
        "how": args.how,
        "rate": round(rate, 1),
        "saturation": found,
        "churn_per_s": args.churn,
        "restarts_s": [[round(begin, 2), round(end, 2)] for begin, end in spans],
        "stretches": [msgspec.to_builtins(stretch) for stretch in stretches],
        "exchanges": {
            "requests": totals.requests,
            "invalid": totals.faults,
            "errors": totals.errors,
            "kinds": totals.error_kinds,
        },
        "audit_clean": audit[0] == 0,
        "windows": [
            [w.at_s, w.rate, w.p50_ms, w.p99_ms, w.late, w.errors, w.failed_connects] for w in windows
        ],
    }
    write(args.out, "restart", report, picture(report))
    print(table(report))
    return 0 if holds(report) else 1


async def _restarts(
    stand: Stand, args: argparse.Namespace, rate: float
) -> tuple[list[Window], list[tuple[float, float]]]:
    """Load, restarts one after the other, and what happened when."""
    money = min(MONEY_RATE, MONEY_SHARE * rate)
    longest_s = args.restarts * (RESTART_S + args.pause) + 2 * args.pause
    say(f"{rate:,.0f} requests/s, {args.restarts} restarts of {args.workers} workers")
    await stand.exchanges(money, longest_s)
    load = await stand.load(rate - money, longest_s, EVERY_S, f"--churn={args.churn}")
    windows: list[Window] = []
    began = asyncio.Event()
    reading = asyncio.create_task(_read(load, windows, began))
    waiting = asyncio.create_task(began.wait())
    await asyncio.wait([reading, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    spans: list[tuple[float, float]] = []
    if not reading.done():
        origin_s = windows[0].unix_s - windows[0].at_s
        await asyncio.sleep(args.pause)
        for number in range(args.restarts):
            begin_s = time.time() - origin_s
            await replace(stand, args.how)
            spans.append((begin_s, time.time() - origin_s))
            say(f"restart {number + 1}: {spans[-1][1] - begin_s:.1f} s")
            await asyncio.sleep(args.pause)
        load.end()
    await reading
    await stand.settle()
    return windows, spans


async def _read(load: Load, windows: list[Window], began: asyncio.Event) -> None:
    async for window in load:
        windows.append(window)
        began.set()


async def replace(stand: Stand, how: str = "usr2") -> None:
    """Replace every worker and wait until all are new and ready; raises DemoError."""
    before = await stand.sample()
    deadline_s = time.monotonic() + RESTART_S

    def reached(count: int) -> Callable[[Sample], bool]:
        return lambda sample: younger(before, sample) >= count

    if how == "usr2":
        os.kill(stand.service.child.pid, signal.SIGUSR2)
        await _until(stand, deadline_s, reached(stand.setup.workers))
        return
    for count, pid in enumerate(workers_of(stand.service.child.pid), 1):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        await _until(stand, deadline_s, reached(count))


async def _until(stand: Stand, deadline_s: float, done: Callable[[Sample], bool]) -> None:
    """Wait for a sample that is as wished, and all workers ready."""
    while time.monotonic() < deadline_s:
        if stand.service.child.ended is not None:
            raise DemoError(f"the service ended:\n{stand.service.child.last_words()}")
        with contextlib.suppress(OSError):
            sample = await stand.sample()
            if sample.workers_up >= stand.setup.workers and done(sample):
                return
        await asyncio.sleep(_POLL_S)
    raise DemoError(f"the workers were not replaced within {RESTART_S:.0f} s")


def younger(before: Sample, now: Sample) -> int:
    """How many workers are other processes than before."""
    return sum(
        1
        for name, started_s in now.started_s.items()
        if name.startswith("worker") and started_s > before.started_s.get(name, 0.0)
    )


def workers_of(supervisor: int) -> list[int]:
    """Process ids of its workers."""
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    return [int(pid) for pid in children if b"\0worker\0" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def split(windows: Sequence[Window], spans: Sequence[tuple[float, float]]) -> tuple[Stretch, Stretch]:
    """(quiet, while workers were replaced); a window belongs to a restart that it touches."""
    quiet, busy = Stretch("quiet"), Stretch("restarting")
    for window in windows:
        begin_s = window.at_s - EVERY_S
        touched = any(begin_s < end and window.at_s > begin for begin, end in spans)
        (busy if touched else quiet).add(window)
    return quiet, busy


def holds(report: dict[str, Any]) -> bool:
    """Whether no connection failed, and few answers were late, failed or invalid."""
    stretches, exchanges = report["stretches"], report["exchanges"]
    bad = (
        sum(each["late"] + each["failed"] for each in stretches) + exchanges["invalid"] + exchanges["errors"]
    )
    requests = sum(each["requests"] for each in stretches) + exchanges["requests"]
    unbroken = not any(each["failed_connects"] for each in stretches)
    return bool(unbroken and requests and bad <= BAD_SHARE * requests and report["audit_clean"])


def table(report: dict[str, Any]) -> str:
    """The report for a terminal."""
    heads = ("requests", "late", "failed", "connects", "failed", "worst p99", "max ms")
    lines = [f"{'':<12}" + "".join(f"{head:>11}" for head in heads)]
    for each in report["stretches"]:
        counts = (each["requests"], each["late"], each["failed"], each["made"], each["failed_connects"])
        numbers = "".join(f"{count:>11,}" for count in counts)
        lines.append(f"{each['name']:<12}{numbers}{each['worst_p99_ms']:>11.1f}{each['max_ms']:>11.1f}")
    told = report["exchanges"]
    lines.append(
        f"exchanges: {told['requests']:,} requests, {told['invalid']:,} invalid, {told['errors']:,} errors"
    )
    lines.append("audit: every balance is proven" if report["audit_clean"] else "audit: NOT CLEAN")
    lengths = ", ".join(f"{end - begin:.1f}" for begin, end in report["restarts_s"])
    lines.append(
        f"{'holds' if holds(report) else 'BROKEN'}: {len(report['restarts_s'])} restarts of {lengths} s"
    )
    return "\n".join(lines)


def picture(report: dict[str, Any]) -> str:
    """Latency and rate over time, restarts shaded."""
    rows, marks = report["windows"], [(begin, end) for begin, end in report["restarts_s"]]
    span = (0.0, 4.0 * ceil(max((row[0] for row in rows), default=1.0) / 4))
    latencies = [
        Series("p99", "#db4437", [(row[0], row[3]) for row in rows]),
        Series("p50", "#3367d6", [(row[0], row[2]) for row in rows]),
    ]
    rates = [
        Series("answered", "#0f9d58", [(row[0], row[1]) for row in rows]),
        Series("failed", "#db4437", [(row[0], (row[5] + row[6]) / EVERY_S) for row in rows]),
    ]
    return svg(
        [
            Panel(
                "Latency while workers are replaced",
                "seconds",
                latencies,
                span,
                (0, top(latencies)),
                " ms",
                marks,
            ),
            Panel("Requests per second", "seconds", rates, span, (0, top(rates)), "", marks),
        ]
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.restart", description=__doc__.splitlines()[0])
    parser.add_argument("--restarts", type=int, default=3)
    parser.add_argument("--pause", type=float, default=5, help="seconds before, between and after restarts")
    parser.add_argument(
        "--churn", type=float, default=0.2, help="share of the connections opened anew per second"
    )
    parser.add_argument("--how", choices=("usr2", "term"), default="usr2")
    add_common(parser, share=0.5)
    return parser


if __name__ == "__main__":
    sys.exit(main())
