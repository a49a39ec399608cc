"""`paceline fraud report` and `paceline fraud lists`: abnormal sources, and lists that have something wrong.

Place: for operators; reads what the workers of this data directory wrote.
Shapes: a table, or JSON with --json; exit code 1 where there is nothing to read, or where a list has problems.
"""

import argparse
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bidder.commands.ledger import table
from bidder.commands.serve import configured
from bidder.config import Config, ConfigError
from bidder.fraud.reasons import REASONS, WORDS, names
from bidder.fraud.report import Report, abnormal, added, read_reports
from bidder.fraud.sources import Source

TOP: Final = 20
_COLUMNS: Final = (
    "EXCHANGE",
    "PUBLISHER",
    "SITE OR APP",
    "REQUESTS",
    "SUSPECT",
    "FILTERED",
    "SHARE",
    "REASONS",
)


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "fraud", help="abnormal sources of traffic, and the lists they are told by"
    )
    verbs = parser.add_subparsers(metavar="command", required=True)
    report = verbs.add_parser("report", help="sources with suspect requests, the worst first")
    report.add_argument("--top", type=int, default=TOP, help=f"how many (default {TOP})")
    report.add_argument("--all", action="store_true", help="all sources, the largest first")
    report.add_argument("--json", action="store_true", help="for programs")
    report.set_defaults(run=lambda args: _run(args, _report))
    lists = verbs.add_parser("lists", help="check the files of networks and sellers")
    lists.set_defaults(run=lambda args: _run(args, _lists))
    for verb in (report, lists):
        verb.add_argument("--config", type=Path, help="configuration file; default: PACELINE_CONFIG")


def sellers_folder(config: Config) -> Path:
    """Where seller files are cached."""
    given = config.fraud.sellers_dir
    return Path(given) if given else Path(config.data_dir) / "sellers"


def _run(args: argparse.Namespace, command: Callable[[Config, argparse.Namespace], int]) -> int:
    try:
        return command(configured(args), args)
    except ConfigError as error:
        print(f"paceline: {error}", file=sys.stderr)
        return 1


def _report(config: Config, args: argparse.Namespace) -> int:
    reports = read_reports(Path(config.data_dir) / "run")
    if not reports:
        print(f"paceline: no worker has written a report in {config.data_dir} yet", file=sys.stderr)
        return 1
    sources = added(reports)
    shown = (sources if args.all else abnormal(sources))[: max(0, args.top)]
    print(as_json(reports, shown) if args.json else as_text(reports, shown))
    return 0


def as_text(reports: list[Report], sources: list[Source]) -> str:
    """For a person."""
    since_s, at_s = min(report.since_s for report in reports), max(report.at_s for report in reports)
    head = f"{len(reports)} worker(s), from {_when(since_s)} to {_when(at_s)}"
    missed = max(report.missed for report in reports)
    if missed:
        head += f"; sources with fewer than {missed:,} requests may be missing"
    if not sources:
        return f"{head}\nno source is abnormal"
    rows = [
        (
            _plain(source.exchange),
            _plain(source.publisher),
            _plain(source.place),
            f"{source.requests:,}",
            f"{source.suspect:,}",
            f"{source.filtered:,}",
            f"{source.suspect / max(source.requests, 1):.1%}",
            " ".join(names(source.reasons)),
        )
        for source in sources
    ]
    shown = {name for source in sources for name in names(source.reasons)}
    key = [f"{name}: {WORDS[bit]}" for name, bit in REASONS.items() if name in shown]
    return "\n".join([head, table(_COLUMNS, rows, frozenset({0, 1, 2, 7})), *(["", *key] if key else [])])


def as_json(reports: list[Report], sources: list[Source]) -> str:
    """For a program."""
    import msgspec

    told = {
        "workers": len(reports),
        "since_s": min(report.since_s for report in reports),
        "at_s": max(report.at_s for report in reports),
        "missed_requests": max(report.missed for report in reports),
        "sources": [
            {**msgspec.structs.asdict(source), "reasons": names(source.reasons)} for source in sources
        ],
    }
    return msgspec.json.encode(told).decode()


def _lists(config: Config, args: argparse.Namespace) -> int:
    from bidder.fraud.supply import read_folder
    from bidder.fraud.watch import read_networks

    networks, problems = read_networks([Path(name) for name in config.fraud.datacenter_networks])
    print(f"networks: {len(networks) if networks is not None else 0:,} ranges")
    folder = sellers_folder(config)
    read = read_folder(folder, config.fraud.exchange_domains)
    print(f"sellers: {read.ads:,} ads.txt and app-ads.txt, {read.sellers:,} sellers.json")
    if read.problems:
        problems.append(f"{folder}: {read.problems} files are not what their names say")
    for problem in problems:
        print(_plain(problem), file=sys.stderr)
    return 1 if problems else 0


def _plain(text: str) -> str:
    """Names come from requests: nothing that a terminal would obey."""
    return "".join(character if character.isprintable() else "?" for character in text) or "-"


def _when(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
