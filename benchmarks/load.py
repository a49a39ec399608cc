"""Open-loop load against a running bidder: `python -m benchmarks.load --rate 2000 --seconds 10`.

    python -m benchmarks.load --saturate
    python -m benchmarks.load --rate 3000 --seconds 60 --profile spike --poisson
    python -m benchmarks.load --rate 1500 --seconds 60 --churn 0.1 --every 1

Place: run by hand, by `make bench`, soak.py, restart.py and by tests of overload; needs the extra `load`.
Shapes: with --profile the rate is the highest of the run; --poisson draws the gaps; --churn closes that share of the
    connections each second and opens others; --every prints a line of JSON (windows.Window) so often, the report last.
    SIGTERM ends a run as if its time were over.
Units: rates in requests per second, latencies in milliseconds from the intended send time.
Limits: loopback only; 16 bytes of memory per request.
Never: judges the answers; the simulated exchange does.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import orjson
from msgspec import Struct

from benchmarks.arrivals import EVEN, Arrivals, Manner
from benchmarks.exchange.dialects import BY_NAME, DIALECTS
from benchmarks.exchange.requests import Call, prepare
from benchmarks.generator import Generator, Prepared, Result
from benchmarks.latency import Latencies
from benchmarks.saturation import Bounds, Found, Search, search
from benchmarks.shapes import SHAPES
from benchmarks.windows import Window, Windows

_MS_TO_NS: Final = 1_000_000
_PROBE_WARM_UP_S: Final = 0.5


class Course(Struct, frozen=True):
    """Of one run, what is not its rate."""

    seconds: float
    warm_up_s: float = 1.0
    manner: Manner = EVEN
    churn: float = 0.0
    every_s: float = 0.0
    """0: nobody is shown anything before the end."""


def prepared(address: tuple[str, int], calls: Sequence[Call]) -> list[Prepared]:
    """The calls as HTTP/1.1 requests in bytes."""
    host = f"{address[0]}:{address[1]}"
    return [Prepared(call.wire(host), call.tmax_ms * _MS_TO_NS) for call in calls]


def measure(generator: Generator, rate: float | None, seconds: float, warm_up_s: float = 1.0) -> Result:
    """One steady run at a rate (None: closed loop), the collector kept out of it."""
    return drive(generator, rate, Course(seconds, warm_up_s))


def drive(
    generator: Generator, rate: float | None, course: Course, show: Callable[[Window], None] | None = None
) -> Result:
    """One run; `show` is told of every window. The collector is kept out of it."""
    windows = Windows()
    every = (course.every_s, lambda result: show(windows.cut(result))) if show and course.every_s else None
    gc.collect()
    gc.disable()
    try:
        start_ns = time.perf_counter_ns()
        arrivals = Arrivals(rate, course.seconds, start_ns, course.warm_up_s, course.manner)
        return generator.run(arrivals, churn=course.churn, every=every)
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
        "connects": dict(sorted(result.connects.items())),
        "failed_connects": result.failed_connects,
        "latency_ms": Latencies(arrivals.latencies_ns).table(),
        "service_ms": Latencies(arrivals.service_ns).table(),
    }


def saturation(generator: Generator, plan: Search) -> Found:
    """The highest rate that is sustained, with the runs that show it."""

    def probe(rate: float, seconds: float) -> dict[str, Any]:
        run = summary(measure(generator, rate, seconds, _PROBE_WARM_UP_S), rate, seconds)
        _row(run)
        return run

    return search(probe, plan)


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
    signal.signal(signal.SIGTERM, generator.stop)
    with contextlib.closing(generator):
        report = _saturate(args, generator) if args.saturate else _once(args, generator)
    if args.json:
        args.json.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    runs = report["runs"] if args.saturate else [report]
    return 0 if any(run["achieved_rate"] for run in runs) else 1


def _saturate(args: argparse.Namespace, generator: Generator) -> dict[str, Any]:
    _heads()
    bounds = Bounds(p99_ms=args.p99_ms)
    found = saturation(generator, Search(args.seconds, budget_s=args.limit, bounds=bounds))
    print(f"sustained: {found.rate:,.0f} requests/s; {found.why}")
    return {"saturation_rate": round(found.rate, 1), "why": found.why, "runs": found.runs}


def _once(args: argparse.Namespace, generator: Generator) -> dict[str, Any]:
    rate = args.rate or None
    manner = Manner(SHAPES[args.profile], args.poisson, args.seed) if _shaped(args) else EVEN
    course = Course(args.seconds, args.warm_up, manner, args.churn, args.every)
    result = drive(generator, rate, course, _show)
    report = summary(result, rate, args.seconds)
    if args.hgrm:
        Latencies(result.arrivals.latencies_ns).write(args.hgrm)
    if args.every:
        print(orjson.dumps({"report": report}).decode(), flush=True)
    else:
        _heads()
        _row(report)
    return report


def _shaped(args: argparse.Namespace) -> bool:
    return bool(args.poisson or args.profile != "steady")


def _show(window: Window) -> None:
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(msgspec.json.encode(window).decode() + "\n")
        sys.stdout.flush()


def _heads() -> None:
    heads = ("rate", "achieved", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "late", "errors")
    print(" ".join(f"{head:>9}" for head in heads), " statuses", flush=True)


def _row(run: dict[str, Any]) -> None:
    ms = run["latency_ms"]
    words = [f"{status}:{count}" for status, count in run["statuses"].items()]
    words += [
        f"connect {fate}:{count}" for fate, count in run["connects"].items() if fate != "made" and count
    ]
    rate = f"{run['rate']:,.0f}" if run["rate"] else "closed"
    numbers = (f"{ms[name]:>9.2f}" for name in ("p50", "p99", "p999", "max"))
    counts = f"{run['late']:>9,} {run['errors']:>9,}  {' '.join(words)}"
    print(f"{rate:>9} {run['achieved_rate']:>9,.0f}", *numbers, counts, flush=True)


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or 80


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--url", default="http://127.0.0.1:8080", help="the exchange port")
    add("--rate", type=float, default=1_000, help="requests per second; 0: closed loop")
    add("--seconds", type=float, default=10, help="how long to measure (each probe of a search, at least)")
    add("--warm-up", type=float, default=1, help="seconds at the same rate that do not count")
    add("--profile", choices=SHAPES, default="steady", help="how the rate changes over the run")
    add("--poisson", action="store_true", help="gaps as of many independent people, instead of equal ones")
    add("--connections", type=int, default=64)
    add("--churn", type=float, default=0, help="share of the connections closed and opened anew per second")
    add("--timeout", type=float, default=5, help="seconds until a request counts as lost")
    add("--exchanges", default="", help="comma-separated dialects; empty: all")
    add("--bodies", type=int, default=2_000, help="how many different requests to prepare")
    add("--seed", type=int, default=1)
    add("--saturate", action="store_true", help="search the highest rate that is sustained")
    add("--p99-ms", type=float, default=20, help="the bound of that search")
    add("--limit", type=float, default=180, help="seconds that the search may take")
    add("--every", type=float, default=0, help="print a line of JSON every so many seconds")
    add("--json", type=Path, help="write the report here")
    add("--hgrm", type=Path, help="write the percentile distribution here")
    return parser


if __name__ == "__main__":
    sys.exit(main())
