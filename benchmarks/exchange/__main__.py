"""`python -m benchmarks.exchange`: run the simulated exchanges against a service, totals as JSON lines.

Place: the demo starts it beside the service, so that neither the view nor the load waits for the other.
Shapes: one Totals per line on standard output, the last one when all notices are through.
Limits: ends by itself, on SIGTERM, on SIGINT, and when its standard input closes (with --attached).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import msgspec
import uvloop

from benchmarks.exchange.notices import parse_keys
from benchmarks.exchange.report import Totals
from benchmarks.exchange.simulation import Settings, Simulation
from benchmarks.exchange.street import Plan
from benchmarks.exchange.witness import Witness
from bidder.campaigns.load import load_book
from bidder.notices.keys import PRICE_VARIABLE, VARIABLE
from bidder.notices.keys import parse_keys as parse_token_keys


def main(argv: list[str] | None = None) -> int:
    """The command line; returns 0."""
    args = _parser().parse_args(argv)
    settings = Settings(
        exchange_port=args.exchange_port,
        public_base=args.public_base.rstrip("/"),
        public_port=args.public_port,
        rate=args.rate,
        seconds=args.seconds,
        seed=args.seed,
        people=args.people,
        now_s=args.now or time.time(),
        start_s=args.start,
        price_keys=parse_keys(os.environ.get(PRICE_VARIABLE, "")),
        robots=args.robots,
    )
    uvloop.run(_run(_simulation(args, settings), args.attached))
    return 0


def _simulation(args: argparse.Namespace, settings: Settings) -> Simulation:
    if args.campaigns is None:
        return Simulation(settings)
    book, keys = load_book(args.campaigns), parse_token_keys(os.environ.get(VARIABLE, ""), VARIABLE)
    witness = Witness(book, keys, settings.price_keys)
    if args.catalogues is None:
        return Simulation(settings, witness)
    feeds = args.feeds or (args.campaigns if args.campaigns.is_dir() else args.campaigns.parent)
    return Simulation(settings, witness, Plan(book, feeds, args.catalogues, keys))


async def _run(simulation: Simulation, attached: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if attached:
        with contextlib.suppress(ValueError, OSError):  # a regular file cannot be watched, and never closes
            loop.add_reader(sys.stdin.fileno(), _closed, stop)
    totals = await simulation.run(_print, stop)
    _print(totals)


def _closed(stop: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4_096):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        stop.set()


def _print(totals: Totals) -> None:
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(msgspec.json.encode(totals).decode() + "\n")
        sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.exchange", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--exchange-port", type=int, default=8080)
    parser.add_argument("--public-port", type=int, default=8081, help="where notices go, whatever their URL")
    parser.add_argument("--public-base", default="http://127.0.0.1:8081", help="what notice URLs begin with")
    parser.add_argument("--rate", type=float, default=200, help="requests per second of all exchanges")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--people", type=int, default=5_000)
    parser.add_argument("--now", type=float, default=0.0, help="the date of the people's consent; 0: today")
    parser.add_argument("--start", type=float, default=0.0, help="begin at this time of day; 0: at once")
    parser.add_argument(
        "--campaigns", type=Path, help="the service's, to know its caps and shops; needs its token keys, too"
    )
    parser.add_argument(
        "--catalogues",
        type=Path,
        help="the service's: then people also visit its shops and look at their ads",
    )
    parser.add_argument(
        "--feeds", type=Path, help="what paths of feeds are meant from; default: the campaigns"
    )
    parser.add_argument("--robots", type=float, default=0.0, help="the share of requests that are robots'")
    parser.add_argument("--attached", action="store_true", help="end when standard input closes")
    return parser


if __name__ == "__main__":
    sys.exit(main())
