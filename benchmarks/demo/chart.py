"""Plan against spend in a terminal: for each campaign two rows of blocks, and what came of it.

Place: summary.py puts it under the last frame.
Shapes: a row of blocks is one cumulative share of the budget over the seconds of the run, eighths of a line high.
Limits: fits 76 columns.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from benchmarks.demo.courses import Course, Sample
from benchmarks.demo.readings import MICROS
from benchmarks.demo.stage import DEMANDS

_BLOCKS = " ▁▂▃▄▅▆▇█"
_KINDS = {
    "even": "even",
    "traffic": "by traffic",
    "asap": "as soon as possible",
    "front_loaded": "front-loaded",
}
_NARROW, _WIDE = 20, 32
_ROOMY = 92
_ENOUGH = 0.9
_NEAR = 0.05
"""Of the budget: spent so near the plan it is drawn in green."""


def chart(courses: Sequence[Course], seconds: float, width: int) -> RenderableType:
    """All campaigns."""
    cells = _WIDE if width >= _ROOMY else _NARROW
    table = Table(expand=True, box=None, padding=(0, 1), header_style="dim", collapse_padding=True)
    table.add_column("planned, spent", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column(f"0 to {seconds:.0f} s", no_wrap=True, min_width=cells)
    for name in ("budget", "used", "off plan", "over"):
        table.add_column(name, justify="right", no_wrap=True)
    for course in courses:
        for row in _rows(course, seconds, cells):
            table.add_row(*row)
    return table


def _rows(course: Course, seconds: float, cells: int) -> list[list[RenderableType]]:
    moments = [(cell + 1) * seconds / cells for cell in range(cells)]
    samples = [_at(course.samples, moment) for moment in moments]
    used, error = course.utilisation, course.pace_error
    return [
        [
            course.name,
            _blocks([None if s is None else s.planned for s in samples], "dim"),
            money(course.budget_micros, course),
        ],
        [
            Text(f"  {_words(course)}", style="dim"),
            _spent(samples),
            money(course.spent_micros, course),
            "-" if used is None else f"{used:.1%}",
            "-" if error is None else f"{error:.1%}",
            f"{course.overspend_micros / MICROS:,.2f}",
        ],
    ]


def _words(course: Course) -> str:
    """How a campaign is paced, and why it could not be."""
    words = _KINDS.get(course.pacing, course.pacing)
    planned, demand = course.planned_micros, DEMANDS.get(course.campaign)
    scarce = demand is not None and demand.share > 1 and planned and course.spent_micros < _ENOUGH * planned
    return f"{words}: too little supply" if scarce else words


def money(micros: int, course: Course) -> str:
    """An amount in the campaign's currency."""
    return f"{micros / MICROS:,.2f} {course.currency}"


def _at(samples: Sequence[Sample], moment_s: float) -> Sample | None:
    """The last sample by a moment; None before the first."""
    place = bisect_right(samples, moment_s, key=lambda sample: sample.at_s)
    return samples[place - 1] if place else None


def _blocks(shares: Sequence[float | None], style: str) -> Text:
    return Text("".join(_block(share) for share in shares), style=style)


def _spent(samples: Sequence[Sample | None]) -> Text:
    """Green near the plan, yellow where less is spent, red where more."""
    cells = [(" ", "") if sample is None else (_block(sample.spent), _colour(sample)) for sample in samples]
    runs = groupby(cells, key=itemgetter(1))
    return Text.assemble(*(("".join(block for block, _ in run), style) for style, run in runs))


def _colour(sample: Sample) -> str:
    ahead = 0.0 if sample.planned is None else sample.spent - sample.planned
    return "green" if abs(ahead) <= _NEAR else "red" if ahead > 0 else "yellow"


def _block(share: float | None) -> str:
    """An eighth at least for what is more than nothing."""
    if share is None:
        return "·"
    eighths = round(max(0.0, min(share, 1.0)) * 8)
    return _BLOCKS[max(eighths, 1 if share > 0 else 0)]
