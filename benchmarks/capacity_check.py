"""The capacity model held to real runs: predictions for sizes, people and rates that no constant was fitted to.

Place: capacity.py --check; capacity_site.py starts the services.
Shapes: a Trial is one load of TRIALS, a Finding one prediction beside what was measured.
Units: microseconds of CPU, requests per second, megabytes.
Limits: a prediction further than WITHIN from what was measured is wrong.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median
from typing import Any, Final

from msgspec import Struct

from benchmarks.capacity_fit import Row
from benchmarks.capacity_loads import measured, opened, row_of, short
from benchmarks.capacity_site import HELPERS, Reading, Site, Size, settled
from bidder.capacity import Constants, along, at, busy
from bidder.yardstick import Yardstick

WARM_UP_S: Final = 2.0
PACING_S: Final = 16.0
"""A pacing period and a little: what helpers and leases use is read over at least so long."""
WITHIN: Final = 0.15


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


async def check(held: Constants) -> list[Finding]:
    """All trials, one after the other; raises DemoError."""
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


def record(findings: Sequence[Finding], facts: dict[str, Any]) -> dict[str, Any]:
    """The findings as plain JSON."""
    rows = [
        {
            "trial": each.trial,
            "what": each.what,
            "predicted": short(each.predicted),
            "measured": short(each.measured),
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


def table(findings: Sequence[Finding]) -> str:
    """For a terminal."""
    lines, trial = [], ""
    for finding in findings:
        if finding.trial != trial:
            trial = finding.trial
            lines += ["", f"{trial:<58}{'predicted':>11}{'measured':>11}{'error':>9}"]
        mark = "" if abs(finding.error) <= WITHIN else "  MISSED"
        numbers = f"{short(finding.predicted):>11,}{short(finding.measured):>11,}{finding.error:>+9.1%}"
        lines.append(f"  {finding.what:<56}{numbers}{mark}")
    return "\n".join(lines)
