"""`paceline demo`: the whole service on this machine, with simulated exchanges, shops and people.

Place: an entry point of the group paceline.commands.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.demo.readings import Reading
    from benchmarks.demo.session import Options, Say, Session, Show

_SIGNAL_EXIT = 128
_PICTURE_WIDTH = 100
_WEB_FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""A picture loads nothing from anywhere; the reader's own monospaced font will do."""


def command(argv: Sequence[str]) -> int:
    """Run the demo; 0: all went well, 1: something went wrong, 128 + n: ended by signal n."""
    args = _parser().parse_args(argv)
    try:
        import rich  # noqa: F401  an extra
    except ImportError:
        print(
            "paceline demo needs its extra; in a checkout: make setup, or pip install '.[demo]'",
            file=sys.stderr,
        )
        return 1
    from benchmarks.demo.service import DemoError
    from benchmarks.demo.session import Options
    from bidder.campaigns.load import CampaignError

    options = Options(
        seconds=args.seconds,
        rate=args.rate,
        seed=args.seed,
        workers=args.workers,
        people=args.people,
        campaigns=args.campaigns,
    )
    try:
        return _run(options, (args.report, args.picture), headless=args.headless or not sys.stdout.isatty())
    except (CampaignError, DemoError) as error:
        print(f"paceline demo: {error}", file=sys.stderr)
        return 1


def _run(options: Options, files: tuple[Path | None, Path | None], *, headless: bool) -> int:
    """`files`: where the report and the picture go."""
    from rich.console import Console

    from benchmarks.demo import summary
    from benchmarks.demo.session import Session

    report_path, picture_path = files
    console = Console(highlight=False, record=True, width=_PICTURE_WIDTH if picture_path else None)
    with tempfile.TemporaryDirectory(prefix="paceline-demo-") as folder:
        with _plain() if headless else _live(console, options.seconds) as (show, say):
            session = Session(options, Path(folder), show, say)
            reading = asyncio.run(session.run())
        summary.tell(console, reading, options.seconds)
    if picture_path is not None:
        picture = console.export_svg(title="make demo")
        picture_path.write_text(_WEB_FONT.sub("", picture), encoding="utf-8")
    return _conclude(session, reading, options.seed, report_path)


def _conclude(session: Session, reading: Reading, seed: int, report_path: Path | None) -> int:
    from benchmarks.demo import summary

    if report_path is not None:
        text = json.dumps(summary.report(reading, seed, bool(session.interrupted)), indent=2)
        report_path.write_text(text + "\n", encoding="utf-8")
    if session.interrupted:
        return _SIGNAL_EXIT + session.interrupted
    return 0 if summary.sound(reading) else 1


@contextlib.contextmanager
def _plain() -> Iterator[tuple[Show, Say]]:
    from benchmarks.demo.view import plain

    yield lambda reading: print(plain(reading), flush=True), lambda text: print(text, flush=True)


@contextlib.contextmanager
def _live(console: object, seconds: float) -> Iterator[tuple[Show, Say]]:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from benchmarks.demo.view import frame

    assert isinstance(console, Console)
    with Live(console=console, transient=True, auto_refresh=False) as live:
        yield (
            lambda reading: live.update(frame(reading, seconds, console.width), refresh=True),
            lambda text: live.update(Text(text), refresh=True),
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="paceline demo", description=__doc__.splitlines()[0])
    numbers = (
        ("seconds", number, 60.0, "how long the exchanges send"),
        ("rate", number, 500.0, "bid requests per second"),
        ("workers", count, 1, "bidding processes"),
        ("people", count, 5_000, "how many people there are"),
        ("seed", int, 1, "equal seeds give equal requests"),
    )
    for name, kind, default, words in numbers:
        parser.add_argument(f"--{name}", type=kind, default=default, help=f"{words}; default: {default:g}")
    parser.add_argument("--campaigns", type=Path, help="other campaigns than the demo's shops")
    parser.add_argument("--report", type=_new_file, help="write the report here, as JSON")
    parser.add_argument("--picture", type=_new_file, help="write the summary here, as SVG")
    parser.add_argument("--headless", action="store_true", help="plain lines instead of the live view")
    return parser


def number(text: str) -> float:
    """A number above 0; argparse names this function to whoever writes none."""
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError("must be above 0")
    return value


def count(text: str) -> int:
    """A whole number from 1 on."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _new_file(text: str) -> Path:
    """A path that can be written after the run; a minute of demo is not to end in vain."""
    path = Path(text)
    if not path.absolute().parent.is_dir() or path.is_dir():
        raise argparse.ArgumentTypeError(f"no file can be written at {text}")
    return path
