"""The rule files as tests see them: rules, what they ask for, and the same rules with all times divided.

Shapes: `Rule` is one alert or one record. `scaled` divides what PromQL and Prometheus take for a time: `for`, ranges,
    offsets, and the bounds of series whose name ends in `_age_seconds`; nothing else.
Limits: SHORTEST is the least time that is left: below it a range holds no two scrapes.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / "helm" / "paceline" / "rules"
FILES: Final = (FOLDER / "recording.yaml", FOLDER / "alerts.yaml")
RUNBOOKS: Final = ROOT / "helm" / "RUNBOOKS.md"
ROUTES: Final = ROOT / "helm" / "alertmanager.yaml"
UNITS_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}

_TIME: Final = re.compile(r"(\d+)(ms|[smhdw])")
_RANGE: Final = re.compile(r"\[(\w+)\]|\boffset (\w+)")
_BOUND: Final = re.compile(r"(_age_seconds(?:\{[^}]*\})? > )([\d.]+)")


class Rule(NamedTuple):
    """One rule; `name` is that of its alert or of its record."""

    name: str
    kind: str
    expr: str
    raw: dict[str, Any]


def load(path: Path) -> Any:
    """A YAML file."""
    return yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)


def rules(content: Any) -> Iterator[Rule]:
    """All rules of a file's content."""
    for group in content["groups"]:
        for raw in group["rules"]:
            kind = "alert" if "alert" in raw else "record"
            yield Rule(raw[kind], kind, raw["expr"], raw)


def alerts() -> list[Rule]:
    """All alerts."""
    return [rule for path in FILES for rule in rules(load(path)) if rule.kind == "alert"]


def milliseconds(text: str) -> int:
    """A time of PromQL, such as 1h30m."""
    assert _TIME.sub("", text) == "", text
    return sum(int(count) * UNITS_MS[unit] for count, unit in _TIME.findall(text))


def scaled(content: Any, factor: float) -> Any:
    """The content of a rule file with every time divided; a factor below 1 multiplies."""
    made = copy.deepcopy(content)
    for group in made["groups"]:
        for rule in group["rules"]:
            rule["expr"] = _scaled(rule["expr"], factor)
            if "for" in rule:
                rule["for"] = _time(rule["for"], factor)
    return made


def _scaled(expr: str, factor: float) -> str:
    def times(found: re.Match[str]) -> str:
        old = found[1] or found[2]
        return found[0].replace(old, _time(old, factor))

    def bounds(found: re.Match[str]) -> str:
        return f"{found[1]}{float(found[2]) / factor:.12g}"

    return _BOUND.sub(bounds, _RANGE.sub(times, expr))


def _time(text: str, factor: float) -> str:
    """In the largest unit that tells it whole, as the files have it."""
    left = milliseconds(text) / factor
    whole = round(left)
    assert abs(left - whole) < 1e-6, f"{text} / {factor} is no whole millisecond"
    for unit in ("d", "h", "m", "s", "ms"):
        if whole % UNITS_MS[unit] == 0:
            return f"{whole // UNITS_MS[unit]}{unit}"
    raise AssertionError(text)


def metrics_of(expr: str) -> Iterator[tuple[str, set[str]]]:
    """Each selector of a metric of ours in an expression: its name, and the labels that it is selected by."""
    for name, inside in re.findall(r"\b(paceline_\w+)(?:\{([^}]*)\})?", expr):
        yield name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", inside))


def labels_of(expr: str) -> set[str]:
    """The labels that an expression groups or matches by."""
    lists = re.findall(r"\b(?:by|on|ignoring|without|group_left|group_right) ?\(([^)]*)\)", expr)
    return {label.strip() for found in lists for label in found.split(",") if label.strip()}
