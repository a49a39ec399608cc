"""Small pictures of series as SVG text, with nothing but the standard library.

Shapes: a Panel is one plot with its series; panels stand below each other.
Units: pixels; data in any.
"""

from collections.abc import Sequence
from html import escape
from math import isfinite

from msgspec import Struct

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 200, 62, 150, 34, 30
TICKS = 4


class Series(Struct, frozen=True):
    """One line."""

    name: str
    colour: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False


class Panel(Struct, frozen=True):
    """One plot."""

    title: str
    x_label: str
    series: Sequence[Series]
    x: tuple[float, float]
    y: tuple[float, float]
    y_unit: str = ""
    marks: Sequence[tuple[float, float]] = ()
    """Spans of x to shade: an outage, or the moment of a jump."""


def svg(panels: Sequence[Panel]) -> str:
    """The whole picture."""
    height = HEIGHT * len(panels)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        'font-family="system-ui, sans-serif" font-size="11" fill="#333">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
    ]
    for number, panel in enumerate(panels):
        parts += [f'<g transform="translate(0 {number * HEIGHT})">', *_panel(panel), "</g>"]
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel) -> list[str]:
    parts = [f'<text x="{LEFT}" y="20" font-size="13" font-weight="600">{escape(panel.title)}</text>']
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    for start, end in panel.marks:
        x0, x1 = _x(panel, start), max(_x(panel, end), _x(panel, start) + 1.5)
        parts.append(
            f'<rect x="{x0:.1f}" y="{TOP}" width="{x1 - x0:.1f}" height="{bottom - TOP}" fill="#f3d9b1"/>'
        )
    for i in range(TICKS + 1):
        value = panel.y[0] + (panel.y[1] - panel.y[0]) * i / TICKS
        y = _y(panel, value)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{right}" stroke="#ddd"/>')
        parts.append(
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}{escape(panel.y_unit)}</text>'
        )
    for i in range(TICKS + 1):
        value = panel.x[0] + (panel.x[1] - panel.x[0]) * i / TICKS
        parts.append(
            f'<text x="{_x(panel, value):.1f}" y="{bottom + 14}" text-anchor="middle">{value:g}</text>'
        )
    parts.append(f'<text x="{right + 18}" y="{bottom + 14}">{escape(panel.x_label)}</text>')
    for i, series in enumerate(panel.series):
        dash = ' stroke-dasharray="5 4"' if series.dashed else ""
        parts.append(
            f'<path d="{_line(panel, series)}" fill="none" stroke="{series.colour}" stroke-width="1.5"{dash}/>'
        )
        y = TOP + 10 + i * 16
        parts.append(f'<path d="M{right + 8} {y - 4}h18" stroke="{series.colour}" stroke-width="2"{dash}/>')
        parts.append(f'<text x="{right + 30}" y="{y}">{escape(series.name)}</text>')
    return parts


def _line(panel: Panel, series: Series) -> str:
    """A path that stays inside the plot and breaks where there is no value."""
    words, pen = [], "M"
    for x, y in series.points:
        if not isfinite(y):
            pen = "M"
            continue
        words.append(f"{pen}{_x(panel, x):.1f} {_y(panel, min(max(y, panel.y[0]), panel.y[1])):.1f}")
        pen = "L"
    return "".join(words)


def _x(panel: Panel, value: float) -> float:
    return LEFT + (value - panel.x[0]) / (panel.x[1] - panel.x[0]) * (WIDTH - RIGHT - LEFT)


def _y(panel: Panel, value: float) -> float:
    return HEIGHT - BOTTOM - (value - panel.y[0]) / (panel.y[1] - panel.y[0]) * (HEIGHT - BOTTOM - TOP)
