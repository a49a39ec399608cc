"""The catalogue of metrics as a document: each with its meaning, its panels and its alerts.

Place: build.py writes METRICS.md with it.
Shapes: panels and alerts are found by the names in their expressions; of a recording rule, by those in its own.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import yaml

from bidder.metrics import Metric
from bidder.supervisor.catalogue import catalogue
from helm.panels.sheets import SHEETS

RULES: Final = Path(__file__).parent / "paceline" / "rules"
_NAME: Final = re.compile(r"\bpaceline[a-zA-Z0-9_:]*")
_PARTS: Final = ("_bucket", "_sum", "_count")
_HEAD: Final = """# Metrics

Made by `make dashboards` of the metrics that the code declares, of the dashboards in `panels/` and of the rules in
`paceline/rules/`. All are served by the supervisor at `/metrics` of the operators' port. "Series" says what bounds the
number of an instance's series; names of line items are those of the `metrics.top_line_items` that spent most, the rest
is summed in `other`.
"""


def rules() -> list[Mapping[str, str]]:
    """Every rule of every file: `record` or `alert`, and `expr`."""
    files = [yaml.safe_load(path.read_text("utf-8")) for path in sorted(RULES.glob("*.yaml"))]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


def names_in(expr: str, recorded: Mapping[str, str]) -> set[str]:
    """The metrics that an expression asks for, through recording rules too."""
    known, found = catalogue(), set()
    for name in _NAME.findall(expr):
        if name in recorded:
            found |= names_in(recorded[name], recorded)
            continue
        base = next((name.removesuffix(part) for part in _PARTS if name.endswith(part)), name)
        found.add(name if name in known else base)
    return found


def panels_of(recorded: Mapping[str, str]) -> dict[str, list[str]]:
    """Metric to the panels that show it, as `dashboard: panel`."""
    shown: dict[str, list[str]] = defaultdict(list)
    for sheet in SHEETS:
        dashboard = sheet.title.removeprefix("Paceline / ")
        for panel in sheet.panels():
            for name in set().union(*(names_in(query.expr, recorded) for query in panel.queries)):
                shown[name].append(f"{dashboard}: {panel.title}")
    return shown


def alerts_of(recorded: Mapping[str, str]) -> dict[str, list[str]]:
    """Metric to the alerts that ask for it."""
    asked: dict[str, list[str]] = defaultdict(list)
    for rule in rules():
        if "alert" in rule:
            for name in names_in(rule["expr"], recorded):
                asked[name].append(rule["alert"])
    return asked


def recorded_rules() -> dict[str, str]:
    """Recording rules: name to expression."""
    return {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}


def catalogue_text() -> str:
    """METRICS.md."""
    recorded = recorded_rules()
    panels, alerts = panels_of(recorded), alerts_of(recorded)
    rooms: dict[str, list[Metric]] = defaultdict(list)
    for metric in sorted(catalogue().values(), key=lambda metric: metric.name):
        rooms[metric.name.split("_")[1]].append(metric)
    parts = [_HEAD]
    for metrics in rooms.values():
        parts += [_entry(metric, panels[metric.name], alerts[metric.name]) for metric in metrics]
    return "\n".join(parts)


def _entry(metric: Metric, panels: Iterable[str], alerts: Iterable[str]) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    lines = [
        f"## `{metric.name}`",
        "",
        f"{metric.kind.capitalize()}{f' by {labels}' if labels else ''}. {metric.help.rstrip('.')}.",
        "",
        *([f"- Series: {metric.bound}"] if metric.bound else []),
        *(f"- Panel: {panel}" for panel in dict.fromkeys(panels)),
        *(f"- Alert: [{alert}](RUNBOOKS.md#{alert.lower()})" for alert in dict.fromkeys(alerts)),
        "",
    ]
    return "\n".join(lines)
