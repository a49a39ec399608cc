"""Which layouts of products suit an ad's size, and how many products each then holds.

Place: rules.py refuses layouts that do not suit; ads.py compiles those that do; render/ draws them.
Shapes: an ad's shape is a small strip (a line of text beside a picture), a strip, a tower (one narrow column), a wide
    board or a board.
Units: pixels.
Limits: MOST_PRODUCTS in one ad: each picture counts towards the weight that exchanges allow.
"""

from typing import Final, Literal, get_args

from bidder.campaigns.model import Layout

LAYOUTS: Final[tuple[Layout, ...]] = get_args(Layout)
MOST_PRODUCTS: Final = 6
SMALLEST: Final = (120, 200)
SMALLEST_STRIP: Final = (234, 50)
"""Narrower or lower, no product can be told from another."""

Shape = Literal["ticker", "strip", "tower", "wide", "board"]

_STRIP_H: Final = 110
_TOWER_W: Final = 200
_TICKER_W: Final = 480
_SUITED: Final[dict[Shape, tuple[Layout, ...]]] = {
    "ticker": ("single", "carousel"),
    "strip": ("single", "grid", "carousel"),
    "tower": ("single", "grid", "list"),
    "wide": ("single", "grid", "carousel", "list"),
    "board": ("single", "grid", "carousel", "list"),
}


def shape_of(w: int, h: int) -> Shape:
    """The shape of an ad."""
    if h <= _STRIP_H:
        return "ticker" if w < _TICKER_W else "strip"
    if w <= _TOWER_W:
        return "tower"
    return "wide" if w >= 2 * h else "board"


def suited(w: int, h: int) -> tuple[Layout, ...]:
    """The layouts that an ad of this size can have; none where it is too small."""
    least = SMALLEST_STRIP if h <= _STRIP_H else SMALLEST
    return _SUITED[shape_of(w, h)] if w >= least[0] and h >= least[1] else ()


def products_of(layout: Layout, w: int, h: int) -> int:
    """How many products the layout shows at that size, the hidden ones of a carousel too."""
    shape = shape_of(w, h)
    if layout == "single":
        return 1
    if layout == "carousel":
        return 4 if shape == "ticker" else MOST_PRODUCTS
    columns, rows = cells(layout, w, h)
    return min(MOST_PRODUCTS, columns * rows)


def cells(layout: Layout, w: int, h: int) -> tuple[int, int]:
    """(columns, rows) of a grid or a list."""
    shape = shape_of(w, h)
    if layout == "list":
        return (2 if shape == "wide" else 1), max(1, min(5, (h - 34) // (72 if h < 400 else 96)))
    if shape == "strip":
        return max(2, min(4, (w - 120) // 190)), 1
    if shape == "tower":
        return 1, max(1, min(4, (h - 34) // 150))
    if shape == "wide":
        return max(2, min(5, w // 180)), 1
    return max(2, w // 160), max(1, min(3, (h - 34) // 105 if h < 300 else (h - 34) // 180))
