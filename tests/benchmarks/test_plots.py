"""Pictures of pacing: well-formed, small, and true to their numbers."""

from __future__ import annotations

from math import nan
from pathlib import Path
from xml.etree import ElementTree

import msgspec

from benchmarks.pacing.__main__ import RESULTS
from benchmarks.plots import HEIGHT, Panel, Series, svg
from budget.pacing import GAINS, Gains

MAX_BYTES = 40_000


def test_a_picture_is_well_formed() -> None:
    """Panels stand below each other; names are escaped."""
    line = Series("spend < plan & more", "#123456", [(0, 0), (1, 1)])
    root = ElementTree.fromstring(
        svg([Panel("a <title>", "hour", [line], (0, 1), (0, 1), marks=[(0.2, 0.4)])] * 2)
    )
    assert root.get("height") == str(2 * HEIGHT)
    texts = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count("a <title>") == 2
    assert "spend < plan & more" in texts


def test_lines_stay_inside_and_break() -> None:
    """A value outside the plot is drawn at its edge; a missing one breaks the line."""
    series = Series("s", "#123456", [(0, 5.0), (1, nan), (2, -5.0), (3, 0.5)])
    text = svg([Panel("t", "x", [series], (0, 3), (0, 1))])
    path = next(part for part in text.split('"') if part.startswith("M") and "L" in part)
    assert path.count("M") == 2
    assert path.split()[1].startswith("34.0")


def test_committed_pictures_are_small() -> None:
    """Every committed picture of pacing is below 40 kB and well-formed."""
    pictures = sorted(RESULTS.glob("pacing_*.svg"))
    assert [path.name for path in pictures] == [
        f"pacing_{n}.svg" for n in ("day", "jumps", "outage", "replay")
    ]
    for path in pictures:
        assert path.stat().st_size < MAX_BYTES
        ElementTree.fromstring(path.read_text())


class _Results(msgspec.Struct):
    gains: Gains


def test_committed_figures_are_of_the_gains_in_use() -> None:
    """The figures under benchmarks/results were measured with the gains that production has today."""
    data = Path(RESULTS / "pacing.json").read_bytes()
    assert msgspec.json.decode(data, type=_Results).gains == GAINS
