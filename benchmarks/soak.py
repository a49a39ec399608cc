"""`make soak`: minutes or hours of steady load on a service of its own: did anything grow, slow down or go astray?

    make soak
    make soak ARGS="--minutes 30 --share 0.6 --out benchmarks/results"
    make soak ARGS="--minutes 480 --rate 800 --workers 4"

Place: `python -m benchmarks.soak`; stand.py starts everything, soak_report.py judges.
Shapes: open-loop load at a share of saturation, which is searched first unless --rate names a rate;
    of it MONEY_SHARE comes from simulated exchanges that bill and click.
Units: minutes; rates in requests per second.
Limits: --minutes plus a few for the search and the end; exit code 1 where a verdict is broken or nothing could start.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import orjson

from benchmarks import soak_report
from benchmarks.demo.service import DemoError
from benchmarks.machine import machine
from benchmarks.saturation import Bounds, Search
from benchmarks.soak_report import Look
from benchmarks.stand import CONNECTIONS, PEOPLE, Setup, Stand, as_command, say, standing

EVERY_S: Final = 10.0
MONEY_SHARE: Final = 0.1
MONEY_RATE: Final = 100.0
"""At most: playing exchanges costs as much as bidding."""
GRACE_S: Final = 240.0
"""Beyond the minutes: start, search, last bills, audit."""
P99_MS: Final = 50.0
"""Of the saturation that the share is taken of: half of the shortest tmax."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; 1 where a verdict is broken."""
    args = _parser().parse_args(argv)
    return as_command("make soak", _soak(args))


async def _soak(args: argparse.Namespace) -> int:
    facts = machine()
    async with standing(setup_of(args), args.minutes * 60 + GRACE_S + args.limit) as stand:
        rate, found = await rate_of(stand, args)
        looks = await _watch(stand, args, rate)
        audit = await stand.audit()
    totals = stand.totals
    verdicts = soak_report.findings(looks, audit, (totals.requests, totals.faults + totals.errors))
    report = {
        "machine": facts,
        "minutes": args.minutes,
        "workers": args.workers,
        "rate": round(rate, 1),
        "saturation": found,
        "exchanges": {"requests": totals.requests, "billed": totals.billed, "examples": totals.examples[:3]},
        "verdicts": [msgspec.to_builtins(verdict) for verdict in verdicts],
        "windows": soak_report.record(looks),
    }
    write(args.out, "soak", report, soak_report.picture(report["windows"]))
    print(soak_report.table(verdicts))
    return 0 if all(verdict.holds for verdict in verdicts) else 1


def setup_of(args: argparse.Namespace) -> Setup:
    """What the common arguments ask for."""
    return Setup(
        workers=args.workers,
        seed=args.seed,
        bodies=args.bodies,
        people=args.people,
        connections=args.connections,
    )


async def rate_of(stand: Stand, args: argparse.Namespace) -> tuple[float, dict[str, Any] | None]:
    """The rate asked for, or a share of the saturation that is searched now; raises DemoError where there is none."""
    if args.rate:
        return args.rate, None
    say(f"searching saturation (p99 within {args.p99_ms:g} ms), {args.limit:g} s at most")
    found = await stand.saturation(Search(3.0, budget_s=args.limit, bounds=Bounds(p99_ms=args.p99_ms)))
    if not found["saturation_rate"]:
        raise DemoError(f"no rate was sustained ({found['why']}): name one with --rate")
    return args.share * found["saturation_rate"], {"rate": found["saturation_rate"], "why": found["why"]}


async def _watch(stand: Stand, args: argparse.Namespace, rate: float) -> list[Look]:
    """Load for the minutes, and look every ten seconds."""
    seconds = args.minutes * 60
    money = min(MONEY_RATE, MONEY_SHARE * rate)
    say(
        f"{rate:,.0f} requests/s for {args.minutes:g} minutes: {money:,.0f} with auctions and bills, and "
        f"{rate - money:,.0f} plain ones, which the lines below are of"
    )
    await stand.exchanges(money, seconds + GRACE_S)
    load = await stand.load(rate - money, seconds, min(EVERY_S, seconds / 12))
    looks: list[Look] = []
    async for window in load:
        looks.append(Look(window, await stand.sample()))
        if stand.service.child.ended is not None:
            raise DemoError(f"the service ended:\n{stand.service.child.last_words()}")
        say(_line(looks[-1]))
    await stand.settle()
    if len(looks) < 6:
        raise DemoError("too short to be judged")
    return looks


def _line(look: Look) -> str:
    window, sample = look.window, look.sample
    ours = sum(mb for name, mb in sample.rss_mb.items() if name not in soak_report.STORES)
    return (
        f"{window.at_s / 60:6.1f} min {window.rate:7,.0f}/s  p50 {window.p50_ms:6.2f}  p99 {window.p99_ms:7.2f} ms  "
        f"late {window.late:,}  errors {window.errors:,}  {ours:,.0f} MB  {sum(sample.fds.values())} fds"
    )


def write(folder: Path, name: str, report: dict[str, Any], drawn: str) -> None:
    """NAME.json and NAME.svg."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_bytes(orjson.dumps(report, option=orjson.OPT_APPEND_NEWLINE))
    (folder / f"{name}.svg").write_text(drawn)
    with contextlib.suppress(BrokenPipeError):
        print(f"{folder / name}.json, .svg")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make soak",
        description="Steady load on a service of its own, and whether anything grew, slowed down or went astray. First "
        "the rate that it sustains is searched, which takes up to --limit seconds; --rate saves that.",
    )
    parser.add_argument("--minutes", type=float, default=5, help="of load; default: 5")
    add_common(parser, share=0.6)
    return parser


def add_common(parser: argparse.ArgumentParser, share: float) -> None:
    """The arguments that soak, restart and curve share."""
    add = parser.add_argument
    add("--share", type=float, default=share, help=f"of saturation; default: {share:g}")
    add("--rate", type=float, default=0, help="requests per second, instead of a share of what is searched")
    add(
        "--p99-ms",
        type=float,
        default=P99_MS,
        help=f"the bound by which saturation is searched; default: {P99_MS:g}",
    )
    add(
        "--limit",
        type=float,
        default=90,
        help="seconds that the search before the start may take; default: 90",
    )
    add("--workers", type=int, default=2, help="bidding processes; default: 2")
    add(
        "--bodies", type=int, default=20_000, help="how many different requests are prepared; default: 20,000"
    )
    add(
        "--connections",
        type=int,
        default=CONNECTIONS,
        help=f"of the exchange, as many as it has requests under way, or more; default: {CONNECTIONS}",
    )
    add("--people", type=int, default=PEOPLE, help=f"who visited the shops before; default: {PEOPLE:,}")
    add("--seed", type=int, default=1, help="equal seeds give equal requests; default: 1")
    add("--out", type=Path, default=Path("build"), help="the folder for JSON and SVG; default: build")


if __name__ == "__main__":
    sys.exit(main())
