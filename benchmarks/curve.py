"""The load curve: latency by percentile at rates from a fifth of saturation to beyond it.

    python -m benchmarks.curve --out benchmarks/results

Place: run by hand on a calm machine; stand.py starts everything.
Shapes: one open-loop run per share in SHARES, on one service, from the lowest up. Beyond saturation a queue grows for
    as long as the run lasts, so that those latencies tell of its length.
Units: requests per second, milliseconds from the intended send time.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from math import log10
from typing import Any, Final

from benchmarks.machine import machine
from benchmarks.plots import Panel, Series, svg
from benchmarks.soak import add_common, rate_of, setup_of, write
from benchmarks.soak_report import top
from benchmarks.stand import Stand, as_command, say, standing

START_S: Final = 120.0
SHARES: Final = (0.2, 0.4, 0.6, 0.8, 0.9, 1.0, 1.1)
DRAWN_MS: Final = 100.0
"""At most: the shortest tmax of an exchange. Below it, as much as p99.9 needs until saturation; what is higher is drawn
at the edge."""
LINES: Final = {
    "p50": ("p50", "#3367d6"),
    "p90": ("p90", "#0f9d58"),
    "p99": ("p99", "#f4b400"),
    "p99.9": ("p999", "#db4437"),
}
_COLOURS: Final = ("#9fc1f5", "#6f9ce8", "#3367d6", "#8e44ad", "#f4b400", "#ef7a3d", "#db4437")
NINES: Final = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p999": 99.9, "p9999": 99.99}


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; 1 where nothing could be measured."""
    args = _parser().parse_args(argv)
    return as_command("curve", _measure(args))


async def _measure(args: argparse.Namespace) -> int:
    facts = machine()
    async with standing(setup_of(args), START_S + args.limit + 2 * len(SHARES) * args.seconds) as stand:
        full, found = await rate_of(stand, args)
        runs = [await _at(stand, share, share * full, args.seconds) for share in SHARES]
    report = {
        "machine": facts,
        "workers": args.workers,
        "seconds": args.seconds,
        "saturation": found or {"rate": full, "why": "as asked for"},
        "runs": runs,
    }
    write(args.out, "curve", report, picture(report))
    print(table(report))
    return 0


async def _at(stand: Stand, share: float, rate: float, seconds: float) -> dict[str, Any]:
    load = await stand.load(rate, seconds, seconds)
    async for _ in load:
        pass
    report = load.report
    say(
        f"{share:4.0%}  {rate:7,.0f}/s  p50 {report['latency_ms']['p50']:.2f}  p99 {report['latency_ms']['p99']:.2f} ms"
    )
    names = ("achieved_rate", "requests", "late", "errors", "unsent", "latency_ms")
    return {"share": share, "rate": round(rate, 1)} | {name: report[name] for name in names}


def table(report: dict[str, Any]) -> str:
    """The report for a terminal."""
    heads = ("of full", "rate", "achieved", "p50", "p90", "p99", "p99.9", "p99.99", "late", "errors")
    lines = ["".join(f"{head:>10}" for head in heads)]
    for run in report["runs"]:
        ms = run["latency_ms"]
        cells = [f"{run['share']:.0%}", f"{run['rate']:,.0f}", f"{run['achieved_rate']:,.0f}"]
        cells += [f"{ms[name]:.2f}" for name in NINES]
        lines.append("".join(f"{cell:>10}" for cell in (*cells, f"{run['late']:,}", f"{run['errors']:,}")))
    return "\n".join(lines)


def picture(report: dict[str, Any]) -> str:
    """Percentiles over rates, and latency over percentiles."""
    runs = report["runs"]
    by_rate = [
        Series(label, colour, [(run["rate"], run["latency_ms"][name]) for run in runs])
        for label, (name, colour) in LINES.items()
    ]
    by_percentile = [
        Series(
            f"{run['rate']:,.0f}/s ({run['share']:.0%})",
            _COLOURS[i % len(_COLOURS)],
            [(-log10(1 - percent / 100), run["latency_ms"][name]) for name, percent in NINES.items()],
        )
        for i, run in enumerate(runs)
    ]
    below = [Series("", "", [(0, run["latency_ms"]["p999"]) for run in runs if run["share"] < 1])]
    highest, slowest = top([Series("", "", [(0, run["rate"]) for run in runs])]), min(DRAWN_MS, top(below))
    return svg(
        [
            Panel("Latency by rate, open loop", "requests/s", by_rate, (0, highest), (0, slowest), " ms"),
            Panel(
                "Latency by percentile: 1 is 90 %, 2 is 99 %, 3 is 99.9 %, 4 is 99.99 %",
                "nines",
                by_percentile,
                (0, 4),
                (0, slowest),
                " ms",
            ),
        ]
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curve", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=15, help="of each rate")
    add_common(parser, share=1.0)
    return parser


if __name__ == "__main__":
    sys.exit(main())
