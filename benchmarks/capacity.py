"""The capacity model's constants, measured on real processes, and the model held to a real run.

    python -m benchmarks.capacity --measure --json benchmarks/results/capacity.json
    python -m benchmarks.capacity --ship
    python -m benchmarks.capacity --check

Place: run by hand on a calm machine; capacity_site.py starts the services, capacity_fit.py makes constants of rows.
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
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import msgspec
import orjson
from msgspec import Struct

from benchmarks import capacity_fit
from benchmarks.capacity_fit import Part, Row, Wires
from benchmarks.capacity_notices import charged
from benchmarks.capacity_site import HELPERS, DemoError, Reading, Site, Size, settled
from benchmarks.machine import machine, words
from bidder import capacity as model
from bidder.capacity import Constants, along, at, busy
from bidder.yardstick import Yardstick

SIZES: Final = (Size(100, 6_000), Size(1_000, 20_000), Size(20_000, 6_000))
RATES: Final = (500.0, 1_000.0, 2_000.0)
CONNECTIONS: Final = (1, 4, 16, 64)
ROUNDS: Final = 3
SECONDS: Final = 0.8
WARM_UP_S: Final = 2.0
PACING_S: Final = 16.0
"""A pacing period and a little: what helpers and leases use is read over at least so long."""
WITHIN: Final = 0.15
YARD_TURNS: Final = 2_000
_SHIPPED: Final = "SHIPPED: Final = "
RESULT: Final = Path(__file__).parent / "results" / "capacity.json"


class Trial(Struct, frozen=True):
    """One check."""

    name: str
    size: Size
    rate: float


TRIALS: Final = (
    Trial("small", Size(300, 5_000), 600.0),
    Trial("middle", Size(3_000, 15_000), 1_200.0),
    Trial("large", Size(12_000, 30_000), 1_800.0),
)
PIECES: Final = 5
"""A check's load is cut into so many, and the median is told."""


class Finding(Struct, frozen=True):
    """A prediction beside what was measured."""

    trial: str
    what: str
    predicted: float
    measured: float

    @property
    def error(self) -> float:
        """As a share of what was measured."""
        return self.predicted / self.measured - 1 if self.measured else 0.0


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
        "rows": [{name: _short(getattr(row, name)) for name in row.__struct_fields__} for row in rows],
    }


def _size(site: Site, yardstick: Yardstick, reference_us: float) -> tuple[Part, list[Row], Reading]:
    """All loads of one site; the last reading is of all of them."""
    site.load(None, 64, WARM_UP_S)
    settled(0.5)
    rows, speeds, first = [], [], site.read()
    loads = [(rate, 64) for rate in RATES] + [(None, connections) for connections in CONNECTIONS]
    for number in range(ROUNDS):
        _say(f"{site.size.line_items:,} line items, round {number + 1} of {ROUNDS}")
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


def measured(
    site: Site, yardstick: Yardstick, reference_us: float, load: tuple[float | None, int, float]
) -> tuple[Reading, float, float]:
    """One load: (what was read, answers per second, yardstick around it to the reference)."""
    before_us = yardstick.read(YARD_TURNS)
    reading, result = site.load(*load)
    after_us = yardstick.read(YARD_TURNS)
    return reading, result.rate, (before_us + after_us) / 2 / reference_us


def row_of(site: Site, reading: Reading, rate: float, speed: float, open_loop: bool) -> Row:
    """What the fit needs of a load."""
    asked = max(1, reading.total("people_asked_total"))
    worker_us = reading.per_request("worker")
    return Row(
        site.size.line_items,
        open_loop,
        rate,
        reading.batch,
        worker_us,
        reading.cpu_us["people"] / asked,
        asked / max(1, reading.counts["batches"]),
        rate * worker_us / 1e6,
        speed,
    )


