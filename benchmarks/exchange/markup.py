"""What a browser or player would fetch for an ad: impression beacons, and where a click leads.

Place: simulation.py renders the markup of won impressions; macros are already expanded.
Shapes: HTML: img and iframe sources, links; native: trackers and link; VAST: Impression and ClickThrough.
Never: runs scripts.
"""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any, NamedTuple
from xml.etree import ElementTree


class Markup(NamedTuple):
    """The URLs of one rendered ad."""

    fetched: tuple[str, ...]
    """What is fetched when the ad shows, beacons among it."""
    clicks: tuple[str, ...]
    """Where its links lead; the first is the ad's own."""


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.fetched: list[str] = []
        self.clicks: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        source, link = values.get("src"), values.get("href")
        if tag in ("img", "iframe") and source:
            self.fetched.append(source)
        elif tag == "a" and link:
            self.clicks.append(link)


def render(adm: str) -> Markup:
    """The URLs of an ad's markup; raises ValueError where it is neither HTML, native JSON nor VAST."""
    text = adm.lstrip()
    if text.startswith("{"):
        return _native(text)
    if text.startswith(("<?xml", "<VAST")):
        return _vast(text)
    page = _Page()
    page.feed(text)
    page.close()
    if not page.fetched and not page.clicks:
        raise ValueError("the markup shows nothing")
    return Markup(tuple(page.fetched), tuple(page.clicks))


def _native(text: str) -> Markup:
    ad: Any = json.loads(text)
    if not isinstance(ad, dict):
        raise ValueError("a native ad is an object")
    ad = ad.get("native", ad)
    trackers = [
        t["url"] for t in ad.get("eventtrackers") or () if t.get("event") == 1 and t.get("method") == 1
    ]
    images = [asset["img"]["url"] for asset in ad.get("assets") or () if asset.get("img")]
    link = ad["link"]
    return Markup((*images, *trackers, *(ad.get("imptrackers") or ())), (link["url"],))


def _vast(text: str) -> Markup:
    try:
        root = ElementTree.fromstring(text)  # noqa: S314  our own answer, from our own machine
    except ElementTree.ParseError as error:
        raise ValueError(f"not VAST: {error}") from None
    found: dict[str, list[str]] = {}
    for element in root.iter():
        found.setdefault(element.tag.rpartition("}")[2], []).append((element.text or "").strip())
    if "Impression" not in found:
        raise ValueError("VAST without an Impression")
    links = (*found.get("ClickThrough", ()), *found.get("ClickTracking", ()))
    return Markup(tuple(url for url in found["Impression"] if url), links)
