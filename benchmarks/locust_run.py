"""`make load`: Locust against a service of its own, or with --host against one that runs.

    make load ARGS="--profile spike"
    make load ARGS="--profile diurnal --seconds 240 --mix google=3,prebid=1 --csv build/load"

Place: `python -m benchmarks.locust_run`; what it does not know is handed to Locust (--csv, --processes, ...).
Raises: nothing; the exit code is Locust's: 1 when too many requests failed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.demo.people import seed_people
from benchmarks.demo.service import DemoError, Service
from benchmarks.exchange.population import Population
from benchmarks.exchange.shelves import shops_of
from benchmarks.locust_report import head, with_head
from benchmarks.machine import machine
from benchmarks.mix import fixed_of, shares_of
from benchmarks.shapes import SHAPES
from bidder.campaigns.demo import demo_book_path
from bidder.campaigns.load import load_book

_LOCUSTFILE = Path(__file__).parent / "locustfile.py"
_PEOPLE = 5_000
_SECONDS = {"soak": 1_800.0}
_USUAL_S = 60.0
BUSY_LOAD = 0.5
"""Of its cores that a machine may be busy before a run without being named as a reason of what is late."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns Locust's exit code."""
    args, more = _parser().parse_known_args(argv)
    args.html.parent.mkdir(parents=True, exist_ok=True)
    args.seconds = args.seconds or _SECONDS.get(args.profile, _USUAL_S)
    try:
        shares_of(args.mix), fixed_of(args.fixed)
        if args.host:
            return asyncio.run(_locust(args, args.host, more, asyncio.Event()))
        return asyncio.run(_alone(args, more))
    except (DemoError, ValueError) as error:
        print(f"make load: {error}", file=sys.stderr)
        return 1


async def _alone(args: argparse.Namespace, more: list[str]) -> int:
    """Start a service with the demo's shops and people, load it, stop it."""
    stop, now_s = asyncio.Event(), time.time()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    with tempfile.TemporaryDirectory(prefix="paceline-load-") as folder:
        service = Service(Path(folder), args.workers, args.campaigns)
        try:
            await service.start()
            await service.ready(stop)
            path = args.campaigns or demo_book_path()
            shops = shops_of(load_book(path), path if path.is_dir() else path.parent)
            await seed_people(service.people_url, shops, Population(args.seed, _PEOPLE, now_s), now_s)
            return await _locust(args, f"http://127.0.0.1:{service.ports.exchange}", more, stop)
        finally:
            await service.child.stop()


async def _locust(args: argparse.Namespace, host: str, more: list[str], stop: asyncio.Event) -> int:
    with tempfile.TemporaryDirectory(prefix="paceline-locust-") as folder:
        verdict, facts = Path(folder) / "verdict.json", machine()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "locust", "-f", str(_LOCUSTFILE), "--headless", "--only-summary"),
            *("--host", host, "--html", str(args.html), *more),
            env={**os.environ, **_environment(args), "PACELINE_LOAD_VERDICT": str(verdict)},
            start_new_session=True,
        )
        ended, stopped = asyncio.create_task(process.wait()), asyncio.create_task(stop.wait())
        await asyncio.wait([ended, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not ended.done():
            process.terminate()
        code = await ended
        if args.html.exists() and verdict.exists():
            what = f"{args.profile}, {args.seconds:g} s, at most {args.users} users"
            args.html.write_text(with_head(args.html.read_text(), head(verdict.read_bytes(), what, facts)))
    before = facts["load_before"][0]
    print(
        "passed: no kind of bad answer beyond its limit" if code == 0 else "failed: see what is broken above"
    )
    if before > BUSY_LOAD * (facts["cores"] or 1):
        print(
            f"the machine was busy before (load average {before:g} on {facts['cores']} cores): late answers may be its"
        )
    print(f"report: {args.html}")
    return code


def _environment(args: argparse.Namespace) -> dict[str, str]:
    """What the Locust file is told."""
    told = {
        "PROFILE": args.profile,
        "USERS": args.users,
        "SECONDS": args.seconds,
        "RATE": args.rate,
        "MIX": args.mix,
        "FIXED": args.fixed,
        "SEED": args.seed,
    }
    return {f"PACELINE_LOAD_{name}": str(value) for name, value in told.items()}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make load", description=__doc__.splitlines()[0])
    parser.add_argument("--host", help="the exchange port of a running service; default: start one")
    parser.add_argument(
        "--profile", choices=SHAPES, default="plateaus", help="how the users change over the run"
    )
    parser.add_argument("--users", type=int, default=30, help="the highest number of users")
    parser.add_argument("--rate", type=float, default=20, help="requests per second of one user")
    parser.add_argument("--seconds", type=float, help="the length of the run; default: 60, a soak 1800")
    parser.add_argument("--mix", default="", help="shares of exchanges, as google=3,prebid=1; default: all")
    parser.add_argument("--fixed", default="", help="users of an exchange whatever the profile, as magnite=2")
    parser.add_argument(
        "--workers", type=int, default=1, help="bidding processes of the service started here"
    )
    parser.add_argument("--campaigns", type=Path, help="other campaigns than the demo's shops")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--html", type=Path, default=Path("build/load.html"), help="where Locust writes its report"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
