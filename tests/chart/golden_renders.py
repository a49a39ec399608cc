"""Renders that somebody looked at: `python -m tests.chart.golden_renders` writes tests/chart/golden/*.yaml anew.

Shapes: the objects as helm writes them, but for the bodies of rules and dashboards, which stand in files of their own
    and are compared with them by test_embedded.py, and for helm's remarks on sources.
"""

import re

from tests.chart.cases import GOLDEN
from tests.chart.rendering import text_of

NAMES = ("default", "production", "minimal", "valkey", "deployment")


def shown(name: str) -> str:
    """A case as its golden file has it."""
    kept = []
    for document in re.split(r"^---\n", text_of(name), flags=re.MULTILINE):
        if "kind: PrometheusRule" in document or "-dashboard-" in document:
            document = re.sub(r"^(spec|data):\n.*", r"\1: # in its own file\n", document, flags=re.M | re.S)
        if document := re.sub(r"^# Source: .*\n", "", document, flags=re.M).strip("\n"):
            kept.append("\n".join(line.rstrip() for line in document.splitlines()))
    return "\n---\n".join(kept) + "\n"


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for each in NAMES:
        (GOLDEN / f"{each}.yaml").write_text(shown(each), encoding="utf-8")
