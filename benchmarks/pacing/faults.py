"""Dense days with faults, in figures and pictures: jumps of supply, and a controller that does not run.

Units: minutes; shares of a target.
"""

from typing import Final

import numpy as np
from msgspec import Struct

from benchmarks.pacing.dense import (
    PARTS,
    QUARTER,
    REGIONS,
    Day,
    World,
    average_error,
    ordinary,
    recovery,
    simulate,
    stepped,
)
from benchmarks.pacing.logs import Floats
from benchmarks.plots import TICKS, Panel, Series, svg

NOON: Final = 720
OUTAGE: Final = range(540, 550)
COLOURS: Final = ("#1b6ca8", "#c8553d", "#3a8f5c")
SEED: Final = 7


class Figures(Struct, frozen=True):
    """One kind of day, over all line items."""

    average_error_mean: float
    average_error_worst: float
    utilisation_least: float
    recovery_min_median: float | None = None
    recovery_min_worst: float | None = None
    """Minutes until five minutes of spend lie within 15 % of their target, for ten minutes."""


class Told(Struct, frozen=True, eq=False):
    """One kind of day, simulated."""

    day: Day
    figures: Figures


def days(period_s: int = 5, count: int = REGIONS) -> dict[str, Told]:
    """An ordinary day, and the same with faults, of `count` regions; the controller runs every `period_s` seconds."""
    rng = np.random.default_rng(SEED)
    world = ordinary(rng, count=count, period_s=period_s)
    quiet, after = NOON, OUTAGE.stop
    kinds: dict[str, tuple[World, int | None]] = {
        "ordinary": (world, None),
        "ordinary, as if something happened at noon": (world, quiet),
        "supply x3 at noon": (stepped(world, NOON, 3.0), NOON),
        "supply /3 at noon": (stepped(world, NOON, 1 / 3), NOON),
        "no controller 09:00-09:10": (stepped(world, OUTAGE.start, 1.0, OUTAGE), after),
        "no controller 09:00-09:10, supply x3 at 09:05": (
            stepped(world, OUTAGE.start + 5, 3.0, OUTAGE),
            after,
        ),
        "no controller 09:00-09:10, supply /3 at 09:05": (
            stepped(world, OUTAGE.start + 5, 1 / 3, OUTAGE),
            after,
        ),
    }
    return {name: _told(world, simulate(world, rng), event) for name, (world, event) in kinds.items()}


def _told(world: World, day: Day, event: int | None) -> Told:
    error, used = average_error(day), day.spent.sum(axis=1) / world.budgets
    back = recovery(day, event) if event is not None else None
    figures = Figures(
        round(float(error.mean()), 4),
        round(float(error.max()), 4),
        round(float(used.min()), 4),
        None if back is None else float(np.median(back)),
        None if back is None else float(back.max()),
    )
    return Told(day, figures)


def pictures(told: dict[str, Told]) -> dict[str, str]:
    """Name of a file to its SVG text."""
    outage = "no controller 09:00-09:10, supply x3 at 09:05"
    return {
        "pacing_day.svg": svg(_whole_day(told["ordinary"].day)),
        "pacing_jumps.svg": svg(
            [
                *_around(told, "supply x3 at noon", (NOON, NOON)),
                *_around(told, "supply /3 at noon", (NOON, NOON)),
            ]
        ),
        "pacing_outage.svg": svg(_around(told, outage, (OUTAGE.start, OUTAGE.stop))),
    }


def _whole_day(day: Day) -> list[Panel]:
    """Plan and spend of one region's line items, per quarter of an hour, as shares of the mean quarter."""
    panels = []
    for row, part in enumerate(PARTS):
        planned, spent = (x[row].reshape(-1, QUARTER).sum(axis=1) for x in (day.plan, day.spent))
        wins = int(day.wins[row].sum() / len(planned))
        lines = [
            Series("plan", "#999", _points(planned / planned.mean(), QUARTER / 60), dashed=True),
            Series("spend", COLOURS[row], _points(spent / planned.mean(), QUARTER / 60)),
        ]
        title = f"Budget 1/{part} of what full value would cost; {wins:,} wins per quarter of an hour"
        panels.append(Panel(title, "hour", lines, (0, 24), (0, 2)))
    return panels


def _around(told: dict[str, Told], name: str, mark: tuple[int, int]) -> list[Panel]:
    """Spend as a share of the plan, and the multiplier as a share of the one before, around an event."""
    day, start, end = told[name].day, mark[0] - 30, mark[1] + 60
    span = slice(start, end)
    spend, multiplier = [], []
    for row, part in enumerate(PARTS):
        ratio = day.spent[row, span] / day.plan[row, span]
        moved = day.multiplier[row, span] / day.multiplier[row, start]
        spend.append(Series(f"budget 1/{part}", COLOURS[row], _points(ratio, 1, start - mark[0])))
        multiplier.append(Series(f"budget 1/{part}", COLOURS[row], _points(moved, 1, start - mark[0])))
    top = float(np.ceil(max(y for line in multiplier for _, y in line.points) / TICKS) * TICKS)
    x, shaded = (float(start - mark[0]), float(end - mark[0])), [(0.0, float(mark[1] - mark[0]))]
    return [
        Panel(f"{name}: spend per minute / plan", "minute", spend, x, (0, 4), marks=shaded),
        Panel(f"{name}: multiplier / the one before", "minute", multiplier, x, (0, top), marks=shaded),
    ]


def _points(values: Floats, step: float, first: float = 0.0) -> list[tuple[float, float]]:
    return [(first + i * step, float(value)) for i, value in enumerate(values)]
