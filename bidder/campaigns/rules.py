"""What must hold beyond types: value by value, Struct by Struct.

Place: load.py hands these rules to the Filler; bounds.py has those of money, time and frequency, audiences.py those
    of events, segments and feeds, references.py those that look across items.
Never: reads files or the clock.
"""

import re
from decimal import Decimal
from functools import partial

from bidder.campaigns.audiences import audiences, distinct
from bidder.campaigns.bounds import bounds
from bidder.campaigns.hours import parse_hours
from bidder.campaigns.layouts import suited
from bidder.campaigns.model import (
    Advertiser,
    Book,
    Budget,
    Categories,
    Creative,
    Deals,
    EventRule,
    Goal,
    ItemBudget,
    LineItem,
    NativeAssets,
    Segments,
    Targeting,
    Terms,
)
from bidder.campaigns.rates import Rates
from bidder.campaigns.structs import At, Rule, Rules
from budget.money import MAX_UNITS, micros_from_text

INVENTORY = ("site", "app", "dooh")
DEVICE_TYPES = ("phone", "tablet", "mobile", "desktop", "tv", "connected", "set_top_box", "ooh")
OS = ("android", "ios", "windows", "macos", "linux", "chromeos", "other")
CONNECTIONS = ("ethernet", "wifi", "cellular", "2g", "3g", "4g", "5g")
POSITIONS = (
    "unknown",
    "above_fold",
    "below_fold",
    "header",
    "footer",
    "sidebar",
    "full_screen",
    "locked",
)

KNOWN_VALUES: dict[str, tuple[str, ...]] = {
    "inventory": INVENTORY,
    "device_types": DEVICE_TYPES,
    "os": OS,
    "connections": CONNECTIONS,
    "positions": POSITIONS,
}
"""Dimensions whose values are a fixed list."""

_LANGUAGE = (r"[a-z]{2}", "2 lower-case letters (ISO 639-1) such as de")
_ID = (r"\S.{0,199}", "an id of 1 to 200 characters")
FORMS: dict[str, tuple[str, str]] = {
    "exchanges": (r"[a-z0-9][a-z0-9_-]{0,31}", "an exchange's name in lower case"),
    "countries": (r"[A-Z]{3}", "3 capital letters (ISO 3166-1 alpha-3) such as DEU"),
    "regions": (r"[A-Z]{3}-[A-Z0-9]{1,3}", "country and region such as DEU-BE"),
    "cities": (r"[A-Z]{3}-[^A-Z\s][^A-Z]{0,99}", "country and city in lower case such as DEU-berlin"),
    "zips": (r"[A-Z]{3}-[A-Z0-9][A-Z0-9 -]{0,15}", "country and postal code such as DEU-10115"),
    "browser_languages": _LANGUAGE,
    "content_languages": _LANGUAGE,
    "domains": (r"[a-z0-9]([a-z0-9.-]{0,252}[a-z0-9])?", "a domain in lower case such as news.example"),
    "bundles": _ID,
    "sites": _ID,
    "publishers": _ID,
    "keywords": (r"\S.{0,99}", "a word or phrase of 1 to 100 characters"),
    "exchange_segments": (r"[^/\s][^/]{0,99}/\S.{0,99}", "provider/segment such as dmp.example/42"),
}
"""Dimensions whose values have a form: a pattern and its words."""

NEEDED: dict[str, tuple[str, ...]] = {
    "image": ("image_url", "w", "h"),
    "html": ("html", "w", "h"),
    "iframe": ("iframe_url", "w", "h"),
    "native": ("native",),
    "video": ("media_files", "duration_s"),
    "audio": ("media_files", "duration_s"),
    "products": ("w", "h"),
}
"""What a kind of creative needs; of these fields it may have no others. A native ad of products has `native` instead
of a size: it is what is shown where products cannot be fetched."""
_OF_A_KIND = sorted({field for fields in NEEDED.values() for field in fields})


def rules(rates: Rates | None = None) -> Rules:
    """All rules; with rates, an advertiser's currency must be among them."""
    bounded = bounds() | audiences()
    named: dict[object, Rule] = bounded | {
        Advertiser: partial(_advertiser, bounded[Advertiser]),
        Book: _book,
        Creative: _creative,
        NativeAssets: _native_assets,
        Segments: _segments,
        (Goal, "value"): _amount,
        (LineItem, "max_bid_cpm"): _amount,
        (Budget, "total"): _amount,
        (Budget, "daily"): _amount,
        (ItemBudget, "total"): _amount,
        (ItemBudget, "daily"): _amount,
        (ItemBudget, "hourly"): _amount,
        (Targeting, "hours"): _hours,
        (Targeting, "categories"): _categories,
        (LineItem, "creatives"): distinct,
        (Creative, "layouts"): distinct,
        (Deals, "ids"): distinct,
        (EventRule, "min_value"): _amount,
        (Advertiser, "currency"): partial(_currency, rates),
    }
    for dimension, values in KNOWN_VALUES.items():
        words = f"one of {', '.join(values)}"
        named[Targeting, dimension] = partial(_terms, re.compile("|".join(values)), words)
    for dimension, (pattern, words) in FORMS.items():
        named[Targeting, dimension] = partial(_terms, re.compile(pattern), words)
    return named


def _book(_: Book, at: At) -> None:
    if isinstance(at.node.value, dict) and "advertisers" not in at.node.value:
        at.wrong("is missing", "advertisers")


