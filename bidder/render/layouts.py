"""Style sheets of ads of products: one for each layout, size and accent, made of numbers alone.

Place: page.py puts one into each document and its hash into the policy that allows no other.
Shapes: a document is `header` (the brand), `ul.i` with a product per `li > a`, and `a.m`, the mark that leads to the
    privacy page; in a ticker the brand stands within the text, in a strip left of the products.
Units: pixels.
Limits: SHEETS are remembered.
Source: WCAG 2.2: contrast 4.5 to 1 of all text (1.4.3), targets of 24 x 24 (2.5.8), focus that is seen (2.4.7),
    motion that can be turned off (2.3.3).
Never: text of a feed.
"""

import base64
import hashlib
from functools import lru_cache
from typing import Final

from msgspec import Struct

from bidder.campaigns.layouts import Shape, cells, products_of, shape_of
from bidder.campaigns.model import Layout

SHEETS: Final = 512
ACCENTS: Final = ("#0b57d0", "#a3123f", "#0b6b3a", "#6d28a8", "#94440b", "#0f5e73")
"""White on any of them, and any of them on white, has a contrast of at least 5."""
HEADER: Final = 30
_PANEL: Final = 128
"""Of a strip, the width of the brand."""
_INK, _SOFT, _LINE, _SALE, _EMPTY = "#1f2328", "#57606a", "#e3e6ea", "#b3261e", "#f3f4f6"


class Sheet(Struct, frozen=True, gc=False):
    """A style sheet."""

    css: str
    hash: str
    """Its CSP source: 'sha256-...'."""
    count: int
    """Products that it has room for."""
    eager: int
    """Of those, how many are seen at first."""


