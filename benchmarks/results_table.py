"""The results of load, soak, restarts and yardsticks as tables, for the README: what was measured last, on what.

    python -m benchmarks.results_table                  (prints it)
    python -m benchmarks.results_table --write README.md

Place: reads benchmarks/results/{curve,soak,restart,bench}.json; a result that is absent is left out.
Shapes: Markdown; --write replaces what stands between the marks of each of BLOCKS.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from benchmarks.machine import words

RESULTS: Final = Path(__file__).parent / "results"


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; 1 where there is nothing to tell, or no place for it."""
    args = _parser().parse_args(argv)
    made = {block: text(block, args.results) for block in BLOCKS}
    if not any(made.values()):
        print(f"{args.results}: no results", file=sys.stderr)
        return 1
    if args.write is None:
        print("\n\n".join(filter(None, made.values())))
        return 0
    try:
        page = args.write.read_text(encoding="utf-8")
        for block, tables in made.items():
            page = filled(page, block, tables) if tables else page
        args.write.write_text(page, encoding="utf-8")
    except ValueError as error:
        print(f"{args.write}: {error}", file=sys.stderr)
        return 1
    return 0


def text(block: str, folder: Path = RESULTS) -> str:
    """All of a block that there are results of."""
    parts = BLOCKS[block]
    return "\n\n".join(
        part(read(folder, name)) for name, part in parts.items() if (folder / f"{name}.json").exists()
    )


def marks(block: str) -> tuple[str, str]:
    """The lines that a block's tables stand between."""
    return (
        f"<!-- {block}: made by python -m benchmarks.results_table --write README.md -->",
        f"<!-- /{block} -->",
    )


def filled(page: str, block: str, made: str) -> str:
    """The page with the tables between the block's marks; raises ValueError where there are none."""
    first, last = marks(block)
    begin, end = page.find(first), page.find(last)
    if not 0 <= begin < end:
        raise ValueError(f"no lines {first} and {last}")
    return f"{page[: begin + len(first)]}\n{made}\n{page[end:]}"


def read(folder: Path, name: str) -> dict[str, Any]:
    """One result."""
    report: dict[str, Any] = orjson.loads((folder / f"{name}.json").read_bytes())
    return report


def curve(report: dict[str, Any]) -> str:
    """Latencies by rate."""
    rows = [
        "| rate | of saturation | p50 | p90 | p99 | p99.9 | late | errors |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for run in report["runs"]:
        ms = run["latency_ms"]
        cells = [f"{run['rate']:,.0f}/s", f"{run['share']:.0%}"]
        cells += [f"{ms[name]:,.1f} ms" for name in ("p50", "p90", "p99", "p999")]
        cells += [f"{run['late'] / max(run['requests'], 1):.2%}", f"{run['errors']:,}"]
        rows.append(f"| {' | '.join(cells)} |")
    found = report["saturation"]
    head = (
        f"Open loop, {report['workers']} workers, {report['seconds']:g} s for each rate, load on the same machine; "
        f"saturation {found['rate']:,.0f}/s ({found['why']}):"
    )
    return "\n".join([head, "", *rows, "", _measured(report)])


def soak(report: dict[str, Any]) -> str:
    """The verdicts of a soak."""
    rows = ["| soak | found | limit | |", "|---|---|---|---|"]
    for verdict in report["verdicts"]:
        word = "holds" if verdict["holds"] else "**broken**"
        rows.append(f"| {verdict['name']} | {verdict['value']} | {verdict['limit']} | {word} |")
    head = f"A soak of {report['minutes']:g} minutes at {report['rate']:,.0f} requests/s{_share(report)}:"
    return "\n".join([head, "", *rows, "", _measured(report)])


def restart(report: dict[str, Any]) -> str:
    """What exchanges noticed of restarts."""
    rows = [
        "| | requests | late | failed | connections made | failed connections | worst p99 |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in report["stretches"]:
        counts = (each["requests"], each["late"], each["failed"], each["made"], each["failed_connects"])
        numbers = " | ".join(f"{count:,}" for count in counts)
        rows.append(f"| {each['name']} | {numbers} | {each['worst_p99_ms']:.1f} ms |")
    exchanges = report["exchanges"]
    head = (
        f"{len(report['restarts_s'])} rolling restarts of {report['workers']} workers at {report['rate']:,.0f} "
        f"requests/s{_share(report)}, {report['churn_per_s']:.0%} of the connections opened anew each second; of "
        f"{exchanges['requests']:,} answers that simulated exchanges looked at, {exchanges['invalid']:,} were invalid:"
    )
    return "\n".join([head, "", *rows, "", _measured(report)])


def bench(report: dict[str, Any]) -> str:
    """CPU of a whole bid beside servers that only decode."""
    loads = list(report["subjects"][0]["connections"])
    heads = "".join(f" {_connections(load)} |" for load in loads)
    rows = [f"| subject |{heads} requests/s | MB |", f"|{'---|' * (len(loads) + 3)}"]
    for subject in report["subjects"]:
        cells = [
            f"{subject['connections'][load]['cpu_us']:,.0f} ({subject['connections'][load]['ratio_to_a']:.1f}x)"
            for load in loads
        ]
        cells += [f"{subject['requests_per_s']:,}", f"{subject['rss_mb']:,.0f}"]
        rows.append(f"| {subject['name']} | {' | '.join(cells)} |")
    return "\n".join([*rows, "", _measured(report)])


def _connections(load: str) -> str:
    count, _, kind = load.partition(" ")
    return f"{count}, {kind}" if kind else "1 connection" if count == "1" else f"{count} connections"


def _share(report: dict[str, Any]) -> str:
    found = report["saturation"]
    return f" ({report['rate'] / found['rate']:.0%} of saturation)" if found else ""


def _measured(report: dict[str, Any]) -> str:
    facts = report["machine"]
    return f"Measured {facts['date']} on {words(facts)}."


BLOCKS: Final = {
    "load": {"curve": curve, "soak": soak, "restart": restart},
    "bench": {"bench": bench},
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.results_table", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--write", type=Path, help="the page that has the marks")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
