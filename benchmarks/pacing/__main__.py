"""Every figure of pacing: published tables first, then our controller on the same logs, then dense traffic.

Place: `python -m benchmarks.pacing [--out FOLDER]`, `make pacing`; about two minutes.
Shapes: pacing.json and pacing_*.svg in the folder.
"""

import argparse
import sys
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.pacing import action, faults, published, replay
from benchmarks.pacing.logs import NoLogs
from benchmarks.plots import Panel, Series, svg
from budget.pacing import GAINS

RESULTS = Path(__file__).resolve().parents[1] / "results"

PERIODS_S = (5, 15, 60)
"""Of the controller: the first is the service's default and the one in the pictures."""


def main() -> int:
    """Measure, print, write; 1 where a published table is not reproduced, 2 where the logs are absent."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pacing", description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULTS, help="where pacing.json and the pictures go")
    options = parser.parse_args()
    try:
        wrong = published.differences()
        print("published tables: " + ("reproduced to the digit" if not wrong else "; ".join(wrong)))
        if wrong:
            return 1
        _measure(options.out)
    except NoLogs as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _measure(folder: Path) -> None:
    markets = replay.markets()
    cells, unbounded = replay.cells(markets), replay.cells(markets, bounded=False)
    cases = action.cases()
    days = {period_s: faults.days(period_s) for period_s in PERIODS_S}
    result = {
        "gains": GAINS,
        "replay": {
            "all": replay.summary(cells),
            "without_ceiling": replay.summary(unbounded),
            "cells": cells,
        },
        "published_best": {"mean": 0.924, "worst": 0.878},
        "action": cases,
        "dense": {
            f"every {period_s} s": {name: told.figures for name, told in kinds.items()}
            for period_s, kinds in days.items()
        },
    }
    print("R/R*:", replay.summary(cells), "without the ceiling:", replay.summary(unbounded))
    for case in cases:
        print(f"act on ({case.campaign}, budget {case.budget}), value by floor:", case.ratio)
    for period_s, kinds in days.items():
        for name, told in kinds.items():
            print(f"every {period_s} s, {name}: {msgspec.to_builtins(told.figures)}")
    folder.mkdir(parents=True, exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(result), indent=1)
    (folder / "pacing.json").write_bytes(text + b"\n")
    for name, picture in {
        **faults.pictures(days[PERIODS_S[0]]),
        "pacing_replay.svg": _replay_picture(cells),
    }.items():
        (folder / name).write_text(picture)


def _replay_picture(cells: list[replay.Cell]) -> str:
    """R/R* by deviation of the first multiplier: mean and worst of ours, and the best published."""
    ratios = np.array([cell.ratio for cell in cells])
    x = [100 * deviation for deviation in replay.DEVIATIONS]
    mean, worst = (
        list(zip(x, values.tolist(), strict=True)) for values in (ratios.mean(axis=0), ratios.min(axis=0))
    )
    lines = [
        Series("mean of 16 cases", "#1b6ca8", mean),
        Series("worst of 16 cases", "#c8553d", worst),
        Series("published mean .924", "#999", [(x[0], 0.924), (x[-1], 0.924)], dashed=True),
    ]
    title = "Value won / value of the best fixed multiplier, by deviation of the first multiplier"
    return svg([Panel(title, "%", lines, (-80, 160), (0.8, 1.0))])


if __name__ == "__main__":
    sys.exit(main())
