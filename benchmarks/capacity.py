"""The capacity model's constants, measured on real processes, and the model held to a real run.

    python -m benchmarks.capacity --measure --json benchmarks/results/capacity.json
    python -m benchmarks.capacity --ship
    python -m benchmarks.capacity --check

Place: run by hand on a calm machine; capacity_site.py starts the services, capacity_fit.py makes constants of rows,
    capacity_check.py predicts and compares.
Shapes: --measure loads sites of SIZES line items, each with open loops at RATES and with CONNECTIONS that ask at once,
    ROUNDS times; bidder.yardstick is read before and after each load, and costs are divided by it. --check predicts
    sizes, people and rates that no constant was fitted to, then measures them.
Units: microseconds of CPU, requests per second, megabytes.
Limits: Linux (/proc). --measure takes some four minutes of a calm machine with two cores, --check three. Exit code 1
    where a prediction is further than WITHIN from what was measured.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import msgspec
import orjson

from benchmarks import capacity_fit
from benchmarks.capacity_check import PACING_S, WARM_UP_S, WITHIN, check, record, table
from benchmarks.capacity_fit import Part, Row, Wires
from benchmarks.capacity_loads import YARD_TURNS, measured, opened, row_of, say, short
from benchmarks.capacity_notices import charged
from benchmarks.capacity_site import HELPERS, DemoError, Reading, Site, Size, settled
from benchmarks.machine import machine, words
from bidder import capacity as model
from bidder.capacity import Constants
from bidder.yardstick import Yardstick

SIZES: Final = (Size(100, 6_000), Size(1_000, 20_000), Size(20_000, 6_000))
RATES: Final = (500.0, 1_000.0, 2_000.0)
CONNECTIONS: Final = (1, 4, 16, 64)
ROUNDS: Final = 3
SECONDS: Final = 0.8
_SHIPPED: Final = "SHIPPED: Final = "
RESULT: Final = Path(__file__).parent / "results" / "capacity.json"


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; 1 where a prediction is wrong or nothing could be measured."""
    args = parser().parse_args(argv)
    if not Path("/proc/self/stat").exists():
        print("capacity: reads /proc: Linux only", file=sys.stderr)
        return 1
    try:
        if args.measure:
            report = asyncio.run(_measure())
            args.json.write_bytes(
                orjson.dumps(report, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
            )
            print(args.json)
        if args.ship:
            ship(constants_of(args.json))
        return _checked(args.json) if args.check else 0
    except (DemoError, FileNotFoundError) as error:
        print(f"capacity: {error}", file=sys.stderr)
        return 1


def constants_of(path: Path) -> Constants:
    """Those of a report; raises FileNotFoundError, msgspec.ValidationError."""
    return msgspec.convert(orjson.loads(path.read_bytes())["constants"], Constants)


def _checked(path: Path) -> int:
    """Check, tell, and keep it beside the constants."""
    facts = machine()
    print(words(facts))
    findings = asyncio.run(check(constants_of(path)))
    print(table(findings))
    wrong = [finding for finding in findings if abs(finding.error) > WITHIN]
    print(f"{len(findings) - len(wrong)} of {len(findings)} predictions are within {WITHIN:.0%}")
    kept = path.with_name(f"{path.stem}_check.json")
    kept.write_bytes(
        orjson.dumps(record(findings, facts), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    )
    print(kept)
    return 1 if wrong else 0


async def _measure() -> dict[str, Any]:
    facts, yardstick, began_s = machine(), Yardstick(), time.monotonic()
    reference_us = yardstick.measure(1.0)
    rows: list[Row] = []
    parts: list[Part] = []
    wires: Wires | None = None
    for size in SIZES:
        async with opened(size) as site:
            part, made, bytes_read = _size(site, yardstick, reference_us)
            parts.append(part)
            rows += made
            if size.line_items == 1_000:
                wires = await charged(site, bytes_read, lambda: yardstick.read(YARD_TURNS) / reference_us)
    assert wires is not None, "one of SIZES has 1,000 line items"
    # The reference is the machine as it was in the median of all loads, not in its first second.
    shift = median(row.speed for row in rows)
    rows = [msgspec.structs.replace(row, speed=row.speed / shift) for row in rows]
    parts = [msgspec.structs.replace(part, speed=part.speed / shift) for part in parts]
    wires = msgspec.structs.replace(
        wires, notice_us=wires.notice_us * shift, charge_us=wires.charge_us * shift
    )
    return {
        "machine": facts,
        "seconds": round(time.monotonic() - began_s),
        "command": "python -m benchmarks.capacity --measure",
        "constants": capacity_fit.constants(rows, parts, wires, reference_us * shift),
        "rows": [{name: short(getattr(row, name)) for name in row.__struct_fields__} for row in rows],
    }


def _size(site: Site, yardstick: Yardstick, reference_us: float) -> tuple[Part, list[Row], Reading]:
    """All loads of one site; the last reading is of all of them."""
    site.load(None, 64, WARM_UP_S)
    settled(0.5)
    rows, speeds, first = [], [], site.read()
    loads = [(rate, 64) for rate in RATES] + [(None, connections) for connections in CONNECTIONS]
    for number in range(ROUNDS):
        say(f"{site.size.line_items:,} line items, round {number + 1} of {ROUNDS}")
        for rate, connections in loads:
            reading, answered, speed = measured(site, yardstick, reference_us, (rate, connections, SECONDS))
            rows.append(row_of(site, reading, answered, speed, rate is not None))
            speeds.append(speed)
    while time.perf_counter() - first.at_s < PACING_S:
        time.sleep(0.5)
    whole = site.read().since(first)
    part = Part(
        site.size.line_items,
        site.memory_mb("worker"),
        site.memory_mb(*HELPERS),
        whole.cores(*HELPERS),
        whole.cores("ledger") * 1e6,
        site.people_bytes / site.size.people,
        median(speeds),
    )
    return part, rows, whole


def ship(constants: Constants) -> None:
    """Write the constants into bidder/capacity.py, whose last statement they are."""
    code = Path(model.__file__)
    head, _, _ = code.read_text(encoding="utf-8").partition(_SHIPPED)
    code.write_text(f"{head}{shipped(constants)}\n", encoding="utf-8")
    print(
        f"{code.name}: SHIPPED is {len(constants.__struct_fields__)} constants; now: python -m helm.capacity"
    )


def shipped(constants: Constants) -> str:
    """The constants as bidder/capacity.py ships them."""
    lines = [f"{_SHIPPED}Constants("]
    for name in constants.__struct_fields__:
        value = getattr(constants, name)
        told = (
            f"({', '.join(f'({n:_}, {v})' for n, v in value)})" if isinstance(value, tuple) else f"{value:_}"
        )
        lines.append(f"    {name}={told},")
    return "\n".join([*lines, ")"])


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.capacity", description=(__doc__ or "").splitlines()[0]
    )
    made.add_argument(
        "--measure", action="store_true", help="measure all constants (first, where both are asked)"
    )
    made.add_argument("--ship", action="store_true", help="write the constants into bidder/capacity.py")
    made.add_argument("--check", action="store_true", help="predict three sizes, and measure them")
    made.add_argument("--json", type=Path, default=RESULT, help="where the constants are")
    return made


if __name__ == "__main__":
    sys.exit(main())
