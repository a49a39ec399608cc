"""Open-loop load against a running bidder: `python -m benchmarks.load --rate 2000 --seconds 10`.

Place: run by hand, by `make bench` and by tests of overload; needs the extra `load`.
Units: rates in requests per second, latencies in milliseconds from the intended send time.
Limits: loopback only.
Never: judges the answers; the simulated exchange does.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
from msgspec import Struct

from benchmarks.arrivals import Arrivals
from benchmarks.exchange.dialects import BY_NAME, DIALECTS
from benchmarks.exchange.requests import Call, prepare
from benchmarks.generator import Generator, Prepared, Result
from benchmarks.latency import Latencies

_MS_TO_NS: Final = 1_000_000
_FIRST_RATE: Final = 500.0
_LAST_RATE: Final = 200_000.0
_PRECISION: Final = 1.05
_KEPT_UP: Final = 0.97


class Bounds(Struct, frozen=True):
    """What a rate must hold to count as sustained."""

    p99_ms: float = 20.0
    error_share: float = 0.001


def prepared(address: tuple[str, int], calls: Sequence[Call]) -> list[Prepared]:
    """The calls as HTTP/1.1 requests in bytes."""
    host = f"{address[0]}:{address[1]}"
    return [Prepared(call.wire(host), call.tmax_ms * _MS_TO_NS) for call in calls]


def measure(generator: Generator, rate: float | None, seconds: float, warm_up_s: float = 1.0) -> Result:
    """One run at a rate (None: closed loop), the collector kept out of it."""
    gc.collect()
    gc.disable()
    try:
        return generator.run(Arrivals(rate, seconds, time.perf_counter_ns(), warm_up_s))
    finally:
        gc.enable()


def summary(result: Result, rate: float | None, seconds: float) -> dict[str, Any]:
    """A run as plain numbers: rates, statuses, percentiles in milliseconds."""
    arrivals = result.arrivals
    return {
        "rate": rate,
        "seconds": seconds,
        "achieved_rate": round(result.rate, 1),
        "requests": len(arrivals.latencies_ns),
        "statuses": dict(sorted(result.statuses.items())),
        "errors": result.errors,
        "late": result.late,
        "unsent": result.unsent,
        "latency_ms": Latencies(arrivals.latencies_ns).table(),
        "service_ms": Latencies(arrivals.service_ns).table(),
    }


def sustained(run: dict[str, Any], bounds: Bounds) -> bool:
    """Whether a run kept up with its rate within the bounds."""
    return bool(
        run["requests"]
        and run["achieved_rate"] >= _KEPT_UP * run["rate"]
        and run["latency_ms"]["p99"] <= bounds.p99_ms
        and run["errors"] <= bounds.error_share * run["requests"]
    )


def saturation(generator: Generator, seconds: float, bounds: Bounds) -> tuple[float, list[dict[str, Any]]]:
    """The highest rate that is sustained, within five per cent, and the runs that show it."""
    runs: list[dict[str, Any]] = []

    def holds(rate: float) -> bool:
        run = summary(measure(generator, rate, seconds, 0.5), rate, seconds)
        run["sustained"] = sustained(run, bounds)
        runs.append(run)
        return bool(run["sustained"])

    good, bad = 0.0, _FIRST_RATE
    while bad < _LAST_RATE and holds(bad):
        good, bad = bad, bad * 2
    while good and bad / good > _PRECISION:
        middle = (good * bad) ** 0.5
        if holds(middle):
            good = middle
        else:
            bad = middle
    return good, runs


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns 0, or 1 where nothing was answered."""
    args = _parser().parse_args(argv)
    address = _address(args.url)
    chosen = tuple(BY_NAME[name] for name in args.exchanges.split(",")) if args.exchanges else DIALECTS
    requests = prepared(address, prepare(args.seed, args.bodies, time.time(), chosen))
    try:
        generator = Generator(address, requests, args.connections, args.timeout)
    except (OSError, ValueError) as error:
        print(f"{args.url}: {error}", file=sys.stderr)
        return 1
    with contextlib.closing(generator):
        if args.saturate:
            rate, runs = saturation(generator, args.seconds, Bounds(args.p99_ms))
            report: dict[str, Any] = {"saturation_rate": round(rate, 1), "runs": runs}
        else:
            result = measure(generator, args.rate or None, args.seconds, args.warm_up)
            runs = [summary(result, args.rate or None, args.seconds)]
            report = runs[0]
            if args.hgrm:
                Latencies(result.arrivals.latencies_ns).write(args.hgrm)
    _print(runs)
    if args.saturate:
        print(f"sustained: {report['saturation_rate']:,.0f} requests/s")
    if args.json:
        args.json.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    return 0 if any(run["achieved_rate"] for run in runs) else 1


def _print(runs: list[dict[str, Any]]) -> None:
    heads = ("rate", "achieved", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "late", "errors")
    print(" ".join(f"{head:>9}" for head in heads), " statuses")
    for run in runs:
        ms = run["latency_ms"]
        statuses = " ".join(f"{status}:{count}" for status, count in run["statuses"].items())
        rate = f"{run['rate']:,.0f}" if run["rate"] else "closed"
        numbers = (f"{ms[name]:>9.2f}" for name in ("p50", "p99", "p999", "max"))
        counts = f"{run['late']:>9,} {run['errors']:>9,}  {statuses}"
        print(f"{rate:>9} {run['achieved_rate']:>9,.0f}", *numbers, counts)


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or 80


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="the exchange port")
    parser.add_argument("--rate", type=float, default=1_000, help="requests per second; 0: closed loop")
    parser.add_argument(
        "--seconds", type=float, default=10, help="how long to measure (each probe of a search)"
    )
    parser.add_argument("--warm-up", type=float, default=1, help="seconds at the same rate that do not count")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--timeout", type=float, default=5, help="seconds until a request counts as lost")
    parser.add_argument("--exchanges", default="", help="comma-separated dialects; empty: all")
    parser.add_argument("--bodies", type=int, default=2_000, help="how many different requests to prepare")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--saturate", action="store_true", help="search the highest rate that is sustained")
    parser.add_argument("--p99-ms", type=float, default=20, help="the bound of that search")
    parser.add_argument("--json", type=Path, help="write the report here")
    parser.add_argument("--hgrm", type=Path, help="write the percentile distribution here")
    return parser


if __name__ == "__main__":
    sys.exit(main())
