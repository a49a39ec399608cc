"""A publisher's page that nobody prints: headlines, and places for ads, in plain HTML.

Place: people_pictures takes its picture; the browser tests put auctions into its places.
Shapes: newspaper() gives a document; each place is an `iframe` of the class `slot` with a data-size of `300x250`.
"""

from typing import Final

_STORIES: Final = (
    (
        "Harbour ferry returns after winter refit",
        "The Saturday boat leaves at nine again. Crews spent five months on the engine room and, by popular demand, "
        "on the waffle iron.",
    ),
    (
        "Hut wardens report the earliest snow in a decade",
        "Two passes are closed above 1,400 metres. Walkers are asked to carry a lamp, a second pair of socks and "
        "some patience.",
    ),
    (
        "Library lends out its thousandth tent",
        "What began with three donated two-person tents is now a shelf of its own, between travel and poetry.",
    ),
)
_STYLE: Final = (
    "*{box-sizing:border-box}body{margin:0;background:#fff;color:#222;font:17px/1.55 Georgia,serif}"
    ".top,.main{max-width:1010px;margin:0 auto;padding:0 20px}.top{border-bottom:3px double #222;"
    "text-align:center;padding-top:18px}.top p{margin:0;font-size:13px;color:#555}"
    ".top strong{display:block;font-size:44px;line-height:1.15;letter-spacing:.01em}"
    ".top p+strong+p{padding:4px 0 10px}.slot{border:0;display:block}"
    ".board{margin:18px auto 4px;width:728px}.main{display:grid;grid-template-columns:1fr 300px;gap:32px;"
    "padding-top:8px;padding-bottom:28px}h1{font-size:31px;line-height:1.2;margin:14px 0 6px}"
    "h2{font-size:21px;line-height:1.25;margin:22px 0 4px}p{margin:0 0 10px}"
    "aside{padding-top:14px}small{display:block;font:11px/1.6 system-ui,sans-serif;color:#666;text-align:center}"
    "aside .slot{margin:0 auto 18px}"
)


def newspaper(script: str = "", frames: dict[str, str] | None = None) -> str:
    """The page; `frames` are the addresses of what stands in the places, by size: without any, `script` fills them."""
    lead, *others = _STORIES
    stories = "".join(f"<h2>{title}</h2><p>{text}</p>" for title, text in others)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>The Fjord Courier</title>'
        f"<style>{_STYLE}</style></head><body>"
        '<div class="top"><p>Independent, mostly dry</p><strong>The Fjord Courier</strong>'
        "<p>Late edition</p></div>"
        f'<div class="board">{_place("728x90", frames)}</div>'
        f'<div class="main"><div><h1>{lead[0]}</h1><p>{lead[1]}</p>{stories}</div>'
        f"<aside>{_place('300x250', frames)}{_place('160x600', frames)}</aside></div>"
        f"<script>{script}</script></body></html>"
    )


def _place(size: str, frames: dict[str, str] | None) -> str:
    if frames and size not in frames:
        return ""
    width, height = size.split("x")
    source = f' src="{frames[size]}"' if frames else ""
    return (
        f'<div class="place"><small>Advertisement</small><iframe class="slot" data-size="{size}" '
        f'width="{width}" height="{height}" scrolling="no" title="Ad"{source}></iframe></div>'
    )