def _advertiser(bounded: Rule, advertiser: Advertiser, at: At) -> None:
    """Products come from a feed; and the bounds hold."""
    bounded(advertiser, at)
    for i, creative in enumerate(advertiser.creatives if advertiser.feed is None else ()):
        if creative.kind == "products":
            at.wrong("shows products, and the advertiser has no feed", "creatives", i, "kind")


def _currency(rates: Rates | None, currency: str, at: At) -> None:
    if rates is not None and not rates.knows(currency):
        at.wrong(f"no exchange rate for {currency}; there are rates for {', '.join(rates.currencies())}")


def _amount(amount: Decimal, at: At) -> None:
    if not amount.is_finite() or amount <= 0:
        at.wrong(f"expected a number above 0, found {amount}")
    elif amount > MAX_UNITS:
        at.wrong(f"expected a number of at most {MAX_UNITS:,}, found {amount}")
    else:
        try:
            micros_from_text(str(amount))
        except ValueError:
            at.wrong(f"finer than a millionth: {amount}")


def _terms(pattern: re.Pattern[str], words: str, terms: Terms, at: At) -> None:
    for side, values in (("include", terms.include), ("exclude", terms.exclude)):
        for i, value in enumerate(values):
            if not pattern.fullmatch(value):
                at.wrong(f'expected {words}, found "{value[:40]}"', side, i)
    _sides(terms, at)


def _sides(terms: Terms | Categories, at: At) -> None:
    if not terms.include and not terms.exclude:
        at.wrong("lists nothing: leave it out where anything goes")
    both = sorted(set(terms.include) & set(terms.exclude))
    if both:
        at.wrong(f"included and excluded at once: {', '.join(both[:5])}")


def _categories(categories: Categories, at: At) -> None:
    first = categories.taxonomy == 1
    pattern = r"IAB[1-9][0-9]?(-[1-9][0-9]?)?" if first else r"[A-Za-z0-9]{1,16}"
    words = "a category of taxonomy 1 such as IAB17 or IAB17-12" if first else "a category's id"
    for side, values in (("include", categories.include), ("exclude", categories.exclude)):
        for i, value in enumerate(values):
            if not re.fullmatch(pattern, value):
                at.wrong(f'expected {words}, found "{value[:40]}"', side, i)
    _sides(categories, at)


def _hours(hours: tuple[str, ...], at: At) -> None:
    for i, text in enumerate(hours):
        try:
            parse_hours(text)
        except ValueError as error:
            at.wrong(str(error), i)


def _segments(segments: Segments, at: At) -> None:
    if not segments.any and not segments.none:
        at.wrong("lists nothing: leave it out where anyone will do")
    both = sorted(set(segments.any) & set(segments.none))
    if both:
        at.wrong(f"in any and in none at once: {', '.join(both[:5])}")


def _creative(creative: Creative, at: At) -> None:
    kind = creative.kind
    written = at.node.value if isinstance(at.node.value, dict) else {}
    filled = {name for name, node in written.items() if node.value not in (None, [], "")}  # right or wrong
    native = kind == "products" and "native" in filled
    needed = ("native",) if native else NEEDED[kind]
    for field in _OF_A_KIND:
        if field in filled and field not in needed:
            at.wrong(f"has no place in a {'native ' if native else ''}creative of kind {kind}", field)
        elif field not in filled and field in needed:
            at.wrong(f"is missing: a creative of kind {kind} needs {', '.join(needed)}", field)
    _layouts(creative, at)
    if kind in ("video", "audio"):
        _media(creative, at)
    if kind == "html" and creative.html and "${CLICK_URL" not in creative.html:
        at.advise("has no ${CLICK_URL}: its clicks will not be counted", "html")
    if creative.landing_url.startswith("http:"):
        at.advise("is not https: browsers warn of it", "landing_url")


def _layouts(creative: Creative, at: At) -> None:
    if creative.layouts and (creative.kind != "products" or creative.native):
        at.wrong("have no place in a creative that shows no products in a banner", "layouts")
        return
    if creative.kind != "products" or creative.w is None or creative.h is None:
        return
    suitable = suited(creative.w, creative.h)
    size = f"{creative.w}x{creative.h}"
    if not suitable:
        at.wrong(f"{size} is too small for products", "w")
    for i, layout in enumerate(creative.layouts if suitable else ()):
        if layout not in suitable:
            at.wrong(f"{layout} does not suit {size}; {', '.join(suitable)} do", "layouts", i)


def _media(creative: Creative, at: At) -> None:
    for i, file in enumerate(creative.media_files):
        if not file.mime.startswith(f"{creative.kind}/"):
            message = f"expected a media type of kind {creative.kind}/, found {file.mime}"
            at.wrong(message, "media_files", i, "mime")
        for field in ("w", "h") if creative.kind == "video" else ():
            if getattr(file, field) is None:
                at.wrong("is missing: a video file has a size", "media_files", i, field)


def _native_assets(assets: NativeAssets, at: At) -> None:
    for picture in ("image", "icon"):
        given = {part for part in ("url", "w", "h") if getattr(assets, f"{picture}_{part}") is not None}
        for part in sorted({"url", "w", "h"} - given if given else ()):
            at.wrong(f"is missing: a native {picture} has a URL and a size", f"{picture}_{part}")