def _checked(path: Path) -> int:
    """Check, tell, and keep it beside the constants."""
    facts = machine()
    print(words(facts))
    findings = asyncio.run(_check(constants_of(path)))
    print(table(findings))
    wrong = [finding for finding in findings if abs(finding.error) > WITHIN]
    print(f"{len(findings) - len(wrong)} of {len(findings)} predictions are within {WITHIN:.0%}")
    kept = path.with_name(f"{path.stem}_check.json")
    kept.write_bytes(
        orjson.dumps(record(findings, facts), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    )
    print(kept)
    return 1 if wrong else 0


def record(findings: Sequence[Finding], facts: dict[str, Any]) -> dict[str, Any]:
    """The findings as plain JSON."""
    rows = [
        {
            "trial": each.trial,
            "what": each.what,
            "predicted": _short(each.predicted),
            "measured": _short(each.measured),
            "error": round(each.error, 3),
        }
        for each in findings
    ]
    return {
        "machine": facts,
        "command": "python -m benchmarks.capacity --check",
        "within": WITHIN,
        "findings": rows,
    }


async def _check(held: Constants) -> list[Finding]:
    yardstick, findings = Yardstick(), []
    for trial in TRIALS:
        async with opened(trial.size) as site:
            findings += _trial(site, trial, held, yardstick)
    return findings


def _trial(site: Site, trial: Trial, held: Constants, yardstick: Yardstick) -> list[Finding]:
    """The predictions of one trial, and what was measured: open loop at its rate, and as fast as 64 connections ask."""
    site.load(None, 64, WARM_UP_S)
    settled(0.5)
    first = site.read()
    begun_s, pieces, full = time.perf_counter(), [], []
    speeds = []
    for _ in range(PIECES):
        reading, rate, speed = measured(site, yardstick, held.yardstick_us, (trial.rate, 64, 2.0))
        pieces.append(row_of(site, reading, rate, speed, True))
        reading, rate, speed_full = measured(site, yardstick, held.yardstick_us, (None, 64, 0.8))
        full.append(row_of(site, reading, rate, speed_full, False))
        speeds += [speed, speed_full]
    while time.perf_counter() - begun_s < PACING_S:
        time.sleep(0.5)
    whole = site.read().since(first)
    return compared(site, trial, held, (pieces, full, whole, median(speeds)))


Measured = tuple[list[Row], list[Row], Reading, float]


def compared(site: Site, trial: Trial, held: Constants, found: Measured) -> list[Finding]:
    """One Finding per prediction."""
    pieces, full, whole, speed = found
    lines = trial.size.line_items
    at_rate = [busy(trial.rate, lines, held, row.speed) for row in pieces]
    asked = [row.asked_batch / row.batch for row in pieces]
    people = [
        share * row.speed * (held.people_request_us + held.people_tick_us / max(1.0, made.batch * share))
        for share, row, made in zip(asked, pieces, at_rate, strict=True)
    ]
    background = (along(held.helpers_cores, lines) + along(held.lease_us, lines) / 1e6) * speed
    used = [row.worker_us + row.people_us * share for row, share in zip(pieces, asked, strict=True)]
    rest = whole.cores(*HELPERS, "ledger")
    pairs = {
        "worker, µs per request at the rate": (
            median(made.request_us for made in at_rate),
            median(row.worker_us for row in pieces),
        ),
        "all processes, cores at the rate": (
            trial.rate * median(m.request_us + p for m, p in zip(at_rate, people, strict=True)) / 1e6
            + background,
            trial.rate * median(used) / 1e6 + rest,
        ),
        "sustained by a worker, requests/s of CPU": (
            median(sustained(lines, held, row.speed, row.batch) for row in full),
            median(1e6 / row.worker_us for row in full),
        ),
        "worker, MB": (along(held.worker_mb, lines), site.memory_mb("worker")),
        "people's store, MB of data": (
            trial.size.people * held.person_bytes / 1e6,
            site.people_bytes / 1e6,
        ),
    }
    label = f"{trial.name}: {lines:,} line items, {trial.size.people:,} people, {trial.rate:,.0f}/s"
    return [Finding(label, what, predicted, seen) for what, (predicted, seen) in pairs.items()]


def sustained(line_items: int, held: Constants, speed: float, batch: float) -> float:
    """What a worker that never sleeps answers, in batches as large as its clients make them."""
    return 1e6 / ((at(held.request_us, line_items) + at(held.tick_us, line_items) / batch) * speed)


class opened:
    """A site in a folder of its own, for a block."""

    def __init__(self, size: Size) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="paceline-capacity-")
        self._site = Site(Path(self._folder.name), size)

    async def __aenter__(self) -> Site:
        _say(f"starting a service with {self._site.size.line_items:,} line items")
        try:
            await self._site.start()
        except BaseException:
            await self.__aexit__()
            raise
        return self._site

    async def __aexit__(self, *_: object) -> None:
        await self._site.close()
        self._folder.cleanup()


def table(findings: Sequence[Finding]) -> str:
    """For a terminal."""
    lines, trial = [], ""
    for finding in findings:
        if finding.trial != trial:
            trial = finding.trial
            lines += ["", f"{trial:<58}{'predicted':>11}{'measured':>11}{'error':>9}"]
        mark = "" if abs(finding.error) <= WITHIN else "  MISSED"
        numbers = f"{_short(finding.predicted):>11,}{_short(finding.measured):>11,}{finding.error:>+9.1%}"
        lines.append(f"  {finding.what:<56}{numbers}{mark}")
    return "\n".join(lines)


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


def _short(value: Any) -> Any:
    """Four digits are more than a measurement is good for."""
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


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