@lru_cache(SHEETS)
def sheet(layout: Layout, w: int, h: int, accent: int) -> Sheet:
    """The sheet of a layout that suits the size; `accent` is any number."""
    shape = shape_of(w, h)
    rules = [_base(w, h, ACCENTS[accent % len(ACCENTS)]), _frame(shape)]
    count = products_of(layout, w, h)
    eager = count
    if layout == "carousel":
        rules.append(_carousel(shape, w, h))
        eager = max(1, min(count, -(-w // _slide(shape, w, h))))
    elif shape == "ticker":
        rules.append(_row(h, h - 10))
    elif layout == "single":
        rules.append(_single(shape, w, h))
    else:
        columns, rows = cells(layout, w, h)
        rules.append(_cells(columns, rows))
        room = h - (0 if shape == "strip" else HEADER)
        if layout == "list" or shape == "strip":
            rules.append(_row(room // rows, min(room // rows - 20, 96, w // columns // 3)))
        else:
            rules.append(_card(w // columns, room // rows))
    return _sheet("".join(rules), count, eager)


@lru_cache(SHEETS)
def brand_sheet(w: int, h: int, accent: int) -> Sheet:
    """The sheet of an ad without products, of any size: name and button in the middle."""
    low = h <= 110
    rules = (
        _base(w, h, ACCENTS[accent % len(ACCENTS)]),
        "header{flex:1;min-width:0;display:flex;justify-content:center;align-items:center;gap:14px;padding:8px 26px;"
        f"flex-direction:{'row' if low else 'column'}}}header .c{{display:block;align-self:center}}"
        f"header a{{min-width:0;max-width:100%}}.n{{font-size:{15 if low and w < 400 else 20}px;text-align:center;"
        f"white-space:{'nowrap' if low else 'normal'};overflow-wrap:anywhere}}",
    )
    return _sheet("".join(rules), 0, 0)


def _sheet(css: str, count: int, eager: int) -> Sheet:
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return Sheet(css, f"'sha256-{digest}'", count, eager)


def _base(w: int, h: int, accent: str) -> str:
    return (
        "*{box-sizing:border-box;margin:0;padding:0}"
        f"html,body{{width:{w}px;height:{h}px;overflow:hidden}}"
        f"body{{position:relative;display:flex;background:#fff;color:{_INK};border:1px solid {_LINE};"
        "font:400 13px/1.3 system-ui,-apple-system,'Segoe UI',Roboto,Arial,sans-serif}"
        "a{color:inherit;text-decoration:none}"
        f"a:focus-visible{{outline:3px solid {accent};outline-offset:-3px;border-radius:6px}}"
        f".n{{display:block;color:{accent};font-weight:700;font-size:14px;white-space:nowrap;overflow:hidden;"
        "text-overflow:ellipsis}"
        ".i{list-style:none;display:grid;flex:1;min-width:0;min-height:0}"
        ".i li{display:flex;min-width:0;min-height:0}"
        ".i a{position:relative;display:flex;flex:1;min-width:0;min-height:0;overflow:hidden}"
        f".i img{{object-fit:contain;background:#fff;color:{_SOFT};font-size:10px;overflow:hidden;flex:none;"
        "position:relative}"
        f".i img::after{{content:'';position:absolute;inset:0;background:{_EMPTY}}}"  # of a picture that is gone
        ".x{display:flex;flex-direction:column;min-width:0;min-height:0}"
        ".t{display:-webkit-box;-webkit-box-orient:vertical;-webkit-line-clamp:2;overflow:hidden;"
        "overflow-wrap:anywhere;hyphens:auto;flex:none}"
        ".p{display:flex;flex-wrap:wrap;align-items:baseline;gap:0 .4em;font-weight:700;flex:none}"
        f".p s{{color:{_SOFT};font-weight:400;font-size:.85em}}.p s,.p b{{white-space:nowrap}}.p b{{color:{_INK}}}"
        f".p s+b{{color:{_SALE}}}"
        f".c{{background:{accent};color:#fff;font-weight:600;font-size:12px;border-radius:14px;padding:5px 12px;"
        "white-space:nowrap;display:none;flex:none;align-self:flex-start}"
        f".m{{position:absolute;top:0;inset-inline-end:0;width:24px;height:24px;display:grid;place-items:center;color:{_SOFT};"
        "background:#fff;border-end-start-radius:6px;z-index:2}"
        ".x .n,header .c{display:none}"
        ".h{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}"
        "@media(prefers-reduced-motion:no-preference){.i{scroll-behavior:smooth}"
        ".i img{transition:transform .2s}.i a:hover img{transform:scale(1.05)}}"
        ".i a:hover .t{text-decoration:underline}"
    )


def _frame(shape: Shape) -> str:
    """Where the brand stands."""
    if shape == "ticker":
        return "header{display:none}"
    if shape == "strip":
        return (
            f"header{{flex:none;width:{_PANEL}px;display:grid;align-content:center;gap:7px;padding:0 10px;"
            f"grid-template-columns:minmax(0,1fr);border-inline-end:1px solid {_LINE}}}"
            "header .c{display:block;justify-self:start;max-width:100%;padding:5px 10px;overflow:hidden}"
            "header .n{white-space:normal;max-height:38px}.i{margin-inline-end:22px}"
            ".i li:last-child{box-shadow:none}"  # the mark stands there, without a line before it
        )
    return (
        f"body{{flex-direction:column}}header{{flex:none;height:{HEADER}px;display:flex;align-items:center;"
        f"padding-inline:10px 30px;border-bottom:1px solid {_LINE}}}"
    )


def _cells(columns: int, rows: int) -> str:
    """Equal cells with lines between them."""
    return (
        f".i{{grid-template:repeat({rows},minmax(0,1fr))/repeat({columns},minmax(0,1fr));gap:1px}}"
        f".i li{{box-shadow:0 0 0 1px {_LINE}}}"
    )


def _card(width: int, height: int) -> str:
    """A picture above its text."""
    roomy = height >= 150
    lines, size = (2, 12) if roomy else (1, 11)
    text = round(lines * size * 1.3) + (
        40 if roomy and width < 170 else 22
    )  # a narrow card's prices take two lines
    return (
        f".i a{{flex-direction:column;padding:{8 if roomy else 4}px 8px 5px;gap:{5 if roomy else 1}px}}"
        f".i img{{width:100%;height:{height - text - (20 if roomy else 12)}px}}.x{{gap:1px}}"
        f".t{{-webkit-line-clamp:{lines};font-size:{size}px;text-align:center}}"
        f".p{{justify-content:center;font-size:{13 if roomy else 12}px}}"
    )


def _row(height: int, picture: int) -> str:
    """A picture beside its text."""
    low = height < 62
    return (
        f".i a{{align-items:center;gap:10px;padding-inline:{'5px 30px' if low else '10px'}}}"
        f".i img{{width:{picture}px;height:{picture}px}}.x{{flex:1;gap:{1 if low else 3}px}}"
        f".t{{-webkit-line-clamp:{1 if low else 3 if height >= 100 else 2};font-size:12px}}.p{{font-size:13px}}"
        + (_TICKER if low else "")
    )


_TICKER: Final = (
    f".x .n{{display:block;font-size:11px;color:{_SOFT}}}.t{{font-weight:600}}"
    ".x{padding-inline-end:100px;gap:0;line-height:1.15}"
    ".p{flex-flow:row-reverse nowrap;justify-content:flex-end;overflow:hidden}"  # the old price gives way
    ".c{display:block;position:absolute;inset-inline-end:30px;top:50%;transform:translateY(-50%)}"
)


def _single(shape: Shape, w: int, h: int) -> str:
    """One product, large."""
    if shape == "strip":
        side = h - 12
        return (
            f".i a{{align-items:center;gap:14px;padding:0 14px}}.i img{{width:{side}px;height:{side}px}}"
            ".x{flex:1;gap:3px}.t{font-size:15px;font-weight:600}.p{font-size:17px}"
        )
    room = h - HEADER
    if shape == "wide" or w > h:
        side = min(room - 20, w // 2 - 20)
        big = shape == "wide"
        return (
            f".i a{{align-items:center;gap:{28 if big else 12}px;padding:10px {24 if big else 10}px}}"
            f".i img{{width:{side}px;height:{side}px}}.x{{flex:1;gap:{10 if big else 7}px}}"
            f".t{{-webkit-line-clamp:3;font-size:{22 if big else 15}px;font-weight:600}}"
            f".p{{font-size:{24 if big else 17}px}}"
            f".c{{display:block;font-size:{15 if big else 12}px;padding:{'9px 20px' if big else '6px 14px'}}}"
        )
    side = max(48, min(w - 20, room - 140))
    return (
        f".i a{{flex-direction:column;justify-content:center;gap:10px;padding:10px}}"
        f".i img{{width:100%;height:{side}px}}"
        ".x{gap:7px;align-items:center;text-align:center}.t{-webkit-line-clamp:3;font-size:15px;font-weight:600}"
        ".p{font-size:18px;justify-content:center}.c{display:block;align-self:center;font-size:13px;padding:7px 18px}"
    )


def _slide(shape: Shape, w: int, h: int) -> int:
    """The width of a carousel's slide: the next one is seen to begin."""
    if shape == "ticker":
        return w - 44
    if shape == "strip":
        return 236
    return 196 if shape == "wide" else round(w * (0.62 if h < 1.3 * w else 0.8))


def _carousel(shape: Shape, w: int, h: int) -> str:
    """Slides side by side that snap into place; arrow keys scroll them, for the list takes the focus."""
    slides = (
        f".i{{grid-auto-flow:column;grid-auto-columns:{_slide(shape, w, h)}px;overflow-x:auto;overflow-y:hidden;"
        "scroll-snap-type:x mandatory;overscroll-behavior-x:contain;scrollbar-width:thin}"
        f".i li{{scroll-snap-align:start;border-inline-end:1px solid {_LINE}}}"
        f".i:focus-visible{{outline:3px solid {_SOFT};outline-offset:-3px}}"
    )
    if shape == "ticker":
        return (
            slides
            + _row(h, h - 14)
            + ".i{scrollbar-width:none}.i a{padding-inline-end:10px}.x{padding:0}.c{display:none}"
        )
    if shape == "strip":
        return slides + _row(h, h - 24)
    room = h - HEADER - 10
    return (
        slides
        + ".i a{flex-direction:column;justify-content:center;padding:8px 10px;gap:6px}"
        + f".i img{{width:100%;height:{min(room - 76, round(_slide(shape, w, h) * 1.2))}px}}"
        ".x{gap:2px}.t{font-size:12px}.p{font-size:14px}"
    )
