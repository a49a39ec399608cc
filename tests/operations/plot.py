"""What a dashboard shows of the demo: panels' own queries, asked of a real Prometheus, drawn as a picture.

Place: run by hand: `python -m tests.operations.plot [--seconds 120] [--out benchmarks/results/dashboard.svg]`; README
    shows it. Grafana is not run: its panels' expressions are.
Limits: needs Prometheus and Alertmanager.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.plots import Panel, Series, svg
from helm.catalogue import RULES
from helm.panels.sheets import SHEETS
from helm.panels.sketch import Panel as Sketched
from tests.operations.prometheus import Watch, watching
from tests.operations.test_dashboards import filled
from tests.operations.test_demo_watched import running_demo

SHOWN: Final = (
    ("paceline-traffic", "Outcomes", 1.0, "/s"),
    ("paceline-latency", "p99 of each stage", 1e3, " ms"),
    ("paceline-money", "Spend per hour by line item", 1.0, ""),
    ("paceline-audience", "Consent by law", 1.0, "/s"),
)
"""Dashboard, panel, and how its values are written."""
LINES: Final = 8
"""Of one panel, the largest."""
STEP_S: Final = 2.0
_COLOURS: Final = ("#2f6fb3", "#d0642a", "#3f9460", "#8a5bb0", "#b23a48", "#6f7a2a", "#2a8f9a", "#8c6d46")


def panel_of(uid: str, title: str) -> Sketched:
    """One panel of the dashboards."""
    return next(p for sheet in SHEETS if sheet.uid == uid for p in sheet.panels() if p.title == title)


def drawn(watch: Watch, span: tuple[float, float], shown: tuple[str, str, float, str]) -> Panel:
    """A panel's series over the time of a run."""
    uid, title, factor, unit = shown
    rows: list[Any] = []
    for query in panel_of(uid, title).queries:
        rows += watch.query_range(filled(query.expr), *span, STEP_S)
    named = {
        _name(row["metric"]): [(float(at) - span[0], float(value) * factor) for at, value in row["values"]]
        for row in rows
    }
    largest = sorted(named, key=lambda name: -max(value for _, value in named[name]))[:LINES]
    series = [Series(name, _COLOURS[i], named[name]) for i, name in enumerate(largest)]
    top = max((value for name in largest for _, value in named[name]), default=1.0) or 1.0
    return Panel(title, "s", series, (0.0, span[1] - span[0]), (0.0, rounded(top)), unit)


def _name(labels: dict[str, str]) -> str:
    """What tells a series, short enough for the picture's margin."""
    return labels.get("line_item") or " ".join(labels.values())


def rounded(value: float) -> float:
    """The next number above with one digit, in fours."""
    scale = 10.0 ** len(str(int(value))) / 100 if value >= 1 else 0.04
    steps = int(value / (4 * scale)) + 1
    return round(4 * scale * steps, 6)


def main() -> None:
    """Run the demo, watch it, draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/dashboard.svg"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            running_demo(folder, arguments.seconds + 60) as ports,
            watching(folder / "watch", ports["ops"], sorted(RULES.glob("*.yaml"))) as watch,
        ):
            begin = time.time()
            while time.time() < begin + arguments.seconds:
                time.sleep(1)
            span = (begin + 10, begin + arguments.seconds)
            arguments.out.write_text(svg([drawn(watch, span, shown) for shown in SHOWN]), "utf-8")
    print(f"{arguments.out}: {arguments.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
